"""A kill switch pulled while many cases are at work: once that has returned no write begins, and reading goes on."""

from __future__ import annotations

import asyncio
import time

import pytest

from backstay import App, IdempotencyKey, action, gather, workflow
from backstay.testing import harness

CASES = 100
began: list[str] = []


@action(effect="read")
async def look(number: int) -> int:
    began.append("read")
    await asyncio.sleep(0)
    return number


@action(effect="write")
async def change(number: int, key: IdempotencyKey) -> int:
    began.append("write")
    await asyncio.sleep(0)
    return number


@action(effect="write", concurrency=3)
async def change_in_turn(number: int, key: IdempotencyKey) -> int:
    began.append("write")
    await asyncio.sleep(0)
    return number


@action(effect="write")
def change_in_thread(number: int, key: IdempotencyKey) -> int:
    began.append("write")
    return number


@workflow
async def one_after_the_other(number: int) -> int:
    """Read, write, read, write."""
    for _ in range(3):
        await look(number)
        await change(number)
        await change_in_turn(number)
        await look(number)
        await change_in_thread(number)
    return number


@workflow
async def all_at_once(number: int) -> int:
    """Several calls in one breath."""
    for _ in range(4):
        await gather(look(number), change(number), change_in_turn(number), look(number), change_in_thread(number))
    return number


@workflow
async def reads(number: int) -> int:
    """Read only."""
    for _ in range(60):
        await look(number)
    return number


app = App("load", workflows=[one_after_the_other, all_at_once, reads])


@pytest.mark.parametrize("writes", [1, 40, 150])
async def test_no_write_begins_once_the_switch_is_pulled_and_reading_goes_on(writes: int) -> None:
    began.clear()
    async with harness(app) as it:
        flows = (one_after_the_other, all_at_once, reads)
        await asyncio.gather(*(it.client.start(flows[each % 3], {"number": each}) for each in range(CASES)))
        while began.count("write") < writes:
            await asyncio.sleep(0)
        await it.client.switch("effect:write", off=True, by="ann", reason="incident 7")
        pulled = len(began)
        await it.settle()
        assert set(began[pulled:]) == {"read"}
        assert it.client.counts()["reads"] == {"finished": CASES // 3}

        await it.client.switch("effect:write", off=False, by="ann", reason="it is over")
        await it.settle()
        assert {run.status for run in it.client.runs()} == {"finished"}


@action(effect="write")
def change_slowly(number: int, key: IdempotencyKey) -> int:
    began.append("write")
    time.sleep(0.02)
    return number


@workflow
async def slow(number: int) -> int:
    return await change_slowly(number)


async def test_a_write_that_waits_for_a_thread_does_not_begin_either() -> None:
    began.clear()
    async with harness(App("threads", workflows=[slow])) as it:
        await asyncio.gather(*(it.client.start(slow, {"number": each}) for each in range(600)))
        while began.count("write") < 100:
            await asyncio.sleep(0)
        await it.client.switch("effect:write", off=True, by="ann", reason="incident 7")
        pulled = len(began)
        await it.settle()
        assert len(began) == pulled < 600
