"""What a failed or cancelled run confirmed is undone in reverse, once each; what a finished run did stays."""

from __future__ import annotations

import pytest

from backstay import (
    ActionFailed,
    App,
    IdempotencyKey,
    NotRetryable,
    Retry,
    action,
    approval,
    gather,
    race,
    sleep,
    workflow,
)
from backstay.testing import Harness, crash_everywhere, harness

world: list[str] = []
"""What was done and undone, in order; doing the same under a key again changes nothing."""
broken: dict[str, int] = {}
"""How often an action raises before it works."""


@pytest.fixture(autouse=True)
def _new_world() -> None:
    world.clear()
    broken.clear()


def change(entry: str) -> None:
    name = entry.split(maxsplit=1)[0]
    if broken.get(name):
        broken[name] -= 1
        raise ConnectionError(f"{name} is down")
    if entry not in world:
        world.append(entry)


@action(effect="write")
def unbook(seat: str, result: str, key: IdempotencyKey) -> None:
    change(f"unbook {seat} ({result})")


@action(effect="write", compensate=unbook, retry=Retry(attempts=2, first="1s", jitter=0))
def book(seat: str, key: IdempotencyKey) -> str:
    change(f"book {seat}")
    return f"ref-{seat}"


@action(effect="write")
def refuse(why: str, key: IdempotencyKey) -> None:
    raise NotRetryable(why)


@workflow
async def two_then_fail() -> None:
    await book("1A")
    await book("2B")
    await refuse("no more")


@workflow
async def two_then_wait() -> str:
    await book("1A")
    await book("2B")
    await sleep("1h")
    return "flown"


@workflow
async def fails_but_goes_on() -> str:
    await book("1A")
    try:
        await refuse("no more")
    except ActionFailed as error:
        return error.type
    return "?"


@workflow
async def both_at_once() -> str:
    await gather(book("1A"), book("2B"))
    await refuse("no more")
    return "?"


@workflow
async def loser_is_undone() -> str:
    await race(book("1A"), book("2B"))
    await refuse("no more")
    return "?"


@workflow
async def nothing_done() -> str:
    await sleep("1h")
    await book("1A")
    return "flown"


@workflow
async def three() -> str:
    await book("1A")
    await book("2B")
    await book("3C")
    await approval("bosses")
    return "flown"


WORKFLOWS = [two_then_fail, two_then_wait, fails_but_goes_on, both_at_once, loser_is_undone, nothing_done, three]
app = App("travel", workflows=WORKFLOWS)
UNDONE = ["book 1A", "book 2B", "unbook 2B (ref-2B)", "unbook 1A (ref-1A)"]


async def test_a_failed_run_undoes_what_it_did_in_reverse() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_fail)
        assert it.status(run) == "failed"
        assert world == UNDONE


async def test_a_cancelled_run_undoes_what_it_did_in_reverse() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        await it.client.cancel(run, by="ann", reason="customer called")
        await it.settle()
        assert it.status(run) == "cancelled"
        assert it.run(run).summary == "customer called"
        assert world == UNDONE


async def test_a_cancelled_run_undoes_after_a_restart_too() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        await it.restart()
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert world == UNDONE


async def test_a_finished_run_undoes_nothing() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        await it.advance("1h")
        assert await it.result(run) == "flown"
        assert world == ["book 1A", "book 2B"]


async def test_an_error_that_the_workflow_handles_undoes_nothing() -> None:
    async with harness(app) as it:
        run = await it.start(fails_but_goes_on)
        assert await it.result(run) == "NotRetryable"
        assert world == ["book 1A"]


async def test_effects_of_a_gather_are_undone() -> None:
    async with harness(app) as it:
        await it.start(both_at_once)
        assert sorted(world[:2]) == ["book 1A", "book 2B"]
        assert sorted(world[2:]) == ["unbook 1A (ref-1A)", "unbook 2B (ref-2B)"]


async def test_a_loser_of_a_race_that_was_done_is_undone_too() -> None:
    async with harness(app) as it:
        await it.start(loser_is_undone)
        booked = {entry.split()[1] for entry in world if entry.startswith("book")}
        unbooked = {entry.split()[1] for entry in world if entry.startswith("unbook")}
        assert booked == unbooked != set()


async def test_cancelling_before_anything_was_done_undoes_nothing() -> None:
    async with harness(app) as it:
        run = await it.start(nothing_done)
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert it.status(run) == "cancelled"
        assert world == []


async def test_cancelling_twice_undoes_once() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        broken["unbook"] = 1
        await it.client.cancel(run, by="ann")
        await it.client.cancel(run, by="ben")
        await it.advance("1m")
        assert it.status(run) == "cancelled"
        assert world == UNDONE


async def test_a_failing_undo_is_tried_again_and_the_rest_follows() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        broken["unbook"] = 2
        await it.client.cancel(run, by="ann")
        await it.advance("1m")
        assert it.status(run) == "cancelled"
        assert world == UNDONE


async def test_an_undo_that_keeps_failing_waits_in_its_queue_and_the_run_is_not_over() -> None:
    async with harness(app) as it:
        run = await it.start(two_then_wait)
        broken["unbook"] = 3
        await it.client.cancel(run, by="ann")
        await it.advance("1h")
        assert it.status(run) == "waiting"
        assert it.waits_in(run) == ["manual-backlog"]
        await it.client.retry(run, by="ann")
        await it.settle()
        assert it.status(run) == "cancelled"
        assert world == UNDONE


async def test_cancelling_an_approval_undoes_all_three() -> None:
    async with harness(app) as it:
        run = await it.start(three)
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert world[3:] == ["unbook 3C (ref-3C)", "unbook 2B (ref-2B)", "unbook 1A (ref-1A)"]
        assert it.waits(run) == []


async def test_a_crash_at_any_commit_undoes_each_effect_once() -> None:
    async def story(it: Harness) -> None:
        world_before = it.client.runs()
        run = await it.client.start(two_then_wait, key="1")
        await it.settle()
        if not world_before or not it.run(run).ended:
            await it.client.cancel(run, by="ann")
        await it.settle()

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert run.status == "cancelled"
        assert world == UNDONE
        world.clear()

    assert await crash_everywhere(app, story, check) >= 10
