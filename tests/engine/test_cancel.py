"""Cancelling and deadlines: whatever a run is doing, it stops, and what may have happened is still learnt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backstay import (
    App,
    IdempotencyKey,
    Retry,
    action,
    approval,
    gather,
    race,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import Conflict
from backstay.testing import Harness, crash_everywhere, harness

done: list[str] = []
gates: dict[str, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def _new_world() -> None:
    done.clear()
    gates.clear()


def gate(name: str) -> asyncio.Event:
    return gates.setdefault(name, asyncio.Event())


@action(effect="read")
async def hung_read(name: str) -> str:
    done.append("reading")
    await gate(name).wait()
    return "read"


@action(effect="read")
def blocking_read(name: str) -> str:
    done.append("blocking")
    return "read"


@action(effect="write")
def unsend(name: str, result: str, key: IdempotencyKey) -> None:
    done.append(f"unsent {result}")


@action(effect="write", compensate=unsend)
async def hung_write(name: str, key: IdempotencyKey) -> str:
    done.append("sending")
    await gate(name).wait()
    done.append("sent")
    return "sent it"


@action(effect="write", retry=Retry(attempts=1))
def down(name: str, key: IdempotencyKey) -> str:
    raise ConnectionError("down")


@workflow
async def reads() -> str:
    return await hung_read("a")


@workflow
async def reads_two() -> list[str]:
    return await gather(hung_read("a"), hung_read("b"), sleep("1h"))


@workflow
async def writes() -> str:
    return await hung_write("a")


@workflow(deadline="1h")
async def writes_in_time() -> str:
    await hung_write("a")
    await sleep("2h")
    return "late"


@workflow
async def stuck() -> str:
    return await down("a")


@workflow
async def catches_everything() -> str:
    try:
        await sleep("1h")
    except Exception:
        return "caught"
    finally:
        done_twice = 1
    return f"slept {done_twice}"


@workflow
async def waits_for_all() -> list[Any]:
    return await gather(
        approval("bosses"), task("clerks"), wait_for("x"), sleep("1h"), start(catches_everything), race(wait_for("y"))
    )


@workflow
async def child_loses() -> int:
    winner = await race(start(waits_for_all), wait_for("stop"))
    await sleep("1h")
    return winner.index


@workflow
async def child_loses_at_the_end() -> int:
    winner = await race(start(waits_for_all), wait_for("stop"))
    return winner.index


@workflow
async def shares_a_child() -> str:
    winner = await race(start(catches_everything, key="shared"), wait_for("stop"))
    return f"{winner.value}"


app = App(
    "cancel",
    workflows=[
        child_loses,
        child_loses_at_the_end,
        shares_a_child,
        reads,
        reads_two,
        writes,
        writes_in_time,
        stuck,
        catches_everything,
        waits_for_all,
    ],
)


async def begun(it: Harness, workflow: Any, word: str, times: int = 1) -> str:
    """Start and wait until the outside has been reached."""
    run = await it.client.start(workflow)
    while done.count(word) < times:
        await asyncio.sleep(0)
    return run


@pytest.mark.parametrize(("workflow", "times"), [(reads, 1), (reads_two, 2)])
async def test_a_run_in_a_hung_read_is_cancelled_at_once(workflow: Any, times: int) -> None:
    async with harness(app) as it:
        run = await begun(it, workflow, "reading", times)
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert it.status(run) == "cancelled"
        assert it.waits(run) == []


async def test_a_run_in_a_hung_write_ends_when_its_outcome_is_known_and_undoes_it() -> None:
    async with harness(app) as it:
        run = await begun(it, writes, "sending")
        await it.client.cancel(run, by="ann")
        await asyncio.sleep(0.01)
        assert not it.run(run).ended
        gate("a").set()
        await it.settle()
        assert it.status(run) == "cancelled"
        assert done == ["sending", "sent", "unsent sent it"]


async def test_a_run_that_was_cancelled_in_a_hung_write_learns_its_outcome_after_a_restart() -> None:
    async with harness(app) as it:
        run = await begun(it, writes, "sending")
        await it.client.cancel(run, by="ann")
        await it.restart()
        gate("a").set()
        await it.settle()
        assert it.status(run) == "cancelled"
        assert done == ["sending", "sending", "sent", "unsent sent it"]


async def test_a_run_in_its_backlog_waits_for_a_person_to_say_what_happened() -> None:
    async with harness(app) as it:
        run = await it.start(stuck)
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert [(wait.kind, wait.queue) for wait in it.waits(run)] == [("queued", "manual-backlog")]
        await it.client.settle(run, "give-up", by="ben", reason="it did not happen")
        await it.settle()
        assert it.status(run) == "cancelled"


async def test_workflow_code_cannot_catch_its_end() -> None:
    async with harness(app) as it:
        run = await it.start(catches_everything)
        await it.client.cancel(run, by="ann", reason="enough")
        await it.settle()
        assert (it.status(run), it.run(run).summary) == ("cancelled", "enough")


async def test_everything_a_run_waits_for_is_withdrawn() -> None:
    async with harness(app) as it:
        run = await it.start(waits_for_all)
        assert sorted(wait.kind for wait in it.waits(run)) == ["approval", "child", "signal", "signal", "task", "timer"]
        items = [wait.id for wait in it.waits(run) if wait.queue]
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert it.client.inbox() == []
        for item in items:
            with pytest.raises(Conflict, match="has cancelled"):
                await it.client.claim(item, by="bob")


@pytest.mark.parametrize("workflow", [child_loses, child_loses_at_the_end])
async def test_a_child_that_lost_a_race_is_cancelled_with_its_own_children(workflow: Any) -> None:
    async with harness(app) as it:
        run = await it.start(workflow)
        await it.client.signal(run, "stop")
        await it.settle()
        states = {row.workflow: row.status for row in it.client.runs() if row.id != run}
        assert states == {"waits_for_all": "cancelled", "catches_everything": "cancelled"}
        child = next(row.id for row in it.client.runs(workflow="waits_for_all"))
        assert it.events(child, "cancel_requested")[0].reason == f"run {run} no longer waits for it"


async def test_cancelling_a_parent_cancels_its_children_whenever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        run = await it.client.start(waits_for_all, key="1")
        await it.settle()
        if not it.run(run).ended:
            await it.client.cancel(run, by="ann")
        await it.settle()

    async def check(it: Harness) -> None:
        assert {row.status for row in it.client.runs()} == {"cancelled"}
        assert len(it.client.runs()) == 2

    assert await crash_everywhere(app, story, check) >= 5


async def test_a_child_that_another_parent_waits_for_lives_on() -> None:
    async with harness(app) as it:
        one, other = await it.start(shares_a_child), await it.start(shares_a_child)
        await it.client.signal(one, "stop")
        await it.advance("1h")
        assert await it.result(one) == "None"
        assert await it.result(other) == "slept 1"


async def test_a_run_that_has_ended_cannot_be_cancelled() -> None:
    async with harness(app) as it:
        run = await it.start(catches_everything)
        await it.advance("1h")
        assert await it.result(run) == "slept 1"
        with pytest.raises(Conflict, match="has ended"):
            await it.client.cancel(run, by="ann")


async def test_the_end_of_a_run_and_its_cancellation_at_once_agree() -> None:
    async with harness(app) as it:
        for _ in range(10):
            run = await it.start(catches_everything)
            it.clock.move("1h")
            await asyncio.gather(it.client.fire_timers(), it.client.cancel(run, by="ann"), return_exceptions=True)
            await it.settle()
            last = it.kinds(run)[-1]
            assert {"finished": "run_finished", "cancelled": "run_cancelled"}[it.status(run)] == last


async def test_a_deadline_in_a_hung_write_fails_the_run_when_the_outcome_is_known() -> None:
    async with harness(app) as it:
        run = await begun(it, writes_in_time, "sending")
        it.clock.move("1h")
        await it.client.fire_timers()
        gate("a").set()
        await it.settle()
        assert it.run(run).summary == "DeadlinePassed: the workflow's deadline passed"
        assert done == ["sending", "sent", "unsent sent it"]


async def test_cancelling_needs_an_existing_run() -> None:
    async with harness(app) as it:
        with pytest.raises(Exception, match="there is no run 'nothing'"):
            await it.client.cancel("nothing", by="ann")
