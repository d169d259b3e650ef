"""What a policy allows, found by trying every situation that it can tell apart. Exact, as its domains are finite.

A situation is a caller (an agent, or a workflow), an action, and one value from each region of the arguments that the
rules' conditions ask about; an argument that may be left out is tried without as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias, TypeVar

from backstay.errors import AuthorError
from backstay.governance.conditions import arguments, situations
from backstay.governance.policy import DENIED, SEVERITY, Facts, Policy, Rule, Verdict
from backstay.store.payloads import branches, child, resolved
from backstay.types import Effect, Json

T = TypeVar("T")
Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Agents, each with its autonomy."""

MOST: Final = 200_000
"""Situations that are tried at most."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody whose calls the gateway sees."""

    workflow: str
    agent: str = ""
    autonomy: str = ""
    actions: Mapping[str, Effect] = field(default_factory=dict[str, Effect])
    """What its definition lists, with the effect of each."""
    led_by: Pairs = ()
    """The agents that started it, each with its autonomy: the rules are asked about them as well, and the strictest counts."""
    schemas: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The JSON schema of each action's arguments; without one, all of them may be left out."""

    def calls(self) -> list[Facts]:
        """What a rule may look at of the calls that it makes."""
        return [
            Facts(action, effect, self.workflow, self.agent, self.autonomy) for action, effect in self.actions.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One call that may come, and what becomes of it."""

    facts: Facts
    args: Mapping[str, Json]
    rule: Rule
    led_by: Pairs = ()

    @property
    def verdict(self) -> Verdict:
        return self.rule.verdict

    @property
    def caller(self) -> str:
        """Who calls, and for whom."""
        return f"{self.facts.workflow} for {self.led_by[0][0]}" if self.led_by else self.facts.workflow

    def without(self, policy: Policy, now: str) -> Situation:
        """The same call as another table decides it."""
        return decided(policy, self.facts, self.args, now, self.led_by)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What there is to know of a policy."""

    situations: Sequence[Situation]
    unreachable: Sequence[str]
    """Rules that decide nothing, whatever comes."""
    overlaps: Sequence[tuple[str, str, Situation]]
    """Two rules of different verdicts that match the same call: the first decides."""
    expired: Sequence[str]

    def most(self, agent: str) -> dict[str, list[Verdict]]:
        """What an agent can do at most: action -> every verdict that some arguments lead to."""
        found: dict[str, dict[Verdict, None]] = {}
        for each in self.situations:
            if each.facts.agent == agent:
                found.setdefault(each.facts.action, {})[each.verdict] = None
        return {action: list(verdicts) for action, verdicts in found.items()}

    def counterexample(self, claim: Callable[[Situation], bool]) -> Situation | None:
        """The first situation in which something that should always hold does not."""
        return next((each for each in self.situations if not claim(each)), None)


def analyse(policy: Policy, callers: Sequence[Caller], now: str) -> Analysis:
    """Try every situation; raises AuthorError when there are more than can be tried.

    now: the moment for which rules count as expired or not, as RFC 3339 text.
    """
    tried: list[Situation] = []
    overlaps: dict[tuple[str, str], Situation] = {}
    deciding: set[str] = set()
    for kind, args in within_reason(tried_of([policy], callers)):
        situation = decided(policy, kind.facts, args, now, kind.led_by)
        tried.append(situation)
        deciding.add(situation.rule.id)
        if situation.rule not in policy.rules:  # the baseline, or a condition that nobody can answer
            continue
        for other in policy.matching(kind.facts, now, args):
            if other.verdict != situation.verdict:
                overlaps.setdefault((situation.rule.id, other.id), situation)
    return Analysis(
        situations=tried,
        unreachable=[rule.id for rule in policy.rules if rule.id not in deciding and not policy.over(rule, now)],
        overlaps=[(one, other, where) for (one, other), where in overlaps.items()],
        expired=[rule.id for rule in policy.rules if policy.over(rule, now)],
    )


@dataclass(frozen=True, kw_only=True)
class Example:
    """A test of a rule, for one of the calls that the rule speaks of."""

    rule: str
    facts: Facts | None
    """None: nobody makes such a call."""
    args: Mapping[str, Json]
    verdict: Verdict
    """What must become of it."""


def examples(policy: Policy, callers: Sequence[Caller]) -> list[Example]:
    """The tests of all rules: each counts for every call that its rule speaks of, or for those of whom it names."""
    every = [facts for caller in callers for facts in caller.calls()]
    return [
        Example(rule=rule.id, facts=facts, args=args, verdict=verdict)
        for rule in policy.rules
        for args, verdict, *by in rule.tests
        for facts in [facts for facts in every if _is_about(policy, rule, facts, by)] or [None]
    ]


def _is_about(policy: Policy, rule: Rule, facts: Facts, by: Sequence[str]) -> bool:
    return facts.workflow in by and policy.named(rule, facts) if by else rule in policy.about(facts)


def failing(policy: Policy, tests: Sequence[Example], now: str) -> list[tuple[Example, Rule]]:
    """The tests that do not come out as they say at a moment, each with the rule that decided instead."""
    found = [
        (each, DENIED if each.facts is None else policy.decide(each.facts, lambda: now, each.args)) for each in tests
    ]
    return [(each, rule) for each, rule in found if each.facts is None or rule.verdict != each.verdict]


def decided(policy: Policy, facts: Facts, args: Mapping[str, Json], now: str, led_by: Pairs = ()) -> Situation:
    """What the gate decides: everybody in whose name the call is made is asked about, and the strictest counts."""
    found = [policy.decide(each, lambda: now, args) for each in _asked_about(facts, led_by)]
    rule = min(found, key=lambda each: SEVERITY.index(each.verdict))
    return Situation(facts=facts, args=args, rule=rule, led_by=led_by)


def _asked_about(facts: Facts, led_by: Pairs) -> list[Facts]:
    return [facts, *(facts._replace(agent=agent, autonomy=autonomy) for agent, autonomy in led_by)]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The calls of one action by one caller, and how far tables can tell them apart."""

    facts: Facts
    led_by: Pairs
    rules: Sequence[Rule]
    """Those that may speak of such calls."""
    regions: Mapping[str, Sequence[Json]]
    """For each argument that their conditions ask about, one value from every region."""

    def choices(self) -> Iterator[dict[str, Json]]:
        """Every combination of values, by dotted name."""
        for chosen in itertools.product(*self.regions.values()):
            yield dict(zip(self.regions, chosen, strict=True))


def kinds(policies: Sequence[Policy], callers: Sequence[Caller]) -> Iterator[Kind]:
    """Every kind of call that callers make, told apart as finely as any of the tables does."""
    for caller in callers:
        for facts in caller.calls():
            asked = _asked_about(facts, caller.led_by)
            about = {(place, rule.id): rule for place, policy in enumerate(policies)
                     for each in asked for rule in policy.about(each)}  # fmt: skip
            types = partial(types_at, caller.schemas.get(facts.action))
            regions = situations([rule.when for rule in about.values() if rule.when], types)
            yield Kind(facts=facts, led_by=caller.led_by, rules=list(about.values()), regions=regions)


def tried_of(policies: Sequence[Policy], callers: Sequence[Caller]) -> Iterator[tuple[Kind, dict[str, Json]]]:
    """Every kind of call with every combination of arguments."""
    return ((kind, arguments(chosen)) for kind in kinds(policies, callers) for chosen in kind.choices())


def within_reason(tried: Iterable[T]) -> Iterator[T]:
    """As many situations as can be tried; raises AuthorError when there are more."""
    for number, each in enumerate(tried):
        if number >= MOST:
            raise AuthorError(f"the conditions tell more than {MOST} situations apart; split the table by action")
        yield each


def types_at(schema: Json, path: str) -> frozenset[str]:
    """JSON types that arguments of a schema may have at a dotted name; none where there may be nothing, or anything."""
    if not schema:
        return frozenset()
    defs, node = schema.get("$defs", {}), schema
    for name in path.split("."):
        if name not in node.get("required", ()):
            return frozenset()
        node = resolved(child(node, name), defs)
    return _types(node, defs)


def _types(node: Json, defs: Json) -> frozenset[str]:
    parts = [_types(resolved(branch, defs), defs) for branch in branches(node)]
    own = node.get("type", ())
    found = frozenset([own] if isinstance(own, str) else own).union(*parts)
    return found if all(parts) else frozenset()
