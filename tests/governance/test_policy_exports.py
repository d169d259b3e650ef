"""A policy as a page in English, and as Cedar text that decides as the rules do."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import pytest
from cedar_text import Reader, Statement, decide
from test_policy_mutants import NOW, TABLE, app

from backstay import Rule
from backstay.errors import AuthorError
from backstay.governance.analysis import analyse
from backstay.governance.policy import SEVERITY, Facts, Policy
from backstay.governance.policy_cedar import cedar
from backstay.governance.policy_english import english, in_words
from backstay.operations.permissions import callers_of
from examples.support_triage.app import app as triage

SILENT = {
    ("write", "recommend"): "draft", ("irreversible", "recommend"): "draft", ("write", "propose"): "hold",
    ("irreversible", "propose"): "hold", ("irreversible", "execute"): "hold", ("irreversible", ""): "hold",
}  # fmt: skip
"""As the end of the text says: where Cedar denies and names no policy."""


# --- cedar ------------------------------------------------------------------------------------------------------------


@cache
def read(policy: Policy) -> list[Statement]:
    return Reader(cedar(policy, "desk")).statements()


@cache
def numbers(policy: Policy) -> set[str]:
    """The arguments that the comment on top says are decimals."""
    (told,) = re.findall(r"// As Cedar decimals, .*: (.*)\.\n", cedar(policy, "desk"))
    return set(told.split(", "))


def asked(facts: Facts, args: Any, decimals: Collection[str] = (), now: str = NOW) -> dict[str, Any]:
    principal = {"workflow": facts.workflow, "agent": facts.agent, "autonomy": facts.autonomy}
    context = {
        "action": facts.action,
        "effect": facts.effect,
        "now": datetime.fromisoformat(now),
        "args": as_cedar(args, decimals),
    }
    return {"principal": principal, "context": context}


def as_cedar(value: Any, decimals: Collection[str], at: str = "") -> Any:
    if isinstance(value, dict):
        return {name: as_cedar(each, decimals, f"{at}.{name}".lstrip(".")) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
    try:
        return Decimal(str(value)) if at in decimals and not isinstance(value, bool) else value
    except InvalidOperation:
        return value


def verdict(policy: Policy, facts: Facts, args: Any, now: str = NOW) -> str:
    """What the comment on top of the text says to make of Cedar's answer."""
    allowed, decided = decide(read(policy), asked(facts, args, numbers(policy), now))
    if allowed:
        return "allow"
    if decided:
        return min((each.notes["verdict"] for each in decided), key=SEVERITY.index)  # type: ignore[arg-type]
    return SILENT.get((facts.effect, facts.autonomy), "deny")


@pytest.mark.parametrize("of", [app, triage], ids=lambda each: each.name)
def test_cedar_decides_every_situation_as_the_rules_do(of: Any) -> None:
    seen = set[str]()
    for each in analyse(of.policy, callers_of(of), NOW).situations:
        found = verdict(of.policy, each.facts, each.args)
        assert found == each.verdict or (found == "deny" and missing(of.policy, each)), each
        seen.add(found)
    assert seen >= {"allow", "hold"}


def missing(policy: Policy, situation: Any) -> bool:
    """Whether some rule about the call asks for an argument that is not there: there Cedar may be stricter."""
    alone = [Policy([replace(rule, verdict="deny", id="x")]) for rule in policy.about(situation.facts)]
    return any(
        "cannot be answered" in each.decide(situation.facts, lambda: NOW, situation.args).reason for each in alone
    )


def test_a_rule_that_ended_does_not_count_in_cedar_either() -> None:
    policy, facts = Policy(TABLE), Facts("credit", "irreversible", "refunds", "refunds", "execute")
    args = {"customer": "C-1", "amount": 20, "currency": "EUR", "urgent": False}
    assert verdict(policy, facts, args, "2027-06-30T23:59:59.000000Z") == "allow"
    assert verdict(policy, facts, args, "2027-07-01T00:00:00.000000Z") == "hold"


def test_a_text_of_digits_is_a_text_in_cedar_too() -> None:
    policy = Policy([
        Rule(id="blocked", verdict="deny", when='account == "0470"'),
        Rule(id="listed", verdict="deny", when='order.code in ["7", "8"]'),
        Rule(id="large", verdict="hold", when="-1 < order.amount"),
    ])  # fmt: skip
    assert numbers(policy) == {"order.amount"}
    facts = Facts("credit", "write", "refunds")
    for account, code, amount in (("0470", "1", "5"), ("470", "7", 5), ("470", "07", "5"), ("470", "1", "-1")):
        args = {"account": account, "order": {"code": code, "amount": amount}}
        assert verdict(policy, facts, args) == policy.decide(facts, lambda: NOW, args).verdict, args


def test_names_and_texts_are_quoted_as_cedar_reads_them() -> None:
    odd = Rule(
        id='say "no" \\ \n',
        verdict="deny",
        action="a*",
        workflow="[*]x",
        when='true.has == "\\" // \u0007"',
        owner="ann",
    )
    plain, unanswered = read(Policy([odd]))[:2]
    assert (plain.notes["id"], plain.notes["owner"]) == (odd.id, "ann")
    assert unanswered.notes["id"] == f"{odd.id}, unanswered"
    facts = Facts("abc", "write", "*x")
    assert plain.satisfied(asked(facts, {"true": {"has": '" // \u0007'}}))
    assert not plain.satisfied(asked(facts._replace(workflow="yx"), {"true": {"has": '" // \u0007'}}))
    assert not plain.satisfied(asked(facts._replace(action="b"), {"true": {"has": '" // \u0007'}}))


@pytest.mark.parametrize(
    ("number", "written"),
    [("5", "5.0"), ("-0.25", "-0.25"), ("1e3", "1000.0"), ("0.0001", "0.0001")],
)
def test_numbers_are_cedars_decimals(number: str, written: str) -> None:
    assert f'decimal("{written}")' in cedar(Policy([Rule(id="r", verdict="deny", when=f"a == {number}")]), "desk")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (Rule(id="r", verdict="deny", when="a == 0.00001"), "0.00001|1e-05 has more digits"),
        (Rule(id="r", verdict="deny", when="a > 1e15"), "more digits"),
        (Rule(id="r", verdict="deny", when="a == None"), "compares with nothing"),
        (Rule(id="r", verdict="deny", when='a in [1, "x"]'), "numbers and texts at once"),
        (Rule(id="r", verdict="deny", when='a > 1 or a == "5"'), "compares a with the text '5'"),
        (Rule(id="r", verdict="deny", agent="clerk-?"), "the pattern 'clerk-\\?'"),
    ],
)
def test_what_cedar_cannot_say_is_an_error_that_names_the_rule(rule: Rule, told: str) -> None:
    with pytest.raises(AuthorError, match=f"policy rule 'r' cannot be said in Cedar: .*({told})"):
        cedar(Policy([rule]), "desk")


def test_the_text_is_the_same_each_time() -> None:
    assert cedar(Policy(TABLE), "desk") == cedar(Policy(TABLE), "desk")


# --- english ----------------------------------------------------------------------------------------------------------


def test_the_page_says_what_counts_first_who_owns_it_and_when_it_ends() -> None:
    page = english(Policy(TABLE), "desk", NOW)
    headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["Never", "Only written down", "After a person", "At once", "Where no rule above fits"]
    assert (
        "- **small-credits**: A call of `credit`, where it cannot be taken back, by agent `refunds`, if `amount` is more than 0 "
        'and `amount` is at most 50 and `currency` is "EUR" and `urgent` is false, is done, and nobody is asked. Owner: ann. '
        "Ends: 2027-06-30, which counts in full."
    ) in page.splitlines()
    assert (
        "- **public-notes**: A call of `write_note` by any agent, if `public` is true, is written down and not done."
        in page
    )
    assert "Decided in the queue board." in page
    assert all(f"**{rule.id}**" in page for rule in TABLE)
    assert Policy(TABLE).digest[:12] in page


def test_a_rule_that_ended_is_marked() -> None:
    assert "**small-credits** (has ended, does not count):" in english(
        Policy(TABLE), "desk", "2028-01-01T00:00:00.000000Z"
    )
    assert "has ended" not in english(Policy(TABLE), "desk", NOW)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("5 < amount <= 9", "`amount` is more than 5 and `amount` is at most 9"),
        ('not (a == 1 or b.c != "x")', 'not (`a` is 1 or `b.c` is not "x")'),
        ("a and (b or not c)", "`a` is true and (`b` is true or `c` is false)"),
        ('a in ["x", "y"] or b not in [1, -2]', '`a` is one of "x", "y" or `b` is none of 1, -2'),
        ("a == None and b == True", "`a` is nothing and `b` is true"),
    ],
)
def test_conditions_in_words(when: str, words: str) -> None:
    assert in_words(when) == words


def test_what_stands_in_a_rule_is_no_markup() -> None:
    page = english(Policy([Rule(id="<b>*x*", verdict="deny", reason="a\n# b", owner="[l](u)")]), "desk", NOW)
    assert "- **\\<b\\>\\*x\\***: A call of any action by anybody is denied: a \\# b. Owner: \\[l\\](u)." in page


def test_what_a_condition_compares_with_is_no_markup() -> None:
    assert in_words('payee == "<b>*x*"') == '`payee` is "\\<b\\>\\*x\\*"'
