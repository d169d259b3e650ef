"""`backstay eval` and `backstay prompts`: agents on datasets, a gate for CI, and which prompts they had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed import Cli

APP = '''
from pathlib import Path
from pydantic import BaseModel
from backstay import Agent, AgentLimits, App, Models, action, workflow
from backstay.ai.scripted import ScriptedModel, call, finish

class Resolution(BaseModel):
    cause: str

@action(effect="read")
async def find_order(number: str) -> str:
    """Look up a purchase order by its number."""
    return "freight is billed apart"

def obedient(asked):
    looks = "Look the order up" in asked.system and len(asked.messages) == 1
    return call("find_order", number="7") if looks else finish({"cause": "freight"}, ("It is.", "o1", "billed apart"))

resolver = Agent("resolver", goal="Find out why.", tools=[find_order], output=Resolution,
                 instructions=Path("prompt.md"), limits=AgentLimits(steps=3))

@workflow
async def look(number: str) -> str:
    return await find_order(number)

app = App("helpdesk", workflows=[resolver], models=Models(careful=ScriptedModel(obedient, usd="0.01")))
alone = App("alone", workflows=[look])
'''
CASES = """
{"id": "freight", "input": {"invoice": "7"}, "expect": {"fields": {"cause": "freight"}, "called": ["find_order"]}}
{"id": "cheap", "input": {"invoice": "8"}, "expect": {"limits": {"usd": "0.02"}}}
"""
EVAL = ("eval", "desk.py:app", "cases.jsonl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # the runner of parallel tests sets it
    (tmp_path / "desk.py").write_text(APP, "utf-8")
    (tmp_path / "prompt.md").write_text("Look the order up before you answer.\n", "utf-8")
    (tmp_path / "cases.jsonl").write_text(CASES, "utf-8")
    return tmp_path


def test_a_good_agent_passes(cli: Cli, folder: Path) -> None:
    answer = cli(*EVAL)
    assert answer.code == 0, answer
    assert "resolver" in answer.out
    assert "prompt.md" in answer.out
    assert "Models that answered: scripted." in answer.out
    assert "2 of 2 cases passed: 100.0%, with 95 % confidence 34.2% to 100.0%." in answer.out
    assert "Medians: steps 2, calls 1" in answer.out
    assert answer.err == ""


def test_a_changed_prompt_is_held_against_the_report_of_before(cli: Cli, folder: Path) -> None:
    assert cli(*EVAL, "--out", "reports/before.json").code == 0
    assert cli(*EVAL, "--against", "reports/before.json").out.endswith("Not worse than the baseline.\n")
    (folder / "prompt.md").write_text("Be quick.\n", "utf-8")
    answer = cli(*EVAL, "--against", "reports/before.json")
    assert answer.code == 1
    assert "called: find_order was not called" in answer.out
    assert "resolver: prompt " in answer.out
    assert "Worse: 100.0% of the attempts fail that passed before, and 0.0% may: freight, cheap." in answer.out
    assert cli(*EVAL, "--against", "reports/before.json", "--tolerance", "1").code == 0
    assert cli(*EVAL, "--against", "reports/before.json", "--tolerance", "1", "--growth", "0.1").code == 1


def test_one_json_value_for_a_program(cli: Cli, folder: Path) -> None:
    answer = cli(*EVAL, "--times", "2", "--jobs", "2", "--case", "freight", "--out", "report.json", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.json
    assert (found["attempts"], found["passed"], found["against"]) == (2, 2, None)
    assert [case["id"] for case in found["cases"]] == ["freight"]
    (agent,) = found["agents"]
    assert (agent["agent"], agent["file"], len(agent["version"])) == ("resolver", "prompt.md", 64)
    kept = json.loads((folder / "report.json").read_text("utf-8"))
    assert {**kept, "against": None} == found
    compared = cli(*EVAL, "--case", "freight", "--against", "report.json", "--json").json["against"]
    assert (compared["compared"], compared["regressions"]) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--case", "none"), 3, "has no case 'none'; it has freight, cheap"),
        (("--against", "none.json"), 3, "there is no report 'none.json'; `"),
        (("--tolerance", "0.1"), 2, "name it with --against FILE"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    cli: Cli, folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = cli(*EVAL, *arguments)
    assert answer.code == code, answer
    assert words in " ".join(answer.err.split())


def test_an_empty_dataset_is_no_success_and_says_how_to_begin(cli: Cli, folder: Path) -> None:
    (folder / "cases.jsonl").write_text("", "utf-8")
    answer = cli(*EVAL, "--json")
    assert answer.code == 6
    assert 'has no cases; write one a line, for example {"id": "freight"' in answer.json["error"]["message"]


def test_prompts_have_versions_and_files(cli: Cli, folder: Path) -> None:
    before = cli("prompts", "desk.py:app", "--json").json
    (folder / "prompt.md").write_text("Be quick.\n", "utf-8")
    after = cli("prompts", "desk.py:app", "resolver", "--json").json
    assert [one["file"] for one in before] == ["prompt.md"]
    assert before[0]["version"] != after[0]["version"]
    assert before[0]["definition"] != after[0]["definition"]
    assert after[0]["text"].endswith("Be quick.")
    shown = cli("prompts", "desk.py:app").out
    assert after[0]["version"][:7] in shown
    assert after[0]["definition"][:7] in shown
    assert cli("prompts", "desk.py:app", "resolver").out.rstrip().endswith("Be quick.")


def test_without_agents_there_are_no_prompts(cli: Cli, folder: Path) -> None:
    assert "This application has no agents" in cli("prompts", "desk.py:alone").out
    answer = cli("prompts", "desk.py:app", "clerk")
    assert (answer.code, "there is no agent 'clerk' in 'helpdesk'; it has resolver" in answer.err) == (3, True)


def test_a_recorded_case_of_an_agent_can_be_tried_with_a_changed_file(cli: Cli, folder: Path) -> None:
    run = cli("start", "desk.py:resolver", "--input", "input.invoice=7", "--json").json["run"]
    assert cli("replay", run, "--with", "desk.py").code == 0
    (folder / "desk.py").write_text(APP.replace("steps=3", "steps=1"), "utf-8")
    changed = cli("replay", run, "--with", "desk.py", "--json")
    assert (changed.code, changed.json["new"]["result"]["reason"]) == (8, "limit")
