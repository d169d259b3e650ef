"""An agent calls a workflow as a tool: what must be right is a rule or a table in there, with the people it needs.

The workflow acts in the agent's name: the gate asks for both, and the strictest counts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay import Agent, App, DecisionTable, Models, Queue, action, approval, workflow
from backstay.ai.scripted import Turn, call, finish
from backstay.testing import harness
from examples.patterns.stage import play, scripted, told_of

PRICES = {"chair": Decimal("90.00")}

rebate = DecisionTable(
    "rebate",
    inputs={"pieces": "number"},
    rows=[{"pieces": "< 10", "then": 0}, {"pieces": "10..99", "then": 5}, {"then": 15}],
)


class Quote(BaseModel):
    total: Decimal
    rebate: int


class Answer(BaseModel):
    text: str


@action(effect="read")
async def price_of(article: str) -> Decimal:
    return PRICES[article]


@workflow
async def quote_price(article: str, pieces: int) -> Quote | None:
    """The price of so many pieces; None when the head of sales does not agree to the rebate."""
    percent = rebate(pieces=pieces)
    total = await price_of(article) * pieces * (100 - percent) / 100
    if percent > 10:
        decision = await approval("head-of-sales", show={"total": total, "rebate": percent})
        if not decision.approved:
            return None
    return Quote(total=total, rebate=percent)


advisor = Agent(
    "sales-advisor",
    goal="Answer what a customer asks about prices.",
    tools=[quote_price],
    output=Answer,
    evidence=[quote_price],
)


def plays_advisor(case: dict[str, Any], told: list[str]) -> Turn:
    if not told:
        return call("quote_price", article="chair", pieces=case["pieces"])
    total = "7650" if case["pieces"] == 100 else "1710"
    return finish({"text": f"{case['pieces']} chairs are {total} EUR."}, ("So quoted.", "o1", total))


app = App(
    "sales",
    workflows=[advisor, quote_price],
    queues=[Queue(name="head-of-sales", owner="hugo", about="Rebates above ten percent", members=("hugo",))],
    models=Models(careful=scripted(sales_advisor=plays_advisor)),
)


async def story() -> list[str]:
    async with harness(app) as it:
        runs = [
            await it.start(advisor, by="rita", input={"question": "What are they?", "pieces": pieces})
            for pieces in (20, 100)
        ]
        [asked] = it.client.inbox(queue="head-of-sales")
        await it.approve(asked.id, by="hugo", reason="a good customer")
        return [line for run in runs for line in (*told_of(it, run), "")]


if __name__ == "__main__":
    play(story)
