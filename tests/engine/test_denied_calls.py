"""A held call that a person rejects tells the workflow who, why, and under which code; a stage names nobody."""

from __future__ import annotations

from typing import Any

from backstay import ActionDenied, App, Calendar, IdempotencyKey, Queue, action, workflow
from backstay.governance.policy import Rule
from backstay.testing import Harness, crash_everywhere, harness

QUEUES = [Queue(name="treasury", owner="tom", reasons=("too-dear", "unknown-payee"))]


@action(effect="irreversible", approvers="treasury")
def transfer(payee: str, amount: int, key: IdempotencyKey) -> str:
    return f"transferred {amount}"


@workflow
async def pay(payee: str, amount: int) -> dict[str, str]:
    try:
        return {"paid": await transfer(payee, amount)}
    except ActionDenied as denied:
        if denied.reason_code == "too-dear":
            return {"cheaper": f"asked by {denied.by}"}
        return {
            "code": denied.code, "reason": denied.reason, "reason_code": denied.reason_code, "by": denied.by,
            "text": str(denied),
        }  # fmt: skip


app = App("pay", workflows=[pay], queues=QUEUES)


async def test_a_rejection_of_a_held_call_carries_its_code_and_who_gave_it() -> None:
    async with harness(app) as it:
        run = await it.start(pay, payee="Acme", amount=5)
        await it.reject(run, by="ann", code="unknown-payee", reason="who are they?")
        assert await it.result(run) == {
            "code": "ACTION_DENIED", "reason": "who are they?", "reason_code": "unknown-payee", "by": "ann",
            "text": "action 'transfer' was denied by approval: who are they?",
        }  # fmt: skip


async def test_a_workflow_goes_another_way_by_the_code() -> None:
    async with harness(app) as it:
        run = await it.start(pay, payee="Acme", amount=5)
        await it.reject(run, by="ann", code="too-dear")
        assert await it.result(run) == {"cheaper": "asked by ann"}


async def test_what_time_declined_names_nobody() -> None:
    afternoons = Calendar("afternoons", zone="UTC", hours={"mon-fri": "13:00-17:00"})
    closed = App("pay", workflows=[pay], queues=[Queue(
        name="treasury", owner="tom", calendar=afternoons, after_hours="decline",
    )])  # fmt: skip
    async with harness(closed) as it:
        run = await it.start(pay, payee="Acme", amount=5)
        await it.advance("1m")
        told = await it.result(run)
        assert (told["reason"], told["reason_code"], told["by"]) == ("asked for outside working hours", "", "")


async def test_what_a_rule_denies_names_nobody() -> None:
    strict = App("pay", workflows=[pay], queues=QUEUES, policy=[Rule(id="frozen", verdict="deny", action="transfer")])
    async with harness(strict) as it:
        told: Any = await it.result(await it.start(pay, payee="Acme", amount=5))
        assert (told["reason_code"], told["by"]) == ("", "")


async def test_killed_after_any_commit_the_code_arrives_once_and_the_case_replays() -> None:
    async def story(it: Harness) -> None:
        run = await it.start(pay, key="P-1", payee="Acme", amount=5)
        if it.waits_in(run):
            await it.reject(run, by="ann", code="too-dear")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == {"cheaper": "asked by ann"}
        assert it.prove() == 1

    assert await crash_everywhere(app, story, check) > 3
