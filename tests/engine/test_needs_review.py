"""An action that says that a person must look first: what it says of its own attempt is not said of those before."""

from __future__ import annotations

import pytest

from backstay import ActionFailed, App, IdempotencyKey, Retry, action, workflow
from backstay.errors import NeedsReview
from backstay.testing import harness

faults: list[BaseException] = []
keys: list[str] = []
STEADY = Retry(attempts=3, first="10s", factor=1, jitter=0)


@pytest.fixture(autouse=True)
def _new_world() -> None:
    faults[:] = [ConnectionError("the answer was lost"), NeedsReview("its terms have changed")]
    keys.clear()


def step(key: str) -> str:
    keys.append(key)
    if faults:
        raise faults.pop(0)
    return "posted"


@action(effect="write", retry=STEADY, queue="desk")
async def post(what: str, key: IdempotencyKey) -> str:
    return step(key)


@action(effect="write", retry=STEADY, queue="desk", on_failure="raise")
async def report(what: str, key: IdempotencyKey) -> str:
    return step(key)


@workflow
async def posts(what: str) -> str:
    return await post(what)


@workflow
async def reports(what: str) -> str:
    try:
        return await report(what)
    except ActionFailed as error:
        return f"not reported: {error.message}"


app = App("reviews", workflows=[posts, reports])


async def test_its_first_attempt_is_settled_as_nothing_and_a_retry_begins_anew() -> None:
    del faults[0]
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        assert it.kinds(run) == ["run_started", "call_intended", "call_settled", "call_queued"]
        await it.client.retry(run, by="ann")
        assert await it.result(run) == "posted"
        assert it.prove() == 1


async def test_what_an_earlier_attempt_may_have_done_is_not_settled_by_a_later_one() -> None:
    async with harness(app) as it:
        run = await it.start(posts, what="a")
        await it.advance("10s")
        assert it.kinds(run)[-2:] == ["call_intended", "call_queued"]
        await it.restart()
        await it.client.retry(run, by="ann")
        assert await it.result(run) == "posted"
        assert (len(keys), len(set(keys))) == (3, 1)
        assert it.prove() == 1


async def test_a_workflow_is_not_told_that_it_failed_while_an_earlier_attempt_may_have_happened() -> None:
    async with harness(app) as it:
        run = await it.start(reports, what="a")
        await it.advance("10s")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue) == ("unknown", "desk")
        await it.client.settle(wait.id, "not-happened", by="ann")
        assert await it.result(run) == "posted"
