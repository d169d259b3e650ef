"""What a commit makes true is true whoever waits for it, whatever goes wrong beside it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from backstay import App, action, approval, wait_for, workflow
from backstay.engine.replay import Machine
from backstay.errors import StoreUnavailable
from backstay.events import ApprovalDecided, Event
from backstay.store.journal import Journal
from backstay.testing import harness

AT_REST = 0.02


class Gate:
    """Holds the action `get` until a test lets it go."""

    opened: asyncio.Event


@action(effect="read")
async def get(number: int) -> int:
    await Gate.opened.wait()
    return number


@action(effect="write", timeout="0.5s")
async def change(number: int) -> int:
    await asyncio.sleep(0.2)
    return number


@workflow
async def listens() -> int:
    await get(1)
    return await wait_for("number", type=int)


@workflow
async def decides() -> str:
    return (await approval("bosses")).verdict


@workflow
async def changes() -> int:
    return await change(1)


app = App("after-commit", workflows=[listens, decides, changes])


async def test_a_signal_that_does_not_fit_and_overtakes_its_wait_spoils_no_journal(tmp_path: Path) -> None:
    Gate.opened = asyncio.Event()
    async with app.open(tmp_path) as client:
        run = await client.start(listens)
        await asyncio.sleep(AT_REST)
        Gate.opened.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the result is on its way to the disk, and the workflow has not asked for a number yet
        await client.signal(run, "number", "many")
        await client.quiet()
    async with app.open(tmp_path) as client:
        await client.quiet()
        await client.signal(run, "number", 5)
        assert await client.result(run) == 5


@pytest.mark.parametrize("goes_away", [False, True])
async def test_what_cannot_be_applied_comes_before_an_operator_and_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, goes_away: bool
) -> None:
    apply = Machine.apply

    def broken(machine: Machine, event: Event, seq: int = 0) -> None:
        if isinstance(event, ApprovalDecided):
            raise RecursionError("too deep here")
        apply(machine, event, seq)

    async with harness(app) as it:
        run = await it.start(decides, by="ann")
        monkeypatch.setattr(Machine, "apply", broken)
        decision = asyncio.create_task(it.client.decide(run, "approved", by="bob"))
        case = it.client._runner.activation(run)
        while not case.inflight:
            await asyncio.sleep(0)
        if goes_away:
            decision.cancel()
        await asyncio.gather(decision, return_exceptions=True)
        while case.inflight:
            await asyncio.sleep(0.001)
        await it.settle()
        assert it.status(run) == "attention"
        monkeypatch.setattr(Machine, "apply", apply)
        assert await it.client.retry(run, by="op") == 1
        assert await it.result(run) == "approved"


async def test_flips_that_are_lost_leave_the_switches_as_the_journal_has_them(tmp_path: Path) -> None:
    async with app.open(tmp_path) as client:
        await client.switch("all", off=True, by="op", reason="incident")
        connection = client._runner.journal._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        flips = (
            client.switch("all", off=False, by="op", reason="x" * 100_000),
            client.switch("all", off=True, by="op", reason="again"),
        )
        assert all(
            isinstance(fault, StoreUnavailable) for fault in await asyncio.gather(*flips, return_exceptions=True)
        )
        connection.execute("PRAGMA max_page_count = 1000000")
        assert client.switches == {"all": "incident"}


@pytest.mark.parametrize("turns", range(4))
async def test_a_worker_whose_timers_were_just_woken_stops_all_the_same(tmp_path: Path, turns: int) -> None:
    async def work() -> None:
        async with app.open(tmp_path) as client:
            await client.start(decides)
            for _ in range(10):
                await asyncio.sleep(0)
            client._runner.dispatch.look_now()
            for _ in range(turns):
                await asyncio.sleep(0)

    await asyncio.wait_for(work(), 10)


async def test_apps_that_overlap_leave_the_collector_as_it_was(tmp_path: Path) -> None:
    before = gc.get_threshold()
    first, second = app.open(tmp_path / "a"), app.open(tmp_path / "b")
    await first.__aenter__()
    await second.__aenter__()
    busy = gc.get_threshold()
    await first.__aexit__(None, None, None)
    assert gc.get_threshold() == busy
    await second.__aexit__(None, None, None)
    assert gc.get_threshold() == before


def test_an_interrupted_fill_loses_nothing_and_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    opened = app.open(tmp_path)
    client = loop.run_until_complete(opened.__aenter__())

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "_put_rows", interrupted)
    first = loop.create_task(client.start(decides))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(first)
    monkeypatch.undo()
    second = loop.run_until_complete(client.start(decides))
    assert {run.id for run in client.runs()} == {loop.run_until_complete(first), second}
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


async def test_somebody_elses_transaction_holds_only_the_commits_up(tmp_path: Path) -> None:
    async with app.open(tmp_path) as client:
        run = await client.start(changes)
        while not any(event.kind == "call_intended" for event in client.events(run)):
            await asyncio.sleep(0.001)
        other = sqlite3.connect(tmp_path / "backstay.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(1.0)
        other.execute("ROLLBACK")
        other.close()
        assert await client.result(run) == 1
        assert [event.kind for event in client.events(run)].count("call_unknown") == 0
