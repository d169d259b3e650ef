"""Whoever asked may go away in the middle: what was begun is finished, and nothing half-done stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from backstay import App, IdempotencyKey, action, approval, wait_for, workflow
from backstay.testing import harness

paid: list[str] = []
gate = asyncio.Event()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    paid.clear()
    gate.clear()


@action(effect="write")
async def pay(what: str, key: IdempotencyKey) -> str:
    paid.append(what)
    await gate.wait()
    return f"receipt for {what}"


@workflow
async def asks(name: str) -> str:
    decision = await approval("bosses", show=name)
    return decision.verdict


@workflow
async def pays(what: str) -> str:
    receipt = await pay(what)
    await wait_for("stop", within="1h")
    return receipt


app = App("callers", workflows=[asks, pays])


async def hang_up(work: Coroutine[Any, Any, Any]) -> None:
    """Ask, let the request reach the store, and go away before the answer."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_run_whose_starter_went_away_runs_all_the_same() -> None:
    async with harness(app) as it:
        await hang_up(it.client.start(asks, {"name": "a"}, key="k", by="ann"))
        while not it.client.inbox(queue="bosses"):
            await asyncio.sleep(0.001)
        (run,) = (found.id for found in it.client.runs())
        assert await it.client.start(asks, {"name": "a"}, key="k", by="ann") == run


async def test_a_decision_whose_decider_went_away_moves_its_run() -> None:
    async with harness(app) as it:
        run = await it.start(asks, name="a", by="ann")
        await hang_up(it.client.decide(run, "approved", by="bob"))
        assert await it.result(run) == "approved"


async def test_a_sender_who_goes_away_costs_no_effect_its_result() -> None:
    async with harness(app) as it:
        run = await it.client.start(pays, {"what": "rent"})
        while not paid:
            await asyncio.sleep(0.001)
        await hang_up(it.client.signal(run, "stop"))
        gate.set()
        assert await it.result(run) == "receipt for rent"
        assert (paid, it.kinds(run).count("call_intended")) == (["rent"], 1)
