"""What an owner of agents types: budgets, levels, drills."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typed import Cli, Worker, dev

APP = '''
from pydantic import BaseModel
from backstay import Agent, AgentDay, App, IdempotencyKey, action
from backstay.ai.models import Models
from backstay.ai.scripted import ScriptedModel, call, finish

class Answer(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    """Look."""
    return "seen well"

@action(effect="write")
async def post(number: str, key: IdempotencyKey) -> str:
    """Post."""
    return "posted well"

clerk = Agent("clerk", goal="Post.", tools=[look, post], output=Answer)
turns = [call("look", number="7"), call("post", number="7"), finish({"text": "x"}, ("it is", "o1", "well"))]
app = App("paying", workflows=[clerk], budgets=[AgentDay("clerk", usd="5", calls=100)],
          models=Models(careful=ScriptedModel(turns, usd="0.10")))
'''
DAY = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An application with an agent, in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTAY_USER", "ann")
    for name in ("BACKSTAY_HOME", "BACKSTAY_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "paying.py").write_text(APP, "utf-8")
    return "paying.py:app"


@pytest.fixture
def case(cli: Cli, file: str) -> str:
    """One case of the agent, which waits for an approval."""
    answer = cli("start", "paying.py:clerk", "--input=input=7", "--json")
    assert answer.code == 0, answer
    return answer.json["run"]


@pytest.fixture
def worker(case: str) -> Iterator[Worker]:
    """`backstay dev` on the store, in a process of its own."""
    with dev("paying.py:app") as worker:
        yield worker


# --- budgets --------------------------------------------------------------------------------------------


def test_budgets_show_what_was_used_and_what_is_left(cli: Cli, case: str) -> None:
    (day,) = cli("budgets", "--json").json
    assert (day["agent"], day["used"]["calls"], day["used"]["usd"]) == ("clerk", 3, "0.20")
    assert (day["limits"], day["left"]) == ({"calls": "100", "usd": "5"}, {"calls": "97", "usd": "4.80"})
    shown = cli("budgets").out
    assert "3 of 100, 97 left" in shown
    assert "0.20 of 5, 4.80 left" in shown
    assert cli("budgets", "--days", "0").code == 2


def test_without_agents_budgets_say_how_one_is_given(cli: Cli, project: Path) -> None:
    assert cli("start", "app.py:reimburse", "--input=claim.employee=ann", "--input=claim.amount=5").code == 0
    shown = cli("budgets").out
    assert "No agent has used up anything" in shown
    assert 'AgentDay("NAME", usd="5")' in shown
    assert cli("budgets", "--json").json == []


# --- levels ---------------------------------------------------------------------------------------------


def test_a_level_is_listed_granted_and_taken_back(cli: Cli, case: str) -> None:
    (row,) = cli("autonomy", "--json").json
    assert (row["agent"], row["action"], row["level"], row["proposal"]) == ("clerk", "post", "propose", None)
    assert row["evidence"]["decided"] == 0
    answer = cli(
        "autonomy", "grant", "clerk", "post", "--expires", DAY, "--reason", "a good year", "--when", "number == '7'"
    )
    assert f"clerk may execute post when number == '7' until {DAY}, by ann." in answer.out
    shown = cli("autonomy", "list").out
    assert "execute (declares propose)" in shown
    assert DAY in shown
    answer = cli("autonomy", "revoke", "clerk", "post", "--when", "number == '7'", "--reason", "a complaint", "--json")
    assert answer.json == {
        "agent": "clerk", "action": "post", "when": "number == '7'", "by": "ann", "worker": False,
    }  # fmt: skip
    assert [row["level"] for row in cli("autonomy", "--json").json] == ["propose"]


def test_what_does_not_fit_is_named(cli: Cli, case: str) -> None:
    more = ("--expires", DAY, "--reason", "x", "--json")
    for given, code, field in (
        (("clark", "post"), 6, "agent"), (("clerk", "look"), 6, "action"), (("clerk", "post", "--level", "all"), 6, "level"),
    ):  # fmt: skip
        answer = cli("autonomy", "grant", *given, *more)
        assert (answer.code, list(answer.json["error"]["fields"])) == (code, [field])
    assert cli("autonomy", "grant", "clerk", "post", "--reason", "x").code == 2
    answer = cli("autonomy", "revoke", "clerk", "post", "--reason", "x")
    assert (answer.code, "nothing was granted" in answer.err) == (4, True)


def test_only_a_risk_owner_grants(cli: Cli, case: str) -> None:
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    for name, role in (("rosa", "risk-owner"), ("olga", "operator")):
        assert cli("people", "add", name, "--role", role, "--as", "root").code == 0
    grant = ("autonomy", "grant", "clerk", "post", "--expires", DAY, "--reason", "x", "--as")
    assert cli(*grant, "olga").code == 4
    assert cli(*grant, "rosa").code == 0
    assert cli("autonomy", "revoke", "clerk", "post", "--reason", "x", "--as", "olga").code == 0


def test_without_agents_the_table_says_so(cli: Cli, project: Path) -> None:
    assert cli("start", "app.py:reimburse", "--input=claim.employee=ann", "--input=claim.amount=5").code == 0
    assert "No agent that can change anything has run" in cli("autonomy").out
    assert cli("autonomy", "--json").json == []


# --- switches and drills --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["list", "log", "agent", "effect:read"])
def test_a_word_that_is_no_scope_is_told_so_with_what_there_is(cli: Cli, project: Path, word: str) -> None:
    for line in ((word,), (word, "--off", "--reason", "x"), ("drill", word)):
        answer = cli("switch", *line)
        assert answer.code == 6
        assert f"there is no switch '{word}'; name one of all, agent:NAME" in answer.err
        assert "switch drills` what was drilled" in answer.err


def test_a_drill_without_a_scope_says_what_to_type(cli: Cli, project: Path) -> None:
    answer = cli("switch", "drill")
    assert (answer.code, "backstay switch drill all" in answer.err) == (2, True)


def test_a_directory_without_an_application_says_what_to_type(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (("dev",), ("dev", "app.py"), ("start", "app.py"), ("start",), ("runs",), ("policy", "check")):
        answer = cli(*line)
        assert answer.code in (2, 3)
        assert "backstay init NAME" in answer.err, line


def test_an_agent_is_switched_off_and_listed(cli: Cli, case: str) -> None:
    assert "Nothing is switched off" in cli("switch").out
    assert cli("switch", "agent:clerk", "--off", "--reason", "incident 7").code == 0
    (off,) = cli("switch", "--json").json
    assert (off["scope"], off["reason"], off["by"]) == ("agent:clerk", "incident 7", "ann")
    assert cli("switch", "flip", "agent:clerk", "--on", "--json").json["off"] is False


def test_a_drill_needs_a_worker(cli: Cli, case: str) -> None:
    answer = cli("switch", "drill", "all")
    assert (answer.code, "no worker is running" in answer.err) == (4, True)
    assert "No switch was ever drilled" in cli("switch", "drills").out
    assert cli("switch", "drills", "--max-age", "30d").code == 1


def test_a_drill_is_made_listed_and_due_again(cli: Cli, worker: Worker) -> None:
    answer = cli("switch", "drill", "agent:clerk", "--seconds", "0.1", "--reason", "quarterly", "--json")
    assert (answer.code, answer.json["outcome"], answer.json["by"]) == (0, "idle", "ann")
    (drill,) = cli("switch", "drills", "--json").json
    assert (drill["scope"], drill["started"], drill["overdue"], drill["due"]) == ("agent:clerk", 0, False, None)
    late = cli("switch", "drills", "--max-age", "30d")
    assert (late.code, "overdue" in late.out) == (1, True)  # a drill that showed nothing is still to be made
    assert cli("switch", "drills", "--max-age", "soon").code == 6
    assert "nothing wanted to write meanwhile" in cli("switch", "drill", "all", "--seconds", "0.1").out
