"""The inbox, decisions, tasks, claims, backlogs and unknown effects, without a worker."""

from __future__ import annotations

import re
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
    assert set(listed[0]) >= {"about", "do", "title", "opened_at"}
    assert cli("inbox", "--queue", "receipts").out == "Nothing waits in receipts.\n"
    unknown = cli("inbox", "--queue", "other", "--json")
    assert unknown.code == 3
    assert "managers" in unknown.json["error"]["message"]


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


REVIEW = """
from decimal import Decimal
from typing import Literal
from pydantic import BaseModel
from backstay import action, task, workflow

class Corrected(BaseModel):
    reject: str = ""
    total: Decimal | None = None

class Verdict(BaseModel):
    verdict: Literal["accept", "reject"]
    comment: str = ""

@action(effect="irreversible")
async def pay(payee: str, amount: Decimal) -> str:
    return "paid"

@workflow
async def review(name: str) -> str:
    first = await task("readers", show={"name": name, "doubts": ["no total"]}, form=Corrected, title="Read it")
    if first.reject:
        return "rejected"
    second = await task("deciders", show={"off": "3 more than received"}, form=Verdict)
    if second.verdict == "reject":
        return "refused"
    return await pay(name, Decimal("12.50"))
"""


def test_a_task_shows_its_form_and_what_to_type(cli: Cli, project: Path) -> None:
    (project / "review.py").write_text(REVIEW, "utf-8")
    run = cli("start", "review.py:review", "-i", "name=ACME", "--json").json["run"]
    item = f"{run[-8:]}/1"
    told = cli("show", item).out
    assert "task for readers  Read it" in told
    assert "doubts no total" in told
    assert "  reject text (optional)\n  total  amount (optional)\n" in told
    assert f"backstay done {item} --form reject=TEXT --form total=AMOUNT\n" in told

    assert cli("done", item, "--as", "olga", "--json").code == 2  # an empty form is said, not slipped
    assert cli("done", item, "--form", "total=much", "--as", "olga", "--json").code == 6


def test_a_form_says_what_it_allows(cli: Cli, project: Path) -> None:
    (project / "review.py").write_text(REVIEW, "utf-8")
    run = cli("start", "review.py:review", "-i", "name=ACME", "--json").json["run"]
    assert cli("done", run, "--empty", "--as", "olga").code == 0
    cli("start", "review.py:review", "-i", "name=other", "--json")
    wait = cli("show", run, "--json").json["waits"][0]
    assert [(field["name"], field["required"], field["allowed"]) for field in wait["fields"]] == [
        ("verdict", True, ["accept", "reject"]),
        ("comment", False, []),
    ]
    assert wait["show"] == {"off": "3 more than received"}
    error = cli("done", run, "--form", "verdict=perhaps", "--as", "olga", "--json").json["error"]
    assert "accept | reject" in error["fields"]["verdict"]
    assert "comment" in error["message"]
    assert cli("done", run, "--form", "verdict=accept", "--as", "olga").code == 0
    cli("start", "review.py:review", "-i", "name=third", "--json")
    held = cli("show", run, "--json").json["waits"][0]
    assert (held["kind"], held["action"], held["args"]) == ("approval", "pay", {"payee": "ACME", "amount": "12.50"})
    assert "cannot be taken back" in held["why"]
    told = cli("show", run).out
    for part in (r"payee +ACME", r"amount +12\.50", r"why +this cannot be taken back", r"backstay approve "):
        assert re.search(part, told), part


def test_done_on_an_approval_names_the_commands_that_fit(cli: Cli, claim: Start) -> None:
    answer = cli("done", claim(), "--as", "olga")
    assert answer.code == 4
    assert re.search(r"`[\w ]*backstay approve` or `[\w ]*backstay reject`", answer.err)


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
