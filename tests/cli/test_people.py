"""The inbox, decisions, tasks, claims, backlogs and unknown effects, without a worker."""

from __future__ import annotations

from pathlib import Path

from typed import Cli, Start

SHAKY = """
from backstay import App, IdempotencyKey, NotRetryable, Retry, action, workflow

@action(effect="write", retry=Retry(attempts=1), queue="backlog")
async def post(text: str, key: IdempotencyKey) -> str:
    raise RuntimeError("the target is down")

@action(effect="write", queue="unclear")
async def send(text: str) -> str:
    raise RuntimeError("the line went dead")

@workflow
async def posting(text: str) -> str:
    return await post(text)

@workflow
async def sending(text: str) -> str:
    return await send(text)

app = App("shaky", workflows=[posting, sending])
"""


def test_the_inbox_lists_what_waits(cli: Cli, claim: Start) -> None:
    run = claim()
    listed = cli("inbox", "--json").json
    assert [(item["id"], item["kind"], item["queue"]) for item in listed] == [(f"{run}/1", "approval", "managers")]
    shown = cli("inbox").out
    assert f"{run[-8:]}/1" in shown
    assert "approve, reject" in shown
    assert cli("inbox", "--queue", "other").out == "Nothing waits in other.\n"


def test_a_decision_is_recorded_and_the_next_worker_goes_on(cli: Cli, claim: Start) -> None:
    run = claim()
    answer = cli("approve", run[-8:], "--as", "mia", "--reason", "fine")
    assert answer.code == 0
    assert answer.out.startswith("mia approved: ")
    assert "No worker is running" in answer.out
    assert cli("show", run, "--json").json["status"] == "running"
    claim("40")
    assert cli("show", run, "--json").json["status"] == "finished"


def test_a_rejection_needs_a_reason(cli: Cli, claim: Start) -> None:
    run = claim()
    assert cli("reject", run, "--as", "mia").code == 2
    assert cli("reject", run, "--as", "mia", "--reason", "too much", "--json").json["verdict"] == "rejected"
    claim("40")
    assert cli("show", run, "--json").json["result"] == "rejected: too much"


def test_nobody_approves_their_own_claim(cli: Cli, claim: Start) -> None:
    answer = cli("approve", claim(), "--as", "ann", "--json")
    assert answer.code == 4
    assert answer.json["error"]["code"] == "NOT_ALLOWED"


def test_a_decision_counts_once(cli: Cli, claim: Start) -> None:
    run = claim()
    assert cli("approve", run, "--as", "mia").code == 0
    assert cli("reject", run, "--as", "eve", "--reason", "no", "--json").json["error"]["code"] == "CONFLICT"


def test_a_claimed_item_is_not_decided_by_somebody_else(cli: Cli, claim: Start) -> None:
    run = claim()
    assert cli("claim", run, "--as", "mia").code == 0
    assert "mia has it" in cli("inbox").out
    assert cli("approve", run, "--as", "eve", "--json").code == 4
    assert cli("release", run, "--as", "mia").code == 0
    assert cli("approve", run, "--as", "eve", "--json").code == 0


def test_a_task_takes_a_form_and_names_the_field_that_is_wrong(cli: Cli, claim: Start) -> None:
    run = claim("40", receipt="false")
    answer = cli("done", run, "--form", "found=perhaps", "--as", "olga", "--json")
    assert answer.code == 6
    assert set(answer.json["error"]["fields"]) == {"found"}
    assert cli("done", run, "--form", "found=true", "--form", "comment=it was there", "--as", "olga").code == 0
    claim("41")
    assert cli("show", run, "--json").json["status"] == "finished"
    assert "Task done" in cli("log", run).out


def test_queues_count_what_lies_there_and_name_the_owner(cli: Cli, claim: Start) -> None:
    claim()
    counted = cli("queues", "--json").json
    assert [(entry["queue"], entry["owner"], entry["items"]) for entry in counted] == [
        ("managers", "head-of-department", 1)
    ]
    assert "head-of-department" in cli("queues").out


def test_a_backlog_is_retried_or_answered(cli: Cli, project: Path) -> None:
    (project / "shaky.py").write_text(SHAKY, "utf-8")
    run = cli("start", "shaky.py:posting", "-i", "text=hello", "--json").json["run"]
    assert cli("inbox", "--json").json[0]["kind"] == "queued"
    assert cli("retry", "--queue", "backlog", "--json").json["retried"] == 1
    cli("start", "shaky.py:posting", "-i", "text=again", "--json")
    assert cli("settle", run, "--happened", "--result", '"by hand"', "--as", "olga", "--json").code == 0
    cli("start", "shaky.py:posting", "-i", "text=more", "--json")
    assert cli("show", run, "--json").json["result"] == "by hand"


def test_an_unknown_effect_is_settled(cli: Cli, project: Path) -> None:
    (project / "shaky.py").write_text(SHAKY, "utf-8")
    run = cli("start", "shaky.py:sending", "-i", "text=hello", "--json").json["run"]
    assert cli("show", run, "--json").json["waits"][0]["kind"] == "unknown"
    assert cli("settle", run, "--json").code == 2
    assert cli("settle", run, "--give-up", "--reason", "nobody knows", "--as", "olga", "--json").code == 0
    cli("start", "shaky.py:sending", "-i", "text=more", "--json")
    assert cli("show", run, "--json").json["status"] == "failed"
    assert "given up" in cli("log", run).out
