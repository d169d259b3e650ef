"""Writes random programs of the language as source text."""

from __future__ import annotations

import random
import textwrap

HEADER = """from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import approval, gather, new_id, note, race, random, setting, sleep
from backstay.errors import ActionFailed, ProcessError
from backstay.language import DecisionTable, rule, workflow
from backstay.types import Sensitive

LIMIT = 7
RATES = {"ann": Decimal("1.5"), "bob": Decimal("2"), "zoë": Decimal("0.25")}
NAMES = ["ann", "bob", "zoë"]


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Thing(BaseModel):
    name: str
    size: int
    price: Decimal
    secret: Sensitive["pii"] = "s"
    items: list[int] = []

    @property
    def worth(self) -> Decimal:
        return self.price * self.size

    def bigger(self, by: int) -> Thing:
        return Thing(name=self.name, size=self.size + by, price=self.price, items=[*self.items, by])


@action(effect="read")
async def lookup(name: str) -> Thing: ...


@action(effect="write")
async def store(value: Any, label: str = "") -> int: ...


@rule
def fits(thing: Thing, limit: int) -> bool:
    return thing.size < limit and thing.worth >= 0


@rule
def weight(number: int) -> int:
    total = 0
    for step in range(abs(number) % 5):
        total += step if step % 2 == 0 else -number
    return total


mood_of = DecisionTable(
    "mood_of",
    inputs={"size": "number", "name": ["ann", "bob", "zoë"]},
    rows=[{"size": "< 0", "then": "bad"}, {"name": ["ann", "zoë"], "then": "good"}, {"then": "bad"}],
)


@workflow
async def generated(a: int, b: int, s: str, xs: list[int]) -> Any:
    t = "t"
    thing = await lookup(s)
    ys: list[Any] = []
    d: dict[str, Any] = {"start": a}
"""

INTS = [
    "a", "b", "thing.size", "len(xs)", "len(d)", "LIMIT", "weight(a)", "sum(xs)", "max([a, b, 1])", "sum([x for x in xs if x > a])",
    "(a if a > b else b)", "sum(x * 2 for x in xs)", "len({x: x for x in xs})", "d.get('start', 0)", "abs(a - b)", "(xs[0] if xs else a)",
    "int(thing.price)", "len(thing.items)", "(b or 3)", "divmod(a, 7)[1]", "min(xs, default=b)", "round(thing.worth)", "len(sorted(NAMES))",
]  # fmt: skip
TEXTS = [
    "s", "t", "thing.name", "f'{a:>4}|{thing.price:,.2f}'", "s.upper()", "'-'.join(NAMES)", "str(thing)", "f'{d}{ys!r}'[:30]", "s[:2] + t[-1:]",
    "mood_of(a, thing.name)", "str(Mood.GOOD)", "', '.join(f'{k}={v}' for k, v in d.items())[:40]", "NAMES[a % 3]", "s.replace('a', 'bb')[:40]",
    "(s and t)", "str([a, b, thing.price, None, True])", "str(sorted(RATES))", "thing.name.title()", "str(a / 7)", "f'{b!r:<5}'",
]  # fmt: skip
TESTS = [
    "{i} > {j}", "{i} % 3 == 0 and {u} != {v}", "not {i} < {j} <= LIMIT", "fits(thing, {i})", "{u} in NAMES", "thing.secret == {u} or {i}",
    "'start' in d and d['start'] == {i}", "xs", "any(x > {i} for x in xs)", "isinstance({i}, int)", "{u}.startswith('a') or fits(thing, {j})",
    "thing.worth > RATES[thing.name]", "{i} in {{1, 2, 3}}", "Mood.GOOD == mood_of({i}, 'bob')", "a is not None", "{u} in d.keys()",
]  # fmt: skip


class Writer:
    """Writes one program from a source of chance."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.depth = 0
        self.loops = 0
        self.counters = 0
        """Every counter has a name of its own, so that each loop ends in plain Python too."""

    def program(self) -> str:
        body = self.block(5)
        return HEADER + textwrap.indent(body, "    ") + "    return [a, b, s, t, xs, ys, d, thing]\n"

    def fill(self, pattern: str) -> str:
        return pattern.format(
            i=self.dice.choice(INTS),
            j=self.dice.choice(INTS),
            u=self.dice.choice(TEXTS),
            v=self.dice.choice(TEXTS),
        )

    def test(self) -> str:
        return self.fill(self.dice.choice(TESTS))

    def block(self, size: int) -> str:
        self.depth += 1
        statements = [self.statement() for _ in range(self.dice.randint(1, size))]
        self.depth -= 1
        return "".join(statements)

    def nested(self, head: str) -> str:
        return head + "\n" + textwrap.indent(self.block(3), "    ")

    def statement(self) -> str:
        kinds = [self.assign, self.assign, self.wait, self.wait, self.change]
        if self.depth < 4:
            kinds += [self.branch, self.loop, self.attempt, self.choice, self.several]
        if self.loops and self.depth > 1:
            kinds.append(self.leave)
        return self.dice.choice(kinds)()

    def assign(self) -> str:
        return self.fill(
            self.dice.choice(
                [
                    "a = {i}\n",
                    "b = {i} + {j}\n",
                    "s = {u}\n",
                    "t = {u}\n",
                    "a, b = b, {i}\n",
                    "b -= {i}\n",
                    "t += {u}[:9]\n",
                ]
            )
        )

    def change(self) -> str:
        return self.fill(
            self.dice.choice(
                [
                    "ys.append({i})\n",
                    "ys.append([{u}, {v}])\n",
                    "d[{u}] = {i}\n",
                    "d[{u}] = d.get({u}, 0)\n",
                    "thing = thing.bigger({i})\n",
                    "thing.name = NAMES[{i} % 3]\n",
                    "thing.size += {i}\n",
                    "xs = [x + {i} for x in xs if x != {j}][:20]\n",
                    "ys = sorted([{i}, {j}, a], key=weight)\n",
                    "ys += [{i} or {j}]\n",
                    "xs = list(reversed(xs))\n",
                    "ys = [(n, x) for n, x in enumerate(xs)]\n",
                    "if (n := {i}) > 2:\n    a = n\n",
                ]
            )
        )

    def wait(self) -> str:
        return self.fill(
            self.dice.choice(
                [
                    "thing = await lookup({u})\n",
                    "a = await store({i})\n",
                    "ys.append(await store([{i}, {u}], label={v}))\n",
                    "await note(f'{{a}} {{thing}}', data=d)\n",
                    "await sleep('1h')\n",
                    "d['id'] = await new_id()\n",
                    "d['luck'] = await random()\n",
                    "if (await approval('desk', show=thing)).approved:\n    b += 1\n",
                    "t = str(await setting('colour'))\n",
                    "xs = [await store(x) for x in xs[:3] if x > {i}]\n",
                    "b = (await store(a)) + {i} if {j} > 0 else await store({u})\n",
                    "await store(RATES)\n",
                ]
            )
        )

    def several(self) -> str:
        return self.fill(
            self.dice.choice(
                [
                    "ys.extend(await gather(*[store(x, label={u}) for x in xs[:4]]))\n",
                    "thing, a = await gather(lookup({u}), store({i}))\n",
                    "b = (await race(store({i}), sleep('2h'))).index\n",
                    "first = store({i})\nsecond = lookup({u})\nys = await gather(second, first)\n",
                ]
            )
        )

    def branch(self) -> str:
        code = self.nested(f"if {self.test()}:")
        if self.dice.random() < 0.3:
            code += self.nested(f"elif {self.test()}:")
        if self.dice.random() < 0.5:
            code += self.nested("else:")
        return code

    def loop(self) -> str:
        self.loops += 1
        self.counters += 1
        counter = f"n{self.counters}"
        heads = [
            "for x in xs[:4]:",
            "for k, v in list(d.items())[:3]:",
            f"for {counter} in range({self.dice.randint(0, 3)}):",
            "for name in NAMES:",
        ]
        if self.dice.random() < 0.25:
            code = f"{counter} = 0\n" + self.nested(f"while {counter} < 3 and ({self.test()}):\n    {counter} += 1")
        else:
            code = self.nested(self.dice.choice(heads))
        self.loops -= 1
        return code + (self.nested("else:") if self.dice.random() < 0.2 else "")

    def leave(self) -> str:
        return f"if {self.test()}:\n    {self.dice.choice(['break', 'continue', 'return [a, s, d]'])}\n"

    def attempt(self) -> str:
        code = self.nested("try:")
        code += self.nested(
            self.dice.choice(
                [
                    "except ActionFailed as error:\n    t = str(error)",
                    "except ProcessError:",
                    "except Exception as error:\n    t = str(error) if isinstance(error, ProcessError) else 'other'",
                ]
            )
        )
        if self.dice.random() < 0.3:
            code += self.nested("else:")
        if self.dice.random() < 0.3:
            code += "finally:\n    ys.append('finally')\n"
        return code

    def choice(self) -> str:
        subject, cases = self.dice.choice(
            [
                ("thing", ["Thing(name='ann', size=size)", "Thing(name=str() as who) if a > 2", "_"]),
                ("[a, b]", ["[0, _]", "[int(), 1 | 2]", "[1, *rest]"]),
                ("thing.name", ["'ann' | 'bob'", "other if other.isalpha()"]),
                ("d", ["{'id': str() as found}", "{'start': 1, **more}"]),
            ]
        )
        return f"match {subject}:\n" + "".join(textwrap.indent(self.nested(f"case {case}:"), "    ") for case in cases)
