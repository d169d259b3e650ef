"""64 callers at once against one budget: it is reserved before each call, so nothing is overshot by a cent or a call."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from pydantic import BaseModel

from backstay import Agent, AgentDay, AgentLimits, App, IdempotencyKey, Limits, Models, action, gather, workflow
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import Reply
from backstay.commands import attempt
from backstay.testing import harness

CALLERS = 64
made: list[int] = []


class Answer(BaseModel):
    text: str


class PaidModel(ScriptedModel):
    """Lets everybody who asks come before it answers anybody, and counts what it was paid."""

    paid = Decimal(0)

    async def answer(self, asked: Asked) -> Reply:
        reply = await super().answer(asked)
        self.paid += reply.usd or Decimal(0)
        for _ in range(CALLERS):
            await asyncio.sleep(0)
        return reply


@action(effect="read")
async def look(number: int) -> int:
    """Look at something."""
    made.append(number)
    await asyncio.sleep(0)
    return number


@action(effect="write")
async def change(number: int, key: IdempotencyKey) -> int:
    made.append(number)
    await asyncio.sleep(0)
    return number


@workflow
async def looks() -> int:
    return len([tried for tried in await gather(*[attempt(look(number)) for number in range(64)]) if tried.ok])


@workflow
async def changes() -> int:
    return len([tried for tried in await gather(*[attempt(change(number)) for number in range(64)]) if tried.ok])


@pytest.mark.parametrize(("flow", "limits"), [(looks, Limits(calls=40)), (changes, Limits(effects=40))])
async def test_of_64_calls_at_once_as_many_are_made_as_the_budget_has(flow: object, limits: Limits) -> None:
    made.clear()
    async with harness(App("calls", workflows=[looks, changes], limits=limits)) as it:
        assert await it.result(await it.start(flow)) == 40  # type: ignore[arg-type]
    assert len(made) == 40


@pytest.mark.parametrize(("price", "asked"), [("0.07", 14), ("0.10", 10), ("0.3333333334", 2), ("1.01", 0)])
async def test_64_cases_at_once_share_the_money_of_a_day_to_the_cent(price: str, asked: int) -> None:
    model = PaidModel([finish({"text": "done"})], usd=price)
    clerk = Agent("clerk", goal="Answer.", tools=[], output=Answer, limits=AgentLimits(steps=1))
    app = App("day", workflows=[clerk], models=Models(careful=model), budgets=[AgentDay("clerk", usd="1.00")])
    async with harness(app) as it:
        await asyncio.gather(*(it.client.start(clerk, {"input": number}) for number in range(CALLERS)))
        await it.settle()
    assert model.paid == asked * Decimal(price) <= 1


@pytest.mark.parametrize("helpers", [1, 3, 8, 14, 50])
async def test_helpers_that_are_asked_at_once_never_spend_more_than_their_case_has(helpers: int) -> None:
    model = PaidModel(lambda asked: call("look", number=len(asked.messages)), usd="0.07")
    chiefs = PaidModel([[call("helper", number=number) for number in range(helpers)]] * 9, usd="0.05")
    helper = Agent("helper", goal="Look.", tools=[look], output=Answer, model="fast", limits=AgentLimits(steps=9))
    chief = Agent(
        "chief", goal="Ask around.", tools=[helper], output=Answer,
        limits=AgentLimits(steps=900, tool_calls=900, usd="1.00"),
    )  # fmt: skip
    async with harness(App("case", workflows=[chief, helper], models=Models(careful=chiefs, fast=model))) as it:
        finding = await it.result(await it.start(chief, input="who"))
    assert Decimal(finding["charged"]) == model.paid + chiefs.paid <= 1
    assert (model.paid > 0) is (helpers <= 8)  # of more, each one's share is too small for a single question
