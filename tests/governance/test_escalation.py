"""Escalation: an item that moves on gets the times of the queue it moves to; and moments that the workflow sets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backstay import App, Queue, approval, sleep, task, workflow
from backstay.engine.human import Item, escalated, reminded
from backstay.errors import AuthorError, Conflict
from backstay.events import ApprovalRequested, ItemEscalated, ItemReminded
from backstay.governance.calendars import Calendar
from backstay.governance.queues import Escalation
from backstay.operations.watchdog import find_orphans
from backstay.store.encoding import decode, encode
from backstay.store.views import Wait
from backstay.testing import Harness, crash_everywhere, harness


@workflow
async def asks(queue: str) -> str:
    return (await approval(queue, show={"what": "a desk"})).verdict


@workflow
async def asks_within(queue: str) -> str:
    return (await approval(queue, show={"what": "a desk"}, within="30h")).verdict


@workflow
async def asks_until(queue: str, until: datetime) -> str:
    return (await approval(queue, show={"what": "a desk"}, until=until)).verdict


@workflow
async def works_until(queue: str, until: datetime) -> str:
    return (await task(queue, title="tidy", until=until)).comment


@workflow
async def asks_wrongly(how: str, until: datetime) -> str:
    if how == "both":
        return (await approval("desk", within="1h", until=until)).verdict
    if how == "task":
        return (await task("desk", within="1h", until=until)).comment
    return (await approval("desk", until=until)).verdict


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
LATE = Calendar("late", zone="UTC", hours={"mon-fri": "12:00-20:00"})

app = App(
    "escalation",
    workflows=[asks, asks_within, asks_until, works_until, asks_wrongly],
    queues=[
        Queue(
            name="desk", owner="dora", calendar=OFFICE, within="4h", remind=("2h",),
            escalate=(Escalation(after="8h", to="leads"),),
        ),
        Queue(
            name="leads", owner="lea", calendar=LATE, within="2h", remind=("1h",), priority=9,
            escalate=(Escalation(after="10h", to="board"),),
        ),
        Queue(name="board", owner="chair", after_hours="decline", calendar=OFFICE),
        Queue(
            name="ladder", owner="lu",
            escalate=(Escalation(after="1h", to="board"), Escalation(after="2h", to="quiet")),
        ),
        Queue(name="quiet", owner="quinn"),
    ],
)  # fmt: skip
"""The test clock begins on Monday, 2026-01-05, 09:00 UTC."""


async def waiting(it: Harness, process: Any, queue: str, **more: Any) -> Wait:
    return only(it, await it.start(process, by="ann", queue=queue, **more))


def only(it: Harness, run: str) -> Wait:
    (wait,) = [wait for wait in it.waits(run) if wait.queue]
    return wait


def times(it: Harness, run: str, kind: str) -> list[str]:
    return [event.at[5:16] for event in it.events(run, kind)]


def orphans(it: Harness) -> list[Any]:
    client = it.client
    return find_orphans(
        client._reader, client._runner.payloads, client.owners, late=it.clock.stamp(), working=True,
    )  # fmt: skip


# --- the times of the next queue --------------------------------------------------------------------------------


async def test_an_escalated_item_has_the_times_of_its_new_queue_in_that_queues_calendar() -> None:
    async with harness(app) as it:
        run = (await waiting(it, asks, "desk")).run
        await it.advance("8h")  # Monday, 17:00: eight working hours are over
        wait = only(it, run)
        assert (wait.queue, wait.priority, wait.due_at) == ("leads", 9, "2026-01-05T19:00:00.000000Z")
        assert wait.wake_at == "2026-01-05T18:00:00.000000Z"
        (moved,) = it.events(run, "item_escalated")
        assert (moved.due, moved.calendar["name"]) == (wait.due_at, "late")
        assert [(step["do"], step["at"][5:16]) for step in moved.plan] == [
            ("remind", "01-05T18:00"), ("escalate", "01-06T19:00"),
        ]  # fmt: skip
        await it.restart()
        await it.advance("7d")
        assert times(it, run, "item_reminded") == ["01-05T11:00", "01-05T18:00"]
        assert times(it, run, "item_escalated") == ["01-05T17:00", "01-06T19:00"]
        assert only(it, run).queue == "board"


async def test_a_queue_that_sets_no_time_leaves_the_due_time_and_declines_nothing_that_moves_into_it() -> None:
    async with harness(app) as it:
        run = (await waiting(it, asks, "desk")).run
        await it.advance("36h")  # Tuesday, 21:00: after the hours of the board, which declines what is asked for then
        wait = only(it, run)
        assert (wait.queue, wait.due_at, wait.wake_at) == ("board", "2026-01-05T19:00:00.000000Z", None)
        await it.approve(wait.id, by="chair")
        assert await it.result(run) == "approved"


async def test_further_steps_of_the_first_queue_count_where_the_next_one_has_none() -> None:
    async with harness(app) as it:
        run = (await waiting(it, asks, "ladder")).run
        await it.advance("1d")
        assert times(it, run, "item_escalated") == ["01-05T10:00", "01-05T11:00"]
        assert only(it, run).queue == "quiet"


async def test_an_expiry_that_the_workflow_set_stays_as_it_was() -> None:
    async with harness(app) as it:
        wait = await waiting(it, asks_within, "leads")
        assert wait.due_at == "2026-01-08T18:00:00.000000Z"  # 30 working hours of the leads
        await it.advance("36h")
        moved = only(it, wait.run)
        assert (moved.queue, moved.due_at) == ("board", wait.due_at)
        await it.advance("3d")
        assert await it.result(wait.run) == "expired"
        (decided,) = it.events(wait.run, "approval_decided")
        assert decided.at == wait.due_at


async def test_a_question_after_the_escalation_stops_the_new_clock() -> None:
    async with harness(app) as it:
        run = (await waiting(it, asks, "desk")).run
        await it.advance("8h")
        thing = only(it, run).id
        await it.client.ask(thing, "Which desk?", by="lea")
        assert only(it, run).wake_at is None
        await it.advance("24h")  # Tuesday, 17:00
        await it.client.answer(thing, "The tall one", by="ann")
        assert only(it, run).due_at == "2026-01-06T19:00:00.000000Z"
        await it.advance("7d")
        assert times(it, run, "item_reminded") == ["01-05T11:00", "01-06T18:00"]
        assert times(it, run, "item_escalated") == ["01-05T17:00", "01-07T19:00"]


async def test_what_somebody_reassigns_keeps_its_times() -> None:
    async with harness(app) as it:
        wait = await waiting(it, asks, "desk")
        await it.client.reassign(wait.id, by="dora", queue="leads")
        moved = only(it, wait.run)
        assert (moved.queue, moved.due_at, moved.wake_at) == ("leads", wait.due_at, wait.wake_at)


async def test_a_worker_that_was_away_gives_the_next_queue_its_whole_time() -> None:
    async with harness(app) as it:
        run = (await waiting(it, asks, "desk")).run
        await it.close()
        it.clock.move(3 * 86400)
        await it.open()
        await it.client.fire_timers()
        await it.settle()
        wait = only(it, run)  # Thursday, 09:00
        assert (wait.queue, wait.due_at) == ("leads", "2026-01-08T14:00:00.000000Z")
        assert len(it.events(run, "item_escalated")) == 1


async def test_an_item_escalates_the_same_way_wherever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        await it.client.start(asks_within, {"queue": "desk"}, key="1", by="ann")
        await it.settle()
        await it.advance("40d")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == "expired"
        assert len(it.events(run.id, "item_escalated")) == 2

    assert await crash_everywhere(app, story, check) >= 5


async def test_the_watchdog_finds_nothing_wrong_with_an_escalated_item() -> None:
    async with harness(app) as it:
        for process in (asks, asks_within):
            await waiting(it, process, "desk")
        await it.advance("8h")
        assert orphans(it) == []


def test_an_escalation_of_an_earlier_version_goes_on_by_the_first_plan() -> None:
    old = decode("item_escalated", '{"at":"2026-01-05T10:00:00Z","command":"1","queue":"board"}')
    assert isinstance(old, ItemEscalated)
    steps = [{"at": "a", "do": "escalate", "to": "board"}, {"at": "b", "do": "remind"}]
    leaf: Any = type("Leaf", (), {"item": Item(due="d", plan=steps, calendar=None)})()
    escalated(None, leaf, old)  # type: ignore[arg-type]
    assert (leaf.item.due, leaf.item.plan) == ("d", steps[1:])
    reminded(None, leaf, ItemReminded(at="b", command="1"))  # type: ignore[arg-type]
    assert leaf.item.plan == []
    new = ItemEscalated(at="c", command="1", queue="board", plan=[])
    assert decode(*encode(new)) == new


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"a": "b", "b": "c", "c": "b"}, "a -> b -> c -> b"),
    ],
)
def test_escalations_in_a_circle_are_refused(ways: dict[str, str], told: str) -> None:
    queues = [Queue(name=name, owner="x", escalate=(Escalation(after="1h", to=to),)) for name, to in ways.items()]
    with pytest.raises(AuthorError, match=f"in a circle: {told};"):
        App("circle", workflows=[], queues=queues)


def test_a_time_that_the_queues_calendar_cannot_count_is_refused_where_it_is_declared() -> None:
    for wrong in ({"within": "2d"}, {"remind": ("1w",)}, {"escalate": (Escalation(after="2d", to="leads"),)}):
        with pytest.raises(AuthorError, match=rf"queue 'desk': {next(iter(wrong))}: .* is no working time"):
            Queue(name="desk", owner="dora", calendar=OFFICE, **wrong)  # type: ignore[arg-type]
    assert Queue(name="desk", owner="dora", within="2d").within == "2d"


# --- until --------------------------------------------------------------------------------------------------


MOMENT = datetime(2026, 1, 6, 10, 30, tzinfo=UTC)


async def test_an_approval_expires_at_its_moment_and_not_before() -> None:
    async with harness(app) as it:
        wait = await waiting(it, asks_until, "board", until=MOMENT.isoformat())
        assert wait.due_at == wait.wake_at == "2026-01-06T10:30:00.000000Z"
        await it.advance("25h")
        assert it.status(wait.run) == "waiting"
        await it.advance("30m")
        assert await it.result(wait.run) == "expired"


async def test_a_moment_is_not_put_off_by_a_question_nor_by_an_escalation() -> None:
    async with harness(app) as it:
        wait = await waiting(it, asks_until, "desk", until=MOMENT.isoformat())
        await it.advance("1h")
        await it.client.ask(wait.id, "Which desk?", by="dora")
        await it.advance("3h")
        assert only(it, wait.run).wake_at == wait.due_at
        assert orphans(it) == []
        await it.client.answer(wait.id, "The tall one", by="ann")
        assert only(it, wait.run).due_at == wait.due_at
        await it.advance("20h")  # Tuesday, 09:00: five of the eight hours are over
        await it.client.ask(wait.id, "Why?", by="dora")
        await it.advance("2h")
        assert await it.result(wait.run) == "expired"
        assert times(it, wait.run, "approval_decided") == ["01-06T10:30"]


async def test_a_moment_that_is_over_expires_at_once_and_nobody_can_approve_it() -> None:
    async with harness(app) as it:
        over = datetime(2026, 1, 5, 8, 59, tzinfo=UTC).isoformat()
        run = await it.client.start(asks_until, {"queue": "board", "until": over}, by="ann")
        await it.settle()
        with pytest.raises(Conflict):
            await it.client.decide(run, "approved", by="chair")
        await it.advance("1s")
        assert await it.result(run) == "expired"


async def test_a_task_is_due_at_its_moment_and_goes_on_after_it() -> None:
    async with harness(app) as it:
        wait = await waiting(it, works_until, "desk", until=MOMENT.isoformat())
        assert wait.due_at == "2026-01-06T10:30:00.000000Z"
        await it.client.ask(wait.id, "Which room?", by="dora")
        await it.advance("2d")
        await it.client.answer(wait.id, "The attic", by="ann")
        assert only(it, wait.run).due_at == wait.due_at
        await it.complete(wait.id, "done", by="dora")
        assert await it.result(wait.run) == "done"


@pytest.mark.parametrize(
    ("how", "until", "told"),
    [
        ("both", MOMENT.isoformat(), "approval: give within or until, not both"),
        ("task", MOMENT.isoformat(), "task: give within or until, not both"),
        ("naive", "2026-01-06T10:30:00", "approval: until 2026-01-06T10:30:00 has no time zone"),
        ("early", "1776-07-04T00:00:00+00:00", "is not in 1901 to 9799"),
    ],
)
async def test_a_wrong_moment_names_its_field(how: str, until: str, told: str) -> None:
    async with harness(app) as it:
        run = await it.start(asks_wrongly, by="ann", how=how, until=until)
        assert it.status(run) == "failed"
        assert told in (it.run(run).summary or "")
        assert it.events(run, "approval_requested") == it.events(run, "task_opened") == []


def test_a_moment_is_told_apart_from_a_time_in_the_journal() -> None:
    requested = ApprovalRequested(at="a", command="1", site="s", queue="q", plan=[{"at": "b", "do": "close"}], due="b")
    assert '"do":"close"' in encode(requested)[1]
    assert sleep(until=MOMENT).until == MOMENT
