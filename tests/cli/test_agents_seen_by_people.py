"""What people see of an agent: what it asks them to approve, for which case, and the picture of its way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typed import Cli

RESOLVER = """
from pydantic import BaseModel
from backstay import Agent, App, Models, action, workflow
from backstay.ai.scripted import ScriptedModel, call, finish

class Resolution(BaseModel):
    cause: str

@action(effect="read")
async def find_order(number: str) -> str:
    return "freight is billed apart"

@action(effect="write")
async def add_note(number: str, text: str) -> str:
    return "case-17"

resolver = Agent("resolver", goal="Find out why it does not match.", tools=[find_order, add_note], output=Resolution)

@workflow
async def check(number: str) -> str:
    finding = await resolver({"invoice": number})
    return finding.reason

script = [
    call("find_order", number="n-7"),
    call("add_note", number="n-7", text="Freight is billed apart"),
    finish({"cause": "freight"}, ("Freight is billed apart.", "o1", "freight is billed apart")),
]
app = App("invoices", workflows=[check, resolver], models=Models(careful=ScriptedModel(script, usd="0.01")))
"""


@pytest.fixture
def case(cli: Cli, project: Path) -> str:
    """A check whose agent waits for the approval of a call."""
    (project / "app.py").write_text(RESOLVER, "utf-8")
    answer = cli("start", "app.py:check", "--input", '{"number": "n-7"}', "--json")
    assert answer.code == 0, answer
    return answer.json["run"]


@pytest.fixture
def item(cli: Cli, case: str) -> str:
    return cli("inbox", "--json").json[0]["id"]


def test_the_inbox_says_which_agent_wants_what_with_which_values(cli: Cli, item: str) -> None:
    assert "resolver (agent): add_note number=n-7 text=Freight is billed apart" in cli("inbox").out
    assert cli("inbox", "--json").json[0]["agent"] == "resolver"


def test_an_item_shows_the_goal_of_its_agent_and_the_case_it_works_for(cli: Cli, case: str, item: str) -> None:
    words = cli("show", item).out.split()
    told = " ".join(words)
    assert "agent resolver goal Find out why it does not match. action add_note" in told
    assert f"parent {case} check waiting" in told


def test_a_run_that_waits_for_its_agent_names_the_item_and_what_to_type(cli: Cli, case: str, item: str) -> None:
    short = item.partition("/")[0][-8:] + "/" + item.partition("/")[2]
    told = cli("show", case).out
    assert f"{short}  approval for approvals  resolver (agent): add_note" in told
    assert f"backstay approve {short}\n" in told
    assert f"backstay show {short}" in cli("show", case, "--json").json["waits"][0]["do"]


def drawn(text: str) -> list[str]:
    """The labels of a Mermaid picture, with a star for what a run went through."""
    labels = re.findall(r'^    (n\d+)\S*?"(.*?)"', text, re.MULTILINE)
    taken = set(re.findall(r"class (n\d+) taken", text))
    return [f"* {label}" if name in taken else label for name, label in labels]


def test_the_picture_of_an_agent_shows_its_goal_and_its_tools_and_not_the_loop_of_all_agents(
    cli: Cli, case: str
) -> None:
    assert drawn(cli("graph", "app.py:resolver", "--format", "mermaid").out) == [
        "resolver: Find out why it does not match.",
        "the model (careful) chooses",
        "find order",
        "add note",
        "goal met, or a reason to stop?",
        "what it found",
    ]


def test_the_picture_of_an_agents_run_counts_what_it_used_and_whom_it_asked(cli: Cli, item: str) -> None:
    run = item.partition("/")[0]
    before = drawn(cli("graph", "--run", run, "--format", "mermaid").out)
    assert before[2:5] == ["* approvals: 1 waiting", "* find order: once", "add note: 1 waiting"]
    assert before[-1] == "not yet ended"
    assert cli("approve", item, "--as", "mia").code == 0
    cli("start", "app.py:check", "--input", '{"number": "n-8"}', "--json")
    assert drawn(cli("graph", "--run", run, "--format", "mermaid").out) == [
        "* resolver: Find out why it does not match.",
        "* the model (careful) chooses; asked 3 times",
        "* approvals: 1 approved",
        "* find order: once",
        "* add note: once",
        "* goal met, or a reason to stop?",
        "* goal met",
    ]
    assert cli("graph", "--run", run).out.startswith("<svg")


def test_a_call_that_a_person_refused_is_counted_and_leads_back_to_the_model(cli: Cli, item: str) -> None:
    assert cli("reject", item, "--as", "mia", "--reason", "no").code == 0
    cli("start", "app.py:check", "--input", '{"number": "n-8"}', "--json")
    text = cli("graph", "--run", item.partition("/")[0], "--format", "mermaid").out
    assert {"* approvals: 1 rejected", "add note: 1 refused", "* goal met"} <= set(drawn(text))
    assert "not approved" in text


LOST = """
from pydantic import BaseModel
from backstay import Agent, App, Models, action
from backstay.ai.scripted import ScriptedModel, call

class Answer(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    return "nothing there"

lost = Agent("lost", goal="Find it.", tools=[look], output=Answer)
app = App("office", workflows=[lost], models=Models(careful=ScriptedModel([call("look", number="7")] * 2)))
"""


def test_an_agent_that_stopped_short_of_its_goal_says_why_in_the_list_and_in_its_log(cli: Cli, project: Path) -> None:
    (project / "app.py").write_text(LOST, "utf-8")
    run = cli("start", "app.py:lost", "--input", '{"input": {"number": "7"}}', "--json").json["run"]
    assert "agent stopped: no-progress" in cli("runs").out
    assert cli("runs", "--json").json[0]["summary"] == "agent stopped: no-progress"
    told = cli("log", run).out
    assert ": agent stopped: no-progress" in told.splitlines()[0]
    assert "Finished without its goal; the agent stopped: no-progress" in told


SESSION = """
import asyncio
from pathlib import Path
from app import app, lost

async def main():
    async with app.open(Path(".backstay")), app.session(lost, goal="Find the parcel of Mia.", acting_for="mia") as session:
        pass

asyncio.run(main())
"""


def test_a_session_is_named_by_its_goal(cli: Cli, project: Path) -> None:
    (project / "app.py").write_text(LOST, "utf-8")
    cli("start", "app.py:lost", "--input", '{"input": {}}')
    (project / "loop.py").write_text(SESSION, "utf-8")
    import subprocess
    import sys

    subprocess.run([sys.executable, "loop.py"], cwd=project, check=True, timeout=60)
    assert "agent stopped: error · session: Find the parcel of Mia." in " ".join(cli("runs").out.split())
