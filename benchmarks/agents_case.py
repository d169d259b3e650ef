"""A case as agents have it: thirty observations with outsiders' texts, then many calls of every kind."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import BaseModel

from backstay import Agent, AgentLimits, App, IdempotencyKey, Limits, Models, Rule, action
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call
from backstay.ai.transcripts import ToolCall
from backstay.types import FromOutside

OBSERVATIONS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many calls the agent makes once it has observed everything."""

    turns: int
    at_once: int

    @property
    def calls(self) -> int:
        return self.turns * self.at_once


BURSTS: Final = Plan(turns=10, at_once=50)
ALONE: Final = Plan(turns=200, at_once=1)
ORDERS: Final = [f"PO-{number}" for number in range(4500, 4520)]
SUPPLIERS: Final = [f"V-{number}" for number in range(100, 140)]
WORDS: Final = "invoice freight order delivered amount please account bank confirm pallet credit number total".split()


class Mail(BaseModel):
    sender: str
    subject: FromOutside[str]
    body: FromOutside[str]


class Order(BaseModel):
    number: str
    supplier: str
    city: str
    total: str
    lines: list[dict[str, str]]
    note: FromOutside[str]


class Answer(BaseModel):
    text: str


def prose(length: int, seed: object) -> str:
    """So many characters of words, names and numbers, the same for the same seed."""
    chance, parts, size = random.Random(str(seed)), list[str](), 0
    while size < length:
        odd = chance.random()
        word = (
            chance.choice(WORDS) if odd < 0.6 else f"{chance.randrange(16**6):x}" if odd < 0.9 else f"{odd * 1e6:.2f}"
        )
        parts.append(word)
        size += len(word) + 1
    return " ".join(parts)[:length]


@action(effect="read")
async def read_mail(number: int) -> Mail:
    """One mail of the case."""
    length = random.Random(number).randint(2_000, 5_000)
    return Mail(sender=f"s{number}@brandt.example", subject=f"Re: {number}", body=prose(length, number))


@action(effect="read")
async def find_order(number: str) -> Order:
    """A purchase order."""
    chance = random.Random(number)
    lines = [{"item": f"I-{chance.randrange(10**5)}", "price": f"{chance.random() * 100:.2f}"} for _ in range(5)]
    return Order(
        number=number, supplier=chance.choice(SUPPLIERS), city="Graz", total="990.00", lines=lines, note=prose(60, number)
    )  # fmt: skip


@action(effect="write", sinks=["order"])
async def post_note(order: str, text: str, key: IdempotencyKey) -> str:
    """Write a note to an order."""
    return "ok"


@action(effect="write", sinks=["supplier"])
async def credit(supplier: str, amount: int, currency: str, key: IdempotencyKey) -> str:
    """Note a credit for a supplier."""
    return "ok"


@action(effect="irreversible", sinks=["account"], approvers="treasury")
async def pay(account: str, amount: int, currency: str) -> str:
    """Pay."""
    return "ok"


TOOLS: Final = (read_mail, find_order, post_note, credit, pay)


CONDITIONS: Final = {
    "find_order": 'number == "PO-{n}" or number in ["PO-{n}1", "PO-{n}2"]',
    "post_note": 'order == "PO-{n}" and not (text in ["a{n}", "b{n}"])',
    "credit": '{n} <= amount < {n}.5 and currency in ["EUR", "USD"]',
    "pay": '{n} <= amount < {n}.5 and currency == "EUR"',
}
LAST: Final = {
    "post_note": 'order != "" and text != ""',
    "credit": 'currency != "XXX" and 0 < amount <= 500',
}
"""What allows the honest calls, after all other rules of their action were asked in vain."""

SPREAD: Final = {"find_order": 20, "post_note": 40, "credit": 30, "pay": 10}
"""A hundred rules over four actions."""
CROWDED: Final = {"credit": 100}
"""A hundred rules about one action, of which a call asks each."""


def rules(per_action: Mapping[str, int]) -> list[Rule]:
    """So many rules about each action, every one with a condition of two comparisons or more."""
    found: list[Rule] = []
    for name, many in per_action.items():
        for place in range(many - (name in LAST)):
            verdict, when = ("deny", "hold", "draft")[place % 3], CONDITIONS[name].format(n=1_000_000 + place)
            found.append(Rule(id=f"{name}-{place}", verdict=verdict, action=name, when=when, owner="ann"))
        if name in LAST:
            found.append(Rule(id=name, verdict="allow", action=name, effect="write", when=LAST[name], owner="ann"))
    return found


def turn(plan: Plan, asked: Asked) -> Sequence[ToolCall]:
    """What the model does: it looks at everything, then calls what it may and what it may not, and at last pays."""
    number = sum(message.role == "model" for message in asked.messages)
    if number < OBSERVATIONS:
        return [call("read_mail", number=number), call("find_order", number=f"PO-{4000 + number}")]
    first = (number - OBSERVATIONS) * plan.at_once
    if first < plan.calls:
        return [act(first + place) for place in range(plan.at_once)]
    return [call("pay", account=f"AT{place:018d}", amount=place, currency="EUR") for place in range(20)]


def act(number: int) -> ToolCall:
    """Half of the calls read, four in ten write what they may, one wants what stands in a text from outside."""
    chance = random.Random(number)
    match number % 10:
        case 0 | 1 | 2 | 3 | 4:
            return call("find_order", number=f"PO-{10_000 + number}")
        case 5 | 6:
            return call("post_note", order=chance.choice(ORDERS), text=prose(200, number))
        case 7 | 8:
            return call("credit", supplier=chance.choice(SUPPLIERS), amount=chance.randint(1, 400), currency="EUR")
        case _:
            words = prose(2_000, number % OBSERVATIONS).split()
            return call("post_note", order=chance.choice(words), text=f"please {number}")


def clerk_app(table: Sequence[Rule], plan: Plan) -> tuple[App, Agent[Answer]]:
    """An application with one agent that may do everything which the rules let it."""
    clerk = Agent(
        "clerk", goal="Settle the mails of Brandt.", tools=TOOLS, output=Answer, autonomy="execute",
        limits=AgentLimits(steps=500, tool_calls=10_000, refusals=10_000, invalid=100, usd="100"),
    )  # fmt: skip
    models = Models(careful=ScriptedModel(partial(turn, plan), usd="0.001"))
    return App("agents-benchmark", workflows=[clerk], models=models, policy=table, limits=Limits(calls=50_000)), clerk


CASE: Final = {"orders": ORDERS, "suppliers": SUPPLIERS, "asked": "Settle what these mails want. " + prose(500, "case")}
