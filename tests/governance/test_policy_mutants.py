"""Every small change of a policy is noticed: by a claim about the baseline, or by a test that a rule carries.

A mutant flips an operator, moves a threshold, swaps two fields, drops a rule, changes a verdict or whom it is about. One
that decides every situation as the original does is no change; the analysis says so exactly.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, App, Models, Rule, action, workflow
from backstay.ai.scripted import ScriptedModel
from backstay.errors import AuthorError
from backstay.governance import policy as module
from backstay.governance.analysis import Caller, Example, analyse, examples, failing
from backstay.governance.policy import AUTONOMY, EFFECTS, SEVERITY, Facts, Policy
from backstay.operations.permissions import callers_of
from backstay.operations.supervision import NEVER_TWICE
from examples.accounts_payable.app import app as payables
from examples.contract_intake.app import app as contracts
from examples.leave_request.app import app as leave
from examples.patterns import agent_calls_workflow, coordination, exception_handler, propose, router, supervisor
from examples.support_triage.app import app as triage

NOW = "2026-01-05T09:00:00.000000Z"
FLIPPED: dict[type[ast.AST], Sequence[type[ast.AST]]] = {
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.And: [ast.Or],
    ast.Or: [ast.And],
}  # fmt: skip


class Answer(BaseModel):
    text: str


@action(effect="irreversible", sinks=["customer"])
async def credit(customer: str, amount: int, currency: str, urgent: bool) -> str:
    """Give a customer money back."""
    return "done"


@action(effect="write")
async def write_note(text: str, public: bool) -> str:
    """Write a note."""
    return "done"


@action(effect="read")
async def find(number: str, limit: int) -> str:
    """Find an order."""
    return "found"


@workflow
async def correct(customer: str) -> str:
    await write_note("corrected", False)
    return await credit(customer, 5, "EUR", False)


tools = [credit, write_note, find]
refunds = Agent("refunds", goal="Refund.", tools=tools, output=Answer, autonomy="execute")
trainee = Agent("trainee", goal="Learn.", tools=tools, output=Answer, autonomy="propose")

OK = {"customer": "C-1", "amount": 20, "currency": "EUR", "urgent": False}
TABLE = (
    Rule(
        id="never-ourselves", verdict="deny", action="credit", when='customer in ["C-0", "staff"]', owner="ann",
        tests=[({**OK, "customer": "C-0"}, "deny"), ({**OK, "customer": "staff"}, "deny")],
    ),
    Rule(
        id="large-credits", verdict="deny", action="credit", agent="?*", owner="ann",
        when='amount > 500 or (currency != "EUR" and amount >= 100)',
        tests=[
            ({**OK, "amount": 501}, "deny"), ({**OK, "amount": 501, "currency": "USD"}, "deny"),
            ({**OK, "amount": 100, "currency": "USD"}, "deny"), ({**OK, "amount": 99, "currency": "USD"}, "hold"),
            ({**OK, "amount": 500}, "hold"),
        ],
    ),
    Rule(
        id="small-credits", verdict="allow", action="credit", effect="irreversible", agent="refunds", owner="ann",
        expires="2027-06-30", when='0 < amount <= 50 and currency == "EUR" and not urgent',
        tests=[
            ({**OK, "amount": 1}, "allow"), ({**OK, "amount": 50}, "allow"), ({**OK, "amount": 0}, "hold"),
            ({**OK, "amount": 51}, "hold"), ({**OK, "currency": "USD"}, "hold"), ({**OK, "urgent": True}, "hold"),
            (OK, "hold", "trainee"), (OK, "hold", "correct"),
        ],
    ),
    Rule(
        id="large-by-workflows", verdict="hold", action="credit", agent="", owner="ann", approvers="board",
        when="amount > 500", tests=[({**OK, "amount": 501}, "hold")],
    ),
    Rule(
        id="public-notes", verdict="draft", action="write_note", agent="?*", owner="ann", when="public",
        tests=[({"public": True}, "draft")],
    ),
    Rule(
        id="notes-of-trainees", verdict="allow", action="write_note", effect="write", agent="trainee", owner="ann",
        tests=[({"public": False}, "allow"), ({"public": True}, "draft")],
    ),
    Rule(
        id="notes-of-workflows", verdict="allow", action="write_note", effect="write", agent="", owner="ann",
        tests=[({"public": False}, "allow"), ({"public": True}, "allow")],
    ),
    Rule(
        id="few-at-once", verdict="deny", effect="read", agent="?*", when="limit > 100", owner="ann",
        tests=[({"limit": 101}, "deny"), ({"limit": 100}, "allow")],
    ),
)  # fmt: skip
app = App("desk", workflows=[correct, refunds, trainee], policy=TABLE, models=Models(careful=ScriptedModel([])))


# --- mutants ---------------------------------------------------------------------------------------------------------


def conditions(text: str) -> Iterator[str]:
    """The condition with one operator flipped, one threshold moved, one constant changed, or two fields swapped."""
    tree = ast.parse(text, mode="eval")
    for place, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            changed = copy.deepcopy(tree)
            change(list(ast.walk(changed))[place])
            yield ast.unparse(changed)
    names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})
    for one, other in combinations(names, 2):
        swapped = copy.deepcopy(tree)
        for node in ast.walk(swapped):
            if isinstance(node, ast.Name):
                node.id = {one: other, other: one}.get(node.id, node.id)
        yield ast.unparse(swapped)


def changes(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            for flipped in FLIPPED[type(op)]:
                yield lambda found, place=place, flipped=flipped: found.ops.__setitem__(place, flipped())
    elif isinstance(node, ast.BoolOp):
        yield lambda found: setattr(found, "op", FLIPPED[type(node.op)][0]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda found: (
            setattr(found, "op", ast.Not()),
            setattr(found, "operand", ast.UnaryOp(ast.Not(), node.operand)),
        )
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for step in (-1, 1):
            yield lambda found, step=step: setattr(found, "value", node.value + step)
    elif isinstance(node, ast.Constant):
        yield lambda found: setattr(found, "value", "another")


def of_rule(rule: Rule) -> Iterator[Rule]:
    """The rule with another verdict, effect, autonomy, condition, or about others."""
    yield from (replace(rule, verdict=verdict) for verdict in SEVERITY if verdict != rule.verdict)
    yield from (replace(rule, effect=effect) for effect in EFFECTS if effect != rule.effect)
    yield from (replace(rule, autonomy=autonomy) for autonomy in ("*", *AUTONOMY) if autonomy != rule.autonomy)
    yield from (replace(rule, agent=agent) for agent in ("*", "?*", "") if agent != rule.agent)
    yield from (replace(rule, action=name) for name in ("*", "nothing") if name != rule.action)
    yield from (replace(rule, when=text) for text in (["", *conditions(rule.when)] if rule.when else []))


def tables(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """The table with one rule changed or dropped, or two whose verdicts, effects, agents or conditions are swapped."""
    for place, rule in enumerate(rules):
        yield [*rules[:place], *rules[place + 1 :]]
        for changed in of_rule(rule):
            yield [*rules[:place], changed, *rules[place + 1 :]]
    for (one, first), (other, second) in combinations(enumerate(rules), 2):
        for name in ("verdict", "effect", "agent", "autonomy", "when"):
            if getattr(first, name) != getattr(second, name):
                swapped = list(rules)
                swapped[one] = replace(first, **{name: getattr(second, name)})
                swapped[other] = replace(second, **{name: getattr(first, name)})
                yield swapped


def survivors(policy: Policy, callers: Sequence[Caller], more: Sequence[Example] = ()) -> tuple[list[str], int]:
    """Mutants that decide something else, and which no test of a rule, and none of more, notices; and how many were tried."""
    tests, alive, tried = [*examples(policy, callers), *more], list[str](), 0
    for rules in tables(policy.rules):
        try:
            mutant = Policy(rules)
        except AuthorError:  # it could not even be loaded
            continue
        tried += 1
        if not failing(mutant, tests, NOW) and differ(policy, mutant, callers):
            alive.append(told(policy, mutant))
    return alive, tried


def differ(one: Policy, other: Policy, callers: Sequence[Caller]) -> bool:
    both = Policy([*one.rules, *(replace(rule, id=f"{rule.id}'") for rule in other.rules)])
    return any(
        one.decide(each.facts, lambda: NOW, each.args).verdict
        != other.decide(each.facts, lambda: NOW, each.args).verdict
        for each in analyse(both, callers, NOW).situations
    )


def told(policy: Policy, mutant: Policy) -> str:
    changed = [rule for rule in mutant.rules if rule not in policy.rules]
    return "; ".join(map(repr, changed)) or f"without { ({r.id for r in policy.rules} - {r.id for r in mutant.rules}) }"


# --- what is shipped -------------------------------------------------------------------------------------------------

CLAIMS = {
    ("read", "", ""): ("allow", "baseline-reads"),
    ("write", "", ""): ("allow", "baseline-writes"),
    ("irreversible", "", ""): ("hold", "baseline-irreversible"),
    ("read", "a", "recommend"): ("allow", "baseline-reads"),
    ("write", "a", "recommend"): ("draft", "baseline-recommend-write"),
    ("irreversible", "a", "recommend"): ("draft", "baseline-recommend-irreversible"),
    ("read", "a", "propose"): ("allow", "baseline-reads"),
    ("write", "a", "propose"): ("hold", "baseline-propose-write"),
    ("irreversible", "a", "propose"): ("hold", "baseline-propose-irreversible"),
    ("read", "a", "execute"): ("allow", "baseline-reads"),
    ("write", "a", "execute"): ("allow", "baseline-writes"),
    ("irreversible", "a", "execute"): ("hold", "baseline-irreversible"),
    ("unknown", "", ""): ("deny", "no-rule"),
    ("unknown", "a", "recommend"): ("deny", "no-rule"),
    ("unknown", "a", "propose"): ("deny", "no-rule"),
    ("unknown", "a", "execute"): ("deny", "no-rule"),
}
"""(effect, agent, autonomy) -> what becomes of it where a policy is silent, and which rule says so."""


def baseline() -> dict[Any, tuple[str, str]]:
    silent, found = Policy(), dict[Any, tuple[str, str]]()
    for effect, agent, autonomy in CLAIMS:
        rule = silent.decide(Facts("post", effect, "buy", agent, autonomy), lambda: NOW)  # type: ignore[arg-type]
        found[effect, agent, autonomy] = (rule.verdict, rule.id)
    return found


def test_the_baseline_is_what_is_claimed() -> None:
    assert baseline() == CLAIMS


@pytest.mark.parametrize("name", ["AGENTS", "BASELINE"])
def test_every_mutant_of_the_baseline_breaks_a_claim(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original, alive = getattr(module, name), list[tuple[Rule, ...]]()
    for rules in tables(original):
        monkeypatch.setattr(module, name, tuple(rules))
        if baseline() == CLAIMS:
            alive.append(tuple(replace(rule, agent="?*") if rule.autonomy != "*" else rule for rule in rules))
    monkeypatch.undo()
    # Nobody but agents has an autonomy: a rule about one speaks of agents alone, also where it says "*".
    assert set(map(repr, alive)) <= {repr(original)}


PATTERNS = [each.app for each in (agent_calls_workflow, coordination, exception_handler, propose, router)]
SHIPPED = [payables, leave, contracts, triage, *PATTERNS]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda each: each.name)
def test_every_mutant_of_an_examples_policy_fails_a_test_of_its_rules(shipped: App) -> None:
    alive, tried = survivors(shipped.policy, callers_of(shipped))
    assert alive == []
    assert tried > 10 * len(shipped.policy.rules) or not shipped.policy.rules
    assert failing(shipped.policy, examples(shipped.policy, callers_of(shipped)), NOW) == []


def test_every_mutant_of_the_supervisions_rule_is_noticed() -> None:
    """Its tests stand here: what else an application says of retries is its own business."""
    tests = [
        ({"state": "queued", "effect": "write"}, "allow"), ({"state": "failed", "effect": "write"}, "deny"),
        ({"state": "queued", "effect": "irreversible"}, "deny"), ({"state": "failed", "effect": "irreversible"}, "deny"),
    ]  # fmt: skip
    assert supervisor.app.policy.rules == (NEVER_TWICE,)
    books = Example(rule="", facts=Facts("book_invoice", "write", "handle_invoice"), args={}, verdict="allow")
    alive, tried = survivors(Policy([replace(NEVER_TWICE, tests=tests)]), callers_of(supervisor.app), [books])
    assert alive == []
    assert tried > 10


def test_every_example_with_an_application_is_among_them() -> None:
    import examples

    found = {path.parent.name for path in Path(examples.__file__).parent.glob("*/app.py")}
    found |= {
        path.stem for path in Path(examples.__file__).parent.glob("patterns/*.py") if " App(" in path.read_text("utf-8")
    }
    assert found == {"accounts_payable", "leave_request", "contract_intake", "support_triage", "agent_calls_workflow",
                     "coordination", "exception_handler", "propose", "router", "supervisor"}  # fmt: skip


@pytest.mark.parametrize("shipped", [payables, leave, contracts], ids=lambda each: each.name)
def test_nothing_irreversible_in_an_example_happens_without_a_person_and_its_agents_change_nothing(
    shipped: App,
) -> None:
    found = analyse(shipped.policy, callers_of(shipped), NOW)
    assert {each.verdict for each in found.situations if each.facts.effect == "irreversible"} <= {"hold"}
    assert {each.facts.effect for each in found.situations if each.facts.agent} <= {"read"}


# --- rules with tests ------------------------------------------------------------------------------------------------


def test_rules_are_as_their_tests_say() -> None:
    assert failing(app.policy, examples(app.policy, callers_of(app)), NOW) == []


def test_every_mutant_of_a_policy_fails_a_test_of_its_rules() -> None:
    alive, tried = survivors(app.policy, callers_of(app))
    assert alive == []
    assert tried > 200


def test_a_test_that_says_otherwise_fails_and_names_the_rule_that_decided() -> None:
    wrong = replace(TABLE[0], tests=[(OK, "deny")])
    found = failing(Policy([wrong]), examples(Policy([wrong]), callers_of(app)), NOW)
    assert [(test.facts.workflow, rule.id) for test, rule in found if test.facts] == [
        ("correct", "baseline-irreversible"), ("refunds", "baseline-irreversible"), ("trainee", "baseline-propose-irreversible"),
    ]  # fmt: skip


def test_a_test_of_a_rule_that_speaks_of_nothing_fails() -> None:
    policy = Policy([Rule(id="old", verdict="deny", action="fax", tests=[({}, "deny")])])
    ((test, rule),) = failing(policy, examples(policy, callers_of(app)), NOW)
    assert (test.rule, test.facts, rule.id) == ("old", None, "no-rule")


def test_tests_make_no_new_version_of_a_policy() -> None:
    assert Policy(TABLE).digest == Policy([replace(rule, tests=()) for rule in TABLE]).digest


@pytest.mark.parametrize("test", [({"amount": 5}, "alow"), (["amount"], "deny"), ({}, "deny", "a", "b")])
def test_a_misspelt_test_is_refused(test: Any) -> None:
    with pytest.raises(AuthorError, match="is not"):
        Policy([Rule(id="r", verdict="deny", tests=[test])])
