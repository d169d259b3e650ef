"""An approval is consumed at most once, by exactly the effect it was given for, by a person allowed to give it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from backstay import (
    ActionDenied,
    App,
    IdempotencyKey,
    Rule,
    action,
    approval,
    gather,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import Conflict, InvalidInput, NotAllowed, StoreFenced
from backstay.testing import Harness, crash_everywhere, harness

paid: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_paid() -> None:
    paid.clear()


@action(effect="irreversible", approvers="treasury")
def pay(vendor: str, amount: Decimal, key: IdempotencyKey) -> str:
    if key not in [entry.split()[-1] for entry in paid]:
        paid.append(f"{vendor} {amount} {key}")
    return f"paid {vendor} {amount}"


@action(effect="read", approvers="privacy")
async def export(table: str) -> str:
    paid.append(f"export {table}")
    return f"rows of {table}"


@workflow
async def asks() -> str:
    decision = await approval("bosses", show={"total": 7}, within="2d")
    return f"{decision.verdict} by {decision.by or 'nobody'}: {decision.reason}"


@workflow
async def pays(vendor: str, amount: Decimal) -> str:
    return await pay(vendor, amount)


@workflow
async def pays_twice() -> list[str]:
    return [await pay("acme", Decimal(1)), await pay("acme", Decimal(1))]


@workflow
async def pays_at_once() -> list[str]:
    return await gather(pay("acme", Decimal(1)), pay("acme", Decimal(1)))


@workflow
async def approved_then_paid(amount: Decimal, other: Decimal) -> str:
    decision = await approval("bosses", action=pay("acme", amount))
    if not decision.approved:
        return "rejected"
    return await pay("acme", other)


@workflow
async def approved_for_one() -> list[str]:
    await approval("bosses", action=pay("acme", Decimal(1)))
    return await gather(pay("acme", Decimal(1)), pay("acme", Decimal(1)))


@workflow
async def exports_twice() -> list[str]:
    await approval("bosses", action=export("people"))
    first = await export("people")
    await wait_for("go")
    return [first, await export("people")]


@workflow
async def handles_denial() -> str:
    try:
        return await pay("acme", Decimal(1))
    except ActionDenied as denied:
        return f"{denied.stage}: {denied.reason}"


@workflow
async def delegates() -> str:
    return await start(pays, "acme", Decimal(5))


@workflow
async def two_questions() -> list[str]:
    one, two = await gather(approval("bosses", show="one"), approval("chiefs", show="two"))
    return [one.by, two.by]


@workflow
async def works() -> str:
    done = await task("clerks")
    return done.by


WORKFLOWS = [
    asks, pays, pays_twice, pays_at_once, approved_then_paid, approved_for_one, exports_twice, handles_denial, delegates,
    two_questions, works,
]  # fmt: skip
EXPORTS_ARE_HELD = Rule(id="exports", verdict="hold", action="export", owner="risk", reason="personal data")
app = App("approvals", workflows=WORKFLOWS, policy=[EXPORTS_ARE_HELD])


# --- deciding -----------------------------------------------------------------------------------------------


async def test_an_approval_tells_who_decided_and_why() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue, wait.title, wait.due_at) == (
            "approval", "bosses", "total=7", "2026-01-07T09:00:00.000000Z",
        )  # fmt: skip
        await it.approve(run, by="bob", reason="fine")
        assert await it.result(run) == "approved by bob: fine"


async def test_a_rejection_is_an_answer_too() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        await it.reject(run, by="bob", reason="too much")
        assert await it.result(run) == "rejected by bob: too much"


async def test_an_expired_approval_is_not_an_approval() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        await it.advance("2d")
        assert await it.result(run) == "expired by nobody: expired"


async def test_a_decision_after_the_expiry_is_refused() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        item = it.waits(run)[0].id
        await it.advance("2d")
        with pytest.raises(Conflict, match="has finished"):
            await it.approve(item, by="bob")


async def test_a_decision_made_while_the_clock_passed_the_expiry_unnoticed_does_not_count_as_approval() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        it.clock.move("3d")
        with pytest.raises(Conflict, match="expired"):
            await it.client.decide(run, "approved", by="bob")
        await it.advance(0)
        assert await it.result(run) == "expired by nobody: expired"


@pytest.mark.parametrize("by", ["ann", " ann ", "Ann", "ＡＮＮ"])
async def test_nobody_approves_their_own_request(by: str) -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        with pytest.raises(NotAllowed, match="asked for this"):
            await it.approve(run, by=by)
        assert it.status(run) == "waiting"


@pytest.mark.parametrize("by", ["", "  "])
async def test_a_decision_needs_a_name(by: str) -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        with pytest.raises(NotAllowed, match="name"):
            await it.approve(run, by=by)


async def test_a_task_needs_a_name_too() -> None:
    async with harness(app) as it:
        run = await it.start(works)
        with pytest.raises(NotAllowed, match="name"):
            await it.complete(run, by=" ")


async def test_the_requester_of_a_parent_cannot_approve_for_its_child() -> None:
    async with harness(app) as it:
        run = await it.start(delegates, by="ann")
        child = it.waits(run)[0].subject
        with pytest.raises(NotAllowed, match="asked for this"):
            await it.approve(child, by="ann")
        await it.approve(child, by="bob")
        assert await it.result(run) == "paid acme 5"


async def test_no_other_door_lets_the_requester_or_anyone_decide() -> None:
    async with harness(app) as it:
        run = await it.start(pays, vendor="acme", amount="1", by="ann")
        item = it.waits(run)[0].id
        with pytest.raises(Conflict, match="kind 'approval'"):
            await it.client.complete(item, {"approved": True}, by="ann")
        with pytest.raises(Conflict, match="kind 'approval'"):
            await it.client.settle(item, "happened", by="ann", result="paid")
        with pytest.raises(Conflict, match="waits for a retry"):
            await it.client.retry(item, by="ann")
        await it.client.signal(run, "approved", {"approved": True})
        await it.settle()
        await it.restart()
        assert paid == []
        assert [wait.kind for wait in it.waits(run)] == ["approval"]


async def test_somebody_elses_claim_is_respected() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        await it.client.claim(run, by="bob")
        with pytest.raises(NotAllowed, match="'bob' has claimed"):
            await it.approve(run, by="cleo")
        with pytest.raises(Conflict, match="claimed by 'bob'"):
            await it.client.claim(run, by="cleo")
        await it.restart()
        await it.client.release(run, by="bob")
        await it.approve(run, by="cleo")
        assert it.kinds(run)[2:5] == ["item_claimed", "item_released", "approval_decided"]


async def test_of_two_decisions_at_once_one_counts() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        outcomes = await asyncio.gather(
            it.client.decide(run, "approved", by="bob"),
            it.client.decide(run, "rejected", by="cleo"),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [type(None), Conflict]
        assert await it.result(run) == "approved by bob: "
        assert len(it.events(run, "approval_decided")) == 1


async def test_a_decision_replayed_later_is_refused() -> None:
    async with harness(app) as it:
        run = await it.start(pays_twice, by="ann")
        item = it.waits(run)[0].id
        await it.approve(item, by="bob")
        with pytest.raises(Conflict, match="decided, withdrawn or has expired"):
            await it.approve(item, by="bob")
        assert len(paid) == 1


async def test_a_decision_on_a_cancelled_run_is_refused() -> None:
    async with harness(app) as it:
        run = await it.start(pays, vendor="acme", amount="1", by="ann")
        await it.client.cancel(run, by="ann")
        await it.settle()
        with pytest.raises(Conflict, match="has cancelled"):
            await it.approve(run, by="bob")
        assert paid == []


@pytest.mark.parametrize("verdict", ["expired", "yes", "Approved", None])
async def test_a_verdict_that_does_not_exist_is_refused_and_changes_nothing(verdict: Any) -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann")
        with pytest.raises(InvalidInput, match="verdict"):
            await it.client.decide(run, verdict, by="bob")
        await it.restart()
        await it.approve(run, by="bob")
        assert it.status(run) == "finished"


async def test_two_questions_of_one_run_must_be_named() -> None:
    async with harness(app) as it:
        run = await it.start(two_questions, by="ann")
        with pytest.raises(Conflict, match="more than one thing; name one of"):
            await it.approve(run, by="bob")
        for wait in it.waits(run):
            await it.approve(wait.id, by=f"head of {wait.queue}")
        assert await it.result(run) == ["head of bosses", "head of chiefs"]


# --- bound to the effect ---------------------------------------------------------------------------------------


async def test_an_irreversible_action_is_held_for_its_approvers() -> None:
    async with harness(app) as it:
        run = await it.start(pays, vendor="acme", amount="10.50", by="ann")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue) == ("approval", "treasury")
        (asked,) = it.events(run, "approval_requested")
        assert (asked.action, asked.args) == ("pay", {"vendor": "acme", "amount": "10.50"})
        assert paid == []
        await it.approve(run, by="bob")
        assert await it.result(run) == "paid acme 10.50"
        (intent,) = it.events(run, "call_intended")
        assert intent.approval == wait.command


async def test_a_rejected_effect_is_denied_with_the_persons_reason() -> None:
    async with harness(app) as it:
        run = await it.start(handles_denial, by="ann")
        await it.reject(run, by="bob", reason="wrong vendor")
        assert await it.result(run) == "approval: wrong vendor"
        assert paid == []


async def test_each_effect_needs_its_own_approval() -> None:
    async with harness(app) as it:
        run = await it.start(pays_twice, by="ann")
        await it.approve(run, by="bob")
        assert len(paid) == 1
        assert [wait.kind for wait in it.waits(run)] == ["approval"]
        await it.restart()
        await it.approve(run, by="bob")
        assert it.status(run) == "finished"
        assert len(paid) == 2


async def test_two_equal_effects_at_once_need_two_approvals() -> None:
    async with harness(app) as it:
        run = await it.start(pays_at_once, by="ann")
        first, second = it.waits(run)
        await it.approve(first.id, by="bob")
        assert len(paid) == 1
        await it.approve(second.id, by="bob")
        assert len(paid) == 2


async def test_an_approval_given_before_is_used_by_exactly_that_call() -> None:
    async with harness(app) as it:
        run = await it.start(approved_then_paid, amount="7", other="7", by="ann")
        await it.approve(run, by="bob")
        assert await it.result(run) == "paid acme 7"


async def test_changed_arguments_are_a_new_proposal() -> None:
    async with harness(app) as it:
        run = await it.start(approved_then_paid, amount="7", other="70", by="ann")
        await it.approve(run, by="bob")
        assert paid == []
        assert [(wait.kind, wait.queue) for wait in it.waits(run)] == [("approval", "treasury")]


@pytest.mark.parametrize("restarts", [False, True])
async def test_one_approval_lets_one_of_two_equal_calls_pass(restarts: bool) -> None:
    async with harness(app) as it:
        run = await it.start(approved_for_one, by="ann")
        if restarts:
            await it.restart()
        await it.approve(run, by="bob")
        assert len(paid) == 1
        if restarts:
            await it.restart()
        assert [wait.kind for wait in it.waits(run)] == ["approval"]
        assert len(paid) == 1


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_approval_of_a_read_is_single_use_as_well(restarts: bool) -> None:
    async with harness(app) as it:
        run = await it.start(exports_twice, by="ann")
        await it.approve(run, by="bob")
        assert paid == ["export people"]
        if restarts:
            await it.restart()
        await it.client.signal(run, "go")
        await it.settle()
        assert [(wait.kind, wait.queue) for wait in it.waits(run)] == [("approval", "privacy")]
        await it.approve(run, by="bob")
        assert paid == ["export people"] * 2
        assert it.status(run) == "finished"


async def test_an_approval_is_consumed_once_whenever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        run = await it.client.start(pays_twice, key="1", by="ann")
        await it.settle()
        while not it.run(run).ended:
            try:
                await it.approve(run, by="bob")
            except Conflict:
                await it.settle()

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert run.status == "finished"
        assert len(it.events(run.id, "approval_decided")) == 2
        used = [event.approval for event in it.events(run.id, "call_intended")]
        assert set(used) == {"1", "2"}
        assert len(paid) == 2
        paid.clear()

    assert await crash_everywhere(app, story, check) >= 8


async def test_an_approval_survives_a_crash_right_after_the_decision() -> None:
    async with harness(app) as it:
        run = await it.start(pays, vendor="acme", amount="1", by="ann")
        await it.close()
        await it.open(crash_at=1)
        with pytest.raises(StoreFenced):
            await it.approve(run, by="bob")
        assert paid == []
        await it.restart()
        await it.settle()
        assert await it.result(run) == "paid acme 1"
        assert len(paid) == 1
