"""Notices: who is told names the item it is about, also where one commit changes several."""

from __future__ import annotations

import pytest

from backstay import App, Notice, Queue, approval, gather, task, workflow
from backstay.errors import AuthorError
from backstay.testing import harness

told: list[Notice] = []


@workflow
async def two_at_once() -> int:
    answers = await gather(approval("desk", show="a"), task("board", title="b"))
    return len(answers)


app = App(
    "notices", workflows=[two_at_once], on_notice=[told.append],
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


def test_a_lease_is_time_on_the_clock() -> None:
    with pytest.raises(AuthorError, match="lease: '1bd' is no time"):
        Queue(name="desk", owner="dora", lease="1bd")
