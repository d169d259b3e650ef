"""Beginning, checking and drawing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from typed import Cli

REFUSED = """
from backstay import workflow
import time

@workflow
async def late(name: str) -> str:
    return f"{name} {time.time()}"
"""

AGENT = """
from backstay import Agent, action
from pydantic import BaseModel

class Out(BaseModel):
    text: str

@action(effect="read")
async def look(number: str) -> str:
    return number

refunds = Agent("refunds", goal="Find out whether to refund.", tools=[look], output=Out)
"""


def test_a_new_project_passes_its_check_and_its_test(cli: Cli, project: Path) -> None:
    assert cli("check", "app.py").code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_init_keeps_what_is_there(cli: Cli, project: Path) -> None:
    answer = cli("init", ".", "--json")
    assert answer.code == 4
    assert "app.py" in answer.json["error"]["message"]


def test_init_makes_what_is_missing_and_keeps_the_rest(cli: Cli, project: Path) -> None:
    (project / "README.md").unlink()
    (project / "app.py").write_text("# mine\n", "utf-8")
    answer = cli("init", ".", "--json")
    assert answer.json["files"] == ["README.md"]
    assert (project / "app.py").read_text("utf-8") == "# mine\n"


def test_a_new_project_depends_on_the_backstay_that_made_it(project: Path) -> None:
    made = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    source = made["tool"]["uv"]["sources"]["backstay"]
    assert source["editable"] is True
    assert (Path(source["path"]) / "src" / "backstay").is_dir()
    assert "://" not in (project / "README.md").read_text("utf-8")


def test_a_new_project_refuses_a_mistyped_key_and_an_amount_that_is_none(cli: Cli, project: Path) -> None:
    base = ("start", "app.py:reimburse", "--json", "-i", "claim.employee=ann")
    answer = cli(*base, "-i", "claim.amount=40", "-i", "claim.purpos=train")
    assert answer.code == 6
    assert set(answer.json["error"]["fields"]) == {"claim.purpos"}
    assert set(cli(*base, "-i", "claim.amount=-40").json["error"]["fields"]) == {"claim.amount"}


def test_check_takes_directories_and_names_what_is_missing(cli: Cli, project: Path) -> None:
    assert {flow["name"] for flow in cli("check", ".", "--json").json["workflows"]} == {"reimburse"}
    assert cli("check", "nofile.py", "--json").code == 3
    (project / "bare").mkdir()
    assert cli("check", "bare", "--json").code == 3


def test_check_lists_an_agent_where_it_is_made(cli: Cli, project: Path) -> None:
    (project / "pol.py").write_text(AGENT, "utf-8")
    (project / "user.py").write_text("from pol import refunds\n", "utf-8")
    answer = cli("check", "pol.py", "user.py")
    assert [line.partition("  version ")[0] for line in answer.out.splitlines()] == ["ok  pol.py:refunds (agent)"]
    assert [agent["name"] for agent in cli("check", "pol.py", "--json").json["agents"]] == ["refunds"]
    assert cli("check", "user.py").out.startswith("No workflow, agent or rule in it")


def test_check_points_at_the_line(cli: Cli, project: Path) -> None:
    (project / "late.py").write_text(REFUSED, "utf-8")
    answer = cli("check", "late.py")
    assert answer.code == 1
    assert "late.py:7:" in answer.out
    assert "^^^" in answer.out
    assert "help: " in answer.out


def test_check_gives_editors_json(cli: Cli, project: Path) -> None:
    (project / "late.py").write_text(REFUSED, "utf-8")
    answer = cli("check", "late.py", "app.py", "--json")
    assert answer.code == 1
    assert {entry["line"] for entry in answer.json["diagnostics"]} == {7}
    assert [flow["name"] for flow in answer.json["workflows"]] == ["reimburse"]


def test_a_refused_file_cannot_be_started(cli: Cli, project: Path) -> None:
    (project / "late.py").write_text(REFUSED, "utf-8")
    answer = cli("start", "late.py:late", "--input", "name=x", "--json")
    assert answer.code == 1
    assert answer.json["error"]["diagnostics"][0]["line"] == 7


def test_a_file_with_an_error_names_its_line(cli: Cli, project: Path) -> None:
    (project / "broken.py").write_text("x = 1\nimport nowhere_at_all\n", "utf-8")
    answer = cli("start", "broken.py:flow", "--json")
    assert answer.code == 1
    assert "line 2: ModuleNotFoundError" in answer.json["error"]["message"]


def test_graph_draws_mermaid_and_svg(cli: Cli, project: Path) -> None:
    assert cli("graph", "app.py:reimburse", "--format", "mermaid").out.startswith("flowchart")
    assert cli("graph", "app.py:reimburse", "-o", "flow.svg").code == 0
    assert cli("graph", "app.py:reimburse", "-o", "nowhere/flow.svg", "--json").code == 3
    assert (project / "flow.svg").read_text("utf-8").startswith("<svg")


def test_graph_marks_the_way_of_a_run(cli: Cli, project: Path, claim) -> None:
    run = claim()
    plain, marked = cli("graph", "app.py:reimburse", "--json").json, cli("graph", "--run", run, "--json").json
    assert marked["version"] == plain["version"]
    assert marked["text"] != plain["text"]


def test_graph_names_the_workflows_there_are(cli: Cli, project: Path) -> None:
    answer = cli("graph", "app.py:nothing", "--json")
    assert answer.code == 3
    assert "reimburse" in answer.json["error"]["message"]
