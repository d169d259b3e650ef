"""Policy: a table of rules as data. Deny beats hold beats allow; what no rule speaks of is denied.

Pure: facts in, verdict out. The baseline rules apply only where no rule of the table matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple, TypeAlias

from backstay.errors import AuthorError
from backstay.types import Effect, digest, iso

Verdict: TypeAlias = Literal["allow", "hold", "deny"]
"""allow: go on. hold: a person must approve exactly this call. deny: the workflow gets `ActionDenied`."""

SEVERITY: Final[tuple[Verdict, ...]] = ("deny", "hold", "allow")
EFFECTS: Final = ("*", "read", "write", "irreversible")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of a policy. Patterns are shell-style and match names exactly otherwise."""

    id: str
    verdict: Verdict
    action: str = "*"
    effect: Effect | Literal["*"] = "*"
    workflow: str = "*"
    owner: str = ""
    reason: str = ""
    """Shown to whoever is stopped or asked."""
    approvers: str = ""
    """Queue that decides on a hold; empty means the action's own."""
    expires: str | None = None
    """RFC 3339 date or moment after which the rule no longer counts."""


class Facts(NamedTuple):
    """What a rule may look at."""

    action: str
    effect: Effect
    workflow: str


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


class Policy:
    """A checked rule table; raises AuthorError for rules that would open a door without an owner."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.digest = digest([asdict(rule) for rule in self.rules])
        """SHA-256 over the table: the version of the policy."""
        self._ends = {rule.id: _end(rule) for rule in rules if rule.expires is not None}
        self._known: dict[Facts, Rule] = {}
        seen: set[str] = set()
        for rule in self.rules:
            if rule.id in seen:
                raise AuthorError(f"policy rule {rule.id!r} stands twice; give each rule its own id")
            seen.add(rule.id)
            if rule.verdict not in SEVERITY or rule.effect not in EFFECTS:
                raise AuthorError(
                    f"policy rule {rule.id!r} has verdict {rule.verdict!r} for effect {rule.effect!r}; "
                    f"use one of {', '.join(SEVERITY)} for one of {', '.join(EFFECTS)}"
                )
            if rule.verdict == "allow" and rule.effect in ("irreversible", "*") and not (rule.owner and rule.expires):
                raise AuthorError(
                    f"policy rule {rule.id!r} lets irreversible actions pass without a person: "
                    "name an owner and an expiry, or restrict it with effect='read' or 'write'"
                )

    def decide(self, facts: Facts, now: Callable[[], str]) -> Rule:
        """The rule that decides: the most severe that matches, first in the table among equals.

        now: gives the present moment as RFC 3339 text; asked only where a rule of the table expires.
        """
        if self._ends:
            return self._decide(facts, now())
        rule = self._known.get(facts)
        if rule is None:
            rule = self._known[facts] = self._decide(facts, "")
        return rule

    def _decide(self, facts: Facts, now: str) -> Rule:
        for table in (self.rules, BASELINE):
            matching = [rule for rule in table if _matches(rule, facts) and not self._over(rule, now)]
            for verdict in SEVERITY:
                for rule in matching:
                    if rule.verdict == verdict:
                        return rule
        return DENIED

    def _over(self, rule: Rule, now: str) -> bool:
        end = self._ends.get(rule.id)
        return end is not None and now >= end


def _matches(rule: Rule, facts: Facts) -> bool:
    return (
        rule.effect in ("*", facts.effect)
        and fnmatchcase(facts.action, rule.action)
        and fnmatchcase(facts.workflow, rule.workflow)
    )


def _end(rule: Rule) -> str:
    """When a rule ends, as the text that the clock would show then; a mere date counts to its last moment in UTC."""
    text = rule.expires or ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AuthorError(
            f"policy rule {rule.id!r} expires {text!r}, which is no date or moment; write for example '2027-03-31'"
        ) from None
    if len(text) <= len("2027-03-31"):
        moment += timedelta(days=1)
    return iso(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
