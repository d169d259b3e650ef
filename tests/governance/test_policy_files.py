"""A policy file says what the same rules say in Python, and what is wrong in one is told with file, line, rule and field."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay import App, Rule, action, workflow
from backstay.errors import AuthorError
from backstay.governance.policy import AUTONOMY, EFFECTS, SEVERITY, Policy
from backstay.governance.policy_files import Format, read_policy, rules_of, written
from examples.support_triage.app import POLICY

FILE = """\
# What the desk may do. Owner: risk.
- id: never-ourselves
  verdict: deny
  action: credit
  when: customer in ["C-0", "staff"]
  owner: ann
  tests:
    - {args: {customer: C-0, amount: 20}, verdict: deny}
    - args: {customer: C-7, amount: 20.5, note: yes}
      verdict: hold
      by: correct

- id: small-credits
  verdict: allow
  action: credit
  effect: irreversible
  agent: '?*'
  when: amount <= 50 and currency == "EUR"
  owner: ann
  expires: 2027-06-30
  reason: "clause 2: small sums"
- {id: 7, verdict: hold, action: credit, agent: "", approvers: board}
"""
RULES = [
    Rule(
        id="never-ourselves", verdict="deny", action="credit", when='customer in ["C-0", "staff"]', owner="ann",
        tests=(({"customer": "C-0", "amount": 20}, "deny"), ({"customer": "C-7", "amount": 20.5, "note": "yes"}, "hold", "correct")),
    ),
    Rule(
        id="small-credits", verdict="allow", action="credit", effect="irreversible", agent="?*", owner="ann",
        when='amount <= 50 and currency == "EUR"', expires="2027-06-30", reason="clause 2: small sums",
    ),
    Rule(id="7", verdict="hold", action="credit", agent="", approvers="board"),
]  # fmt: skip


def wrong(text: str, name: str = "policy.yaml") -> list[str]:
    with pytest.raises(AuthorError) as raised:
        rules_of(text, name)
    return str(raised.value).splitlines()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_file_is_the_same_table_and_the_same_version_as_in_python(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(FILE, "utf-8")
    found = read_policy(tmp_path / "policy.yaml")
    assert found == RULES
    assert Policy(found).digest == Policy(RULES).digest


@action(effect="irreversible")
async def credit(customer: str, amount: int, currency: str) -> str:
    """Give money back."""
    return "done"


@workflow
async def correct(customer: str) -> str:
    """Correct a bill."""
    return await credit(customer, 5, "EUR")


def test_an_application_takes_its_policy_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text(FILE, "utf-8")
    app = App("desk", workflows=[correct], policy=read_policy(tmp_path / "policy.yml"))
    assert app.policy.digest == Policy(RULES).digest


def test_json_of_the_same_shape_is_the_same_table() -> None:
    rows = [{"id": "a", "verdict": "deny", "tests": [{"args": {"n": 1}, "verdict": "deny", "by": "w"}]}]
    assert rules_of(json.dumps(rows), "p.json") == [Rule(id="a", verdict="deny", tests=(({"n": 1}, "deny", "w"),))]


def test_what_yaml_would_read_as_something_else_is_the_text_that_stands_there() -> None:
    (rule,) = rules_of(
        "- {id: no, verdict: deny, owner: 010, expires: 2027-01-01, tests: [{args: {a: NO, b: 1e3, c: ~, d: null, e: '1'}, verdict: deny}]}",
        "p.yaml",
    )
    assert (rule.id, rule.owner, rule.expires) == ("no", "010", "2027-01-01")
    assert rule.tests[0][0] == {"a": "NO", "b": 1000.0, "c": "~", "d": None, "e": "1"}


def test_all_that_is_wrong_is_told_with_file_line_rule_and_field() -> None:
    assert wrong("""\
- id: a
  verdit: hold
  verdict: alow
  when: amount <=
- id: a
  verdict: deny
  when: a < b
  expires: 2027-13-01
  agent:
- {id: 7, verdict: allow, action: pay}
- pay
- id: t
  verdict: deny
  tests: [{args: {a: 1}, verdct: deny, verdict: deny}, {args: 3}, {args: {}, verdict: never, by: 3}]
- verdict: deny
  id: ""
""") == [
        "policy.yaml:2: rule 'a', verdit: there is no such field; did you mean 'verdict'?",
        "policy.yaml:3: rule 'a', verdict: 'alow' is not one of deny, draft, hold, allow; did you mean 'allow'?",
        "policy.yaml:4: rule 'a', when: 'amount <=' cannot be read at character 10: invalid syntax",
        "policy.yaml:7: rule 'a', when: 'a < b' must compare an argument with a constant; compare two arguments in the workflow",
        "policy.yaml:8: rule 'a', expires: '2027-13-01' is no date or moment; write for example '2027-03-31'",
        "policy.yaml:9: rule 'a', agent: it must be a text; write \"\" for an empty one, or leave the field out",
        "policy.yaml:5: rule 'a', id: this id stands in line 1 already; give each rule its own",
        "policy.yaml:10: rule '7': lets irreversible actions pass without a person: name an owner and an expiry, or restrict it "
        "with effect='read' or 'write'",
        "policy.yaml:11: rule 4: a rule is a row of fields, for example "
        "- {id: large-payments, verdict: hold, action: pay, when: amount > 500, owner: risk}",
        "policy.yaml:14: rule 't', tests: there is no such field 'verdct'; did you mean 'verdict'?",
        "policy.yaml:14: rule 't', tests: a test has args, a verdict and perhaps by: {args: {amount: 501}, verdict: hold}",
        "policy.yaml:14: rule 't', tests: verdict 'never' is not one of deny, draft, hold, allow",
        "policy.yaml:14: rule 't', tests: by must be the name of a workflow or agent",
        "policy.yaml:16: rule 6, id: it is empty",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "policy.yaml: this policy has no rules; write [] for a table without any"),
        ("id: a", "policy.yaml:1: a policy is a list of rules"),
        ("- id: a\n  agent: *\n", "policy.yaml:2: a text that begins with * stands in quotes"),
        ("- &x [a]\n- *x\n", "policy.yaml:2: a text that begins with * stands in quotes"),
        ("- id: a\n  id: b\n", "policy.yaml:2: 'id' stands twice in one row"),
        ("- {[a]: b}", "policy.yaml:1: the name of a field is a text"),
        ("- id: a\n  verdict: [", "policy.yaml:2: this is not YAML: "),
        ("- id: a\x00", "policy.yaml: this is not YAML: "),
        ("[" * 600 + "]" * 600, "policy.yaml:1: this is nested too deeply"),
        ("\n" + "[" * 30_000, "policy.yaml:2: this is nested too deeply"),
        ("- id: !!int 5\n  verdict: deny", "policy.yaml:1: a text that begins with ! stands in quotes"),
        ("- id: a\n  verdict: !deny", "policy.yaml:2: a text that begins with ! stands in quotes"),
        (f"- id: {'1' * 5000}", "policy.yaml:1: this number has too many digits"),
        ("- id: a\n  tests: [{args: {amount: 1e999}}]", "policy.yaml:2: this number is too large"),
        ('- id: "\\uD800"', "policy.yaml:1: '\\ud800' holds half a letter"),
        ('- {id: a, verdict: deny, "\\uD800": b}', "policy.yaml:1: '\\ud800' holds half a letter"),
        (f"- {{id: a, verdict: deny, when: '{'not ' * 5000}a'}}", "policy.yaml:1: rule 'a', when: "),
        ("- owner: ann", "policy.yaml:1: rule 1: it has no id"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, told: str) -> None:
    assert wrong(text)[0].startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "p.json: this is not JSON: "),
        ("{}", "p.json: a policy is a list of rules"),
        ('[{"id": "a", "id": "b"}]', "p.json: 'b' has 'id' twice"),
        ('[{"id": "a", "verdict": "deny", "tests": [{"args": {"amount": NaN}}]}]', "p.json: this number is too large"),
        ('[{"id": "\\ud800", "verdict": "deny"}]', "p.json: '\\ud800' holds half a letter"),
        ("[" + "1" * 5000 + "]", "p.json: this is not JSON: "),
        ('[{"id": 7, "verdict": "deny"}]', "p.json: rule 1, id: it must be a text"),
        (
            '[{"id": "a", "verdict": "deny"}, {"id": "a", "verdict": "deny"}]',
            "p.json: rule 'a', id: this id stands in row 1",
        ),
    ],
)
def test_json_of_another_shape_is_refused(text: str, told: str) -> None:
    assert wrong(text, "p.json")[0].startswith(told)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("[]")
    (tmp_path / "p.yaml").write_bytes(b"\xff")
    for name, told in (("none.yaml", "cannot be read: No such file"), ("p.txt", "ends in"), ("p.yaml", "not UTF-8")):
        with pytest.raises(AuthorError, match=f"{name}: .*{told}"):
            read_policy(tmp_path / name)


def test_yaml_without_its_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert wrong(FILE) == ["policy.yaml: to read YAML, install backstay[yaml]; or write the same rows as JSON"]
    assert rules_of("[]", "policy.json") == []


def test_the_file_that_the_documentation_shows_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    (shown,) = re.findall(r"(?s)```yaml\n(.*?)```", page)
    assert [rule.id for rule in rules_of(shown, "policy.yaml")] == ["never-ourselves", "small-credits", "few-at-once"]


# --- writing ----------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
flat: Any = scalars | st.lists(scalars, max_size=3)
json_values: Any = flat | st.dictionaries(texts, flat, max_size=3)
arguments = st.dictionaries(texts, json_values, max_size=3)
verdicts = st.sampled_from(SEVERITY)
tables = st.lists(
    st.builds(
        Rule, id=texts.filter(str.strip), verdict=st.sampled_from(["deny", "hold", "draft"]), action=texts, workflow=texts,
        agent=texts, effect=st.sampled_from(EFFECTS), autonomy=st.sampled_from(("*", *AUTONOMY)), owner=texts, reason=texts,
        approvers=texts, when=st.sampled_from(["", "amount <= 50", 'not a and b == "x: #y"', " 0 < a.b <= 1e5"]),
        expires=st.sampled_from([None, "2027-06-30", "2027-06-30T12:00:00+02:00"]),
        tests=st.lists(st.tuples(arguments, verdicts) | st.tuples(arguments, verdicts, texts), max_size=2).map(tuple),
    ),
    max_size=4, unique_by=lambda rule: rule.id,
)  # fmt: skip


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_table_that_was_written_reads_back_to_the_same(form: Format) -> None:
    @given(tables)
    def reads_back(rules: list[Rule]) -> None:
        assert rules_of(written(rules, form), f"p.{form}") == rules

    reads_back()


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_policy_of_an_example_reads_back(form: Format) -> None:
    found = rules_of(written(POLICY, form), f"p.{form}")
    assert found == [replace(rule, tests=tuple(rule.tests)) for rule in POLICY]
    assert Policy(found).digest == Policy(POLICY).digest


def test_a_written_file_is_what_a_person_would_write() -> None:
    assert written(RULES[1:], "yaml") == """\
- id: small-credits
  verdict: allow
  action: credit
  effect: irreversible
  agent: '?*'
  when: amount <= 50 and currency == "EUR"
  owner: ann
  reason: 'clause 2: small sums'
  expires: '2027-06-30'

- id: '7'
  verdict: hold
  action: credit
  agent: ''
  approvers: board
"""  # fmt: skip
