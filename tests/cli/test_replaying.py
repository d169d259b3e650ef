"""`backstay replay`: one case, every case, and what a changed file would have done with them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typed import Cli, Start, Worker

from backstay.operations import sweep
from backstay.operations.wording import counted


@pytest.fixture
def stricter(project: Path) -> str:
    """A copy of the project's file with a lower limit."""
    text = (project / "app.py").read_text("utf-8")
    (project / "stricter.py").write_text(text.replace('FREE_LIMIT = Decimal("100")', 'FREE_LIMIT = Decimal("30")'))
    return "stricter.py"


def change(home: Path, sql: str, *parameters: str) -> None:
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute(sql, parameters)


# --- proofs -------------------------------------------------------------------------------------------------------


def test_replay_proves_a_run(cli: Cli, claim: Start) -> None:
    run = claim("40")
    answer = cli("replay", run, "--json")
    assert answer.code == 0
    assert (answer.json["equal"], answer.json["effects"]) == (True, 1)
    assert cli("replay", run).out.splitlines()[1].startswith("equal: ")


def test_every_case_is_proved(cli: Cli, claim: Start) -> None:
    claim("40"), claim("250")
    answer = cli("replay", "--all", "--json")
    assert answer.code == 0
    assert (answer.json["cases"], answer.json["proved"], answer.json["failures"]) == (2, 2, [])
    assert cli("replay", "--all").out.startswith(f"2 of 2 cases are equal: {answer.json['events']} events")


def test_cases_can_be_chosen(cli: Cli, claim: Start) -> None:
    claim("40"), claim("250")
    assert cli("replay", "--status", "waiting", "--json").json["cases"] == 1
    assert cli("replay", "--workflow", "reimburse", "--json").json["cases"] == 2
    assert cli("replay", "--since", "1h", "--json").json["cases"] == 2
    assert cli("replay", "--since", "2999-01-01", "--json").json["cases"] == 0


def test_damage_is_named_and_the_rest_is_proved(cli: Cli, claim: Start, project: Path) -> None:
    runs = [claim(amount) for amount in ("40", "41", "42", "43")]
    home = project / ".backstay"
    change(home, "UPDATE events SET body = replace(body, '4711', '4712') WHERE run = ? AND seq = 2", runs[1])
    change(home, "UPDATE events SET body = '{' WHERE run = ? AND seq = 3", runs[2])
    change(home, "UPDATE runs SET version = 'gone' WHERE id = ?", runs[3])
    answer = cli("replay", "--all", "--json")
    assert (answer.code, answer.json["proved"]) == (1, 1)
    failures = {failure["run"]: failure for failure in answer.json["failures"]}
    assert list(failures) == runs[1:]
    assert failures[runs[1]]["event"] == 2
    assert "hash chain" in failures[runs[1]]["mismatch"]
    assert "event 3" in failures[runs[2]]["mismatch"]
    assert failures[runs[3]]["mismatch"] == "definition gone is not in the store"
    assert "1 of 4 cases are equal" in cli("replay", "--all").out


def test_a_missing_large_value_is_named(cli: Cli, claim: Start, project: Path) -> None:
    run = claim("40", purpose="travel " * 20_000)
    assert cli("replay", "--all").code == 0
    change(project / ".backstay", "DELETE FROM blobs")
    answer = cli("replay", "--all", "--json")
    assert [(failure["run"], failure["event"]) for failure in answer.json["failures"]] == [(run, 1)]
    assert "missing or damaged" in answer.json["failures"][0]["mismatch"]


def test_several_processes_prove_what_one_proves(
    cli: Cli, claim: Start, stricter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for amount in ("40", "41", "20"):
        claim(amount)
    monkeypatch.setattr(sweep, "BATCH", 1)
    for arguments in (("--all",), ("--all", "--with", stricter)):
        one, two = (cli("replay", *arguments, "--jobs", jobs, "--json").json for jobs in ("1", "2"))
        one["seconds"] = two["seconds"] = 0
        assert one == two


def test_cases_are_proved_while_a_worker_runs(cli: Cli, claim: Start, worker: Worker) -> None:
    claim("40"), claim("250")
    assert cli("replay", "--all", "--json").json["proved"] == 2


@pytest.mark.parametrize(
    "arguments", [(), ("abcd", "--all"), ("abcd", "--assume", "a=1"), ("--status", "odd"), ("--since", "soon")]
)
def test_what_is_not_clear_is_refused(cli: Cli, claim: Start, arguments: tuple[str, ...]) -> None:
    claim("40")
    assert cli("replay", *arguments).code == 2


# --- changes ------------------------------------------------------------------------------------------------------


def test_a_changed_file_shows_where_the_case_turns(cli: Cli, claim: Start, stricter: str) -> None:
    run = claim("40")
    answer = cli("replay", run, "--with", stricter)
    assert answer.code == 8
    told = answer.out
    assert "changed   constant FREE_LIMIT  stricter.py:9" in told
    assert "Rule “needs decision” → no" in told
    assert "Rule “needs decision” → yes" in told
    assert "claim.amount > FREE_LIMIT → yes (claim.amount 40, FREE_LIMIT 30)" in told
    assert "+ asks for a decision by managers" in told
    assert "- calls add_to_payroll" in told


def test_assumed_answers_and_json(cli: Cli, claim: Start, stricter: str) -> None:
    run = claim("40")
    answer = cli("replay", run, "--with", f"{stricter}:reimburse", "--assume", "managers=no money", "--json")
    assert answer.code == 8
    assert (answer.json["new"]["status"], answer.json["new"]["result"]) == ("finished", "rejected: no money")
    assert answer.json["turn"]["new"]["values"]["FREE_LIMIT"] == "30"
    assert "rejected: no money" in cli("replay", run, "--with", stricter, "--assume", "managers=no money").out


def test_a_file_that_changes_nothing_is_the_same(cli: Cli, claim: Start) -> None:
    run = claim("40")
    answer = cli("replay", run, "--with", "app.py")
    assert answer.code == 0
    assert "Nothing would have gone differently: 2 commands as recorded." in answer.out


def test_a_rule_file_is_tried_without_its_workflow(cli: Cli, claim: Start, project: Path) -> None:
    run = claim("40")
    (project / "limits.py").write_text(
        "from decimal import Decimal\nfrom app import Claim\nfrom backstay import rule\n\nSMALL = Decimal('10')\n\n"
        "@rule\ndef needs_decision(claim: Claim) -> bool:\n    return claim.amount > SMALL\n",
    )
    answer = cli("replay", run, "--with", "limits.py", "--json")
    assert answer.code == 8, answer
    assert answer.json["headline"] == "needs_decision: no → yes"
    assert {item["name"] for item in answer.json["touched"]} == {"SMALL", "needs_decision"}
    (project / "other.py").write_text("from backstay import rule\n\n@rule\ndef unused() -> bool:\n    return True\n")
    assert "uses nothing of other.py, which has unused" in cli("replay", run, "--with", "other.py").err


def test_a_file_outside_the_language_is_refused_with_its_diagnostics(cli: Cli, claim: Start, project: Path) -> None:
    run = claim("40")
    text = (project / "app.py").read_text("utf-8")
    (project / "wrong.py").write_text(text.replace("return claim.amount > FREE_LIMIT", "return open('x') is None"))
    answer = cli("replay", run, "--with", "wrong.py")
    assert answer.code == 1
    assert "wrong.py:" in answer.err
    assert "help:" in answer.err


def test_the_impact_of_a_change_is_grouped_by_its_first_difference(cli: Cli, claim: Start, stricter: str) -> None:
    for amount in ("20", "40", "50", "250"):
        claim(amount)
    answer = cli("replay", "--all", "--with", stricter, "--json")
    assert answer.code == 8
    assert (answer.json["cases"], answer.json["same"], answer.json["different"]) == (4, 2, 2)
    assert [(group["first"], group["cases"]) for group in answer.json["groups"]] == [("needs_decision: no → yes", 2)]
    told = cli("replay", "--since", "1d", "--with", stricter).out
    assert told.startswith(f"2 of 4 cases would have gone differently with {stricter}")


def test_a_damaged_case_is_not_compared(cli: Cli, claim: Start, project: Path, stricter: str) -> None:
    run = claim("40")
    change(
        project / ".backstay", "UPDATE events SET body = replace(body, '4711', '4712') WHERE run = ? AND seq = 2", run
    )
    answer = cli("replay", run, "--with", stricter)
    assert answer.code == 1
    assert "does not replay, so nothing can be compared" in answer.out
    assert json.loads(cli("replay", run, "--with", stricter, "--json").out)["error"]["event"] == 2
    every = cli("replay", "--all", "--with", stricter, "--json")
    assert (every.code, [failure["event"] for failure in every.json["failures"]]) == (1, [2])


def test_a_case_without_its_definition_is_named_and_not_left_out(
    cli: Cli, claim: Start, project: Path, stricter: str
) -> None:
    claim("40")
    lost = claim("20")
    change(project / ".backstay", "UPDATE runs SET version = 'gone' WHERE id = ?", lost)
    answer = cli("replay", "--all", "--with", stricter, "--json")
    assert (answer.code, answer.json["different"]) == (1, 1)
    assert [failure["run"] for failure in answer.json["failures"]] == [lost]


def test_one_is_not_several() -> None:
    assert [counted(number, "branch", "branches") for number in (0, 1, 2)] == ["0 branches", "1 branch", "2 branches"]
    assert [counted(number, "run") for number in (1, 2)] == ["1 run", "2 runs"]
