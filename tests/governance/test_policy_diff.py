"""What changes from one table to another: the situations whose verdict changes, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay import Rule
from backstay.errors import AuthorError
from backstay.governance import analysis
from backstay.governance.analysis import Caller
from backstay.governance.policy import Facts, Policy
from backstay.governance.policy_diff import Change, differences

NOW = "2026-01-05T09:00:00.000000Z"
SCHEMA = {
    "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}, "urgent": {"type": "boolean"}},
    "required": ["amount", "currency", "urgent"],
}
CLERK = Caller(
    workflow="clerk", agent="clerk", autonomy="execute", actions={"pay": "irreversible"}, schemas={"pay": SCHEMA}
)
SETTLE = Caller(workflow="settle", actions={"pay": "irreversible", "look": "read"}, schemas={"pay": SCHEMA})
SMALL = Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="clerk", owner="risk",
             when='amount <= 50 and currency == "EUR"', expires="2027-06-30")  # fmt: skip
LARGE = Rule(id="large", verdict="deny", action="pay", when="amount > 1000", owner="risk")


def changes(old: list[Rule], new: list[Rule]) -> list[Change]:
    return differences(Policy(old), Policy(new), [CLERK, SETTLE], NOW)


def told(old: list[Rule], new: list[Rule]) -> list[tuple[str, str, str, str, str]]:
    return [
        (each.first.caller, " → ".join(each.verdicts), each.old.id, each.new.id, each.when)
        for each in changes(old, new)
    ]


def test_a_moved_threshold_is_told_with_who_what_and_for_which_arguments() -> None:
    moved = replace(SMALL, when='amount <= 80 and currency == "EUR"')
    assert told([SMALL], [moved]) == [
        ("clerk", "hold → allow", "baseline-irreversible", "small", '50 < amount ≤ 80 and currency is "EUR"')
    ]


def test_other_words_for_the_same_are_no_change() -> None:
    other = replace(SMALL, id="tiny", when='not (amount > 50 or currency != "EUR")', reason="as before")
    assert Policy([SMALL]).digest != Policy([other]).digest
    assert changes([SMALL, LARGE], [LARGE, other]) == []


def test_a_dropped_rule_changes_whoever_it_was_about() -> None:
    assert told([SMALL, LARGE], [SMALL]) == [
        ("clerk", "deny → hold", "large", "baseline-irreversible", "amount > 1000"),
        ("settle", "deny → hold", "large", "baseline-irreversible", "amount > 1000"),
    ]


def test_a_change_of_whatever_the_arguments_says_nothing_of_them() -> None:
    assert told([], [replace(LARGE, when="", agent="")])[0] == (
        "settle", "hold → deny", "baseline-irreversible", "large", ""
    )  # fmt: skip


def test_what_is_told_of_arguments() -> None:
    def when(text: str) -> str:
        (change,) = changes([], [replace(LARGE, agent="", when=text)])
        return change.when

    assert when("amount == 5") == "amount = 5"
    assert when("amount != 5") == "(amount < 5 or amount > 5)"
    assert when("0 < amount < 9 or amount >= 20") == "(0 < amount < 9 or amount ≥ 20)"
    assert when('currency in ["EUR", "USD"]') == 'currency is "EUR" or "USD"'
    assert when('currency not in ["EUR", "USD"]') == 'currency is not "EUR" and not "USD"'
    assert when("urgent") == "urgent is true"
    assert when("amount > 5 or urgent") == "amount ≤ 5 and urgent is true; or amount > 5"


def test_texts_of_digits_are_texts_and_no_ranges() -> None:
    def when(text: str) -> str:
        (change,) = changes([], [replace(LARGE, agent="", when=text)])
        return change.when

    assert when('currency in ["1", "2", "3"]') == 'currency is "1" or "2" or "3"'
    assert when('currency == "something else"') == 'currency is "something else"'
    left_out = "currency is left out or cannot be compared"
    assert when('currency == "NaN" or currency > 5') == f"(currency > 5 or currency is anything else or {left_out})"


def test_an_argument_that_may_be_left_out_is_told() -> None:
    found = differences(Policy(), Policy([LARGE]), [replace(SETTLE, schemas={})], NOW)
    assert [(each.verdicts, each.when) for each in found] == [
        (("hold", "deny"), "(amount > 1000 or amount is left out or cannot be compared)")
    ]


def test_many_separate_cases_are_an_example_and_a_number() -> None:
    odd = " or ".join(f"amount == {number}" for number in range(1, 20, 2))
    even = " or ".join(f"(amount == {number} and urgent)" for number in range(0, 20, 2))
    split = " or ".join(f'(amount == {n} and currency == "C{n}")' for n in range(10))
    (change,) = changes([], [replace(LARGE, agent="", when=split)])
    assert change.situations == 10
    assert change.when == 'amount = 0 and currency is "C0", and 9 other situations'
    (change,) = changes([], [replace(LARGE, agent="", when=f"{odd} or {even}")])
    assert change.when.endswith("other situations") or "; or " in change.when


def test_a_later_end_is_a_change_from_the_old_end_on() -> None:
    (change,) = changes([SMALL], [replace(SMALL, expires="2028-06-30")])
    assert (change.verdicts, change.since) == (("hold", "allow"), "2027-07-01T00:00:00.000000Z")
    assert changes([SMALL], [SMALL]) == []
    assert changes([replace(SMALL, expires="2025-01-01")], []) == []  # it is over


def test_what_agents_start_is_tried_too() -> None:
    led = replace(SETTLE, led_by=[("clerk", "execute")])
    never = Rule(id="never", verdict="deny", action="pay", agent="clerk", owner="risk")
    found = differences(Policy(), Policy([never]), [led], NOW)
    assert [(each.first.caller, each.verdicts) for each in found] == [("settle for clerk", ("hold", "deny"))]


def test_more_situations_than_can_be_tried_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MOST", 3)
    with pytest.raises(AuthorError, match="more than 3 situations"):
        changes([SMALL], [LARGE])


numbers = st.integers(-3, 3)
conditions = st.one_of(
    st.just(""), st.builds("amount {} {}".format, st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), numbers),
    st.builds('amount > {} and currency == "EUR"'.format, numbers), st.builds("urgent or amount < {}".format, numbers),
)  # fmt: skip
rules = st.builds(
    Rule, id=st.uuids().map(str), verdict=st.sampled_from(["deny", "hold", "draft"]), action=st.sampled_from(["*", "pay"]),
    agent=st.sampled_from(["*", "?*", "", "clerk"]), when=conditions,
)  # fmt: skip


@given(
    st.lists(rules, max_size=3), st.lists(rules, max_size=3), numbers, st.sampled_from(["EUR", "CHF"]), st.booleans()
)
def test_a_call_comes_out_otherwise_just_where_a_change_says_so(
    old: list[Rule], new: list[Rule], amount: int, currency: str, urgent: bool
) -> None:
    args = {"amount": amount, "currency": currency, "urgent": urgent}
    facts = Facts("pay", "irreversible", "clerk", "clerk", "execute")
    before, after = (Policy(table).decide(facts, lambda: NOW, args) for table in (old, new))
    said = {(each.old.id, each.new.id) for each in changes(old, new) if each.first.facts == facts}
    if before.verdict != after.verdict:
        assert (before.id, after.id) in said
    if not said:
        assert before.verdict == after.verdict
