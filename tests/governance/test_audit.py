"""The verifier finds and names every kind of tampering with a real store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from backstay import App, IdempotencyKey, Sensitive, action, approval, workflow
from backstay.errors import StoreMismatch
from backstay.governance.audit import Finding, verify
from backstay.store.journal import genesis, link
from backstay.testing import harness


class Payment(BaseModel):
    name: str
    iban: Sensitive["pii"]
    note: str = ""


@action(effect="read")
async def look_up(name: str) -> str:
    return "x" * 100_000 if name == "large" else name


@action(effect="write")
async def post(payment: Payment, key: IdempotencyKey) -> str:
    return "P-1"


@workflow
async def paying(payment: Payment) -> str:
    found = await look_up(payment.name)
    if len(found) > 10:
        await approval("desk", show=payment)
    return await post(payment)


async def fill(home: Path) -> Path:
    """Three finished runs, one that waits with a large value: 20 events or so."""
    async with harness(App("payments", workflows=[paying]), home) as it:
        for name in ("ann", "bea", "cem", "large"):
            await it.start(paying, payment={"name": name, "iban": f"DE00{name}"})
    return home / "backstay.db"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db, db:
        yield db


def found(path: Path) -> list[Finding]:
    report = verify(path)
    assert report.ok == (not report.findings)
    return report.findings


async def test_an_untouched_store_is_in_order(home: Path) -> None:
    report = verify(await fill(home))
    assert report.findings == []
    assert (report.runs, report.definitions, report.blobs) == (4, 1, 1)
    assert report.events > 15


async def test_progress_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.governance.audit.PAGE", 4)
    told: list[tuple[int, int]] = []
    report = verify(await fill(home), progress=lambda done, total: told.append((done, total)))
    assert told[0] == (4, report.events)
    assert told[-1] == (report.events, report.events)


async def test_an_edited_body_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run, seq, kind = db.execute("SELECT run, seq, kind FROM events WHERE position = 7").fetchone()
        db.execute("UPDATE events SET body = replace(body, '2026', '2027') WHERE position = 7")
    (finding,) = found(path)
    assert (finding.run, finding.seq, finding.kind, finding.position) == (run, seq, kind, 7)
    assert "does not match its hash" in finding.what
    assert str(finding).startswith(f"event {seq} ({kind}) of run {run}, position 7: ")


async def test_every_finding_is_listed(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE events SET body = replace(body, '2026', '2027') WHERE position IN (3, 7, 11)")
    assert [finding.position for finding in found(path)] == [3, 7, 11]


async def test_an_edited_kind_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE events SET kind = 'noted' WHERE position = 7")
    (finding,) = found(path)
    assert (finding.position, finding.kind) == (7, "noted")


async def test_an_unknown_kind_and_rubbish_in_a_body_are_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE events SET kind = 'surprise' WHERE position = 5")
        db.execute("UPDATE events SET body = '{\"at' WHERE position = 9")
    first, second = found(path)
    assert "unknown kind 'surprise'" in first.what
    assert "its body cannot be read" in second.what


async def test_an_edited_hash_is_named_once_and_its_commit_too(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE events SET hash = zeroblob(32) WHERE position = 7")
    findings = found(path)
    assert [finding.position for finding in findings if finding.seq is not None] == [7]
    assert any(finding.subject.startswith("commit ") for finding in findings)


async def test_a_rehashed_edit_shows_in_the_next_event_and_the_commit(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run, seq, kind, body = db.execute("SELECT run, seq, kind, body FROM events WHERE seq = 2 LIMIT 1").fetchone()
        previous = db.execute("SELECT hash FROM events WHERE run = ? AND seq = 1", (run,)).fetchone()[0]
        body = body.replace("2026", "2027")
        rehashed = link(previous, run, seq, kind, body)
        db.execute("UPDATE events SET body = ?, hash = ? WHERE run = ? AND seq = ?", (body, rehashed, run, seq))
    findings = found(path)
    assert [(finding.run, finding.seq) for finding in findings if finding.seq is not None] == [(run, 3)]
    assert any(f"{run}/2" in finding.what for finding in findings if finding.subject.startswith("commit"))


async def test_a_run_whose_whole_chain_was_rewritten_shows_in_its_row_and_its_commits(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run = db.execute("SELECT run FROM events WHERE kind = 'run_finished' LIMIT 1").fetchone()[0]
        previous = genesis(run)[1]
        for seq, kind, body in db.execute(
            "SELECT seq, kind, body FROM events WHERE run = ? ORDER BY seq", (run,)
        ).fetchall():
            body = body.replace("P-1", "P-2")
            previous = link(previous, run, seq, kind, body)
            db.execute("UPDATE events SET body = ?, hash = ? WHERE run = ? AND seq = ?", (body, previous, run, seq))
    findings = found(path)
    assert all(finding.seq is None for finding in findings)
    assert [finding.run for finding in findings if finding.subject == "row"] == [run]
    assert any(finding.subject.startswith("commit") and run in finding.what for finding in findings)


async def test_a_deleted_event_is_named_by_its_gap(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run, seq = db.execute("SELECT run, seq FROM events WHERE seq = 2 LIMIT 1").fetchone()
        position = db.execute("SELECT position FROM events WHERE run = ? AND seq = ?", (run, seq)).fetchone()[0]
        db.execute("DELETE FROM events WHERE position = ?", (position,))
    findings = found(path)
    assert any(finding.subject == f"position {position}" and "missing" in finding.what for finding in findings)
    assert any(finding.run == run and "event 2 of this run is missing" in finding.what for finding in findings)


async def test_a_cut_tail_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        last, run = db.execute("SELECT position, run FROM events ORDER BY position DESC LIMIT 1").fetchone()
        db.execute("DELETE FROM events WHERE position = ?", (last,))
    findings = found(path)
    assert any(finding.run == run and "the tail was cut off" in finding.what for finding in findings)
    assert any(finding.subject.startswith("commit") and "cut off" in finding.what for finding in findings)


async def test_a_tail_that_was_cut_with_its_commits_still_shows_in_the_rows(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        first = db.execute("SELECT max(last) FROM commits WHERE last < (SELECT max(last) - 2 FROM commits)").fetchone()[
            0
        ]
        db.execute("DELETE FROM events WHERE position > ?", (first,))
        db.execute("DELETE FROM commits WHERE last > ?", (first,))
    assert {finding.subject for finding in found(path)} == {"row"}


async def test_an_inserted_event_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run, seq, hash_ = db.execute("SELECT run, seq, hash FROM events WHERE kind = 'approval_requested'").fetchone()
        body = '{"at":"2026-01-05T09:00:00Z","by":"eve","command":"2","verdict":"approved"}'
        forged = link(hash_, run, seq + 1, "approval_decided", body)
        end = db.execute("SELECT max(position) FROM events").fetchone()[0] + 1
        db.execute("INSERT INTO events VALUES (?, ?, ?, 'approval_decided', ?, ?)", (end, run, seq + 1, body, forged))
    (finding,) = found(path)
    assert finding.subject == f"positions {end} to {end}"
    assert "no commit covers them" in finding.what


async def test_reordered_events_are_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        run = db.execute("SELECT run FROM events WHERE kind = 'run_finished' LIMIT 1").fetchone()[0]
        rows = db.execute(
            "SELECT seq, position FROM events WHERE run = ? AND seq IN (2, 3) ORDER BY seq", (run,)
        ).fetchall()
        (_, second), (_, third) = rows
        db.execute("UPDATE events SET position = -1 WHERE position = ?", (second,))
        db.execute("UPDATE events SET position = ? WHERE position = ?", (second, third))
        db.execute("UPDATE events SET position = ? WHERE position = -1", (third,))
    findings = found(path)
    assert any(f.run == run and f.seq == 3 and "it stands before event 2" in f.what for f in findings)


async def test_events_that_swapped_runs_are_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        rows = db.execute("SELECT position, run FROM events WHERE seq = 2 AND run <> 'system' LIMIT 2").fetchall()
        (one, first), (other, second) = rows
        db.execute("UPDATE events SET run = 'x' WHERE position = ?", (one,))
        db.execute("UPDATE events SET run = ? WHERE position = ?", (first, other))
        db.execute("UPDATE events SET run = ? WHERE position = ?", (second, one))
    assert {one, other} <= {finding.position for finding in found(path)}


async def test_a_deleted_or_edited_commit_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("DELETE FROM commits WHERE id = 3")
        db.execute("UPDATE commits SET hash = zeroblob(32) WHERE id = 6")
    subjects = [finding.subject for finding in found(path)]
    assert subjects[:2] == ["commit 3", "commit 6"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE runs SET status = 'finished' WHERE status = 'waiting'", "its row says 'finished'"),
        ("UPDATE runs SET status = 'waiting' WHERE status = 'finished'", "has ended with 'run_finished'"),
        ("UPDATE runs SET workflow = 'other' WHERE status = 'waiting'", "row says workflow 'other'"),
        ("UPDATE runs SET head = zeroblob(32) WHERE status = 'waiting'", "the head in its row"),
        ("DELETE FROM runs WHERE status = 'waiting'", "has no row"),
    ],
)
async def test_a_row_that_does_not_fit_the_journal_is_named(home: Path, change: str, words: str) -> None:
    path = await fill(home)
    with opened(path) as db:
        assert db.execute(change).rowcount > 0
    findings = found(path)
    assert findings
    assert all(words in finding.what for finding in findings)


async def test_a_changed_or_deleted_definition_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE definitions SET text = replace(text, '> 10', '> 11')")
    (finding,) = found(path)
    assert finding.subject.startswith("definition paying@")
    with opened(path) as db:
        db.execute("DELETE FROM definitions")
    assert all("is not in the store" in finding.what for finding in found(path))


async def test_a_changed_or_deleted_large_value_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("UPDATE blobs SET data = zeroblob(10)")
    (finding,) = found(path)
    assert "does not match its digest" in finding.what
    with opened(path) as db:
        db.execute("DELETE FROM blobs")
    (finding,) = found(path)
    assert finding.kind == "call_returned"
    assert "what it refers to is missing: blob:" in finding.what


async def test_a_deleted_private_value_is_named(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("DELETE FROM sealed WHERE token = (SELECT min(token) FROM sealed)")
    findings = found(path)
    assert findings
    assert all("what it refers to is missing: seal:pii:" in finding.what for finding in findings)


async def test_a_damaged_page_is_told_and_does_not_stop_the_rest(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        db.execute("UPDATE events SET body = CAST(x'ff00fe' AS TEXT) WHERE position = 5")
        db.execute("UPDATE events SET body = replace(body, '2026', '2027') WHERE position = 9")
    findings = found(path)
    assert any(finding.subject == "position 5" and "cannot be read" in finding.what for finding in findings)
    assert any(finding.position == 9 for finding in findings)


def contents(path: Path) -> list[tuple[object, ...]] | None:
    """All that a proof rests on, or None when the file does not give it."""
    try:
        with closing(sqlite3.connect(path)) as db:
            tables = ("events", "commits", "runs", "definitions", "blobs")
            return [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]
    except sqlite3.Error:
        return None


def told(path: Path) -> bool:
    """Whether the verifier finds something, or the file cannot even be opened."""
    try:
        return bool(found(path))
    except StoreMismatch as error:
        return "malformed" in str(error)


async def test_whatever_page_is_overwritten_it_is_told(home: Path) -> None:
    path = await fill(home)
    with opened(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole, before = path.read_bytes(), contents(path)
    damaged = 0
    for place in range(4096, len(whole), 4096):
        path.write_bytes(whole[:place] + b"\xa5" * 4096 + whole[place + 4096 :])
        if contents(path) != before:
            damaged += 1
            assert told(path), f"page {place // 4096 + 1}"
    assert damaged > 5


async def test_a_store_can_be_verified_while_its_worker_writes(home: Path) -> None:
    async with harness(App("payments", workflows=[paying]), home) as it:
        for number in range(5):
            await it.start(paying, payment={"name": f"n{number}", "iban": "DE00"})
            assert found(home / "backstay.db") == []
