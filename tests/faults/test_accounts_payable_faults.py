"""Whatever happens to the worker of accounts payable, every invoice is accounted for and nothing happens twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from accounts_payable_worker import Life, Worker, live, live_on, working

from backstay.errors import Conflict, DefinitionMissing
from backstay.governance.audit import verify
from backstay.testing import harness
from examples.accounts_payable.app import INVOICES, app, set_up
from examples.accounts_payable.erp import Erp, FaultKind, seed
from examples.accounts_payable.outcomes import Ending, expected
from examples.accounts_payable.tests.office import office

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and file limits are POSIX")

INVOICE = "brandt-januar.pdf"
PATIENCE = 0.2
"""Seconds for which an ERP that hangs is waited for."""
PARTS = 4
"""Long walks are divided, so that they run side by side."""


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """One invoice, from the drop folder to paid."""
    return alone(tmp_path)


def alone(where: Path) -> Life:
    folder = where / "drop"
    folder.mkdir(parents=True)
    shutil.copy(INVOICES / INVOICE, folder)
    return Life(home=where / "home", folder=folder, people=True)


def all_is_well(home: Path) -> None:
    """No record twice, and the journal proves itself."""
    assert Erp(home / "erp.db").held_twice() == []
    assert [str(finding) for finding in verify(home / "backstay.db").findings] == []


def paid_once(home: Path) -> None:
    """The one invoice is in the books once, and paid once."""
    with Erp(home / "erp.db").transaction() as db:
        new = [row[0] for row in db.execute("SELECT number FROM invoices WHERE document <> ''")]
        paid = [tuple(row) for row in db.execute("SELECT amount, currency FROM payments")]
    assert (new, paid) == (["RE-2026-6822"], [("2914.89", "EUR")])
    all_is_well(home)


def killed_at(points: Iterable[int], where: Path, faults: Sequence[tuple[str, FaultKind]] = ()) -> int:
    """Kill a fresh worker after each of these commits and let another go on; answers with how many were killed."""
    killed = 0
    for point in points:
        life = replace(alone(where / str(point)), patience=PATIENCE if faults else 0.0)
        for operation, kind in faults:
            seed(life.home / "erp.db", faults=False).fail(operation, kind=kind)
        ended = live(replace(life, die_at=point))
        killed += ended is None
        assert (ended or live_on(life)) == {INVOICE: Ending("posted")}
        paid_once(life.home)
        shutil.rmtree(where / str(point))
        if ended is not None:
            break
    return killed


# --- killed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_after_any_commit_of_an_invoices_way_it_is_posted_and_paid_once(part: int, tmp_path: Path) -> None:
    """Every commit of the journal, the ERP and the intake, from an empty home to the payment."""
    killed = killed_at(range(1 + part, 1000, PARTS), tmp_path)
    assert 30 < killed * PARTS < 200


@pytest.mark.parametrize("seed_", range(PARTS))
def test_killed_a_hundred_times_in_the_whole_demo_every_file_ends_as_the_table_says(seed_: int, tmp_path: Path) -> None:
    dice, life, killed = random.Random(seed_), Life(home=tmp_path / "home"), 0
    while killed < 100 // PARTS:
        worker = Worker(life)
        assert worker.hear() == ("open", None)
        time.sleep(dice.uniform(0.02, 0.3))
        killed += worker.process.is_alive()
        worker.kill()
    assert live_on(life) == expected()
    all_is_well(life.home)


# --- actions that fail ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raise", "half", "rubbish", "hang", "late"])
@pytest.mark.parametrize("operation", ["create_invoice", "pay"])
def test_an_action_that_fails_and_a_worker_that_is_killed_leave_one_record(
    operation: str, kind: FaultKind, tmp_path: Path
) -> None:
    dice = random.Random(f"{operation} {kind}")
    points = sorted(dice.sample(range(16, 40), 2))
    assert killed_at([*points, 10_000], tmp_path, [(operation, kind)]) == 2


# --- a disk that is full --------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a running process is raised by prlimit")
def test_while_the_disk_is_full_it_says_so_and_goes_on_by_itself_when_there_is_room(tmp_path: Path) -> None:
    import resource

    life = Life(home=tmp_path / "home", largest_file=1_200_000)
    with working(life) as worker:
        assert "the store could not commit (" in worker.hear_until("trouble")
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert worker.hear_until("ended") == expected()
    all_is_well(life.home)


def test_killed_while_the_store_is_full_it_has_lost_nothing(tmp_path: Path) -> None:
    life = Life(home=tmp_path / "home", largest_store=150)
    with working(life) as worker:
        trouble = worker.hear_until("trouble")
        assert (
            "the store could not commit (database or disk is full); nothing acknowledged is lost."
            " Free disk space or mend the disk; work goes on by itself"
        ) in trouble
    all_is_well(life.home)
    assert live_on(life) == expected()
    all_is_well(life.home)


# --- two workers, another time, a missing definition ----------------------------------------------------


def test_a_second_worker_is_told_who_has_the_store(life: Life) -> None:
    with working(replace(life, folder=INVOICES)) as first:
        assert first.hear() == ("open", None)
        with working(life) as second:
            message = second.hear_until("trouble")
        assert f"is in use by process {first.pid}; one process at a time may run it" in message
        assert first.process.is_alive()


def test_a_clock_that_was_set_back_an_hour_stalls_nothing(tmp_path: Path) -> None:
    life = Life(home=tmp_path / "home")
    with working(life) as worker:
        assert worker.hear() == ("open", None)
        time.sleep(1.5)
    begun = time.monotonic()
    assert live_on(replace(life, clock_behind=3600.0)) == expected()
    assert time.monotonic() - begun < 60
    all_is_well(life.home)
    assert live_on(life) == expected()


async def test_a_deleted_definition_is_named_to_the_operators_and_the_case_ends_when_it_is_back(life: Life) -> None:
    assert live(replace(life, die_at=20)) is None
    with closing(sqlite3.connect(life.home / "backstay.db")) as db, db:
        rows = db.execute("SELECT * FROM definitions").fetchall()
        db.execute("DELETE FROM definitions")
    set_up(life.home)
    async with harness(app, life.home) as it:
        await it.settle()
        (run,) = it.client.runs()
        (wait,) = it.client.inbox(queue="operators")
        assert (run.status, wait.run, it.client.owner("operators")) == ("attention", run.id, "it-service")
        assert wait.title.startswith("definition ")
        assert "is not in the store; restore it from a backup, then `backstay retry` the run" in wait.title
        with closing(sqlite3.connect(life.home / "backstay.db")) as db, db:
            db.executemany("INSERT INTO definitions VALUES (?, ?, ?, ?)", rows)
        await it.client.retry(run.id, by="ines")
        await it.advance("30s")
        assert await it.result(run.id) == {"status": "posted", "invoice_id": "ERP-000002", "reason": ""}
    assert live_on(life) == {INVOICE: Ending("posted")}
    paid_once(life.home)


async def test_a_person_who_answers_a_case_without_its_definition_is_told_and_so_are_the_operators(
    tmp_path: Path,
) -> None:
    async with office(tmp_path / "home") as ap:
        run = await ap.arrives("hawthorne-0324.pdf")
        await ap.it.close()
        with closing(sqlite3.connect(ap.home / "backstay.db")) as db, db:
            rows = db.execute("SELECT * FROM definitions").fetchall()
            db.execute("DELETE FROM definitions")
        await ap.it.open()
        with pytest.raises(DefinitionMissing, match="is not in the store; restore it from a backup"):
            await ap.fills_in("missing-po", verdict="found", po_number="PO-045071")
        await ap.it.settle()
        assert ap.it.waits_in(run) == ["missing-po", "operators"]
        with pytest.raises(Conflict, match="needs attention; `backstay retry` it, then it can be answered"):
            await ap.fills_in("missing-po", verdict="found", po_number="PO-045071")
        with closing(sqlite3.connect(ap.home / "backstay.db")) as db, db:
            db.executemany("INSERT INTO definitions VALUES (?, ?, ?, ?)", rows)
        await ap.it.client.retry(run, by="ines")
        await ap.it.settle()
        await ap.fills_in("missing-po", verdict="found", po_number="PO-045071")
        assert await ap.ending() == Ending("queued", "coding")
    all_is_well(ap.home)
