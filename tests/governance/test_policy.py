"""The rule table: deny beats hold beats allow, what is silent is decided by the baseline, what expired does not count."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import Rule
from backstay.errors import AuthorError
from backstay.governance.policy import BASELINE, Facts, Policy

NOON = "2026-01-05T12:00:00.000000Z"


def verdict(*rules: Rule, action: str = "post", effect: Any = "write", workflow: str = "buy", now: str = NOON) -> str:
    return Policy(rules).decide(Facts(action, effect, workflow), lambda: now).id


def rule(id: str, verdict: Any, **fields: Any) -> Rule:
    return Rule(id=id, verdict=verdict, **{"effect": "write", "owner": "ann", **fields})


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ("read", "baseline-reads"),
        ("write", "baseline-writes"),
        ("irreversible", "baseline-irreversible"),
        ("unheard-of", "no-rule"),
    ],
)
def test_the_baseline_decides_where_the_table_is_silent(effect: str, expected: str) -> None:
    assert verdict(effect=effect) == expected


def test_the_baseline_is_frozen() -> None:
    assert [(rule.effect, rule.verdict) for rule in BASELINE] == [
        ("read", "allow"),
        ("write", "allow"),
        ("irreversible", "hold"),
    ]


def test_deny_beats_hold_beats_allow_in_any_order() -> None:
    rules = [rule("a", "allow"), rule("h", "hold"), rule("d", "deny")]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        assert verdict(*(rules[number] for number in order)) == "d"
    assert verdict(rules[0], rules[1]) == verdict(rules[1], rules[0]) == "h"
    assert verdict(rules[0]) == "a"


def test_the_first_of_equals_decides() -> None:
    assert verdict(rule("one", "hold"), rule("two", "hold")) == "one"


def test_a_rule_matches_by_action_effect_and_workflow() -> None:
    assert verdict(rule("r", "deny", action="po*")) == "r"
    assert verdict(rule("r", "deny", action="Post")) == "baseline-writes"
    assert verdict(rule("r", "deny", workflow="sell")) == "baseline-writes"
    assert verdict(rule("r", "deny", effect="read")) == "baseline-writes"


def test_an_allow_for_irreversible_actions_needs_an_owner_and_an_expiry() -> None:
    for effect in ("irreversible", "*"):
        with pytest.raises(AuthorError, match="name an owner and an expiry"):
            Policy([rule("open", "allow", effect=effect)])
        with pytest.raises(AuthorError, match="name an owner and an expiry"):
            Policy([rule("open", "allow", effect=effect, owner="", expires="2026-02-01")])
        Policy([rule("open", "allow", effect=effect, expires="2026-02-01")])


def test_two_rules_of_one_id_are_refused() -> None:
    with pytest.raises(AuthorError, match="'r' stands twice"):
        Policy([rule("r", "deny"), rule("r", "hold")])


@pytest.mark.parametrize(("field", "value"), [("verdict", "Deny"), ("verdict", "alow"), ("effect", "wirte")])
def test_a_misspelt_rule_is_refused_and_not_ignored(field: str, value: str) -> None:
    with pytest.raises(AuthorError, match=value):
        Policy([Rule(**{"id": "r", "verdict": "deny", field: value})])


@pytest.mark.parametrize(
    ("expires", "now", "counts"),
    [
        ("2026-01-05T12:00:01Z", NOON, True),
        ("2026-01-05T12:00:00Z", NOON, False),
        ("2026-01-05T13:30:00+02:00", NOON, False),  # which is 11:30 in UTC
        ("2026-01-05T11:30:00-02:00", NOON, True),
        ("2026-01-05", NOON, True),
        ("2026-01-04", NOON, False),
        ("2026-01-04", "2026-01-05T00:00:00.000000Z", False),
    ],
)
def test_an_expired_rule_no_longer_counts(expires: str, now: str, counts: bool) -> None:
    passed = verdict(rule("r", "allow", effect="irreversible", expires=expires), effect="irreversible", now=now)
    assert passed == ("r" if counts else "baseline-irreversible")


@pytest.mark.parametrize("expires", ["never", "9999", "31.12.2026", ""])
def test_an_expiry_that_is_no_date_is_refused(expires: str) -> None:
    with pytest.raises(AuthorError, match=r"expires|owner and an expiry"):
        Policy([rule("r", "allow", effect="irreversible", expires=expires)])


def test_a_verdict_is_not_remembered_beyond_an_expiry() -> None:
    policy = Policy([rule("r", "deny", expires="2026-01-05T12:00:00Z")])
    facts = Facts("post", "write", "buy")
    assert policy.decide(facts, lambda: "2026-01-05T11:59:59.999999Z").id == "r"
    assert policy.decide(facts, lambda: NOON).id == "baseline-writes"
