"""A compensation that fails for good is a person's work before the run may end: it is never skipped in silence."""

from __future__ import annotations

from backstay import App, IdempotencyKey, NotRetryable, action, workflow
from backstay.testing import Harness, harness


@action(effect="write", on_failure="raise")
def give_back(result: str, key: IdempotencyKey) -> None:
    raise NotRetryable("the shop takes nothing back")


@action(effect="write", compensate=give_back)
def buy(what: str, key: IdempotencyKey) -> str:
    return f"receipt for {what}"


@action(effect="write")
def wrap(what: str, key: IdempotencyKey) -> None:
    raise NotRetryable("no paper left")


@workflow
async def present() -> None:
    await buy("a clock")
    await wrap("a clock")


app = App("shop", workflows=[present])


async def failed_to_undo(it: Harness) -> str:
    run = await it.start(present)
    (wait,) = it.waits(run)
    assert (wait.kind, wait.queue, wait.subject) == ("queued", "manual-backlog", "give_back")
    assert it.status(run) == "waiting"
    return run


async def test_a_compensation_that_fails_waits_for_a_person() -> None:
    async with harness(app) as it:
        run = await failed_to_undo(it)
        await it.restart()
        assert it.status(run) == "waiting"


async def test_the_run_fails_once_somebody_undid_it_by_hand() -> None:
    async with harness(app) as it:
        run = await failed_to_undo(it)
        await it.client.settle(it.waits(run)[0].id, "happened", by="ann", reason="sold it on")
        await it.settle()
        assert it.status(run) == "failed"


async def test_the_run_fails_once_somebody_gave_it_up() -> None:
    async with harness(app) as it:
        run = await failed_to_undo(it)
        await it.client.settle(it.waits(run)[0].id, "give-up", by="ann", reason="we keep the clock")
        await it.settle()
        assert it.status(run) == "failed"
        assert it.events(run, "call_settled", by="ann", outcome="give-up") != []
