"""Supervisor: wakes when retries are exhausted, and has a few verbs. Where money may have moved it asks a person.

`supervision.over(client, supervisor)` looks at the beginning, after each alert, and every so often. The verbs are carried
out by the service `supervision`, whose rights are those of its role.
"""

from __future__ import annotations

import json
from typing import Any

from backstay import App, IdempotencyKey, Models, Queue, Retry, action, workflow
from backstay.ai.scripted import Turn, call, finish
from backstay.operations.supervision import NEVER_TWICE, Supervision, attend
from backstay.testing import harness
from examples.patterns.stage import play, scripted, told_of

faults: dict[str, list[str]] = {}
"""What goes wrong next, by the action."""


def mishap(action: str) -> None:
    if faults.get(action):
        raise ConnectionError(faults[action].pop(0))


@action(effect="write", retry=Retry(attempts=1))
async def book_invoice(invoice: str, key: IdempotencyKey) -> str:
    mishap("book_invoice")
    return f"booked {invoice}"


@action(effect="irreversible", approvers="treasury")
async def pay_invoice(invoice: str, key: IdempotencyKey) -> str:
    mishap("pay_invoice")
    return f"paid {invoice}"


@workflow
async def handle_invoice(invoice: str) -> str:
    """Book an invoice, then pay it."""
    await book_invoice(invoice)
    return await pay_invoice(invoice)


supervision = Supervision(queue="operators", incidents="it-service")
supervisor = supervision.agent()


def plays_supervisor(case: dict[str, Any], told: list[str]) -> Turn:
    """It retries whatever fails, payments too; what is refused it escalates."""
    if not told:
        return call("failing_calls", about=case["about"])
    one = json.loads(told[0].partition(" ")[2])[0]
    if len(told) == 1:
        claimed = {name: one[name] for name in ("item", "action", "effect", "state")}
        return call("retry_call", **claimed, why="the line was down for a moment")
    if len(told) == 2 and told[1].startswith("It did not work"):
        return call("escalate", item=one["item"], summary=one["fault"], proposal="ask the bank for the payment")
    done = "sent back to the gate" if len(told) == 2 else "escalated"
    return finish({"cause": one["fault"], "done": [done]}, ("So it failed.", "o1", one["fault"]))


app = App(
    "invoices",
    workflows=[handle_invoice, attend, supervisor],
    queues=[
        Queue(name="treasury", owner="tess", about="Payments to release"),
        Queue(name="operators", owner="otto", about="What the supervision hands over"),
        Queue(name="it-service", owner="ines", about="Incidents"),
    ],
    policy=[NEVER_TWICE],
    on_alert=[supervision.hear],
    models=Models(careful=scripted(supervisor=plays_supervisor)),
)


async def story() -> list[str]:
    faults.update(book_invoice=["the ledger does not answer"], pay_invoice=["the bank did not answer"])
    async with harness(app) as it:
        await it.client.register("ada", roles=["administrator"], by="ada")
        await it.client.register("supervision", kind="service", roles=["operator"], by="ada")
        for name, roles in (("tess", ["approver"]), ("otto", ["operator"]), ("rita", ["operator"])):
            await it.client.register(name, roles=roles, by="ada")
        run = await it.start(handle_invoice, by="rita", invoice="R-17")
        async with supervision.over(it.client, supervisor, every=None):
            cases = await supervision.sweep()
            await it.settle()
            await it.approve(run, by="tess")
            cases += await supervision.sweep()
            await it.settle()
        told = [line for each in (run, *dict.fromkeys(cases)) for line in (*told_of(it, each), "")]
        for item in it.client.inbox(queue="operators"):
            told.append(f"otto: {item.title}")
            await it.complete(item.id, {"cause": "the bank's line", "measure": "the bank confirms it"}, by="otto")
        await it.client.settle(run, "happened", by="otto", result="paid R-17", reason="the bank confirms it")
        return [*told, f"{run}: {await it.result(run)}"]


if __name__ == "__main__":
    play(story)
