"""Budgets and kill switches under load, judged by what happened outside: the actions and the model count for themselves."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backstay import Agent, AgentDay, AgentLimits, App, IdempotencyKey, Limits, Models, action, gather, workflow
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import Reply
from backstay.commands import attempt
from benchmarks.agents_case import Answer

CALLERS: Final = 64
CALLS: Final = 40
"""What one run may make of them."""
MONEY: Final = Decimal("1.00")
PRICE: Final = Decimal("0.07")
HELPERS: Final = 8
"""As many share what a case may cost that each can ask once or twice."""

counts: Counter[str] = Counter()
moments: list[tuple[str, int]] = []
"""What each action did, and when it began."""


class PaidModel(ScriptedModel):
    """It takes its time, so that many wait for it at once, and counts what it was paid for."""

    paid = Decimal(0)

    async def answer(self, asked: Asked) -> Reply:
        self.paid += PRICE
        await asyncio.sleep(0.01)
        return await super().answer(asked)


@action(effect="read")
async def glance(number: int) -> int:
    moments.append(("read", time.perf_counter_ns()))
    await asyncio.sleep(0)
    return number


@action(effect="write")
async def change(number: int, key: IdempotencyKey) -> int:
    moments.append(("write", time.perf_counter_ns()))
    await asyncio.sleep(0)
    return number


@action(effect="write")
def change_in_thread(number: int, key: IdempotencyKey) -> int:
    moments.append(("write", time.perf_counter_ns()))
    time.sleep(0.002)
    return number


@action(effect="read")
async def spend(number: int) -> int:
    counts["calls"] += 1
    await asyncio.sleep(0)
    return number


@workflow
async def spends() -> int:
    """Ask for more calls at once than there may be."""
    tried = await gather(*[attempt(spend(number)) for number in range(64)])
    return sum(1 for each in tried if each.ok)


@workflow
async def works(number: int, steps: int) -> int:
    """Read and write in turns."""
    for step in range(steps):
        await glance(number)
        await change(number)
        if step % 4 == 0:
            await change_in_thread(number)
    for _ in range(steps):
        await glance(number)
    return number


# --- budgets -------------------------------------------------------------------------------------------


def budgets() -> dict[str, float]:
    """By how much 64 callers at once overshot a budget of calls, a day's money, and a case's money."""
    made, day, case = asyncio.run(_calls()), asyncio.run(_day()), asyncio.run(_case())
    over = max(day - MONEY, case - MONEY, Decimal(0))
    return {
        "budget_overshot_calls": max(made - CALLS, 0), "budget_overshot_usd": float(over),
        "budget_used_calls": made, "budget_used_day_usd": float(day), "budget_used_case_usd": float(case),
    }  # fmt: skip


async def _calls() -> int:
    counts.clear()
    app = App("calls", workflows=[spends], limits=Limits(calls=CALLS))
    with tempfile.TemporaryDirectory() as home:
        async with app.open(Path(home), synchronous="OFF") as client:
            await client.start(spends)
            await client.quiet()
    return counts["calls"]


async def _day() -> Decimal:
    """64 cases of one agent, against its day."""
    model = PaidModel([finish({"text": "done"})], usd=PRICE)
    asker = Agent("asker", goal="Answer.", tools=[], output=Answer, limits=AgentLimits(steps=1))
    app = App("day", workflows=[asker], models=Models(careful=model), budgets=[AgentDay("asker", usd=MONEY)])
    with tempfile.TemporaryDirectory() as home:
        async with app.open(Path(home), synchronous="OFF") as client:
            await asyncio.gather(*(client.start(asker, {"input": number}) for number in range(CALLERS)))
            await client.quiet()
    return model.paid


async def _case() -> Decimal:
    """Helpers that an agent asks at once, against what its case may cost."""
    helper_model = PaidModel(lambda asked: call("glance", number=len(asked.messages)), usd=PRICE)
    helper = Agent("helper", goal="Look.", tools=[glance], output=Answer, model="fast", limits=AgentLimits(steps=20))
    chief_model = PaidModel([[call("helper", number=number) for number in range(HELPERS)]] * 3, usd=PRICE)
    chief = Agent(
        "chief", goal="Ask around.", tools=[helper], output=Answer,
        limits=AgentLimits(steps=1_000, tool_calls=5_000, usd=MONEY),
    )  # fmt: skip
    app = App("case", workflows=[chief, helper], models=Models(careful=chief_model, fast=helper_model))
    with tempfile.TemporaryDirectory() as home:
        async with app.open(Path(home), synchronous="OFF") as client:
            await client.start(chief, {"input": 1})
            await client.quiet()
    return chief_model.paid + helper_model.paid


# --- the kill switch -----------------------------------------------------------------------------------


def switches(cases: int) -> dict[str, float]:
    """What began after pulling the switch had returned, while so many cases were at it."""
    return asyncio.run(_switched(cases))


async def _switched(cases: int) -> dict[str, float]:
    moments.clear()
    app = App("switch", workflows=[works])
    with tempfile.TemporaryDirectory() as home:
        async with app.open(Path(home), synchronous="OFF") as client:
            await asyncio.gather(*(client.start(works, {"number": each, "steps": 8}) for each in range(cases)))
            while sum(what == "write" for what, _ in moments) < cases * 2:
                await asyncio.sleep(0.005)
            before = time.perf_counter_ns()
            await client.switch("effect:write", off=True, by="ann", reason="drill")
            returned = time.perf_counter_ns()
            await client.quiet()
    after = Counter(what for what, at in moments if at > returned)
    during = sum(what == "write" for what, at in moments if before < at <= returned)
    return {
        "switch_writes_after": after["write"], "switch_reads_after": after["read"], "switch_writes_meanwhile": during,
        "switch_ms": (returned - before) / 1e6,
    }  # fmt: skip


def main() -> None:
    found: dict[str, Any] = budgets() | switches(1_000)
    print(found)


if __name__ == "__main__":
    main()
