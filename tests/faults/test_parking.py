"""A run is recorded as waiting only when nothing is on its way to it: else a crash would leave it waiting for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from backstay import App, action, approval, race, sleep, wait_for, workflow
from backstay.errors import BackstayError, Conflict
from backstay.operations.watchdog import find_orphans
from backstay.testing import Harness, crash_everywhere

on_look: list[Callable[[], None]] = []


@action(effect="read")
async def look() -> str:
    for tell in on_look:
        tell()
    return "seen"


@workflow
async def wish() -> str:
    first = await race(approval("bosses"), wait_for("withdraw"), sleep("30d"))
    if first.index == 1:
        return "withdrawn before"
    await look()
    second = await race(approval("bosses"), wait_for("withdraw"), sleep("30d"))
    return "withdrawn" if second.index == 1 else "kept"


app = App("parking", workflows=[wish])


@pytest.mark.parametrize("turns", range(8))
async def test_a_signal_that_arrives_just_as_its_wait_is_opened_is_heard_whenever_the_worker_dies(turns: int) -> None:
    """turns: of the loop, between the call before the wait and the signal."""
    sending: set[asyncio.Task[None]] = set()

    async def withdraw(it: Harness, run: str) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        with suppress(BackstayError):
            await it.client.signal(run, "withdraw", id="w", by="ann")

    async def story(it: Harness) -> None:
        run = await it.client.start(wish, key="1", by="ann")
        on_look[:] = [lambda: sending.add(asyncio.create_task(withdraw(it, run)))]
        await it.settle()
        for wait in it.waits(run):
            if wait.command == "1.0" and wait.kind == "approval":
                await it.client.decide(wait.id, "approved", by="bob")
        await it.settle()
        await asyncio.gather(*sending)
        with suppress(Conflict):  # it was heard, and the run has ended
            await it.client.signal(run, "withdraw", id="w", by="ann")
        await it.settle()

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        reader, payloads = it.client._reader, it.client._runner.payloads
        assert find_orphans(reader, payloads, {}, late="", working=False) == []
        assert await it.result(run.id) == "withdrawn"

    assert await crash_everywhere(app, story, check) > 3
