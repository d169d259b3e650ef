"""Notices: who is told names the item it is about, also where one commit changes several."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from backstay import App, Notice, Queue, action, approval, gather, race, task, wait_for, workflow
from backstay.errors import AuthorError, Conflict
from backstay.testing import harness

told: list[Notice] = []


@workflow
async def two_at_once() -> int:
    answers = await gather(approval("desk", show="a"), task("board", title="b"))
    return len(answers)


@workflow
async def first_of_two() -> int:
    won = await race(approval("desk", show="a"), task("board", title="b"))
    await wait_for("go on")
    return won.index


@workflow
async def soon() -> str:
    return (await approval("desk", within="1h")).verdict


app = App(
    "notices", workflows=[two_at_once, first_of_two, soon], on_notice=[told.append],
    queues=[Queue(name="desk", owner="dora", lease="1h"), Queue(name="board", owner="chair")],
)  # fmt: skip


async def test_two_items_of_one_commit_are_told_as_two() -> None:
    told.clear()
    async with harness(app) as it:
        run = await it.start(two_at_once, by="ann")
        assert [(notice.kind, notice.item, notice.queue) for notice in told] == [
            ("opened", f"{run}/1.0", "desk"),
            ("opened", f"{run}/1.1", "board"),
        ]


async def test_a_claim_that_lapses_is_told_and_one_given_back_is_not() -> None:
    async with harness(app) as it:
        run = await it.start(two_at_once, by="ann")
        told.clear()
        await it.client.claim(f"{run}/1.0", by="bob")
        await it.client.release(f"{run}/1.0", by="bob")
        assert told == []
        await it.client.claim(f"{run}/1.0", by="bob")
        await it.advance("2h")
        assert [(notice.kind, notice.item) for notice in told] == [("lapsed", f"{run}/1.0")]


async def test_what_lost_a_race_is_withdrawn_and_told_to_whoever_had_it() -> None:
    async with harness(app) as it:
        run = await it.start(first_of_two, by="ann")
        await it.client.claim(f"{run}/1.1", by="bob")
        told.clear()
        await it.approve(f"{run}/1.0", by="dora")
        assert [(notice.kind, notice.item, notice.claimed_by, notice.requester) for notice in told] == [
            ("approved", f"{run}/1.0", None, "ann"), ("withdrawn", f"{run}/1.1", "bob", "ann"),
        ]  # fmt: skip
        assert it.client.inbox() == []
        with pytest.raises(Conflict, match="withdrawn"):
            await it.client.complete(f"{run}/1.1", by="bob")


async def test_what_lost_a_race_leaves_the_inbox_while_the_run_still_works() -> None:
    going, go_on = asyncio.Event(), asyncio.Event()

    @action(effect="read")
    async def takes_long() -> int:
        going.set()
        await go_on.wait()
        return 1

    @workflow
    async def works_on() -> int:
        await race(approval("desk", show="a"), approval("board", show="b"))
        return await takes_long()

    held = App("held", workflows=[works_on], actions=[takes_long], on_notice=[told.append])
    async with harness(held) as it:
        run = await it.start(works_on, by="ann")
        told.clear()
        await it.client.decide(f"{run}/1.0", "approved", by="dora")
        await going.wait()
        assert it.client.inbox() == []
        assert [notice.kind for notice in told] == ["approved", "withdrawn"]
        go_on.set()
        assert await it.result(run) == 1


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
async def test_the_end_of_an_item_is_told(verdict: Literal["approved", "rejected"]) -> None:
    async with harness(app) as it:
        run = await it.start(two_at_once, by="ann")
        told.clear()
        await it.client.decide(f"{run}/1.0", verdict, by="bob")
        await it.complete(f"{run}/1.1", by="bob")
        assert [(notice.kind, notice.queue) for notice in told] == [(verdict, "desk"), ("completed", "board")]
        run = await it.start(soon, by="ann")
        told.clear()
        await it.advance("1h")
        assert [notice.kind for notice in told] == ["expired"]


async def test_what_a_cancelled_run_asked_for_is_withdrawn() -> None:
    async with harness(app) as it:
        run = await it.start(two_at_once, by="ann")
        told.clear()
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert sorted((notice.kind, notice.queue) for notice in told) == [("withdrawn", "board"), ("withdrawn", "desk")]


def test_a_lease_is_time_on_the_clock() -> None:
    with pytest.raises(AuthorError, match="lease: '1bd' is no time"):
        Queue(name="desk", owner="dora", lease="1bd")
