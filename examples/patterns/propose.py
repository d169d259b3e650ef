"""Propose, approve, execute: an agent proposes, a person approves exactly that call, the workflow makes it.

The proposal is data. The approval is bound to the digest of the call that it becomes: other arguments are another call.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay import Agent, App, IdempotencyKey, Models, Queue, action, approval, workflow
from backstay.ai.scripted import Turn, call, finish
from backstay.testing import harness
from backstay.types import FromOutside
from examples.patterns.stage import play, scripted, told_of

paid: list[tuple[str, Decimal]] = []
"""What the bank was told."""


class Complaint(BaseModel):
    order: str
    text: FromOutside[str]
    paid: Decimal


class Refund(BaseModel):
    order: str
    amount: Decimal


@action(effect="read")
async def find_complaint(number: str) -> Complaint:
    """A complaint with what was paid for its order."""
    return Complaint(order=f"O-{number}", text="One of the two chairs came broken.", paid=Decimal("180.00"))


@action(effect="irreversible", approvers="treasury", sinks=["order"])
async def pay_back(order: str, amount: Decimal, key: IdempotencyKey) -> str:
    paid.append((order, amount))
    return f"{amount} EUR paid back"


assessor = Agent(
    "complaint-assessor",
    goal="Propose how much of an order is paid back.",
    tools=[find_complaint],
    output=Refund,
    evidence=[find_complaint],
    autonomy="recommend",
)


@workflow
async def settle_complaint(number: str) -> str:
    """Pay back what an agent proposes and a person approves."""
    finding = await assessor({"complaint": number})
    if finding.output is None:
        return f"no proposal: {finding.why}"
    refund = finding.output
    decision = await approval(
        "treasury", action=pay_back(refund.order, refund.amount), show=refund, evidence=finding.evidence, within="2d"
    )
    if not decision.approved:
        return f"not paid back: {decision.reason}"
    return await pay_back(refund.order, refund.amount)


def plays_assessor(case: dict[str, Any], told: list[str]) -> Turn:
    if not told:
        return call("find_complaint", number=case["complaint"])
    refund = {"order": f"O-{case['complaint']}", "amount": "90.00"}
    return finish(refund, ("Half of it is broken.", "o1", "One of the two chairs came broken."))


app = App(
    "complaints",
    workflows=[settle_complaint, assessor],
    queues=[Queue(name="treasury", owner="tess", about="Money that leaves", members=("tess",))],
    models=Models(careful=scripted(complaint_assessor=plays_assessor)),
)


async def story() -> list[str]:
    paid.clear()
    async with harness(app) as it:
        runs = [await it.start(settle_complaint, by="rita", number=number) for number in ("71", "72")]
        await it.approve(runs[0], by="tess", reason="fair")
        await it.reject(runs[1], by="tess", reason="a photo is missing")
        told = [line for run in runs for line in (*told_of(it, run), "")]
    return [*told, f"the bank was told: {', '.join(f'{order} {amount}' for order, amount in paid)}"]


if __name__ == "__main__":
    play(story)
