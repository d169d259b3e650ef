"""The abuse matrix: every way we know to get an effect without its approval, and zero executions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from backstay import ActionDenied, App, Queue, action, approval, wait_for, workflow
from backstay.errors import BackstayError, Conflict, NotAllowed
from backstay.governance.policy import Rule
from backstay.testing import Harness, harness

paid: list[tuple[str, int]] = []


@action(effect="irreversible", approvers="treasury")
async def pay(payee: str, amount: int) -> str:
    paid.append((payee, amount))
    return "paid"


@workflow
async def pays(payee: str, amount: int) -> str:
    try:
        return await pay(payee, amount)
    except ActionDenied as refusal:
        return refusal.reason


@workflow
async def pays_other(payee: str, amount: int) -> str:
    """Asks for one payment and makes another."""
    decision = await approval("treasury", action=pay(payee, amount))
    if not decision.approved:
        return "no"
    return await pay(payee, amount + 1)


@workflow
async def pays_twice(payee: str, amount: int) -> str:
    """Uses one approval for two payments."""
    decision = await approval("treasury", action=pay(payee, amount))
    first = await pay(payee, amount)
    return first + await pay(payee, amount) + decision.verdict


@workflow
async def pays_late(payee: str, amount: int) -> str:
    decision = await approval("treasury", action=pay(payee, amount), within="2h")
    if not decision.approved:
        return decision.verdict
    await wait_for("now")
    return await pay(payee, amount)


@workflow
async def pays_in_time(payee: str, amount: int) -> str:
    decision = await approval("treasury", show=payee, within="2h")
    return decision.verdict if not decision.approved else await pay(payee, amount)


@workflow
async def shows_much(letter: str) -> bool:
    decision = await approval("treasury", show="look", evidence=[letter * 40_000])
    return decision.approved


QUEUES = [Queue(name="treasury", owner="theo", members=("group:treasury",))]
WORKFLOWS = [shows_much, pays, pays_other, pays_twice, pays_late, pays_in_time]
app = App("abuse", workflows=WORKFLOWS, queues=QUEUES)
strict = App(
    "abuse", workflows=WORKFLOWS, queues=QUEUES,
    policy=[Rule(id="frozen", verdict="deny", action="pay", owner="risk", reason="payments are frozen")],
)  # fmt: skip


async def staff(it: Harness) -> None:
    await it.client.register("root", roles=["administrator"], by="root")
    for name, roles, groups in (
        ("ann", ["operator", "approver"], ["treasury"]),
        ("bea", ["approver"], ["treasury"]),
        ("cid", ["approver"], ["sales"]),
        ("mo", ["approver"], ["treasury"]),
        ("ops", ["operator"], []),
    ):
        await it.client.register(name, roles=roles, groups=groups, by="root")
    await it.client.register("portal", kind="service", acts_for="mo", by="root")
    await it.client.register("bot", kind="agent", roles=["operator"], acts_for="ann", by="root")


async def refused(attempt: Awaitable[object], *errors: type[BackstayError]) -> None:
    with pytest.raises(errors or (NotAllowed, Conflict)):
        await attempt


async def by_the_requester(it: Harness) -> None:
    run = await it.start(pays, by="ann", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="ann"), NotAllowed)


async def by_the_requester_under_another_spelling(it: Harness) -> None:
    run = await it.start(pays, by="ann", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="ＡＮＮ\u200b"), NotAllowed)


async def by_the_owner_of_the_agent_that_asked(it: Harness) -> None:
    run = await it.start(pays, by="bot", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="ann"), NotAllowed)


async def by_the_person_for_whom_a_service_asked(it: Harness) -> None:
    run = await it.client.start(pays, {"payee": "x", "amount": 1}, by="portal", requester="ann")
    await it.settle()
    await refused(it.client.decide(run, "approved", by="ann"), NotAllowed)
    await refused(it.client.acting("ann").decide(run, "approved"), NotAllowed)


async def by_the_owner_of_the_service_that_asked_for_a_person(it: Harness) -> None:
    run = await it.client.start(pays, {"payee": "x", "amount": 1}, by="portal", requester="ann")
    await it.settle()
    await refused(it.client.decide(run, "approved", by="mo"), NotAllowed)


async def by_the_operator_who_asked_for_a_person(it: Harness) -> None:
    run = await it.client.start(pays, {"payee": "x", "amount": 1}, by="ops", requester="bea")
    await it.settle()
    await it.client.register("ops", roles=["operator", "approver"], groups=["treasury"], by="root")
    await refused(it.client.decide(run, "approved", by="ops"), NotAllowed)


async def by_the_substitute_of_the_person_for_whom_a_service_asked(it: Harness) -> None:
    for giver in ("ann", "mo"):
        await it.client.delegate(giver, "cid", until="2026-03-01T00:00:00Z", by=giver)
    run = await it.client.start(pays, {"payee": "x", "amount": 1}, by="portal", requester="ann")
    await it.settle()
    await refused(it.client.decide(run, "approved", by="cid"), NotAllowed)


async def in_the_name_of_somebody_else(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await refused(it.client.acting("cid").decide(run, "approved", by="bea"), NotAllowed)


async def with_a_key_that_was_revoked(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    key = await it.client.make_key("bea", by="bea")
    signed = it.client.sign_in(key)
    await it.client.revoke_key(key.split("_")[1], by="bea")
    await refused(signed.decide(run, "approved"), NotAllowed)


async def by_the_agent_itself(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="bot"), NotAllowed)


async def by_the_substitute_of_the_requester_alone(it: Harness) -> None:
    await it.client.delegate("ann", "cid", until="2026-03-01T00:00:00Z", by="ann")
    run = await it.start(pays, by="ann", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="cid"), NotAllowed)


async def by_somebody_of_another_group(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="cid"), NotAllowed)


async def by_somebody_without_the_role(it: Harness) -> None:
    run = await it.start(pays, by="ann", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="ops"), NotAllowed)


async def by_nobody_known(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="stranger"), NotAllowed)


async def after_the_role_was_revoked(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.claim(run, by="bea")
    await it.client.revoke("bea", by="root")
    await refused(it.client.decide(run, "approved", by="bea"), NotAllowed)


async def past_somebody_elses_claim(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.claim(run, by="ann")
    await refused(it.client.decide(run, "approved", by="bea"), NotAllowed)


async def after_it_was_withdrawn(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.cancel(run, by="ops")
    await it.settle()
    await refused(it.client.decide(run, "approved", by="bea"), Conflict)


async def after_it_expired(it: Harness) -> None:
    run = await it.start(pays_in_time, by="ops", payee="x", amount=1)
    it.clock.move(3 * 3600)
    await refused(it.client.decide(run, "approved", by="bea"), Conflict)
    await it.client.fire_timers()
    assert await it.result(run) == "expired"


async def after_it_was_rejected(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.decide(run, "rejected", by="bea", reason="no")
    await refused(it.client.decide(run, "approved", by="ann"), Conflict)


async def rejected_and_approved_at_once(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    outcomes = await asyncio.gather(
        it.client.decide(run, "rejected", by="bea"), it.client.decide(run, "approved", by="ann"), return_exceptions=True
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Conflict)


async def for_another_amount(it: Harness) -> None:
    run = await it.start(pays_other, by="ops", payee="x", amount=1)
    await it.approve(run, by="bea")
    (held,) = [wait for wait in it.waits(run) if wait.queue]  # the changed call is a proposal of its own
    assert held.kind == "approval"
    await it.reject(held.id, by="bea")


async def for_another_case(it: Harness) -> None:
    first = await it.start(pays, by="ops", payee="x", amount=1)
    second = await it.start(pays, by="ops", payee="x", amount=1)
    item = it.waits(first)[0].id
    await refused(it.client.decide(item.replace(first, second) + "9", "approved", by="bea"), Conflict)
    assert {it.status(first), it.status(second)} == {"waiting"}


async def about_what_was_not_shown(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await refused(it.client.decide(run, "approved", by="bea", shown="f" * 64), Conflict)


async def while_a_question_is_open(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.ask(run, "Who is x?", by="ann")
    await refused(it.client.decide(run, "approved", by="bea"), Conflict)


async def after_the_switch_was_pulled(it: Harness) -> None:
    run = await it.start(pays, by="ops", payee="x", amount=1)
    await it.client.switch("action:pay", off=True, by="ops", reason="incident")
    await it.approve(run, by="bea")
    assert [wait.kind for wait in it.waits(run)] == ["switched"]


async def under_a_policy_that_no_longer_allows_it(it: Harness) -> None:
    run = await it.start(pays_late, by="ops", payee="x", amount=1)
    await it.approve(run, by="bea")
    await it.close()
    async with harness(strict, it.home, clock=it.clock) as later:
        await later.client.signal(run, "now", by="ops")
        await later.settle()
        assert later.status(run) == "failed"
    await it.open()


ABUSES: list[Callable[[Harness], Awaitable[None]]] = [
    by_the_requester, by_the_requester_under_another_spelling, by_the_owner_of_the_agent_that_asked,
    by_the_person_for_whom_a_service_asked, by_the_owner_of_the_service_that_asked_for_a_person,
    by_the_operator_who_asked_for_a_person, by_the_substitute_of_the_person_for_whom_a_service_asked,
    in_the_name_of_somebody_else, with_a_key_that_was_revoked,
    by_the_agent_itself, by_the_substitute_of_the_requester_alone, by_somebody_of_another_group,
    by_somebody_without_the_role, by_nobody_known, after_the_role_was_revoked, past_somebody_elses_claim,
    after_it_was_withdrawn, after_it_expired, after_it_was_rejected, rejected_and_approved_at_once, for_another_amount,
    for_another_case, about_what_was_not_shown, while_a_question_is_open, after_the_switch_was_pulled,
    under_a_policy_that_no_longer_allows_it,
]  # fmt: skip


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
async def test_there_is_no_payment(abuse: Callable[[Harness], Awaitable[None]]) -> None:
    paid.clear()
    async with harness(app) as it:
        await staff(it)
        await abuse(it)
        await it.settle()
    assert paid == []


async def test_an_approval_pays_once() -> None:
    paid.clear()
    async with harness(app) as it:
        await staff(it)
        run = await it.start(pays_twice, by="ops", payee="x", amount=1)
        await it.approve(run, by="bea")
        assert paid == [("x", 1)]
        assert [wait.kind for wait in it.waits(run)] == ["approval"]  # the second payment is held for itself
        with pytest.raises(Conflict):
            await it.client.decide(f"{run}/1", "approved", by="bea")
    assert paid == [("x", 1)]


async def test_an_approval_of_one_case_pays_no_other() -> None:
    paid.clear()
    async with harness(app) as it:
        await staff(it)
        first = await it.start(pays, by="ops", payee="x", amount=1)
        second = await it.start(pays, by="ops", payee="x", amount=1)
        await it.approve(first, by="bea")
        assert (it.status(first), it.status(second)) == ("finished", "waiting")
        with pytest.raises(Conflict):
            await it.client.decide(it.waits(second)[0].id, "approved", by="bea", shown="f" * 64)
        assert it.status(second) == "waiting"
    assert paid == [("x", 1)]


async def test_a_decision_is_bound_to_large_evidence_too() -> None:
    """What is too large for the event is kept beside it, and counts by its own digest."""
    digests: set[str | None] = set()
    for letter in "ab":
        async with harness(app) as it:
            await staff(it)
            run = await it.start(shows_much, by="ops", letter=letter)
            digests.add(it.events(run, "approval_requested")[0].shown)  # type: ignore[attr-defined]
    assert len(digests) == 2
