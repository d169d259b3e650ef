"""Whatever the program decides is proved: an event that says it otherwise is found, and named, in every kind of case."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import golden_people
import golden_stories
import pytest

from backstay.operations.proof import Proof, prove
from backstay.store.database import Reader
from backstay.store.journal import genesis, link
from backstay.store.payloads import Payloads
from backstay.testing import harness

APPS = (golden_stories, golden_people)
STORIES = {name: (stories.app, story) for stories in APPS for name, story in stories.STORIES.items() if "/" not in name}

PROVED = {
    "call_intended": ("command", "site", "action", "args", "key", "path", "effect", "approval"),
    "call_returned": ("command", "site", "action", "args", "path", "approval"),
    "call_failed": ("command", "site", "action", "path"),
    "call_denied": ("command", "site", "action", "path"),
    "call_drafted": ("command", "site", "action", "args", "path", "effect"),
    "call_queued": ("command", "site", "action", "args", "path"),
    "call_retried": ("command",),
    "call_settled": ("command",),
    "call_unknown": ("command", "site", "action"),
    "attempt_failed": ("command", "site", "action", "path"),
    "approval_requested": (
        "command", "site", "queue", "show", "action", "args", "path", "due", "title", "quorum", "reject", "exclude",
    ),
    "approval_decided": ("command",),
    "task_opened": ("command", "site", "queue", "title", "show", "form", "path"),
    "task_completed": ("command",),
    "vote_cast": ("command",),
    "item_claimed": ("command",),
    "item_released": ("command",),
    "item_reassigned": ("command",),
    "item_asked": ("command",),
    "item_answered": ("command",),
    "item_commented": ("command",),
    "item_reminded": ("command",),
    "item_escalated": ("command",),
    "wait_opened": ("command", "site", "name", "due", "path"),
    "timer_set": ("command", "site", "due", "path"),
    "timer_fired": ("command",),
    "child_started": ("command", "site", "workflow", "detached", "path"),
    "child_ended": ("command",),
    "drawn": ("command", "site", "what", "path"),
    "noted": ("command", "site", "text", "data", "path"),
    "run_finished": ("result", "path"),
    "run_failed": ("fault", "path"),
    "run_cancelled": ("reason", "path"),
}  # fmt: skip
"""Kind of event -> the fields of which replay knows what they must say."""


class Told:
    """A story in a store, whose events can be changed so that the chain still holds."""

    def __init__(self, home: Path, run: str) -> None:
        self.home, self.run = home, run
        with closing(sqlite3.connect(home / "backstay.db")) as db:
            query = "SELECT seq, kind, body FROM events WHERE run = ? ORDER BY seq"
            self.events: list[tuple[int, str, str]] = db.execute(query, (run,)).fetchall()

    def proof(self, seq: int = 0, **changed: Any) -> Proof:
        """The proof of the story, with other fields in one event."""
        with closing(sqlite3.connect(self.home / "backstay.db")) as db, db:
            head = genesis(self.run)[1]
            for number, kind, body in self.events:
                said = body if number != seq else json.dumps({**json.loads(body), **changed}, separators=(",", ":"))
                head = link(head, self.run, number, kind, said)
                db.execute(
                    "UPDATE events SET body = ?, hash = ? WHERE run = ? AND seq = ?", (said, head, self.run, number)
                )
        with closing(Reader(self.home / "backstay.db")) as reader:
            return prove(reader, Payloads(self.home, reader), self.run)

    def fields(self) -> Iterator[tuple[int, str, str, Any]]:
        """What the program decides, so not whom the gate asked."""
        for seq, kind, body in self.events:
            said = json.loads(body)
            held = {"queue", "due"} if said.get("reason") and kind == "approval_requested" else set[str]()
            for name in PROVED.get(kind, ()):
                if name in said and name not in held:
                    yield seq, kind, name, said[name]


@pytest.fixture(params=sorted(STORIES))
def told(request: pytest.FixtureRequest, home: Path) -> Told:
    app, story = STORIES[request.param]

    async def tell() -> str:
        async with harness(app, home) as it:
            return await story(it)

    return Told(home, asyncio.run(tell()))


def other(name: str, value: Any) -> Any:
    """Something else of the same type."""
    match value:
        case str() if name == "command":
            return f"9{value.removeprefix('c')}"
        case str() if name == "due":
            return f"2027{value[4:]}"
        case str() if name == "reject":
            return "veto"
        case str() if name == "effect":
            return "read"
        case bool():
            return not value
        case str():
            return f"{value}9"
        case dict() if "message" in value:
            return {**value, "message": "another"}
        case dict():
            return {**value, "other": 1}
        case list():
            return []
        case _:
            return 9 if value != 9 else 8


def test_an_untouched_case_is_equal_and_each_changed_field_is_found(told: Told) -> None:
    whole = told.proof()
    assert (whole.equal, whole.mismatch, whole.event) == (True, "", None)
    missed = []
    for seq, kind, name, value in told.fields():
        proof = told.proof(seq, **{name: other(name, value)})
        if proof.equal or not proof.mismatch:
            missed.append((seq, kind, name))
        elif proof.event is not None and proof.event < seq:
            missed.append((seq, kind, f"{name} is blamed on event {proof.event}"))
    assert missed == []


# --- the rest of the store ----------------------------------------------------------------------------------


def tell(home: Path, name: str) -> Told:
    app, story = STORIES[name]

    async def telling() -> str:
        async with harness(app, home) as it:
            return await story(it)

    return Told(home, asyncio.run(telling()))


def line_of(text: str, path: str) -> int:
    return Path(path).read_text("utf-8").split(text)[0].count("\n") + 1


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("half_voted", "UPDATE waits SET kind = 'task'", "1 is recorded as 'task', but on replay it is 'waiting'"),
        ("half_voted", "UPDATE waits SET command = '7'", "the store lists waits for 7, which the program does not ask for"),
        ("still_waiting", "UPDATE waits SET command = '7.' || command WHERE command < '4.1'", "the store lists waits for 7.4.0"),
        ("still_waiting", "UPDATE waits SET command = '7.' || command WHERE command LIKE '4.1.%'", "lists waits for 7.4.1.0, 7.4.1.1, which"),
        ("half_voted", "DELETE FROM waits", "the program waits for 1, but the store does not list that"),
        ("still_held", "UPDATE waits SET kind = 'queued' WHERE command = '2'", "2 is recorded as 'queued', but on replay it is 'held'"),
        ("still_waiting", "UPDATE waits SET kind = 'retry' WHERE command = '4.2'", "4.2 is recorded as 'retry', but on replay it is 'waiting'"),
        ("still_waiting", "DELETE FROM waits WHERE command LIKE '4.1.%'", "the program waits for 4.1.0, 4.1.1, but the store does not list that"),
        ("escalated", "UPDATE runs SET status = 'finished'", "the run is recorded as finished, but its journal has no end"),
        ("escalated", "UPDATE runs SET seq = 9", "the journal ends at event 5, but the run had 9: its tail was cut off"),
        ("granted", "UPDATE events SET kind = 'unheard_of' WHERE seq = 3", "unheard_of"),
        ("granted", "DELETE FROM events WHERE seq = 1", "event 2 (approval_requested) does not match its hash chain: it was changed"),
        ("granted", "DELETE FROM events", "the journal cannot be read, or does not begin with run_started"),
        ("granted", "DELETE FROM definitions", "is not in the store"),
    ],
)  # fmt: skip
def test_a_store_that_says_otherwise_is_found(home: Path, name: str, change: str, says: str) -> None:
    told = tell(home, name)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        where = " AND " if "WHERE" in change else " WHERE "
        own = {"waits": "run", "events": "run", "runs": "id"}.get(change.replace("DELETE FROM", "UPDATE").split()[1])
        db.execute(change + (f"{where}{own} = '{told.run}'" if own else ""))
    with closing(Reader(home / "backstay.db")) as reader:
        proof = prove(reader, Payloads(home, reader), told.run)
    assert not proof.equal
    assert says in proof.mismatch
    if "but on replay it is 'waiting'" in says and name == "half_voted":
        assert proof.line == line_of('approval("board", quorum=2, reject', golden_people.__file__)
    expected = {"hash chain": 2, "tail was cut off": 5, "has no end": 5, "does not begin": 1}
    assert [proof.event] == [event for words, event in expected.items() if words in says] or proof.event is None
    assert (proof.event is None) == (not any(words in says for words in expected))


@pytest.mark.parametrize(
    ("name", "events", "commands", "branches", "effects", "status"),
    [
        ("sold", 17, 6, 7, 2, "finished"),
        ("half_voted", 3, 1, 1, 0, "waiting"),
        ("consumed", 10, 3, 0, 2, "finished"),
        ("declined", 9, 4, 6, 2, "failed"),
        ("cancelled", 13, 5, 6, 3, "cancelled"),
    ],
)
def test_a_proof_counts_what_was_derived(
    home: Path, name: str, events: int, commands: int, branches: int, effects: int, status: str
) -> None:
    proof = tell(home, name).proof()
    assert (proof.events, proof.commands, proof.branches, proof.effects, proof.status, proof.erased) == (
        events, commands, branches, effects, status, 0,
    )  # fmt: skip
    assert (proof.mismatch, proof.event, proof.line) == ("", None, None)


@pytest.mark.parametrize(
    ("name", "kind", "field", "says", "line"),
    [
        ("granted", "approval_requested", {"queue": "x"}, "recorded queue 'x', replay asks for 'board'", 'approval("board", quorum=2))'),
        ("handed_on", "task_opened", {"title": "x"}, "recorded title 'x', replay asks for 'Look at it'", 'task("desk"'),
        ("listened", "wait_opened", {"name": "x"}, "recorded signal 'x', replay asks for 'first'", 'wait_for("first"'),
        ("too_late", "child_started", {"workflow": "works"}, "recorded workflow 'works', replay asks for 'asks'", "start(asks"),
        ("consumed", "approval_requested", {"action": "x"}, "recorded action 'x', replay asks for 'pay'", 'approval("treasury"'),
        ("consumed", "approval_requested", {"args": {"amount": 8}}, "recorded arguments {'amount': 8}, replay asks for {'amount': 7}", 'approval("treasury"'),
        ("switched", "call_intended", {"key": "x"}, "recorded key 'x', replay asks for ", "file_it(what)"),
        ("granted", "run_finished", {"result": "x"}, "recorded the result 'x', replay gives 'approved'", ""),
        ("too_late", "run_failed", {"fault": {"type": "X", "message": "y"}}, "recorded Fault(type='X'", ""),
    ],
)  # fmt: skip
def test_a_proof_names_the_event_what_it_should_say_and_the_line(
    home: Path, name: str, kind: str, field: dict[str, Any], says: str, line: str
) -> None:
    told = tell(home, name)
    seq = next(number for number, each, _ in told.events if each == kind)
    proof = told.proof(seq, **field)
    assert says in proof.mismatch
    assert f"event {seq}" in proof.mismatch
    assert proof.event == seq
    assert proof.line == (line_of(line, golden_people.__file__) if line else None)


@pytest.mark.parametrize(
    ("name", "kind", "field", "says"),
    [
        ("sold", "noted", {"data": {"receipt": "x"}}, "(noted) recorded data {'receipt': 'x'}, replay asks for {'receipt': "),
        ("sold", "noted", {"text": "x"}, "(noted) recorded text 'x', replay asks for 'parcel P-7'"),
        ("after_hours", "run_finished", {"path": []}, "before the end, the journal does not"),
        ("cancelled", "run_cancelled", {"reason": "x"}, "recorded the reason 'x', replay gives 'changed their mind'"),
        ("toured", "drawn", {"what": "random"}, "(drawn) recorded value ('random', ''), replay asks for ('now', '')"),
    ],
)  # fmt: skip
def test_a_proof_says_what_it_expected(home: Path, name: str, kind: str, field: dict[str, Any], says: str) -> None:
    told = tell(home, name)
    seq = next(number for number, each, _ in told.events if each == kind)
    proof = told.proof(seq, **field)
    assert says in proof.mismatch
    assert proof.event == seq


@pytest.mark.parametrize(
    ("name", "seq", "changed"),
    [
        ("consumed", 4, {"command": "2.09"}),
        ("lost_race_is_learnt", 8, {"command": "3.09"}),
        ("still_waiting", 5, {"command": "4.09"}),
        ("undone", 10, {"args": {"order": {}, "result": "another"}}),
        ("undone", 10, {"key": "0" * 40}),
        ("still_held", 3, {"path": []}),
        ("consumed", 4, {"args": None}),
        ("not_erased", 4, {"args": None}),
        ("granted", 2, {"quorum": 1}),
        ("granted", 2, {"reject": "quorum"}),
        ("consumed", 4, {"effect": "read"}),
        ("consumed", 4, {"approval": "7"}),
    ],
)
def test_an_event_that_says_otherwise_is_found(home: Path, name: str, seq: int, changed: dict[str, Any]) -> None:
    assert tell(home, name).proof(seq, **changed).equal is False
