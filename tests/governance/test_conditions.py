"""Conditions of rules: what they may say, what they mean, and that a table of them can be analysed exactly."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay import Rule
from backstay.errors import AuthorError
from backstay.governance.analysis import Analysis, Caller, analyse
from backstay.governance.conditions import Unanswerable, compile_condition, situations
from backstay.governance.policy import Facts, Policy

NOW = "2026-01-05T09:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "args", "holds"),
    [
        ("amount <= 500", {"amount": "500.00"}, True),
        ("amount <= 500", {"amount": 500.01}, False),
        ("10 < amount < 20", {"amount": 15}, True),
        ('currency in ["EUR", "USD"]', {"currency": "EUR"}, True),
        ('currency not in ["EUR", "USD"] or amount > 5', {"currency": "EUR", "amount": 6}, True),
        ("not urgent and amount != 3", {"urgent": False, "amount": 4}, True),
        ("invoice.total >= -1", {"invoice": {"total": "-1"}}, True),
        ("payee == holder", {"payee": "Ann", "holder": "Ann"}, True),
        ("note == None", {"note": None}, True),
    ],
)
def test_a_condition_says_what_it_says(text: str, args: dict[str, object], holds: bool) -> None:
    assert compile_condition(text, "rule")(args) is holds


@pytest.mark.parametrize("args", [{}, {"amount": "much"}, {"amount": None}, {"amount": True}, {"amount": "NaN"}])
def test_what_is_missing_or_no_number_is_no_answer(args: dict[str, object]) -> None:
    with pytest.raises(Unanswerable):
        compile_condition("amount <= 500", "rule")(args)


@pytest.mark.parametrize(
    "text",
    ["amount.__class__ == 3 and f(1)", "f(amount)", "amount + 1 > 2", "[x for x in y]", "lambda: 1", "a if b else c",
     "amount[0] == 1", "a is b", "3", "'x'", "amount >", "amount ** 9 > 1", "f'{a}' == 1", "a == {1}", "(a := 1) == 1"],
)  # fmt: skip
def test_nothing_else_is_a_condition(text: str) -> None:
    with pytest.raises(AuthorError):
        compile_condition(text, "rule")


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        condition = compile_condition(text, "rule")
    except (AuthorError, ValueError, RecursionError, MemoryError):
        return
    with_values = {"a": 1, "x": "y"}
    with contextlib.suppress(Unanswerable):
        assert condition(with_values) in (True, False)


def test_situations_are_one_from_each_region() -> None:
    assert situations(["amount <= 500 and amount > 100", 'currency == "EUR"', "urgent"]) == {
        "amount": ["99", "100", "300", "500", "501"],
        "currency": ["EUR", "something else"],
        "urgent": [True, False],
    }


# --- deciding and analysing ---------------------------------------------------------------------------

SMALL = Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="refunds", when="amount <= 50",
             owner="risk", expires="2026-12-31")  # fmt: skip
FACTS = Facts("pay", "irreversible", "refunds", "refunds", "execute")
REFUNDS = Caller(
    workflow="refunds", agent="refunds", autonomy="execute", actions={"pay": "irreversible", "look": "read"}
)


def verdict(policy: Policy, **args: object) -> tuple[str, str]:
    rule = policy.decide(FACTS, lambda: NOW, args)
    return rule.id, rule.verdict


def test_a_rule_with_a_condition_decides_only_where_it_holds() -> None:
    policy = Policy([SMALL])
    assert verdict(policy, amount="50") == ("small", "allow")
    assert verdict(policy, amount="50.01") == ("baseline-irreversible", "hold")


def test_a_condition_that_cannot_be_answered_denies() -> None:
    assert verdict(Policy([SMALL])) == ("small", "deny")


def look(*rules: Rule) -> Analysis:
    return analyse(Policy(rules), [REFUNDS], NOW)


def test_what_an_agent_can_do_at_most() -> None:
    assert look(SMALL).most("refunds") == {"pay": ["allow", "hold"], "look": ["allow"]}


def test_a_claim_is_decided_with_a_counterexample() -> None:
    def asks(each: object) -> bool:
        return each.facts.effect != "irreversible" or each.verdict != "allow"  # type: ignore[attr-defined]

    assert look().counterexample(asks) is None
    found = look(SMALL).counterexample(asks)
    assert found is not None
    assert (found.rule.id, found.args) == ("small", {"amount": "49"})


def test_a_rule_that_another_always_beats_is_unreachable() -> None:
    never = Rule(id="never", verdict="deny", action="pay", owner="risk")
    found = look(SMALL, never)
    assert found.unreachable == ["small"]
    assert [(one, other) for one, other, _ in found.overlaps] == [("never", "small")]


def test_an_expired_rule_is_named() -> None:
    old = Rule(id="old", verdict="deny", action="pay", owner="risk", expires="2025-01-01")
    assert look(old).expired == ["old"]
