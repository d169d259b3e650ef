"""What people see of a call that did not go through: the row in its queue and the alert, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from backstay import (
    Alert,
    App,
    Breaker,
    IdempotencyKey,
    NotRetryable,
    OutcomeUnknown,
    Queue,
    Retry,
    Rule,
    action,
    workflow,
)
from backstay.governance.calendars import Calendar
from backstay.store.views import Wait
from backstay.testing import Harness, harness

alerts: list[Alert] = []
faults: list[Exception] = []
NINE = "2026-01-05T09:00:00.000000Z"


@pytest.fixture(autouse=True)
def _new_world() -> None:
    alerts.clear()
    faults.clear()


def step(what: str) -> str:
    if faults:
        raise faults.pop(0)
    return what


def never(key: str) -> str | None:
    """The probe of a target that knows nothing of it."""
    return None


def broken(key: str) -> str | None:
    raise ConnectionError("nobody there")


ONCE = Retry(attempts=1)


@action(effect="read", retry=Retry(attempts=2, first="10s", jitter=0))
async def look(what: str) -> str:
    return step(what)


@action(effect="write", retry=ONCE, queue="desk")
def post(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", retry=ONCE, queue="desk")
def bare(what: str) -> str:
    return step(what)


@action(effect="write", retry=ONCE, on_failure="raise", queue="desk")
def told(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", approvers="chiefs")
def fire(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", probe=never, approvers="nobody-listed")
def aim(what: str) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", probe=broken)
def hope(what: str) -> str:
    return step(what)


@action(effect="write", retry=ONCE, queue="desk")
def unpost(result: str, key: IdempotencyKey) -> None:
    step(result)


@action(effect="write", compensate=unpost)
def posted(what: str, key: IdempotencyKey) -> str:
    return what


@action(effect="write", retry=ONCE, queue="desk", breaker=Breaker(failures=1, cooldown="30s"))
def guarded(what: str, key: IdempotencyKey) -> str:
    return step(what)


@workflow
async def looks() -> str:
    return await look("a")


@workflow
async def posts() -> str:
    return await post("a")


@workflow
async def posts_bare() -> str:
    return await bare("a")


@workflow
async def is_told() -> str:
    return await told("a")


@workflow
async def fires() -> str:
    return await fire("a")


@workflow
async def aims() -> str:
    return await aim("a")


@workflow
async def hopes() -> str:
    return await hope("a")


@workflow
async def undoes() -> str:
    await posted("a")
    raise ValueError("all for nothing")


@workflow
async def guards() -> str:
    return await guarded("a")


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
app = App(
    "told",
    workflows=[looks, posts, posts_bare, is_told, fires, aims, hopes, undoes, guards],
    queues=[
        Queue(name="desk", owner="dora", priority=3),
        Queue(name="chiefs", owner="chief", priority=7, calendar=OFFICE, within="8h", remind=("2h",)),
    ],
    on_alert=[alerts.append],
)

Story = Callable[[Harness], Coroutine[Any, Any, str]]
DOWN = ConnectionError("no route")
IRREVERSIBLE = "this cannot be taken back, so a person decides (rule 'baseline-irreversible')"


def fails(process: Any, *errors: Exception) -> Story:
    async def story(it: Harness) -> str:
        faults[:] = errors
        return await it.start(process, by="ann")

    return story


def approved(process: Any, error: Exception) -> Story:
    async def story(it: Harness) -> str:
        run = await it.start(process, by="ann")
        faults[:] = [error]
        await it.approve(run, by="bob")
        return run

    return story


async def switched_off(it: Harness) -> str:
    await it.client.switch("action:post", off=True, by="ops", reason="incident 7")
    return await it.start(posts, by="ann")


async def diverted(it: Harness) -> str:
    faults[:] = [DOWN]
    await it.start(guards, by="ann")
    alerts.clear()
    return await it.start(guards, by="ann")


NOT_TAKEN_BACK = NotRetryable("it stays")

WAITS: dict[str, tuple[Story, dict[str, Any]]] = {
    "tried again": (
        fails(looks, DOWN),
        {"kind": "retry", "queue": "", "title": "no route", "wake_at": "2026-01-05T09:00:10.000000Z", "subject": "look"},
    ),
    "given up": (
        fails(posts, DOWN), {"kind": "queued", "queue": "desk", "title": "no route", "subject": "post"},
    ),
    "unknown": (
        fails(posts_bare, OutcomeUnknown("the line broke")),
        {"kind": "unknown", "queue": "desk", "title": "the line broke", "subject": "bare"},
    ),
    "without a key": (
        fails(posts_bare, DOWN),
        {
            "kind": "unknown", "queue": "desk", "subject": "bare",
            "title": "it failed with ConnectionError: no route; without a key nobody may try again",
        },
    ),
    "not to be taken as undone": (
        fails(is_told, DOWN),
        {
            "kind": "unknown", "queue": "desk", "subject": "told",
            "title": "it failed with ConnectionError: no route; it may have happened all the same, and the workflow must not "
            "take it as undone",
        },
    ),
    "never retried": (
        approved(fires, DOWN),
        {
            "kind": "unknown", "queue": "desk", "subject": "fire",
            "title": "it failed with ConnectionError: no route; it is never retried on its own",
        },
    ),
    "surely not done": (
        approved(aims, DOWN),
        {
            "kind": "queued", "queue": "desk", "subject": "aim",
            "title": "it failed with ConnectionError: no route; the target says it did not happen",
        },
    ),
    "cannot be asked": (
        approved(hopes, DOWN),
        {
            "kind": "unknown", "queue": "desk", "subject": "hope",
            "title": "it failed with ConnectionError: no route, and its probe failed: ConnectionError: nobody there",
        },
    ),
    "not undone": (
        fails(undoes, NOT_TAKEN_BACK),
        {"kind": "queued", "queue": "desk", "title": "it stays", "subject": "unpost", "command": "c1"},
    ),
    "switched off": (
        switched_off,
        {"kind": "switched", "queue": "desk", "title": "switch 'action:post' is off: incident 7", "subject": "post"},
    ),
    "diverted": (
        diverted,
        {
            "kind": "diverted", "queue": "desk", "subject": "guarded",
            "title": "action 'guarded' keeps failing; its breaker is open",
        },
    ),
    "held": (
        fails(aims), {"kind": "approval", "queue": "nobody-listed", "title": f"aim: {IRREVERSIBLE}", "subject": "aim"},
    ),
    "held in a queue of its own": (
        fails(fires),
        {
            "kind": "approval", "queue": "chiefs", "title": f"fire: {IRREVERSIBLE}", "subject": "fire", "priority": 7,
            "due_at": "2026-01-05T17:00:00.000000Z", "wake_at": "2026-01-05T11:00:00.000000Z",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITS)
async def test_a_row_says_exactly_this(name: str) -> None:
    story, fields = WAITS[name]
    async with harness(app) as it:
        run = await story(it)
        (wait,) = it.waits(run)
        assert wait == Wait(**{"run": run, "command": "1", "opened_at": NINE, "requester": "ann", **fields})


ALERTS: dict[str, list[tuple[str, str, str]]] = {
    "tried again": [],
    "given up": [("queued", "post", "ConnectionError: no route")],
    "unknown": [("unknown", "bare", "the line broke")],
    "not undone": [("queued", "unpost", "not undone: it stays")],
    "switched off": [],
    "held": [],
}


@pytest.mark.parametrize("name", ALERTS)
async def test_an_alert_says_exactly_this(name: str) -> None:
    async with harness(app) as it:
        run = await WAITS[name][0](it)
    assert alerts == [
        Alert(kind=kind, queue="desk", run=run, action=about, message=message, at=NINE)
        for kind, about, message in ALERTS[name]
    ]


async def test_a_compensation_that_the_gate_refuses_is_somebodys_work_too() -> None:
    deny = Rule(id="r", verdict="deny", action="unpost", owner="risk", reason="not any more")
    async with harness(App("told", workflows=[undoes], policy=[deny], on_alert=[alerts.append])) as it:
        run = await it.start(undoes, by="ann")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.command, wait.title) == ("queued", "c1", "not any more (rule 'r')")
        (queued,) = it.events(run, "call_queued")
        assert queued.fault.type == "policy"
        assert queued.suggestion == "undo it by hand and settle it as happened, retry, or give it up"
        assert [alert.message for alert in alerts] == ["not undone: not any more (rule 'r')"]


async def test_a_breaker_tells_that_it_opened_and_that_it_closed() -> None:
    async with harness(app) as it:
        faults[:] = [DOWN]
        run = await it.start(guards, by="ann")
        await it.advance("30s")
        await it.client.retry(run, by="ops")
        assert await it.result(run) == "a"
        recorded = [row["body"] for row in it.client._reader.all("system_events", ("breaker",))]
    said = [(alert.kind, alert.queue, alert.run, alert.action, alert.message) for alert in alerts]
    assert said == [
        ("breaker-opened", "desk", run, "guarded", "the breaker of 'guarded' opened"),
        ("queued", "desk", run, "guarded", "ConnectionError: no route"),
        ("breaker-closed", "desk", run, "guarded", "the breaker of 'guarded' closed"),
    ]
    assert ['"opened":true' in body for body in recorded] == [True, False]


async def test_a_listener_that_fails_is_told_to_the_loop_and_the_others_hear_all_the_same() -> None:
    def broken_listener(alert: Alert) -> None:
        raise ZeroDivisionError(alert.kind)

    loud = App("told", workflows=[posts], on_alert=[broken_listener, alerts.append])
    heard: list[dict[str, Any]] = []
    async with harness(loud) as it:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
        faults[:] = [DOWN]
        await it.start(posts, by="ann")
    (context,) = heard
    assert context["message"] == "on_alert listener failed: ZeroDivisionError('queued')"
    assert isinstance(context["exception"], ZeroDivisionError)
    assert [alert.kind for alert in alerts] == ["queued"]
