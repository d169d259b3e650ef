"""Human work from the command line, through a worker that has the queues' rules, and what is left for the journal."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typed import Cli, Worker, wait_until

from backstay import App, Queue, approval, workflow
from backstay.cli import items
from backstay.engine.control import RemoteClient, find_worker, read_rules, serve
from backstay.errors import Conflict, InvalidInput, StoreMismatch
from backstay.governance.calendars import Calendar
from backstay.governance.queues import Escalation

OFFICE = """
from backstay import App, Queue, approval, sleep, start, task, wait_for, workflow

@workflow
async def buy(what: str) -> str:
    decision = await approval("office", show={"what": what}, within="8h")
    return f"{decision.verdict} {decision.code}"

@workflow
async def invest(what: str) -> str:
    return (await approval("board", show={"what": what}, quorum=2)).verdict

@workflow
async def tidy(room: str) -> str:
    return (await task("hands", title=f"tidy {room}")).comment

@workflow
async def listen(word: str) -> str:
    await sleep("1h")
    return await wait_for(word, type=str)

app = App("office", workflows=[buy, invest, tidy, listen], queues=[
    Queue(name="office", owner="olga", lease="1h", priority=5, reasons=("too-dear", "not-needed")),
    Queue(name="board", owner="chair", members=("bea", "bob")),
    Queue(name="hands", owner="hans"),
    Queue(name="leads", owner="lea", priority=9),
])
"""
Begin = Callable[..., str]


@workflow
async def wanting() -> str:
    return (await approval("desk")).verdict


@pytest.fixture
def office(project: Path) -> Path:
    """A project whose queues have rules."""
    (project / "app.py").write_text(OFFICE, "utf-8")
    return project


@pytest.fixture
def served(office: Path, request: pytest.FixtureRequest) -> Iterator[Worker]:
    """The worker of that project."""
    return request.getfixturevalue("worker")


@pytest.fixture
def begin(cli: Cli, served: Worker) -> Begin:
    """Start a run of a workflow with one text, and give its id once it waits."""

    def start(workflow: str, text: str, by: str = "ann") -> str:
        answer = cli("start", f"app.py:{workflow}", "-i", f'{NAMES[workflow]}="{text}"', "--as", by, "--json")
        assert answer.code == 0, answer
        run = answer.json["run"]
        wait_until(lambda: cli("show", run, "--json").json["status"] == "waiting")
        return run

    return start


NAMES = {"buy": "what", "invest": "what", "tidy": "room", "listen": "word"}


def test_a_question_an_answer_and_a_comment_with_a_file(cli: Cli, begin: Begin, office: Path) -> None:
    run = begin("buy", "a desk")
    asked = cli("ask", run, "Which desk?", "--as", "mia", "--json")
    assert (asked.code, asked.json["of"], asked.json["question"]) == (0, "ann", "Which desk?")
    paused = cli("inbox", "--mine", "ann", "--json").json
    assert [(item["id"], item["do"]) for item in paused] == [(f"{run}/1", ["answer"])]
    assert paused[0]["asked_at"] is not None
    assert "paused: ann was asked" in cli("inbox").out
    assert cli("approve", run, "--as", "mia", "--json").code == 4
    assert cli("answer", run, " ", "--as", "ann", "--json").json["error"]["fields"] == {"answer": "must be text"}
    assert cli("answer", run, "The tall one", "--as", "ann").out.startswith("ann answered")
    (office / "offer.txt").write_bytes(b"three \x00desks")
    assert cli("comment", run, "see the offer", "--file", "offer.txt", "--as", "ann").code == 0
    assert cli("comment", run, "and this", "--file", "nothing.txt", "--json").code == 3

    told = cli("show", f"{run}/1").out
    for part in ("question", "Which desk?", "The tall one", "see the offer [offer.txt, 12 bytes, "):
        assert part in told
    (wait,) = cli("show", run, "--json").json["waits"]
    assert [(said["what"], said["by"]) for said in wait["history"]] == [
        ("question", "mia"), ("answer", "ann"), ("comment", "ann"),
    ]  # fmt: skip
    log = cli("log", run).out
    for part in ("Asked back", "Which desk?", "Answered", "Comment: see the offer", "offer.txt, 12 bytes, "):
        assert part in log
    (kept,) = cli("files", run, "--out", "kept", "--json").json
    assert (kept["name"], Path(kept["path"]).read_bytes()) == ("offer.txt", b"three \x00desks")


def test_a_name_of_a_file_leads_nowhere_else(tmp_path: Path, cli: Cli, begin: Begin, office: Path) -> None:
    from backstay.store.database import Reader

    run = begin("buy", "a desk")
    (office / "a.txt").write_bytes(b"x")
    cli("comment", run, "look", "--file", "a.txt", "--as", "ann")
    (kept,) = cli("files", run, "--json").json
    reader = Reader(office / ".backstay" / "backstay.db")
    for name in ("../../away", "..\\away", "/away", ".."):
        path = Path(items.write_file(tmp_path / "out", {**kept, "name": name}, reader))
        assert path.resolve().parent == (tmp_path / "out").resolve()
    reader.close()


def test_a_claim_says_until_when_and_an_item_is_given_on(cli: Cli, begin: Begin) -> None:
    run = begin("buy", "a desk")
    claimed = cli("claim", run, "--as", "mia", "--json").json
    (listed,) = cli("inbox", "--mine", "mia", "--json").json
    assert (listed["claimed_by"], listed["claimed_until"]) == ("mia", claimed["until"])
    assert "(mia has it until 2" in cli("inbox").out
    assert cli("inbox", "--mine", "bea", "--json").json == []
    assert cli("reassign", run).code == 2
    assert cli("reassign", run, "--queue", "nowhere", "--as", "olga", "--json").code == 3
    given = cli("reassign", run, "--queue", "leads", "--to", "lea", "--reason", "she knows", "--as", "olga")
    assert given.out.startswith("olga gave to lea in leads: ")
    (listed,) = cli("inbox", "--queue", "leads", "--json").json
    assert (listed["assigned"], listed["priority"], listed["claimed_by"]) == ("lea", 9, None)
    assert cli("inbox", "--mine", "bea", "--json").json == []
    assert len(cli("inbox", "--mine", "LEA", "--json").json) == 1
    assert "Gave it to lea (leads)" in cli("log", run).out
    assert cli("reject", run, "--reason", "no", "--as", "lea").code == 0


def test_votes_are_counted_and_shown(cli: Cli, begin: Begin) -> None:
    run = begin("invest", "a hall")
    assert "0 of 2 votes" in cli("inbox").out
    assert cli("inbox", "--mine", "eve", "--json").json == []
    first = cli("approve", run, "--reason", "fine", "--as", "bea", "--json").json
    assert (first["votes"], first["status"]) == ("1 of 2 votes", "waiting")
    assert cli("inbox", "--mine", "bea", "--json").json == []  # she has voted
    (listed,) = cli("inbox", "--mine", "bob", "--json").json
    assert (listed["quorum"], listed["votes"]) == (2, ["bea"])
    assert cli("approve", run, "--as", "eve", "--json").code == 4
    (wait,) = cli("show", run, "--json").json["waits"]
    assert [(vote["by"], vote["verdict"], vote["reason"]) for vote in wait["votes"]] == [("bea", "approved", "fine")]
    assert cli("approve", run, "--as", "bob", "--json").json["status"] == "finished"
    log = cli("log", run).out
    assert "Voted: approved" in log
    assert "votes bea approved, bob approved" in log


def test_a_decision_names_what_was_looked_at(cli: Cli, begin: Begin) -> None:
    run = begin("buy", "a desk")
    digest = cli("show", run, "--json").json["waits"][0]["shown"]
    assert f"proposal {digest[:12]}" in cli("show", run).out
    wrong = cli("approve", run, "--shown", "0" * 64, "--as", "mia", "--json")
    assert (wrong.code, wrong.json["error"]["code"]) == (4, "CONFLICT")
    assert cli("approve", run, "--shown", digest[:4], "--as", "mia").code == 4  # too short to name anything
    assert cli("approve", run, "--shown", digest[:12], "--as", "mia").code == 0


def test_a_batch_tells_of_each_item_what_became_of_it(cli: Cli, begin: Begin) -> None:
    first, second, third = (begin("buy", name) for name in ("one", "two", "three"))
    own = begin("buy", "four", by="mia")
    batch = ("--queue", "office", "--all", "--except", third)
    wrong = cli("reject", *batch, "--code", "bad mood", "--as", "mia", "--json")
    assert wrong.code == 6
    assert {outcome["error"]["code"] for outcome in wrong.json["outcomes"]} == {"INVALID", "NOT_ALLOWED"}
    assert cli("reject", *batch, "--as", "mia").code == 2
    done = cli("reject", *batch, "--code", "too-dear", "--as", "mia", "--json")
    counted = {outcome["item"]: outcome["counted"] for outcome in done.json["outcomes"]}
    told = {outcome["item"]: outcome["error"] for outcome in done.json["outcomes"]}
    assert (told[f"{first}/1"], told[f"{own}/1"]["code"]) == (None, "NOT_ALLOWED")
    assert "asked for this" in told[f"{own}/1"]["message"]
    assert (done.code, counted) == (4, {f"{first}/1": True, f"{second}/1": True, f"{own}/1": False})
    assert "code  too-dear" in cli("log", first).out
    assert cli("approve", third, own, "--as", "olga").out.startswith("olga approved 2 of 2 item(s).")
    assert cli("approve", first, second, "--as", "olga", "--json").code == 4
    assert cli("approve", "--queue", "office", "--all", "--as", "olga", "--json").json["outcomes"] == []


def test_a_batch_is_one_request_bound_to_what_was_listed(
    cli: Cli, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = begin("buy", "one"), begin("buy", "two")
    asked = list[dict[str, object]]()
    real = RemoteClient.decide_many

    async def noted(remote: RemoteClient, items: list[str], verdict: str, **more: object) -> dict[str, str]:
        asked.append({"items": items, "verdict": verdict, **more})
        return await real(remote, items, verdict, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(RemoteClient, "decide_many", noted)
    digests = {f"{run}/1": cli("show", run, "--json").json["waits"][0]["shown"] for run in (first, second)}
    assert cli("approve", "--queue", "office", "--all", "--as", "mia", "--json").code == 0
    assert [(sorted(one["items"]), one["shown"]) for one in asked] == [(sorted(digests), digests)]  # type: ignore[call-overload]


def test_an_approval_whose_queue_has_words_offers_them(cli: Cli, begin: Begin) -> None:
    run = begin("buy", "a desk")
    (wait,) = cli("show", run, "--json").json["waits"]
    assert wait["reasons"] == ["too-dear", "not-needed"]
    assert wait["do"][1].endswith("/1 --code 'too-dear|not-needed'")
    assert "--code 'too-dear|not-needed'" in cli("show", run).out
    (other,) = cli("show", begin("invest", "a hall"), "--json").json["waits"]
    assert (other["reasons"], other["do"][1][-14:]) == ([], " --reason TEXT")


def test_a_batch_on_a_terminal_is_shown_first_and_asked_for(
    cli: Cli, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin("buy", "one")
    monkeypatch.setattr(sys, "stdin", Typing("n\n"))
    refused = cli("approve", "--queue", "office", "--all", "--as", "mia")
    assert refused.code == 130
    assert f"{run[-8:]}/1" in refused.out
    assert "1 item(s) are to be approved by mia. Go on?" in refused.out
    monkeypatch.setattr(sys, "stdin", Typing("y\n"))
    assert cli("approve", "--queue", "office", "--all", "--as", "mia").code == 0


class Typing:
    """A terminal on which somebody types one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self, _: int = -1) -> str:
        return self.line


@pytest.mark.parametrize(
    "arguments", [(), ("--all",), ("--queue", "office"), ("abcd", "--queue", "office", "--all"), ("abcd", "--all")]
)
def test_a_batch_says_clearly_what_it_is_of(cli: Cli, project: Path, arguments: tuple[str, ...]) -> None:
    answer = cli("approve", *arguments, "--json")
    assert answer.code == 2
    assert "--queue NAME with --all" in answer.json["error"]["message"]


def test_everything_that_waits_is_listed_and_none_is_orphaned(cli: Cli, begin: Begin, served: Worker) -> None:
    buy, listening, tidying = begin("buy", "a desk"), begin("listen", "word"), begin("tidy", "attic")
    listed = {item["id"]: (item["kind"], item["owner"]) for item in cli("waits", "--json").json}
    assert listed == {
        f"{buy}/1": ("approval", "olga"), f"{listening}/1": ("timer", "the clock"), f"{tidying}/1": ("task", "hans"),
    }  # fmt: skip
    assert "the clock" in cli("waits").out
    assert cli("waits", "--check", "--json").json == {"ok": True, "waits": 3, "worker": True, "orphans": []}
    served.stop()
    assert "none is orphaned" in cli("waits", "--check").out


def test_an_orphan_ends_the_check_with_a_1(cli: Cli, begin: Begin, served: Worker, office: Path) -> None:
    run = begin("buy", "a desk")
    served.stop()
    (office / ".backstay" / "queues.json").write_text(json.dumps({"office": {"owner": ""}}), "utf-8")
    answer = cli("waits", "--check", "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert [(orphan["id"], orphan["fault"]) for orphan in answer.json["orphans"]] == [(f"{run}/1", "no owner")]
    assert cli("waits", "--check").out.startswith("1 fault(s) among 1 that wait.")


def test_what_is_said_without_a_worker_is_kept(cli: Cli, begin: Begin, served: Worker) -> None:
    run = begin("tidy", "attic")
    served.stop()
    assert cli("ask", run, "Which one?", "--as", "hans").code == 0
    assert cli("answer", run, "The upper one", "--as", "ann").code == 0
    assert cli("comment", run, "the key is under the mat", "--as", "ann").code == 0
    assert [said["what"] for said in cli("show", run, "--json").json["waits"][0]["history"]] == [
        "question", "answer", "comment",
    ]  # fmt: skip


async def test_the_rules_of_queues_lie_beside_the_store_for_whoever_has_no_worker(tmp_path: Path) -> None:
    office = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
    queues = [
        Queue(
            name="desk", owner="dora", about="desks", members=("ann", "group:desk"), priority=3, calendar=office,
            within="2bd", lease=3600.0, remind=("4h",), escalate=(Escalation(after="1bd", to="leads"),),
            after_hours="decline", reasons=("too-dear",),
        ),
        Queue(name="leads", owner="lea"),
    ]  # fmt: skip
    assert read_rules(tmp_path) == []
    async with App("rules", workflows=[], queues=queues).open(tmp_path) as client, serve(client, tmp_path):
        assert read_rules(tmp_path) == queues
    (tmp_path / "queues.json").write_text('{"desk": "dora"}', "utf-8")
    assert read_rules(tmp_path) == [Queue(name="desk", owner="dora")]
    (tmp_path / "queues.json").write_text('{"desk": {"members": "everybody"}}', "utf-8")
    with pytest.raises(StoreMismatch, match="cannot be read"):
        read_rules(tmp_path)


async def test_another_process_can_ask_for_everything_that_people_do(tmp_path: Path) -> None:
    app = App("shop", workflows=[wanting], queues=[Queue(name="desk", owner="dora"), Queue(name="leads", owner="lea")])
    async with app.open(tmp_path) as client, serve(client, tmp_path):
        remote = find_worker(tmp_path)
        assert remote is not None
        one, two, three = [f"{await client.start(wanting, by='ann')}/1" for _ in range(3)]
        await client.quiet()
        await remote.ask(one, "Why?", by="dan")
        await remote.answer(one, "It is cold", by="ann")
        await remote.comment(one, "see", by="dan", files={"a.bin": bytes(range(256))})
        await remote.reassign(one, by="dora", queue="leads", to="lea", reason="she knows")
        said = [stored.event for stored in client.events(one.split("/")[0])][-1]
        assert (said.queue, said.to, said.reason) == ("leads", "lea", "she knows")
        (kept,) = [
            stored.event.files[0] for stored in client.events(one.split("/")[0]) if stored.kind == "item_commented"
        ]
        assert kept["digest"] == hashlib.sha256(bytes(range(256))).hexdigest()
        with pytest.raises(InvalidInput, match="cannot be read"):
            await remote._ask("comment", item=one, text="see", by="dan", files={"a": "not base64!"})
        with pytest.raises(Conflict, match="not what was looked at"):
            await remote.decide(two, "approved", by="dan", shown="0" * 64)
        outcomes = await remote.decide_many([one, two, three], "rejected", by="dan", reason="no", without=[three])
        assert list(outcomes) == [one, two]
        assert "meant for 'lea'" in outcomes[one]
        assert outcomes[two] == ""
        await client.quiet()


def test_without_a_worker_the_queues_rules_still_hold(cli: Cli, begin: Begin, served: Worker) -> None:
    run = begin("invest", "a hall")
    served.stop()
    refused = cli("approve", run, "--as", "eve", "--json")
    assert refused.code != 0
    assert "not among those who work on queue 'board'" in refused.json["error"]["message"]
    assert cli("approve", run, "--as", "bea", "--json").code == 0


def test_after_one_vote_of_two_it_says_what_is_missing(cli: Cli, begin: Begin) -> None:
    run = begin("invest", "a hall")
    told = cli("approve", run, "--as", "bea").out
    assert "It still needs 1 more vote." in told
    assert "now waits" not in told


def test_what_waits_can_be_read_on_a_narrow_screen(
    cli: Cli, begin: Begin, served: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("tidy", "the attic")
    served.stop()
    monkeypatch.setenv("COLUMNS", "80")
    told = cli("waits").out
    assert "tidy the attic" in told
    assert "hands (hans)" in told
    assert max(map(len, told.splitlines())) <= 80


def test_files_are_listed_with_a_readable_time(cli: Cli, begin: Begin, office: Path) -> None:
    run = begin("buy", "a desk")
    (office / "a.txt").write_bytes(b"x")
    cli("comment", run, "look", "--file", "a.txt", "--as", "ann")
    told = cli("files", run).out
    assert "a.txt" in told
    assert "None" not in told
    assert "Z" not in told
    assert "Written to kept" in cli("files", run, "--out", "kept").out
