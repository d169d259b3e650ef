"""`backstay policy`: the rules of an application, checked and tried before a call asks them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed import Cli

APP = '''
from pydantic import BaseModel
from backstay import Agent, App, Rule, action, workflow

class Answer(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    """Look."""
    return number

@action(effect="irreversible")
async def pay(account: str, amount: int) -> str:
    """Pay."""
    return "paid"

clerk = Agent("clerk", goal="Pay what is due.", tools=[look, pay], output=Answer, autonomy="execute")

@workflow
async def settle(account: str) -> str:
    return await pay(account, 1)

RULES = [
    Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="clerk", when="amount <= 50",
         owner="risk", expires="2099-12-31"),
]
app = App("paying", workflows=[clerk, settle], policy=RULES)
tested = App("paying", workflows=[clerk, settle], policy=[
    Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="clerk", when="amount < 50",
         owner="risk", expires="2099-12-31",
         tests=[({"amount": 50}, "allow"), ({"amount": 51}, "hold"), ({"amount": 1}, "hold", "settle")]),
    Rule(id="old", verdict="deny", action="fax", tests=[({}, "deny")]),
])
beaten = App("paying", workflows=[clerk, settle],
             policy=[*RULES, Rule(id="never", verdict="deny", action="pay", agent="?*", owner="risk", reason="no")])
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paying.py").write_text(APP, "utf-8")
    return "paying.py:app"


def test_check_names_what_an_agent_may_do_alone(cli: Cli, file: str) -> None:
    answer = cli("policy", "check", file)
    assert answer.code == 0, answer
    assert "Without a person: pay(amount='49') of clerk (rule 'small', until 2099-12-31)." in answer.out


def test_check_runs_the_tests_of_rules(cli: Cli, file: str) -> None:
    answer = cli("policy", "check", "paying.py:tested")
    assert answer.code == 1
    wrong = "pay(amount=50) of clerk is hold (rule 'baseline-irreversible'), not allow"
    said = " ".join(answer.out.split())
    assert f"A test of rule 'small' fails: {wrong}." in said
    assert "A test of rule 'old' fails: nothing in this application makes a call that the rule speaks of." in said
    told = cli("policy", "check", "paying.py:tested", "--json").json
    assert (told["tests"], told["failed_tests"][0]) == (4, {"rule": "small", "fails": wrong})


def test_check_finds_the_rule_that_never_decides(cli: Cli, file: str) -> None:
    answer = cli("policy", "check", "paying.py:beaten", "--json")
    assert answer.code == 1
    assert answer.json["unreachable"] == ["small"]
    assert [each[:2] for each in answer.json["overlaps"]] == [["never", "small"]]


def test_try_says_which_rule_decides(cli: Cli, file: str) -> None:
    small = cli("policy", "try", file, "pay", "--by", "clerk", "--arg", "amount=50", "--json")
    assert small.json == [
        {"caller": "clerk", "verdict": "allow", "stage": "policy", "rule": "small", "reason": "",
         "remark": "arguments are incomplete: account missing"},
    ]  # fmt: skip
    large = cli("policy", "try", file, "pay", "--arg", "amount=51", "--json")
    assert [(row["caller"], row["verdict"]) for row in large.json] == [("clerk", "hold"), ("settle", "hold")]
    assert cli("policy", "try", file, "nothing").code == 3
    assert cli("policy", "try", file, "pay", "--arg", "amount").code == 6


def test_the_matrix_lists_who_may_do_what(cli: Cli, file: str) -> None:
    rows = {(row["caller"], row["action"]): row["verdicts"] for row in cli("policy", "matrix", file, "--json").json}
    assert rows[("clerk", "pay")] == ["allow", "hold"]
    assert rows[("clerk", "look")] == ["allow"]
    assert rows[("settle", "pay")] == ["hold"]
    assert "clerk (agent)" in cli("policy", "matrix", file).out


def test_try_says_the_verdict_the_rule_and_the_whole_reason_on_a_narrow_screen(
    cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    told = cli("policy", "try", file, "pay", "--arg", "amount=51").out
    (held,) = cli("policy", "try", file, "pay", "--by", "clerk", "--arg", "amount=51", "--json").json
    assert f"pay by clerk: hold (rule '{held['rule']}')" in told
    assert "pay by settle: hold (rule " in told
    assert held["reason"] in " ".join(told.split())
    assert "arguments are incomplete: account missing" in told


def test_try_knows_who_calls_what(cli: Cli, file: str) -> None:
    def error(*arguments: str) -> str:
        return cli("policy", "try", file, *arguments, "--json").json["error"]["message"]

    assert error("look", "--by", "settle") == "'settle' does not call 'look'; clerk does"
    assert error("look", "--by", "nobody").startswith("there is no workflow or agent 'nobody' ")
    assert error("lock").startswith("there is no action 'lock' ")


def test_try_refuses_arguments_that_the_gate_will_refuse(cli: Cli, file: str) -> None:
    for wrong in ("amount=much", "colour=red"):
        (row,) = cli("policy", "try", file, "pay", "--by", "clerk", "--arg", wrong, "--json").json
        assert (row["verdict"], row["stage"], row["rule"]) == ("deny", "arguments", "")
        assert wrong.partition("=")[0] in row["reason"]
    whole = ("policy", "try", file, "pay", "--by", "clerk", "--arg", "account=7", "--arg", "amount=50")
    assert cli(*whole, "--json").json[0]["remark"] == ""  # an account is a text, also one of digits
    assert "pay by clerk: allow (rule 'small')" in cli(*whole).out
    assert "pay by clerk: deny (stage arguments)" in cli(*whole, "--arg", "colour=red").out


def test_one_rule_is_not_called_rules(cli: Cli, file: str) -> None:
    told = cli("policy", "check", "paying.py:app").out
    assert "rule," in told or "rules," in told
    assert "1 rules" not in told
