"""Nothing waits for ever unnoticed: each kind of orphan, made by editing a copy of a healthy store, is found."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backstay import App, Queue, approval, gather, sleep, start, task, wait_for, workflow
from backstay.operations.watchdog import Orphan, everything, find_orphans, owner
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.testing import harness


@workflow
async def asking() -> str:
    return (await approval("office", show={"what": "a desk"}, within="8h")).verdict


@workflow
async def working() -> str:
    return (await task("hands", title="carry it")).by


@workflow
async def sleeping() -> None:
    await sleep("1h")


@workflow
async def listening() -> str:
    return await wait_for("word", type=str)


@workflow
async def parent() -> None:
    await start(sleeping)


@workflow
async def both() -> None:
    await gather(wait_for("one", type=str), wait_for("two", type=str))


APP = App(
    "waiting",
    workflows=[asking, working, sleeping, listening, parent, both],
    queues=[Queue(name="office", owner="olga"), Queue(name="hands", owner="hans")],
)
OWNERS = {"office": "olga", "hands": "hans"}
EARLY, LATE = "2026-01-05T08:00:00.000000Z", "2026-01-05T12:00:00.000000Z"
"""Before anything is due, and after; the test clock begins at 09:00."""


@pytest.fixture
def runs(home: Path) -> dict[str, str]:
    """A store in which one run of each kind waits."""

    async def fill() -> dict[str, str]:
        async with harness(APP, home) as it:
            return {process.name: await it.start(process, by="ann") for process in APP.workflows.values()}

    return asyncio.run(fill())


def orphans(
    home: Path, *, late: str = EARLY, working: bool = False, owners: dict[str, str] | None = None
) -> list[Orphan]:
    with closing(Reader(home / "backstay.db")) as reader:
        rules = OWNERS if owners is None else owners
        return find_orphans(reader, Payloads(home, reader), rules, late=late, working=working)


def edit(home: Path, statement: str, *parameters: str | None) -> None:
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        assert db.execute(statement, parameters).rowcount > 0


def faults(found: list[Orphan]) -> list[tuple[str, str]]:
    return [(orphan.id, orphan.fault) for orphan in found]


def test_a_healthy_store_has_no_orphans(home: Path, runs: dict[str, str]) -> None:
    assert orphans(home) == []
    assert orphans(home, working=True) == []


def test_everything_that_waits_has_somebody_or_something_that_brings_it_on(home: Path, runs: dict[str, str]) -> None:
    with closing(Reader(home / "backstay.db")) as reader:
        waits = everything(reader)
    owners = {(wait.run, wait.kind): owner(wait, OWNERS) for wait in waits}
    (child,) = [wait.subject for wait in waits if wait.kind == "child"]
    assert owners == {
        (runs["asking"], "approval"): "olga",
        (runs["working"], "task"): "hans",
        (runs["sleeping"], "timer"): "the clock",
        (child, "timer"): "the clock",
        (runs["listening"], "signal"): "ann",
        (runs["parent"], "child"): child,
        (runs["both"], "signal"): "ann",
    }
    moments = [wait.wake_at for wait in waits]
    assert moments == [*sorted(moment for moment in moments if moment), *[None] * moments.count(None)]


def test_a_run_that_waits_for_nothing(home: Path, runs: dict[str, str]) -> None:
    run = runs["asking"]
    edit(home, "DELETE FROM waits WHERE run = ?", run)
    assert faults(orphans(home)) == [(run, "waits for nothing"), (f"{run}/1", "not listed")]


def test_a_run_that_needs_attention_and_is_in_no_inbox(home: Path, runs: dict[str, str]) -> None:
    run = runs["asking"]
    edit(home, "UPDATE runs SET status = 'attention' WHERE id = ?", run)
    assert faults(orphans(home)) == [(run, "waits for nothing")]


def test_a_wait_of_a_run_that_has_ended(home: Path, runs: dict[str, str]) -> None:
    run = runs["working"]
    edit(home, "UPDATE runs SET status = 'finished' WHERE id = ?", run)
    (found,) = orphans(home)
    assert (found.id, found.fault) == (f"{run}/1", "run is over")
    assert "its run has finished" in found.why


def test_a_wait_of_a_run_that_never_was(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE waits SET run = 'nobody' WHERE run = ?", runs["listening"])
    assert ("nobody/1", "run is over") in faults(orphans(home))


def test_an_item_in_no_queue(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE waits SET queue = '' WHERE run = ?", runs["asking"])
    assert faults(orphans(home)) == [(f"{runs['asking']}/1", "no queue")]


def test_an_item_in_a_queue_that_nobody_owns(home: Path, runs: dict[str, str]) -> None:
    assert faults(orphans(home, owners={"office": "olga", "hands": " "})) == [(f"{runs['working']}/1", "no owner")]
    assert orphans(home, owners={}) == []  # whatever is not listed belongs to the operators


def test_a_child_that_ended_long_ago_and_was_not_heard(home: Path, runs: dict[str, str]) -> None:
    with closing(Reader(home / "backstay.db")) as reader:
        (child,) = [row["subject"] for row in reader.all("waits_of_kind", ("child",))]
    edit(home, "DELETE FROM waits WHERE run = ?", child)
    edit(home, "UPDATE runs SET status = 'finished' WHERE id = ?", child)
    assert orphans(home) == []  # the next worker tells the parent
    assert orphans(home, late=EARLY, working=True) == []  # the worker may be about to
    assert faults(orphans(home, late="2026-01-05T09:30:00.000000Z", working=True)) == [
        (f"{runs['parent']}/1", "child is over")
    ]


def test_a_child_that_never_was(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE waits SET subject = 'nobody' WHERE run = ?", runs["parent"])
    assert faults(orphans(home)) == [(f"{runs['parent']}/1", "child is over")]


def test_a_timer_that_is_overdue_while_a_worker_runs(home: Path, runs: dict[str, str]) -> None:
    assert orphans(home, late=LATE) == []  # nobody was there to look
    overdue = {run for run, fault in faults(orphans(home, late=LATE, working=True)) if fault == "overdue"}
    assert f"{runs['sleeping']}/1" in overdue
    assert f"{runs['asking']}/1" not in overdue  # it expires at 17:00


def test_a_timer_that_the_clock_never_looks_at(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE waits SET wake_at = NULL WHERE run = ?", runs["sleeping"])
    assert faults(orphans(home)) == [(f"{runs['sleeping']}/1", "no moment")]


def test_an_approval_that_would_never_expire(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE waits SET wake_at = NULL WHERE run = ?", runs["asking"])
    (found,) = orphans(home)
    assert (found.id, found.fault) == (f"{runs['asking']}/1", "wrong moment")
    assert "2026-01-05T17:00" in found.why


def test_a_wait_that_the_journal_has_not_open(home: Path, runs: dict[str, str]) -> None:
    run = runs["both"]
    edit(home, "UPDATE waits SET command = '9' WHERE run = ? AND command = '1.1'", run)
    assert sorted(faults(orphans(home))) == [(f"{run}/1.1", "not listed"), (f"{run}/9", "not asked")]


def test_a_run_whose_journal_does_not_say_what_it_waits_for(home: Path, runs: dict[str, str]) -> None:
    edit(home, "UPDATE events SET body = 'nothing' WHERE run = ? AND seq = 1", runs["listening"])
    assert faults(orphans(home)) == [(runs["listening"], "no replay")]
