"""Conditions of rules: what they may say, what they mean, and that a table of them can be analysed exactly."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay import Rule
from backstay.errors import AuthorError
from backstay.governance.analysis import Analysis, Caller, analyse, types_at
from backstay.governance.conditions import ABSENT, Asked, Unanswerable, arguments, compile_condition, situations
from backstay.governance.policy import Facts, Policy

NOW = "2026-01-05T09:00:00.000000Z"
NUMBER, TEXT, FLAG = frozenset({"number", "string"}), frozenset({"string"}), frozenset({"boolean"})


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
        ('payee != "Ann"', {"payee": "Bob"}, True),
        ("urgent == True", {"urgent": False}, False),
        ("note == None", {"note": None}, True),
    ],
)
def test_a_condition_says_what_it_says(text: str, args: dict[str, object], holds: bool) -> None:
    assert compile_condition(text, "rule")(Asked(args)) is holds


@pytest.mark.parametrize("args", [{}, {"amount": "much"}, {"amount": None}, {"amount": True}, {"amount": "NaN"}])
def test_what_is_missing_or_no_number_is_no_answer(args: dict[str, object]) -> None:
    with pytest.raises(Unanswerable):
        compile_condition("amount <= 500", "rule")(Asked(args))


@pytest.mark.parametrize(
    "text",
    ["amount.__class__ == 3 and f(1)", "f(amount)", "amount + 1 > 2", "[x for x in y]", "lambda: 1", "a if b else c",
     "amount[0] == 1", "a is b", "3", "'x'", "amount >", "amount ** 9 > 1", "f'{a}' == 1", "a == {1}", "(a := 1) == 1"],
)  # fmt: skip
def test_nothing_else_is_a_condition(text: str) -> None:
    with pytest.raises(AuthorError):
        compile_condition(text, "rule")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("amount <= limit", "must compare an argument with a constant"),  # as JSON text, 1000 would come before 50
        ("payee == holder", "must compare an argument with a constant"),
        ("10 < amount < limit", "must compare an argument with a constant"),
        ("3 < 4", "must compare an argument with a constant"),
        ('code <= "M"', "only numbers come before or after one another"),
        ("amount > None", "only numbers come before or after one another"),
        ("amount >= True", "only numbers come before or after one another"),
        ('currency in "EUR,USD"', "is in a list of constants"),
        ('"EUR" in currencies', "is in a list of constants"),
        ("currency in allowed", "is in a list of constants"),
        ("currency in [[1]]", "is in a list of constants"),
        ('tags == ["new"]', "use 'in'"),
        ("amount < 1e999", "no number that can be compared"),
    ],
)
def test_a_comparison_that_could_mislead_is_refused(text: str, words: str) -> None:
    with pytest.raises(AuthorError, match=words):
        compile_condition(text, "rule")


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        condition = compile_condition(text, "rule")
    except (AuthorError, ValueError, RecursionError, MemoryError):
        return
    with_values = {"a": 1, "x": "y"}
    with contextlib.suppress(Unanswerable):
        assert condition(Asked(with_values)) in (True, False)


def test_situations_are_one_from_each_region() -> None:
    texts = ["amount <= 500 and amount > 100", 'currency == "EUR"', "urgent", "boss != None", "flag == True"]
    assert situations(
        texts, {"amount": NUMBER, "currency": TEXT, "urgent": FLAG, "boss": TEXT, "flag": FLAG}.__getitem__
    ) == {
        "amount": ["99", "100", "300", "500", "501"],
        "currency": ["EUR", "something else"],
        "urgent": [True, False],
        "boss": [None, "something else"],
        "flag": [True, False],
    }


@pytest.mark.parametrize(
    ("text", "types", "values"),
    [
        ("amount < 5", frozenset[str](), ["4", "5", "6", ABSENT]),
        ("amount < 5", NUMBER | {"null"}, ["4", "5", "6", ABSENT]),
        ("amount < 5", TEXT, ["4", "5", "6", ABSENT]),
        ('amount < 5 or amount == "5"', NUMBER, ["4", "5", "6", "5E+0", "something else"]),
        ("urgent", FLAG | {"null"}, [True, False, ABSENT]),
        ("urgent == True", FLAG | {"null"}, [True, False, "something else"]),
        ('note == "something else"', TEXT, ["something else", "something else!"]),
        ('kind in [1, True, "a"]', TEXT, [True, False, 1, "a", "something else"]),
        (f"amount < {10**40} ", NUMBER, [str(10**40 - 1), str(10**40), str(10**40 + 1)]),
    ],
)
def test_what_may_be_no_answer_is_a_situation(text: str, types: frozenset[str], values: list[object]) -> None:
    assert situations([text], lambda _: types) == {text.split(maxsplit=1)[0]: values}


def test_an_argument_with_fields_is_tried_whole_and_by_them() -> None:
    found = situations(["invoice == None", "invoice.total < 5"], lambda _: NUMBER)
    assert found == {"invoice": [None, "something else", ABSENT], "invoice.total": ["4", "5", "6"]}
    assert arguments({"invoice.total": "4", "invoice": None}) == {"invoice": None}
    assert arguments({"invoice": ABSENT, "invoice.total": "4"}) == {"invoice": {"total": "4"}}
    assert arguments({"invoice": ABSENT, "invoice.total": ABSENT}) == {}


# --- deciding and analysing ---------------------------------------------------------------------------

SMALL = Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="refunds", when="amount <= 50",
             owner="risk", expires="2026-12-31")  # fmt: skip
FACTS = Facts("pay", "irreversible", "refunds", "refunds", "execute")
REFUNDS = Caller(
    workflow="refunds", agent="refunds", autonomy="execute", actions={"pay": "irreversible", "look": "read"},
    schemas={"pay": {"properties": {"amount": {"type": "integer"}}, "required": ["amount"]}},
)  # fmt: skip


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


def test_an_argument_that_may_be_left_out_is_tried_without() -> None:
    schema = {"properties": {"amount": {"type": "integer", "default": 1}}, "required": []}
    found = analyse(Policy([SMALL]), [replace(REFUNDS, schemas={"pay": schema})], NOW)
    assert found.most("refunds")["pay"] == ["allow", "hold", "deny"]
    assert found.overlaps == []


def test_a_field_is_sure_to_be_there_where_each_schema_on_the_way_says_so() -> None:
    money = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    invoice = {"properties": {"total": money, "boss": {"type": "string"}}, "required": ["total"], "type": "object"}
    schema = {
        "$defs": {"Invoice": invoice},
        "properties": {"sure": {"$ref": "#/$defs/Invoice"}, "maybe": {"$ref": "#/$defs/Invoice"}, "any": {}},
        "required": ["sure", "any"],
    }
    paths = ["sure.total", "sure.boss", "maybe.total", "any", "any.total", "else"]
    assert [set(types_at(schema, path)) for path in paths] == [{"number", "string"}, set(), set(), set(), set(), set()]


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


# --- exactness ----------------------------------------------------------------------------------------

NUMBERS = st.sampled_from(["-1", "0", "5", "5.5", "50", "1e3"])
CURRENCIES = st.sampled_from(["EUR", "USD", "CHF"])
ORDER = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
EQUAL = st.sampled_from(["==", "!="])
LISTED = st.sampled_from(["in", "not in"])
ATOMS = st.one_of(
    st.builds("amount {} {}".format, ORDER, NUMBERS),
    st.builds("{} < amount <= {}".format, NUMBERS, NUMBERS),
    st.builds("amount {} [{}, {}]".format, LISTED, NUMBERS, NUMBERS),
    st.builds('currency {} "{}"'.format, EQUAL, CURRENCIES),
    st.builds('currency {} ["{}", "{}"]'.format, LISTED, CURRENCIES, CURRENCIES),
    st.sampled_from(["flag", "flag == True", "flag == False", "flag != True"]),
    st.sampled_from(["boss == None", "boss != None", 'boss == "ann"', 'boss in ["ann", None]']),
    st.sampled_from(["invoice == None", "invoice.total > 5", "not invoice.urgent"]),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda parts: st.one_of(
        st.builds("({} {} {})".format, parts, st.sampled_from(["and", "or"]), parts),
        st.builds("not ({})".format, parts),
    ),
    max_leaves=3,
)
AMOUNTS = st.sampled_from(["-1", 0, 5, "5.5", 5.25, "49.99", 50, 50.0, 1000, 10**6, -7])
INVOICES = st.fixed_dictionaries({"total": AMOUNTS}, optional={"urgent": st.booleans()})
SCHEMA = {
    "properties": {
        "amount": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "currency": {"type": "string"},
        "flag": {"type": "boolean"},
        "boss": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "invoice": {"anyOf": [{"type": "object", "properties": {"total": {}, "urgent": {}}}, {"type": "null"}]},
    },
    "required": ["amount", "currency", "flag", "boss", "invoice"],
}
FITTING = {
    "amount": AMOUNTS, "currency": st.sampled_from(["EUR", "USD", "GBP", ""]), "flag": st.booleans(),
    "boss": st.sampled_from([None, "ann", "bob"]), "invoice": st.one_of(st.none(), INVOICES),
}  # fmt: skip
ANYTHING = st.sampled_from([None, True, False, 0, 1, 5, "5", "EUR", "ann", "much", [], ["EUR"], {}, {"total": 9}])


@st.composite
def tables(draw: st.DrawFn) -> Policy:
    verdicts = draw(st.lists(st.sampled_from(["allow", "hold", "draft", "deny"]), min_size=1, max_size=3))
    return Policy([
        Rule(id=f"r{place}", verdict=verdict, action="pay", when=draw(CONDITIONS), owner="ann", expires="2030-01-01")
        for place, verdict in enumerate(verdicts)
    ])  # fmt: skip


def assert_foreseen(policy: Policy, schemas: dict[str, Any], args: dict[str, Any]) -> None:
    found = analyse(policy, [replace(REFUNDS, schemas=schemas)], NOW)
    rule = policy.decide(FACTS, lambda: NOW, args)
    assert rule.verdict in found.most("refunds")["pay"], [each.when for each in policy.rules]
    assert rule.id not in found.unreachable, [each.when for each in policy.rules]


@settings(max_examples=300)
@given(tables(), st.fixed_dictionaries(FITTING))
def test_what_is_decided_about_fitting_arguments_was_foreseen(policy: Policy, args: dict[str, Any]) -> None:
    assert_foreseen(policy, {"pay": SCHEMA}, args)


@settings(max_examples=300)
@given(tables(), st.fixed_dictionaries({}, optional=dict.fromkeys(FITTING, ANYTHING)))
def test_what_is_decided_about_any_arguments_was_foreseen(policy: Policy, args: dict[str, Any]) -> None:
    assert_foreseen(policy, {}, args)
