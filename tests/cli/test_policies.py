"""`backstay policy`: the rules of an application, checked and tried before a call asks them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typed import Cli

from backstay.cli.policy_tables import application
from backstay.governance.policy import Policy
from backstay.governance.policy_files import rules_of

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
        {"caller": "clerk", "verdict": "allow", "stage": "policy", "rule": "small", "reason": "", "without_grants": "",
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


# --- grants -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def granted(file: str) -> str:
    """A store in which clerk may pay up to 80, and look is of no interest."""

    async def grant() -> None:
        async with application(file).open(Path(".backstay")) as client:
            when: dict[str, Any] = {
                "when": "amount <= 80",
                "expires": "2099-06-30",
                "reason": "a good year",
                "by": "rosa",
            }
            await client.grant_autonomy("clerk", "pay", "execute", **when)

    asyncio.run(grant())
    return file


GRANT = "granted:clerk/pay if amount <= 80"


def test_try_names_the_grant_that_decides(cli: Cli, granted: str) -> None:
    call = ("policy", "try", granted, "pay", "--by", "clerk", "--arg", "amount=70")
    (row,) = cli(*call, "--json").json
    assert (row["verdict"], row["rule"], row["reason"], row["without_grants"]) == (
        "allow",
        GRANT,
        "a good year",
        "hold",
    )
    told = cli(*call).out
    assert f"pay by clerk: allow (rule '{GRANT}')" in told
    assert "It is a grant; without it, it would be hold." in told
    (row,) = cli(*call, "--no-grants", "--json").json
    assert (row["verdict"], row["rule"]) == ("hold", "baseline-irreversible")
    assert [
        row["without_grants"] for row in cli("policy", "try", granted, "pay", "--arg", "amount=90", "--json").json
    ] == ["", ""]


def test_the_matrix_marks_where_a_grant_counts(cli: Cli, granted: str) -> None:
    rows = {(row["caller"], row["action"]): row for row in cli("policy", "matrix", granted, "--json").json}
    assert rows[("clerk", "pay")]["grants"] == [GRANT]
    assert rows[("settle", "pay")]["grants"] == rows[("clerk", "look")]["grants"] == []
    told = cli("policy", "matrix", granted).out
    assert "(by a grant)" in told
    assert f"By a grant: {GRANT}." in told
    cli("policy", "matrix", granted, "--html", "page.html")
    assert f"by a grant: {GRANT.replace('<', '&lt;')}" in Path("page.html").read_text("utf-8")
    assert "grant" not in cli("policy", "matrix", granted, "--no-grants").out


def test_check_counts_what_is_granted(cli: Cli, granted: str) -> None:
    told = " ".join(cli("policy", "check", granted).out.split())
    assert f"In force in the store, until 2099-06-30: '{GRANT}' makes it allow." in told
    assert f"of clerk (rule '{GRANT}', until 2099-06-30)." in told
    found = cli("policy", "check", granted, "--json").json
    assert {row["rule"] for row in found["without_a_person"]} == {"small", GRANT}
    assert (found["grants"], found["grants_without_effect"], found["unreachable"]) == ([GRANT], [], [])
    assert cli("policy", "check", granted, "--no-grants", "--json").json["grants"] == []
    beaten = cli("policy", "check", "paying.py:beaten", "--json").json
    assert beaten["grants_without_effect"] == [GRANT]


def test_what_was_taken_back_is_no_grant(cli: Cli, granted: str) -> None:
    async def revoke() -> None:
        async with application(granted).open(Path(".backstay")) as client:
            await client.revoke_autonomy("clerk", "pay", when="amount <= 80", reason="a complaint", by="olga")

    asyncio.run(revoke())
    call = ("policy", "try", granted, "pay", "--by", "clerk", "--arg", "amount=20")
    told = cli(*call).out
    assert "pay by clerk: hold (rule 'revoked:clerk/pay if amount <= 80')" in told
    assert "It is a demotion; without it, it would be allow." in told
    assert "(by a demotion)" in cli("policy", "matrix", granted).out
    assert "until somebody grants again" in cli("policy", "check", granted).out


# --- gaps -----------------------------------------------------------------------------------------------------------------


def test_check_finds_gaps_and_what_cannot_be_answered(cli: Cli, file: str) -> None:
    text = APP.replace("amount: int)", "amount: int = 7)")
    Path("paying.py").write_text(text, "utf-8")
    found = cli("policy", "check", file, "--json").json
    assert found["gaps"] == {"baseline-irreversible": ["pay of clerk", "pay of settle"]}
    assert [(row["rule"], row["args"], row["verdict"]) for row in found["unanswered"]] == [("small", {}, "deny")]
    told = " ".join(cli("policy", "check", file).out.split())
    assert "No rule speaks of some calls, and 'baseline-irreversible' decides: pay of clerk, pay of settle." in told
    assert "Rule 'small' denies pay() of clerk: 'amount <= 50' cannot be answered: there is no amount." in told


def test_check_names_a_rule_that_expired(cli: Cli, file: str) -> None:
    Path("paying.py").write_text(APP.replace("2099-12-31", "2020-12-31"), "utf-8")
    assert cli("policy", "check", file, "--json").json["expired"] == ["small"]
    assert "Rule 'small' has expired and does not count any more." in cli("policy", "check", file).out


# --- diff -----------------------------------------------------------------------------------------------------------------

SMALL = """\
- id: small
  verdict: allow
  action: pay
  effect: irreversible
  agent: clerk
  when: amount <= 50
  owner: risk
  expires: 2099-12-31
"""


def test_diff_lists_what_comes_out_otherwise(cli: Cli, file: str) -> None:
    Path("new.yaml").write_text(SMALL.replace("50", "80"), "utf-8")
    answer = cli("policy", "diff", file, "new.yaml")
    assert answer.code == 1
    told = " ".join(answer.out.split())
    assert "pay (irreversible) by clerk (agent)" in told
    assert "hold → allow: if 50 < amount ≤ 80 (rule 'baseline-irreversible' → 'small')" in told
    assert "2 situations of paying come out otherwise." in told
    found = cli("policy", "diff", file, "new.yaml", "--json")
    assert found.code == 1
    (change,) = found.json["changes"]
    assert (change["caller"], change["old"], change["new"], change["situations"]) == ("clerk", "hold", "allow", 2)
    assert change["example"] == {"amount": "65"}


def test_diff_says_plainly_when_nothing_changes(cli: Cli, file: str) -> None:
    Path("same.yaml").write_text(SMALL, "utf-8")
    Path("words.yaml").write_text(SMALL.replace("amount <= 50", "not amount > 50"), "utf-8")
    same = cli("policy", "diff", file, "same.yaml")
    assert (same.code, same.out.strip()) == (0, "The tables are the same.")
    words = cli("policy", "diff", "same.yaml", "words.yaml", "--app", file)
    assert (words.code, words.out.strip()) == (0, "The texts differ, and no call of paying comes out otherwise.")
    assert cli("policy", "diff", "same.yaml", "words.yaml", "--app", file, "--json").json["changes"] == []


def test_diff_needs_somebody_who_calls(cli: Cli, file: str) -> None:
    Path("a.yaml").write_text(SMALL, "utf-8")
    answer = cli("policy", "diff", "a.yaml", "a.yaml", "--json")
    assert (answer.code, answer.json["error"]["fields"]) == (6, {"app": "is missing"})
    assert cli("policy", "diff", "a.yaml", "none.yaml", "--app", file).code == 3
    Path("bad.yaml").write_text(SMALL.replace("owner", "ovner"), "utf-8")
    answer = cli("policy", "diff", "a.yaml", "bad.yaml", "--app", file)
    assert answer.code == 1
    assert "bad.yaml:7: rule 'small', ovner: there is no such field; did you mean 'owner'?" in " ".join(
        answer.err.split()
    )


# --- export ---------------------------------------------------------------------------------------------------------------


def test_export_writes_what_reads_back(cli: Cli, file: str) -> None:
    policy = application("paying.py:tested").policy
    for form in ("yaml", "json"):
        text = cli("policy", "export", "paying.py:tested", "--format", form).out
        assert Policy(rules_of(text, f"p.{form}")).digest == policy.digest
    assert json.loads(text)[0]["id"] == "small"
    cli("policy", "export", "paying.py:tested", "--format", "yaml", "-o", "p.yaml")
    assert cli("policy", "export", "p.yaml", "--format", "json").out == text


def test_export_is_a_page_in_english_or_cedar(cli: Cli, file: str) -> None:
    page = cli("policy", "export", file).out
    assert page.startswith("# What paying may do\n")
    assert "if `amount` is at most 50, is done, and nobody is asked. Owner: risk." in page
    assert '@id("small")\n@verdict("allow")' in cli("policy", "export", file, "--format", "cedar").out
    answer = cli("policy", "export", file, "-o", "policy.md")
    assert "The policy is in policy.md." in answer.out
    assert Path("policy.md").read_text("utf-8") == page
    assert cli("policy", "export", file, "--json").json["text"] == page
