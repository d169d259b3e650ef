"""The numbers of a process and one case over time, as they are typed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typed import Cli, Start, Worker

from backstay import App


def test_an_empty_store_says_what_to_do(cli: Cli, project: Path) -> None:
    async def open_it() -> None:
        async with App("empty", workflows=()).open(project / ".backstay"):
            pass

    asyncio.run(open_it())
    assert cli("metrics").out.startswith("Nothing to measure yet; start a run with `")
    assert cli("metrics", "--json").json["workflows"] == []
    assert cli("metrics", "--prometheus").code == 0


def test_without_a_store_there_is_nothing_to_measure(cli: Cli, project: Path) -> None:
    assert cli("metrics", "--json").json["error"]["code"] == "NOT_FOUND"


def test_the_numbers_as_tables_and_as_json(cli: Cli, claim: Start) -> None:
    rejected = claim()
    cli("reject", rejected, "--as", "mia", "--reason", "too much")
    claim("40")
    body = cli("metrics", "--json").json
    assert [(w["workflow"], w["started"], w["finished"]) for w in body["workflows"]] == [("reimburse", 2, 2)]
    assert body["approvals"][0]["reasons"] == [{"reason": "too much", "count": 1}]
    shown = cli("metrics").out
    assert [line for line in shown.splitlines() if line in ("Runs", "Actions", "Queues", "Approvals")] == [
        "Runs", "Actions", "Queues", "Approvals",
    ]  # fmt: skip
    assert "too much" in shown
    assert cli("metrics", "--since", "1h", "--workflow", "reimburse", "--json").json["workflows"][0]["started"] == 2
    assert cli("metrics", "--until", "1h", "--json").json["workflows"][0]["started"] == 0


def test_a_narrow_terminal_shows_every_number(cli: Cli, claim: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    claim()
    monkeypatch.setenv("COLUMNS", "40")
    shown = cli("metrics").out
    assert max(map(len, shown.splitlines())) <= 40
    assert "…" not in shown
    assert "lies there 1 approval" in " ".join(shown.split())


def test_what_is_wrong_is_told(cli: Cli, claim: Start) -> None:
    claim()
    assert cli("metrics", "--since", "yesterday", "--json").json["error"]["fields"].keys() == {"--since"}
    assert cli("metrics", "--workflow", "other").code == 3
    assert cli("metrics", "--prometheus", "--since", "1h").code == 2


def test_it_works_while_a_worker_runs(cli: Cli, claim: Start, worker: Worker) -> None:
    claim("40")
    text = cli("metrics", "--prometheus").out
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert found["backstay_runs_started"].samples[0].value == 1


def test_a_case_over_time(cli: Cli, claim: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run = claim()
    shown = cli("trace", run[-8:]).out.splitlines()
    assert shown[0].startswith("trace ")
    assert shown[1].startswith("reimburse ")
    assert shown[2].startswith("  managers: ")
    assert "░" in shown[2]
    spans = cli("trace", run, "--json").json["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert spans[0]["name"] == "reimburse"
    assert spans[1]["parentSpanId"] == spans[0]["spanId"]
    monkeypatch.setenv("COLUMNS", "40")
    assert max(map(len, cli("trace", run).out.splitlines())) <= 40
    assert cli("trace", "nothing").code == 3
    assert cli("trace", run, "--endpoint", "http://127.0.0.1:9/v1/traces").code == 5
