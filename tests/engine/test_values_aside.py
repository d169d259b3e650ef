"""What a case reads lies beside its journal, deflated; everybody who looks at the case still sees it where it was told."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, IdempotencyKey, Sensitive, action, approval, workflow
from backstay import verify as alone
from backstay.cli import entry, screen
from backstay.governance.audit import verify
from backstay.governance.checkpoints import load_signer
from backstay.operations.acts import acts
from backstay.operations.casefile import read_case, write_case
from backstay.operations.exports import FORMATS
from backstay.operations.proof import prove
from backstay.store.blobs import LARGEST_DEFLATED, OFFLOAD_BYTES, keep, opened
from backstay.store.database import Reader
from backstay.store.journal import Write, genesis, link
from backstay.store.payloads import ASIDE_BYTES, Payloads
from backstay.store.views import read_events
from backstay.testing import harness

MAIL = "Dear colleagues, the freight of order 4711 has not come yet. " * 40


class Letter(BaseModel):
    number: Sensitive["subject"]
    sender: Sensitive["pii"]
    body: str


@action(effect="read")
async def read_mail(size: int) -> dict[str, str]:
    return {"body": MAIL[:size]}


@action(effect="read")
async def read_letter(number: str) -> Letter:
    return Letter(number=number, sender="Wilhelmina Querfeldein", body=MAIL)


@action(effect="read")
async def read_quoted(text: str) -> str:
    return text


@action(effect="write")
async def answer(text: str, key: IdempotencyKey) -> str:
    return f"Re: {text}"


@workflow
async def reading(size: int) -> int:
    mail = await read_mail(size)
    return len(mail["body"])


@workflow
async def reading_twice() -> str:
    first, second = await read_mail(2000), await read_mail(2000)
    return first["body"][:4] + second["body"][:4]


@workflow
async def answering(size: int) -> int:
    mail = await read_mail(size)
    decision = await approval("desk", show=mail)
    return len(await answer(mail["body"])) if decision.approved else 0


@workflow
async def about(number: str) -> str:
    letter = await read_letter(number)
    await approval("desk", show="a letter came")
    return letter.body[:4]


@workflow
async def quoting(text: str) -> int:
    return len(await read_quoted(text))


app = App("mails", workflows=[reading, reading_twice, answering, about, quoting])


@contextmanager
def changed(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path / "backstay.db")) as db, db:
        yield db


@contextmanager
def reader_of(home: Path) -> Iterator[Reader]:
    with closing(Reader(home / "backstay.db")) as reader:
        yield reader


def stored(home: Path, run: str, kind: str = "call_returned") -> dict[str, Any]:
    """The first event of a kind exactly as it stands in the file."""
    with changed(home) as db:
        found = db.execute("SELECT body FROM events WHERE run = ? AND kind = ? ORDER BY seq", (run, kind)).fetchone()
    return json.loads(found[0])


def values(home: Path) -> list[bytes]:
    with changed(home) as db:
        return [data for (data,) in db.execute("SELECT data FROM blobs ORDER BY rowid")]


async def done(home: Path, **inputs: Any) -> str:
    """An answered mail."""
    async with harness(app, home) as it:
        run = await it.start(answering, **inputs)
        await it.approve(run, by="ann")
        assert await it.result(run) == inputs["size"] + 4
    return run


# --- where values lie ---------------------------------------------------------------------------------


async def test_what_a_case_reads_lies_deflated_beside_the_journal_and_is_read_in_its_place(tmp_path: Path) -> None:
    run = await done(tmp_path, size=2000)
    body = stored(tmp_path, run)
    (row,) = values(tmp_path)
    told = json.dumps({"body": MAIL[:2000]}, separators=(",", ":")).encode()
    assert body.get("result") is None
    assert body["refs"] == {"/result": f"blob:{hashlib.sha256(told).hexdigest()}"}
    assert len(row) < 300
    with reader_of(tmp_path) as reader:
        events, head = read_events(reader, run), genesis(run)
        for item in events:
            head = (item.seq, link(head[1], run, item.seq, item.kind, item.body))
            assert head[1] == item.hash
        (returned, _) = [item.event for item in events if item.kind == "call_returned"]
        assert (returned.result, returned.refs) == ({"body": MAIL[:2000]}, None)
        assert prove(reader, Payloads(tmp_path, reader), run).equal


async def test_what_is_shown_decided_and_done_stays_in_the_journal(tmp_path: Path) -> None:
    run = await done(tmp_path, size=2000)
    assert stored(tmp_path, run, "approval_requested")["show"] == {"body": MAIL[:2000]}
    assert stored(tmp_path, run, "call_intended")["args"] == {"text": MAIL[:2000]}
    with changed(tmp_path) as db:
        (body,) = db.execute("SELECT body FROM events WHERE kind = 'call_returned' ORDER BY seq DESC").fetchone()
    assert json.loads(body)["result"] == f"Re: {MAIL[:2000]}"


@pytest.mark.parametrize(("more", "inline"), [(0, True), (1, False)])
async def test_a_short_result_stays_in_the_journal(tmp_path: Path, more: int, inline: bool) -> None:
    size = ASIDE_BYTES - len('{"body":""}') + more
    async with harness(app, tmp_path) as it:
        assert await it.result(run := await it.start(reading, size=size)) == size
    assert ("result" in stored(tmp_path, run)) is inline


async def test_what_is_read_twice_is_kept_once(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        assert await it.result(await it.start(reading_twice)) == "DearDear"
    assert len(values(tmp_path)) == 1


async def test_a_run_is_read_back_with_one_question_about_its_values(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        runs = [await it.start(reading_twice), await it.start(reading, size=20)]
    asked: list[str] = []
    with reader_of(tmp_path) as reader:
        reader._connection.set_trace_callback(asked.append)
        for run in runs:
            read_events(reader, run)
    assert ["FROM blobs" in text for text in asked] == [False, True, False]


# --- what people see ----------------------------------------------------------------------------------


Cli = Callable[..., str]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "200")

    def run(home: Path, *arguments: str) -> str:
        capsys.readouterr()
        screen.consoles.cache_clear()
        assert entry.run([*arguments, "--home", str(home)]) == 0
        return capsys.readouterr().out

    return run


def seen(home: Path, run: str, cli: Cli) -> dict[str, Any]:
    """What whoever looks at a case is shown of it."""
    with reader_of(home) as reader:
        case = read_case(reader, run)
        exports = {name: re.sub("[0-9a-f]{64}", "HASH", write(case)) for name, write in FORMATS.items()}
        told = {
            "acts": [(act.kind, act.arguments, act.arguments_digest, act.result) for act in acts(case)],
            "events": [asdict(item.event) for item in read_events(reader, run)],
            "lines": [json.loads(line) for line in exports.pop("jsonl").splitlines()],
            "exports": exports,
            "effects": write_case(reader, load_signer(home, reader), case)["effects"],
        }
    log = json.loads(cli(home, "log", run, "--json"))
    return {**told, "log": log, "show": json.loads(cli(home, "show", run, "--json"))}


def steady(value: Any) -> Any:
    """Without what differs from one home to the next."""
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in UNSTEADY}
    return [steady(item) for item in value] if isinstance(value, list | tuple) else value


UNSTEADY = {"head", "micros", "picture"}


async def test_readers_see_what_they_saw_when_it_stood_in_the_journal(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    aside = seen(tmp_path / "aside", await done(tmp_path / "aside", size=2000), cli)
    monkeypatch.setattr("backstay.engine.gateway.ASIDE_BYTES", OFFLOAD_BYTES)
    inside = seen(tmp_path / "inside", await done(tmp_path / "inside", size=2000), cli)
    assert not values(tmp_path / "inside")
    assert MAIL[:2000] in json.dumps(aside["log"]) + json.dumps(aside["events"])
    assert steady(aside) == steady(inside)


async def test_a_case_file_holds_what_was_read_and_proves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await done(tmp_path, size=2000)
    monkeypatch.setattr("backstay.operations.casefile.LARGEST", 0)
    with reader_of(tmp_path) as reader:
        case = json.loads(json.dumps(write_case(reader, load_signer(tmp_path, reader), read_case(reader, run))))
    assert [json.loads(text) for text in case["values"].values()] == [{"body": MAIL[:2000]}]
    assert [row["result"] for row in case["effects"]] == [f"Re: {MAIL[:2000]}"]
    assert alone.verify(case).wrong == []
    (name,) = case["values"]
    (wrong,) = alone.verify({**case, "values": {name: '"something else"'}}).wrong
    assert "is not one that an event names" in wrong


# --- what is damaged, and what is old -------------------------------------------------------------------


async def test_a_value_that_was_kept_as_it_is_reads_as_before(tmp_path: Path) -> None:
    run = await done(tmp_path, size=2000)
    told = json.dumps({"body": MAIL[:2000]}, separators=(",", ":")).encode()
    with changed(tmp_path) as db:
        db.execute("UPDATE blobs SET data = ?", (told,))
    assert verify(tmp_path / "backstay.db").ok
    with reader_of(tmp_path) as reader:
        assert read_events(reader, run)[1].event.result == {"body": MAIL[:2000]}  # type: ignore[attr-defined] - of that kind
        assert prove(reader, Payloads(tmp_path, reader), run).equal


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM blobs", "UPDATE blobs SET data = zeroblob(10)", "UPDATE blobs SET data = substr(data, 1, 40)"],
    ids=["missing", "garbled", "cut"],
)
async def test_a_value_that_is_missing_or_damaged_is_told_of(tmp_path: Path, damage: str) -> None:
    run = await done(tmp_path, size=2000)
    with changed(tmp_path) as db:
        db.execute(damage)
    with reader_of(tmp_path) as reader:
        event: Any = read_events(reader, run)[1].event
        assert (event.result, list(event.refs)) == (None, ["/result"])
        proof = prove(reader, Payloads(tmp_path, reader), run)
        assert (proof.equal, proof.event) == (False, 2)
        assert "missing or damaged" in proof.mismatch
    (finding,) = verify(tmp_path / "backstay.db").findings
    assert ("missing: blob:" if "DELETE" in damage else "does not match its digest") in finding.what


def test_nothing_inflates_without_end() -> None:
    data = b"0" * (LARGEST_DEFLATED + 1)
    digest, deflated = hashlib.sha256(data).hexdigest(), zlib.compress(data)
    assert opened(deflated, digest) is None
    assert opened(zlib.compress(data[1:]), hashlib.sha256(data[1:]).hexdigest()) == data[1:]


@pytest.mark.parametrize(
    "data", [b"", b"short", b"x" * 3000, b"0" * (LARGEST_DEFLATED + 1), zlib.compress(MAIL.encode())]
)
def test_whatever_is_kept_is_the_same_when_it_is_fetched(data: bytes) -> None:
    write = Write()
    digest = keep(write, data)
    ((_, row),) = write.rows["blobs"].values()  # type: ignore[misc] - a row, as nothing was deleted
    assert digest == hashlib.sha256(data).hexdigest()
    assert len(row) <= len(data)
    assert opened(row, digest) == data


# --- people -----------------------------------------------------------------------------------------


async def test_a_person_whose_values_lie_aside_is_found_and_forgotten(tmp_path: Path, cli: Cli) -> None:
    async with harness(app, tmp_path) as it:
        run = await it.start(about, number="P-1")
        assert await it.approve(run, by="ann") is None
        body = stored(tmp_path, run)
        assert body.get("result") is None
        assert {place for place, ref in body["refs"].items() if ref.startswith("seal:")} == {
            "/result/number",
            "/result/sender",
        }
        assert json.loads(cli(tmp_path, "show", run, "--json"))["result"] == "Dear"
        done = await it.client.erase("P-1", by="dpo", reason="asked for it")
        assert done["runs"] == [run]
        assert "(erased)" in cli(tmp_path, "log", run, "--json") + str(erased_of(tmp_path, run))


def erased_of(home: Path, run: str) -> list[Any]:
    with reader_of(home) as reader:
        payloads = Payloads(home, reader)
        return [payloads.mark_erased(item.event) for item in read_events(reader, run)]


async def test_a_text_that_names_a_pseudonym_stays_in_the_journal_where_erasure_looks(tmp_path: Path) -> None:
    token = f"pii:{'0' * 20}@{'a' * 16}"
    async with harness(app, tmp_path) as it:
        run = await it.start(quoting, text=f"{MAIL} {token}")
        assert token in stored(tmp_path, run)["result"]
        other = await it.start(quoting, text=MAIL)
        assert "result" not in stored(tmp_path, other)
