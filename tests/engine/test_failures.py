"""How failing actions are tried again, put into owned queues, told to the workflow, diverted and drained."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from backstay import (
    ActionFailed,
    Alert,
    App,
    Breaker,
    IdempotencyKey,
    NotRetryable,
    Queue,
    Rate,
    Retry,
    action,
    gather,
    workflow,
)
from backstay.errors import InvalidInput
from backstay.testing import Harness, harness

calls: list[str] = []
faults: list[BaseException] = []
"""What the next calls raise, in order."""
results: list[Any] = []
alerts: list[Alert] = []
gate = {"open": threading.Event()}


@pytest.fixture(autouse=True)
def _new_world() -> None:
    for entries in (calls, faults, results, alerts):
        entries.clear()
    gate["open"] = threading.Event()


def step(name: str) -> Any:
    calls.append(name)
    if faults:
        raise faults.pop(0)
    return results.pop(0) if results else "ok"


STEADY = Retry(attempts=3, first="10s", factor=2, jitter=0)


@action(effect="read", retry=STEADY)
async def look(what: str) -> str:
    return step(f"look {what}")


@action(effect="write", retry=STEADY, queue="desk")
def post(what: str, key: IdempotencyKey) -> str:
    return step(f"post {what}")


@action(effect="read", retry=Retry(attempts=2, first="1s", jitter=0), on_failure="raise")
async def fragile(what: str) -> str:
    return step(f"fragile {what}")


@action(effect="read", retry=Retry(attempts=9, first="1s", jitter=0, give_up_on=(KeyError,)))
async def picky(what: str) -> str:
    return step(f"picky {what}")


@action(effect="read", retry=Retry(attempts=99, first="10s", factor=1, jitter=0, deadline="25s"), queue="desk")
async def hurried(what: str) -> str:
    return step(f"hurried {what}")


@action(effect="read", retry=Retry(attempts=2, first="10s", jitter=0.5))
async def jittery(what: str) -> str:
    return step(f"jittery {what}")


@action(effect="read", timeout=0.02, retry=Retry(attempts=1), on_failure="raise")
async def hangs() -> str:
    await asyncio.Event().wait()
    return "never"


@action(effect="read", timeout=0.02, retry=Retry(attempts=1), on_failure="raise")
def blocks() -> str:
    gate["open"].wait()
    return "never"


@action(effect="read")
def waits_for_the_gate() -> str:
    gate["open"].wait()
    return "through"


@action(effect="read", retry=Retry(attempts=1))
async def anything(what: str) -> Any:
    return step(f"anything {what}")


@action(effect="read", retry=Retry(attempts=1))
async def amount(what: str) -> float:
    return step(f"amount {what}")


@action(
    effect="write",
    retry=Retry(attempts=1),
    breaker=Breaker(failures=2, cooldown="30s"),
    queue="desk",
)
def guarded(what: str, key: IdempotencyKey) -> str:
    return step(f"guarded {what}")


@action(
    effect="read", retry=Retry(attempts=2, first="1s"), breaker=Breaker(failures=2, cooldown="30s"), on_failure="raise"
)
async def guarded_read(what: str) -> str:
    return step(f"guarded_read {what}")


@action(effect="read", concurrency=2)
async def narrow(what: str) -> int:
    calls.append(what)
    running = len(calls)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls.remove(what)
    return running


@action(effect="read", rate=Rate(calls=1, per=0.01))
async def slow_lane(what: str) -> float:
    return asyncio.get_running_loop().time()


@workflow
async def looks() -> str:
    return await look("a")


@workflow
async def posts(what: str) -> str:
    return await post(what)


@workflow
async def handles() -> str:
    try:
        return await fragile("a")
    except ActionFailed as error:
        return f"{error.action} {error.type} {error.attempts}"


@workflow
async def picks() -> str:
    return await picky("a")


@workflow
async def hurries() -> str:
    return await hurried("a")


@workflow
async def jitters() -> str:
    return await jittery("a")


@workflow
async def hangs_and_handles() -> str:
    try:
        return await hangs()
    except ActionFailed as error:
        return error.message


@workflow
async def blocks_and_handles() -> str:
    try:
        return await blocks()
    except ActionFailed as error:
        return error.message


@workflow
async def blocked() -> str:
    return await waits_for_the_gate()


@workflow
async def takes_anything() -> str:
    await anything("a")
    return "took it"


@workflow
async def takes_amount() -> float:
    return await amount("a")


@workflow
async def guards(what: str) -> str:
    return await guarded(what)


@workflow
async def guards_read(what: str) -> str:
    return await guarded_read(what)


@workflow
async def five_narrow() -> list[int]:
    return await gather(narrow("a"), narrow("b"), narrow("c"), narrow("d"), narrow("e"))


@workflow
async def three_slow() -> list[float]:
    return await gather(slow_lane("a"), slow_lane("b"), slow_lane("c"))


app = App(
    "failures",
    workflows=[
        looks, posts, handles, picks, hurries, jitters, hangs_and_handles, blocks_and_handles, blocked, takes_anything,
        takes_amount, guards, guards_read, five_narrow, three_slow,
    ],
    queues=[Queue(name="desk", owner="dora")],
    on_alert=[alerts.append],
)  # fmt: skip


def down(times: int) -> None:
    faults.extend(ConnectionError("no route") for _ in range(times))


# --- retries --------------------------------------------------------------------------------------------


async def test_a_failed_read_is_tried_again_after_growing_delays() -> None:
    down(2)
    async with harness(app) as it:
        run = await it.start(looks)
        await it.advance("9s")
        assert len(calls) == 1
        await it.advance("1s")
        assert len(calls) == 2
        await it.advance("19s")
        assert len(calls) == 2
        await it.advance("1s")
        assert await it.result(run) == "ok"
        assert [event.attempt for event in it.events(run, "attempt_failed")] == [1, 2]


async def test_a_retry_that_waits_survives_a_restart() -> None:
    down(1)
    async with harness(app) as it:
        run = await it.start(looks)
        await it.restart()
        assert len(calls) == 1
        await it.advance("10s")
        assert await it.result(run) == "ok"


async def test_jitter_spreads_the_delay_around_its_middle() -> None:
    assert Retry(first="10s", jitter=0.5).delay(1, 0.0) == 5.0
    assert Retry(first="10s", jitter=0.5).delay(1, 0.5) == 10.0
    assert Retry(first="10s", factor=3, longest="1m", jitter=0).delay(2, 0.3) == 30.0
    assert Retry(first="10s", factor=3, longest="1m", jitter=0).delay(9, 0.3) == 60.0
    assert Retry(first="1s", jitter=0).delay(10_000, 0.0) == 300.0


async def test_an_error_named_in_give_up_on_is_not_tried_again() -> None:
    faults.append(KeyError("a"))
    async with harness(app) as it:
        run = await it.start(picks)
        assert it.status(run) == "failed"
        assert calls == ["picky a"]


async def test_retrying_stops_at_its_deadline() -> None:
    down(99)
    async with harness(app) as it:
        run = await it.start(hurries)
        await it.advance("1h")
        assert calls == ["hurried a"] * 4  # at 0, 10, 20 and, because 20 is before the deadline, at 30 seconds
        assert it.waits_in(run) == ["desk"]


async def test_on_failure_raise_tells_the_workflow_after_the_last_attempt() -> None:
    down(2)
    async with harness(app) as it:
        run = await it.start(handles)
        await it.advance("1s")
        assert await it.result(run) == "fragile ConnectionError 2"


# --- queues ----------------------------------------------------------------------------------------------


async def test_a_call_that_ran_out_of_attempts_waits_in_its_owned_queue() -> None:
    down(3)
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        await it.advance("1m")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue, wait.title, wait.subject) == ("queued", "desk", "no route", "post")
        assert it.client.owner("desk") == "dora"
        (queued,) = it.events(run, "call_queued")
        assert queued.suggestion == "retry when the target is well again"
        assert [(alert.kind, alert.queue, alert.run) for alert in alerts] == [("queued", "desk", run)]


async def test_a_queue_is_retried_in_bulk_with_a_fresh_series_of_attempts() -> None:
    down(9)
    async with harness(app) as it:
        runs = [await it.start(posts, what=str(number)) for number in range(3)]
        await it.advance("1m")
        assert it.client.queues()[0].items == 3
        down(2)
        assert await it.client.retry("queue:desk", by="dora") == 3
        await it.advance("1m")
        assert [it.status(run) for run in runs] == ["finished"] * 3
        assert it.client.queues() == []


async def test_a_queue_that_does_not_exist_is_named() -> None:
    async with harness(app) as it:
        with pytest.raises(Exception, match="there is no queue 'desc'"):
            await it.client.retry("queue:desc", by="dora")


async def test_retrying_what_does_not_wait_says_so() -> None:
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        with pytest.raises(Exception, match="waits for a retry"):
            await it.client.retry(run, by="dora")


async def test_a_queued_call_can_be_answered_by_a_person() -> None:
    down(3)
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        await it.advance("1m")
        await it.client.settle(run, "happened", by="dora", result="done by hand")
        assert await it.result(run) == "done by hand"


# --- timeouts, blocking, rubbish -----------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", [hangs_and_handles, blocks_and_handles])
async def test_an_attempt_that_takes_too_long_is_a_failure(workflow: Any) -> None:
    async with harness(app) as it:
        run = await it.start(workflow)
        assert await it.result(run) == "no answer within 0.02 s"
        gate["open"].set()


async def test_a_blocking_function_does_not_stall_the_others() -> None:
    async with harness(app) as it:
        stalled = await it.client.start(blocked)
        other = await it.client.start(looks)
        assert await it.result(other) == "ok"
        assert it.status(stalled) == "running"
        gate["open"].set()
        assert await it.result(stalled) == "through"


@pytest.mark.parametrize(
    ("rubbish", "reason"),
    [
        ("half a pair \ud800", "surrogates not allowed"),
        (10**5000, "number out of range"),
    ],
    ids=["surrogate", "huge"],
)
async def test_a_result_that_json_cannot_hold_is_queued_and_spoils_nothing(rubbish: Any, reason: str) -> None:
    results.append(rubbish)
    async with harness(app) as it:
        run = await it.start(takes_anything)
        (wait,) = it.waits(run)
        assert wait.kind == "queued"
        assert reason in wait.title
        await it.restart()
        await it.client.retry(run, by="dora")
        assert await it.result(run) == "took it"


async def test_a_result_that_is_nested_too_deeply_is_queued_and_spoils_nothing() -> None:
    deep: Any = 1
    for _ in range(250):
        deep = [deep]
    results.append(deep)
    async with harness(app) as it:
        run = await it.start(takes_anything)
        assert [wait.kind for wait in it.waits(run)] == ["queued"]
        await it.restart()
        await it.client.retry(run, by="dora")
        assert await it.result(run) == "took it"


async def test_a_number_that_json_cannot_hold_is_queued() -> None:
    results.append(float("nan"))
    async with harness(app) as it:
        run = await it.start(takes_amount)
        assert [wait.kind for wait in it.waits(run)] == ["queued"]


@pytest.mark.parametrize("fault", [asyncio.CancelledError(), SystemExit(1)], ids=["cancelled", "exit"])
async def test_an_action_that_raises_beyond_exceptions_fails_like_any_other(fault: BaseException) -> None:
    faults.append(fault)
    async with harness(app) as it:
        run = await it.start(looks)
        assert [wait.kind for wait in it.waits(run)] == ["retry"]
        await it.advance("10s")
        assert await it.result(run) == "ok"


async def test_a_message_with_half_a_character_is_recorded_all_the_same() -> None:
    faults.append(FileNotFoundError("no such file: 'bad\udcff.pdf'"))
    async with harness(app) as it:
        run = await it.start(looks)
        (failed,) = it.events(run, "attempt_failed")
        assert failed.fault.message == "no such file: 'bad\\udcff.pdf'"


async def test_an_error_of_the_targets_own_input_check_is_not_taken_for_ours() -> None:
    faults.append(InvalidInput("the target says no"))
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        assert it.waits(run)[0].title == "the target says no"


# --- the circuit breaker ---------------------------------------------------------------------------------------


async def opened(it: Harness) -> list[str]:
    """Two calls fail, the breaker opens, a third is diverted."""
    down(2)
    return [await it.start(guards, what=what) for what in "abc"]


async def test_an_open_breaker_diverts_further_calls_without_making_them() -> None:
    async with harness(app) as it:
        runs = await opened(it)
        assert [it.waits(run)[0].kind for run in runs] == ["queued", "queued", "diverted"]
        assert calls == ["guarded a", "guarded b"]
        assert "breaker-opened" in [alert.kind for alert in alerts]


async def test_after_the_cooldown_one_canary_goes_and_its_success_drains_the_rest() -> None:
    async with harness(app) as it:
        runs = [*await opened(it), await it.start(guards, what="d"), await it.start(guards, what="e")]
        await it.advance("30s")
        assert [it.status(run) for run in runs[2:]] == ["finished"] * 3
        assert calls[2] == "guarded c"
        assert "breaker-closed" in [alert.kind for alert in alerts]


async def test_a_canary_that_fails_leaves_the_rest_where_it_is() -> None:
    async with harness(app) as it:
        runs = [*await opened(it), await it.start(guards, what="d")]
        down(1)
        await it.advance("30s")
        assert calls[2:] == ["guarded c"]
        assert [it.waits(run)[0].kind for run in runs] == ["queued", "queued", "queued", "diverted"]
        await it.advance("30s")
        assert it.status(runs[3]) == "finished"


async def test_a_breaker_with_nothing_diverted_lets_the_clock_go_on() -> None:
    down(2)
    async with harness(app) as it:
        for what in "ab":
            await it.start(guards, what=what)
        await it.advance("1h")
        assert it.client.next_timer() is None
        later = await it.start(guards, what="c")
        assert it.status(later) == "finished"


async def test_a_canary_that_the_target_refuses_for_good_closes_the_breaker() -> None:
    async with harness(app) as it:
        runs = [*await opened(it), await it.start(guards, what="d")]
        faults.append(NotRetryable("that one is wrong"))
        await it.advance("30s")
        assert it.status(runs[2]) == "failed"
        assert it.status(runs[3]) == "finished"


async def test_a_canary_that_is_cancelled_lets_another_go() -> None:
    async with harness(app) as it:
        runs = [*await opened(it), await it.start(guards, what="d")]
        await it.client.cancel(runs[2], by="ann")
        await it.settle()
        await it.advance("30s")
        assert it.status(runs[3]) == "finished"


async def test_a_breaker_that_the_gate_holds_back_later_does_not_stay_half_open() -> None:
    async with harness(app) as it:
        runs = [*await opened(it), await it.start(guards, what="d")]
        await it.client.switch("action:guarded", off=True, by="ann", reason="look")
        await it.advance("30s")
        await it.client.switch("action:guarded", off=False, by="ann", reason="looked")
        await it.advance("10m")
        assert [it.status(run) for run in runs[2:]] == ["finished", "finished"]


async def test_an_open_breaker_is_remembered_over_a_restart() -> None:
    async with harness(app) as it:
        await opened(it)
        await it.restart()
        later = await it.start(guards, what="d")
        assert it.waits(later)[0].kind == "diverted"
        await it.advance("31s")
        assert it.status(later) == "finished"


async def test_a_diverted_read_goes_on_too() -> None:
    down(2)
    async with harness(app) as it:
        first = await it.start(guards_read, what="a")
        await it.advance("2s")
        assert it.status(first) == "failed"
        second = await it.start(guards_read, what="b")
        assert it.waits(second)[0].kind == "diverted"
        await it.advance("30s")
        assert it.status(second) == "finished"


# --- limits of an action -----------------------------------------------------------------------------------------


async def test_no_more_calls_run_at_once_than_the_action_allows() -> None:
    async with harness(app) as it:
        assert max(await it.result(await it.start(five_narrow))) == 2


async def test_calls_start_no_faster_than_the_action_allows() -> None:
    async with harness(app) as it:
        begun = asyncio.get_running_loop().time()
        _, second, third = await it.result(await it.start(three_slow))
        assert second - begun >= 0.0099
        assert third - begun >= 0.0199


async def test_of_two_who_retry_the_same_call_at_once_one_is_told_that_they_were_late() -> None:
    down(3)
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        await it.advance("1m")
        item = it.waits(run)[0].id
        both = await asyncio.gather(
            it.client.retry(item, by="dora"), it.client.retry(item, by="otto"), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in both) == ["Conflict", "int"]
        assert len(it.events(run, "call_retried")) == 1
