"""The engine on a store that fails: full disk, damaged rows, lost definitions, a second process, many runs in little memory."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from backstay import App, IdempotencyKey, Queue, action, approval, gather, note, sleep, start, wait_for, workflow
from backstay.engine import runner
from backstay.errors import DefinitionMissing, OperatorError, StoreFenced, StoreLocked, StoreUnavailable
from backstay.store import blobs
from backstay.store.database import Reader
from backstay.store.journal import Journal
from backstay.testing import Harness, harness

BIG = "x" * 1_000_000
done: list[str] = []
meanwhile: list[Callable[[], object]] = []
"""What happens while something is fetched."""


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done.clear()
    meanwhile.clear()
    monkeypatch.setattr(runner, "STORE_RETRY_SECONDS", 0.01)


@action(effect="read")
async def fetch(size: int) -> str:
    while meanwhile:
        meanwhile.pop()()
    return "x" * size


@action(effect="write")
def post(what: str, key: IdempotencyKey) -> str:
    if key not in done:
        done.append(key)
    return what[:10]


@action(effect="write")
def post_both(first: str, second: str, key: IdempotencyKey) -> str:
    assert len(first) == 1_000_000
    if key not in done:
        done.append(key)
    return first[:10]


@workflow
async def big_things(text: str) -> str:
    fetched = await fetch(1_000_000)
    await note("so large", text)
    await approval("bosses", show=fetched)
    return await post_both(fetched, text)


@workflow
async def asks(name: str) -> str:
    decision = await approval("bosses", show=name)
    return f"{name} {decision.verdict}"


@workflow
async def naps() -> str:
    await sleep("1h")
    return "awake"


@workflow
async def posts(what: str) -> str:
    return await post(what)


@workflow
async def parent(name: str) -> str:
    return await start(posts, "a", key=name)


@workflow
async def stages_two() -> list[None]:
    return await gather(note("one"), note("two"), sleep("1h"))


@workflow
async def waits(name: str) -> str:
    await wait_for(name)
    return "came"


app = App(
    "faults",
    workflows=[big_things, asks, naps, posts, parent, stages_two, waits],
    queues=[Queue(name="bosses", owner="bob")],
)


def journal_of(it: Harness) -> Journal:
    return it.client._runner.journal


@contextmanager
def full_disk(it: Harness) -> Iterator[None]:
    """No page can be added to the database; freelist pages and the log are used up by a large write first."""
    connection = journal_of(it)._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1000000")


def sql(it: Harness, statement: str, *parameters: object) -> None:
    """Damage the store from outside, as a disk or a person might."""
    with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
        connection.execute(statement, parameters)


# --- a full disk -------------------------------------------------------------------------------------------------


async def test_a_start_on_a_full_disk_is_refused_and_can_be_repeated() -> None:
    async with harness(app) as it:
        with full_disk(it), pytest.raises(StoreUnavailable, match="disk is full"):
            await it.client.start(big_things, {"text": BIG}, key="1")
        assert it.client.runs() == []
        run = await it.client.start(big_things, {"text": BIG}, key="1")
        await it.settle()
        assert it.status(run) == "waiting"


async def test_starts_at_once_under_one_key_are_acknowledged_only_if_the_run_exists() -> None:
    async with harness(app) as it:
        with full_disk(it):
            starts = (it.client.start(big_things, {"text": BIG}, key="1") for _ in range(3))
            outcomes = await asyncio.gather(*starts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
        assert it.client.runs() == []


async def test_a_run_that_meets_a_full_disk_goes_on_when_there_is_room() -> None:
    async with harness(app) as it:
        with ExitStack() as full:
            meanwhile.append(lambda: full.enter_context(full_disk(it)))
            run = await it.client.start(big_things, {"text": "short"})
            await asyncio.sleep(0.05)
            assert it.status(run) == "running"
        while it.status(run) == "running":
            await asyncio.sleep(0.01)
        await it.approve(run, by="bob")
        assert await it.result(run) == "x" * 10
        assert len(done) == 1


async def test_a_decision_that_could_not_be_written_can_be_made_again() -> None:
    async with harness(app) as it:
        run = await it.start(asks, name="a", by="ann")
        with full_disk(it):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="disk is full"):
                    await it.client.decide(run, "approved", by="bob", reason=BIG)
        await it.approve(run, by="bob", reason=BIG)
        assert await it.result(run) == "a approved"


async def test_a_signal_that_could_not_be_written_can_be_sent_again() -> None:
    async with harness(app) as it:
        run = await it.start(waits, name="go")
        with full_disk(it), pytest.raises(StoreUnavailable):
            await it.client.signal(run, "go", BIG, id="1")
        await it.client.signal(run, "go", BIG, id="1")
        assert await it.result(run) == "came"


async def test_a_timer_that_could_not_be_recorded_fires_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(app) as it:
        runs = [await it.start(naps) for _ in range(200)]
        tries: list[int] = []
        whole = it.client._runner.fire_due

        async def counted() -> str | None:
            tries.append(1)
            return await whole()

        monkeypatch.setattr(it.client._runner.dispatch, "_fire_due", counted)
        with full_disk(it):
            it.clock.move("2h")
            it.client._runner.dispatch.look_now()
            await asyncio.sleep(0.1)
        assert len(tries) < 20  # it does not spin while the disk is full
        await it.advance(0)
        while {it.status(run) for run in runs} != {"finished"}:
            await asyncio.sleep(0.01)


async def test_a_run_whose_write_the_store_refuses_needs_attention_and_goes_on_after_a_retry() -> None:
    async with harness(app) as it:
        connection = journal_of(it)._connection
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON runs WHEN NEW.workflow = 'posts' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        run = await it.start(parent, name="k")
        assert it.status(run) == "attention"
        connection.execute("DROP TRIGGER no")
        assert await it.client.retry(run, by="ops") == 1
        assert await it.result(run) == "a"


# --- large and damaged values ---------------------------------------------------------------------------------------


async def test_large_values_lie_beside_the_journal_under_their_digest() -> None:
    async with harness(app) as it:
        run = await it.start(big_things, text=BIG, by="ann")
        await it.restart()
        await it.approve(run, by="bob")
        assert await it.result(run) == "x" * 10
        assert max(len(event.body) for event in it.client.events(run)) < 2000
        with (
            closing(sqlite3.connect(it.home / "backstay.db")) as connection,
            closing(Reader(it.home / "backstay.db")) as reader,
        ):
            names = [row[0] for row in connection.execute("SELECT digest FROM blobs")]
            sizes = sorted(len(blobs.fetch(reader, name) or b"") for name in names)
        assert sizes == [1_000_002, 1_000_011, 2_000_024]  # input, one text for result and show, arguments


async def test_a_damaged_large_value_is_named_and_the_run_waits_for_it() -> None:
    async with harness(app) as it:
        run = await it.start(big_things, text=BIG, by="ann")
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection:
            (name, data) = connection.execute("SELECT digest, data FROM blobs").fetchone()
        await it.close()
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (b'"damaged"', name))
        await it.open()
        with pytest.raises(OperatorError, match=f"offloaded value {name[:12]} is missing or damaged"):
            await it.approve(run, by="bob")
        await it.close()
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (data, name))
        await it.open()
        await it.approve(run, by="bob")
        assert await it.result(run) == "x" * 10


@pytest.mark.parametrize(
    "damage",
    [
        'UPDATE events SET body = replace(body, \'"name":"a"\', \'"name":"b"\') WHERE seq = 1 AND run <> \'system\'',
        "UPDATE events SET seq = 9 WHERE seq = 2 AND run <> 'system'",
        "UPDATE events SET kind = 'nonsense' WHERE seq = 2 AND run <> 'system'",
        "UPDATE events SET body = 'not json' WHERE seq = 2 AND run <> 'system'",
        "DELETE FROM events WHERE seq = 1 AND run <> 'system'",
    ],
    ids=["edited", "renumbered", "renamed", "garbled", "deleted"],
)
async def test_a_damaged_journal_is_named_and_the_others_go_on(damage: str) -> None:
    async with harness(app, prove=False) as it:
        run = await it.start(asks, name="a", by="ann")
        await it.close()
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute(damage)
        await it.open()
        with pytest.raises(OperatorError, match=f"of run {run}|of run '{run}'"):
            await it.approve(run, by="bob")
        other = await it.start(asks, name="b", by="ann")
        await it.approve(other, by="bob")
        assert it.status(other) == "finished"


# --- definitions -------------------------------------------------------------------------------------------------------


async def test_a_lost_definition_parks_the_run_until_it_is_restored() -> None:
    async with harness(app) as it:
        run = await it.start(naps)
        version = it.run(run).version
        row = it.client._reader.one("definition", (version,))
        assert row is not None
        await it.close()
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute("DELETE FROM definitions WHERE version = ?", (version,))
            connection.execute("UPDATE runs SET status = 'running'")
        await it.open()
        await it.settle()
        assert it.status(run) == "attention"
        assert it.run(run).summary == (
            f"definition {version[:12]} is not in the store; restore it from a backup, then `backstay retry` the run"
        )
        assert it.waits_in(run) == ["operators"]
        await it.advance("2h")
        assert it.status(run) == "attention"
        sql(it, "INSERT INTO definitions VALUES (?, ?, ?, ?)", *tuple(row))
        assert await it.client.retry(run, by="ann") == 1
        await it.settle()
        assert await it.result(run) == "awake"


async def test_answering_a_run_whose_definition_is_lost_says_so_and_loses_nothing() -> None:
    async with harness(app) as it:
        run = await it.start(asks, name="a", by="ann")
        version = it.run(run).version
        row = it.client._reader.one("definition", (version,))
        assert row is not None
        await it.close()
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute("DELETE FROM definitions WHERE version = ?", (version,))
        await it.open()
        with pytest.raises(DefinitionMissing, match="restore it from a backup"):
            await it.approve(run, by="bob")
        sql(it, "INSERT INTO definitions VALUES (?, ?, ?, ?)", *tuple(row))
        await it.approve(run, by="bob")
        assert await it.result(run) == "a approved"


# --- processes --------------------------------------------------------------------------------------------------------


async def test_a_second_opening_of_one_home_is_refused_and_names_the_process(home: Path) -> None:
    async with harness(app, home):
        with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()}"):
            async with app.open(home):
                pass


def test_a_lock_is_gone_with_its_process(home: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from backstay.engine.application import take_lock\n"
        "Path(sys.argv[1]).mkdir(); lock = take_lock(Path(sys.argv[1]) / 'backstay.lock'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script, str(home)], check=False)

    async def opens() -> None:
        async with harness(app, home) as it:
            assert it.status(await it.start(posts, what="a")) == "finished"

    asyncio.run(opens())


async def test_a_worker_that_was_taken_over_stops_and_says_why() -> None:
    async with harness(app) as it:
        run = await it.start(asks, name="a", by="ann")
        sql(it, "UPDATE owner SET epoch = epoch + 1")
        with pytest.raises(StoreFenced, match="another worker has taken this store over"):
            await it.client.decide(run, "approved", by="bob")
        await it.restart()
        await it.approve(run, by="bob")
        assert await it.result(run) == "a approved"


async def test_stopping_in_the_middle_of_many_runs_loses_none() -> None:
    async with harness(app) as it:
        runs = [await it.client.start(posts, {"what": str(number)}) for number in range(50)]
        await it.restart()
        await it.settle()
        assert {it.status(run) for run in runs} == {"finished"}
        assert len(done) == 50


async def test_starting_up_goes_on_with_everything_that_was_waiting() -> None:
    async with harness(app) as it:
        asked = await it.start(asks, name="a", by="ann")
        napping = await it.start(naps)
        waiting = await it.start(waits, name="go")
        await it.close()
        it.clock.move("3h")
        await it.open()
        await it.advance(0)
        assert await it.result(napping) == "awake"
        await it.client.signal(waiting, "go")
        await it.approve(asked, by="bob")
        assert [it.status(run) for run in (asked, waiting)] == ["finished", "finished"]


async def test_a_store_opened_only_to_look_moves_nothing(home: Path) -> None:
    async with harness(app, home) as it:
        run = await it.start(asks, name="a", by="ann")
        await it.close()
        async with app.open(home, clock=it.clock, synchronous="OFF", resume=False) as client:
            await client.decide(run, "approved", by="bob")
            assert client.run(run).status == "running"
        await it.open()
        assert await it.result(run) == "a approved"


# --- memory ------------------------------------------------------------------------------------------------------------


async def test_runs_that_fell_out_of_memory_go_on_as_if_they_had_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "HOT_RUNS", 3)
    async with harness(app) as it:
        runs = [await it.start(asks, name=str(number), by="ann") for number in range(40)]
        assert len(it.client._runner._hot) <= 4
        await asyncio.gather(*(it.client.decide(run, "approved", by="bob") for run in runs))
        assert [await it.result(run) for run in runs] == [f"{number} approved" for number in range(40)]


async def test_a_burst_of_decisions_holds_few_runs_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHANGES_AT_ONCE", 4)
    monkeypatch.setattr(runner, "HOT_RUNS", 1)
    most = 0

    async def decide(it: Harness, run: str) -> None:
        nonlocal most
        await it.client.decide(run, "approved", by="bob")
        most = max(most, len(it.client._runner._hot))

    async with harness(app) as it:
        runs = [await it.start(asks, name=str(number), by="ann") for number in range(60)]
        tasks = [asyncio.create_task(decide(it, run)) for run in runs]
        await asyncio.sleep(0)
        for task in tasks[20:30]:  # they go away while they wait for their turn
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 20
        assert [run for run in runs if it.client.waits_of(run)] == runs[20:30]
        await asyncio.gather(*(decide(it, run) for run in runs[20:30]))
        assert [await it.result(run) for run in runs] == [f"{number} approved" for number in range(60)]


async def test_the_same_run_reached_from_many_sides_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "HOT_RUNS", 1)
    async with harness(app) as it:
        runs = [await it.start(waits, name="go") for _ in range(5)]
        signals = [it.client.signal(run, "other", number) for number in range(5) for run in runs]
        assert await asyncio.gather(*signals, return_exceptions=True) == [None] * 25
        await asyncio.gather(*(it.client.signal(run, "go") for run in runs))
        assert [await it.result(run) for run in runs] == ["came"] * 5
