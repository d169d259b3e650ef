"""Who sent a signal, and when it came in: a workflow that waits with `details=True` sees both."""

from __future__ import annotations

from pydantic import BaseModel

from backstay import App, Received, gather, race, rule, sleep, wait_for, workflow
from backstay.testing import harness


class Draft(BaseModel):
    text: str


@rule
def by_author(received: Received[Draft], author: str) -> bool:
    return received.by == author


@workflow
async def revise(author: str) -> str:
    """Only what the author sends counts."""
    while True:
        received = await wait_for("revised", type=Draft, details=True)
        if by_author(received, author):
            return f"{received.value.text} at {received.at:%H:%M}"


@workflow
async def hear_all() -> list[str]:
    first, second = await gather(wait_for("a", details=True), wait_for("b"))
    winner = await race(wait_for("c", details=True), sleep("1d"))
    return [first.by, str(first.value), str(second), winner.value.by]


@workflow
async def pass_on() -> Received[Draft]:
    return await wait_for("revised", type=Draft, details=True)


@workflow
async def ask_child() -> str:
    received = await pass_on()
    return f"{received.by}: {received.value.text}"


app = App("drafts", workflows=[revise, hear_all, pass_on, ask_child])


async def test_a_workflow_decides_by_who_sent_a_signal() -> None:
    async with harness(app) as it:
        run = await it.start(revise, author="ann")
        await it.signal(run, "revised", {"text": "forged"}, by="mallory")
        assert it.status(run) == "waiting"
        await it.advance("90m")
        await it.signal(run, "revised", {"text": "second draft"}, by="ann")
        assert await it.result(run) == "second draft at 10:30"


async def test_a_signal_that_came_early_keeps_its_sender_and_its_time_over_a_restart() -> None:
    async with harness(app) as it:
        run = await it.start(hear_all)
        await it.signal(run, "c", None, by="cleo")
        await it.restart()
        await it.advance("2h")
        await it.signal(run, "b", [1], by="ben")
        await it.signal(run, "a", "hello", by="ann")
        assert await it.result(run) == ["ann", "hello", "[1]", "cleo"]


async def test_what_was_received_is_data_that_a_result_can_hold() -> None:
    async with harness(app) as it:
        run = await it.start(pass_on)
        await it.signal(run, "revised", {"text": "third"}, by="ann")
        assert await it.result(run) == {"value": {"text": "third"}, "by": "ann", "at": "2026-01-05T09:00:00Z"}


async def test_a_parent_reads_what_its_child_received() -> None:
    async with harness(app) as it:
        run = await it.start(ask_child)
        child = next(wait.subject for wait in it.waits(run))
        await it.signal(child, "revised", {"text": "fourth"}, by="ann")
        assert await it.result(run) == "ann: fourth"
