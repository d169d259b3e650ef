"""Policy: a table of rules as data. Deny beats hold beats allow; what no rule speaks of is denied.

Pure: facts in, verdict out. The baseline rules apply only where no rule of the table matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from backstay.canonical import digest
from backstay.errors import AuthorError
from backstay.governance.conditions import Asked, Unanswerable, compile_condition, compile_table
from backstay.types import Effect, Json, iso

Verdict: TypeAlias = Literal["allow", "hold", "draft", "deny"]
"""allow: go on. hold: a person must approve exactly this call. draft: it is recorded and not performed. deny: the workflow
gets `ActionDenied`."""

SEVERITY: Final[tuple[Verdict, ...]] = ("deny", "draft", "hold", "allow")
Autonomy: TypeAlias = Literal["recommend", "propose", "execute"]
"""How far an agent may go. recommend: it changes nothing. propose: a person approves each change. execute: as the rules
say, like a workflow."""
AUTONOMY: Final[tuple[Autonomy, ...]] = ("recommend", "propose", "execute")
EFFECTS: Final = ("*", "read", "write", "irreversible")


RuleTest: TypeAlias = "tuple[Mapping[str, Json], Verdict] | tuple[Mapping[str, Json], Verdict, str]"
"""Arguments and the verdict, for whoever the rule speaks of; or for the workflow or agent that is named, whose call of such
an action it should perhaps not decide."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of a policy. Patterns are shell-style and match names exactly otherwise."""

    id: str
    verdict: Verdict
    action: str = "*"
    effect: Effect | Literal["*"] = "*"
    workflow: str = "*"
    agent: str = "*"
    """"*" for whoever asks, "?*" for every agent, "" for workflows only."""
    autonomy: Autonomy | Literal["*"] = "*"
    """Only agents of this autonomy."""
    when: str = ""
    """A condition over the arguments, such as "amount <= 500"; one that cannot be answered denies."""
    owner: str = ""
    reason: str = ""
    """Shown to whoever is stopped or asked."""
    approvers: str = ""
    """Queue that decides on a hold; empty means the action's own."""
    expires: str | None = None
    """RFC 3339 date or moment after which the rule no longer counts."""
    tests: Sequence[RuleTest] = ()
    """What the whole policy must say to some calls; `backstay policy check` tries them."""


class Facts(NamedTuple):
    """What a rule may look at."""

    action: str
    effect: Effect
    workflow: str
    agent: str = ""
    autonomy: str = ""


_CHANGES: Final[tuple[Effect, ...]] = ("write", "irreversible")
_LEVELS: Final[tuple[tuple[Autonomy, Verdict, str], ...]] = (
    ("recommend", "draft", "this agent recommends: what it would do is written down, and not done"),
    ("propose", "hold", "this agent proposes: a person decides"),
)
AGENTS: Final = tuple(
    Rule(
        id=f"baseline-{autonomy}-{effect}",
        verdict=verdict,
        agent="?*",
        autonomy=autonomy,
        effect=effect,
        owner="backstay",
        reason=reason,
    )
    for effect in _CHANGES
    for autonomy, verdict, reason in _LEVELS
)
"""What an agent may change where a policy is silent, by its autonomy. One that may execute is treated as a workflow is."""

BASELINE: Final = (
    Rule(id="baseline-reads", verdict="allow", effect="read", owner="backstay", reason="reading changes nothing"),
    Rule(id="baseline-writes", verdict="allow", effect="write", owner="backstay", reason="a write can be undone"),
    Rule(
        id="baseline-irreversible",
        verdict="hold",
        effect="irreversible",
        owner="backstay",
        reason="this cannot be taken back, so a person decides",
    ),
)
"""What holds where a policy is silent. An unknown effect matches none of these and is therefore denied."""

DENIED: Final = Rule(id="no-rule", verdict="deny", owner="backstay", reason="no rule of the policy allows it")


class Table(NamedTuple):
    """The rules that may decide about calls of one kind."""

    rules: tuple[Rule, ...]
    first: Callable[[Asked, str], int]
    """Which of them decides, by the call's arguments and the moment."""


class Policy:
    """A checked rule table; raises AuthorError for rules that would open a door without an owner."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.digest = digest([_told(rule) for rule in self.rules])
        """SHA-256 over the table: the version of the policy."""
        self._tables: dict[Facts, Table] = {}
        self._about: dict[Facts, list[Rule]] = {}
        self._timeless = True
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise AuthorError(f"policy rule {rule.id!r} stands twice; give each rule its own id")
            seen.add(rule.id)
            _check(rule)
            self._timeless = self._timeless and rule.expires is None
        self._conditions = {rule.id: compile_condition(rule.when, _where(rule)) for rule in self.rules if rule.when}

    def decide(self, facts: Facts, now: Callable[[], str], args: Mapping[str, Json] | None = None) -> Rule:
        """The rule that decides: the most severe that matches, first in the table among equals.

        now: gives the present moment as RFC 3339 text; asked only where a rule of the table expires. args: the call's
        arguments as JSON, for rules with conditions.
        """
        table = self._tables.get(facts)
        if table is None:
            table = self._tables[facts] = self._find(facts)
        moment, asked = "" if self._timeless else now(), Asked(args or {})
        try:
            return table.rules[table.first(asked, moment)]
        except Unanswerable:
            return self._unanswered(table, asked, moment)

    def _unanswered(self, table: Table, asked: Asked, moment: str) -> Rule:
        """The first rule whose condition has no answer, as one that denies."""
        for rule in table.rules:
            condition = self._conditions.get(rule.id)
            try:
                if condition is not None and not self.over(rule, moment):
                    condition(asked)
            except Unanswerable as why:
                return replace(rule, verdict="deny", reason=f"{rule.when!r} cannot be answered: {why}")
        return DENIED

    def about(self, facts: Facts) -> list[Rule]:
        """The rules of the table that may speak of such calls, whatever their arguments."""
        found = self._about.get(facts)
        if found is None:
            found = self._about[facts] = [rule for rule in self.rules if _matches(rule, facts)]
        return found

    def named(self, rule: Rule, facts: Facts) -> bool:
        """Whether a rule speaks of the action of such calls, whoever makes them."""
        return _matches(replace(rule, workflow="*", agent="*", autonomy="*"), facts)

    def matching(self, facts: Facts, now: str, args: Mapping[str, Json]) -> list[Rule]:
        """The rules of the table that speak of exactly this call."""
        asked = Asked(args)
        return [rule for rule in self.about(facts) if not self.over(rule, now) and self._holds(rule, asked)]

    def over(self, rule: Rule, now: str) -> bool:
        """Whether a rule has expired."""
        return rule.expires is not None and now >= end_of(rule)

    def _holds(self, rule: Rule, asked: Asked) -> bool:
        condition = self._conditions.get(rule.id)
        try:
            return condition is None or condition(asked)
        except Unanswerable:
            return True

    def _find(self, facts: Facts) -> Table:
        """The rules that may decide about such calls, in the order in which they are asked."""
        found: list[Rule] = []
        for rules in (self.rules, AGENTS, BASELINE):
            found += sorted((rule for rule in rules if _matches(rule, facts)), key=_severity)
        first = compile_table([(rule.when, None if rule.expires is None else end_of(rule)) for rule in found])
        return Table((*found, DENIED), first)


def _severity(rule: Rule) -> int:
    return SEVERITY.index(rule.verdict)


def _check(rule: Rule) -> None:
    where = _where(rule)
    if rule.verdict not in SEVERITY or rule.effect not in EFFECTS:
        raise AuthorError(
            f"{where} has verdict {rule.verdict!r} for effect {rule.effect!r}; "
            f"use one of {', '.join(SEVERITY)} for one of {', '.join(EFFECTS)}"
        )
    if rule.autonomy not in ("*", *AUTONOMY):
        raise AuthorError(f"{where} has autonomy {rule.autonomy!r}; use one of {', '.join(AUTONOMY)}, or '*'")
    if rule.verdict == "allow" and rule.effect in ("irreversible", "*") and not (rule.owner and rule.expires):
        raise AuthorError(
            f"{where} lets irreversible actions pass without a person: "
            "name an owner and an expiry, or restrict it with effect='read' or 'write'"
        )
    if rule.expires is not None:
        end_of(rule)
    for test in rule.tests:
        if not 2 <= len(test) <= 3 or test[1] not in SEVERITY or not isinstance(cast("object", test[0]), Mapping):
            raise AuthorError(f"{where}: test {test!r} is not ({{argument: value}}, verdict) or the same with a caller")


def _where(rule: Rule) -> str:
    return f"policy rule {rule.id!r}"


def _told(rule: Rule) -> dict[str, Any]:
    """A rule as its table's version counts it: without what says nothing, so that a new field makes no new version."""
    later = {"agent": "*", "autonomy": "*", "when": "", "tests": ()}
    told = asdict(replace(rule, tests=()))  # tests change nothing that it says
    return {name: value for name, value in told.items() if later.get(name) != value}


def _matches(rule: Rule, facts: Facts) -> bool:
    return (
        rule.effect in ("*", facts.effect)
        and rule.autonomy in ("*", facts.autonomy)
        and fnmatchcase(facts.action, rule.action)
        and fnmatchcase(facts.workflow, rule.workflow)
        and fnmatchcase(facts.agent, rule.agent)
    )


def end_of(rule: Rule) -> str:
    """When a rule ends, as the text that the clock would show then; a mere date counts to its last moment in UTC."""
    text = rule.expires or ""
    try:
        return _moment_after(text)
    except ValueError:
        raise AuthorError(
            f"policy rule {rule.id!r} expires {text!r}, which is no date or moment; write for example '2027-03-31'"
        ) from None


@lru_cache(maxsize=1000)
def _moment_after(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if len(text) <= len("2027-03-31"):
        moment += timedelta(days=1)
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
