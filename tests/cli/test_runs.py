"""Starting, looking at, telling, proving and stopping runs, without a worker."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typed import Cli, Start

from backstay import App
from backstay.cli import screen

TWO = """
from backstay import workflow

@workflow
async def one() -> str:
    return "1"

@workflow
async def other() -> str:
    return "2"
"""
LISTS = ("runs", "inbox", "queues", "switch")


def empty_store(home: Path) -> None:
    async def open_it() -> None:
        async with App("empty", workflows=()).open(home):
            pass

    asyncio.run(open_it())


def test_on_an_empty_store_every_list_says_what_to_do(cli: Cli, project: Path) -> None:
    empty_store(project / ".backstay")
    assert "No runs yet; start one with" in cli("runs").out
    assert cli("inbox").out.startswith("Nothing waits for a person")
    assert cli("queues").out == "Every queue is empty.\n"
    assert cli("switch").out == "Nothing is switched off.\n"
    for command in LISTS:
        assert cli(command, "--json").json == []


@pytest.mark.parametrize("command", LISTS)
def test_where_there_is_no_store_no_list_pretends_that_there_is(cli: Cli, project: Path, command: str) -> None:
    answer = cli(command, "--home", "nowhere")
    assert answer.code == 3
    assert "no store in 'nowhere'" in answer.err
    assert not (project / "nowhere").exists()


def test_where_only_the_demo_has_a_store_it_is_named(cli: Cli, project: Path) -> None:
    empty_store(project / ".backstay" / "demo")
    assert "--home .backstay/demo" in cli("inbox").err


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "foreign"])
@pytest.mark.parametrize("command", [("audit", "verify"), ("runs",)])
def test_a_database_that_is_not_ours_is_told_so(
    cli: Cli, project: Path, content: bytes | None, command: tuple[str, ...]
) -> None:
    (project / ".backstay").mkdir()
    file = project / ".backstay" / "backstay.db"
    if content is None:
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE theirs (x)")
    else:
        file.write_bytes(content)
    answer = cli(*command, "--json")
    assert answer.code == 5
    assert "no Backstay store" in answer.json["error"]["message"]
    assert "audit verify" not in answer.json["error"]["message"]


def test_a_small_claim_finishes_at_once(cli: Cli, project: Path) -> None:
    answer = cli("start", "app.py:reimburse", "--input", '{"claim": {"employee": "ann", "amount": "40"}}', "--json")
    assert answer.json["status"] == "finished"
    assert answer.json["result"].startswith("PAY-")
    assert answer.json["worker"] is False


def test_input_may_come_from_a_file(cli: Cli, project: Path) -> None:
    (project / "claim.json").write_text('{"claim": {"employee": "ann", "amount": "40"}}', "utf-8")
    assert cli("start", "app.py:reimburse", "--input", "@claim.json", "--json").json["status"] == "finished"


def test_wrong_input_names_each_field(cli: Cli, project: Path) -> None:
    answer = cli("start", "app.py:reimburse", "--input", "claim.amount=much", "--json")
    assert answer.code == 6
    assert set(answer.json["error"]["fields"]) == {"claim.employee", "claim.amount"}


def test_input_that_is_no_json_says_so(cli: Cli, project: Path) -> None:
    assert cli("start", "app.py:reimburse", "--input", "{", "--json").json["error"]["code"] == "INVALID"
    assert cli("start", "app.py:reimburse", "--input", "@nowhere.json", "--json").code == 3
    assert cli("start", "app.py:reimburse", "--input", "rubbish", "--json").code == 6


def test_the_same_key_starts_one_run(cli: Cli, project: Path) -> None:
    command = (
        "start",
        "app.py:reimburse",
        "-i",
        "claim.employee=ann",
        "-i",
        "claim.amount=40",
        "--key",
        "c1",
        "--json",
    )
    assert cli(*command).json["run"] == cli(*command).json["run"]
    assert len(cli("runs", "--json").json) == 1


def test_the_same_key_with_another_input_is_said(cli: Cli, project: Path) -> None:
    def start(amount: str, *more: str):
        return cli(
            "start", "app.py:reimburse", "-i", "claim.employee=ann", "-i", f"claim.amount={amount}", "-k", "c", *more
        )

    assert start("40", "--json").json["existing"] is False
    again = start("40.00", "--json").json
    assert (again["existing"], again["differs"]) == (True, [])
    other = start("41", "--json").json
    assert (other["existing"], other["differs"]) == (True, ["claim.amount"])
    assert "warning: the input differs" in start("41").out


def test_a_file_or_workflow_that_is_not_there_is_named(cli: Cli, project: Path) -> None:
    assert "no file 'nofile.py'" in cli("start", "nofile.py:x", "--json").json["error"]["message"]
    (project / "two.py").write_text(TWO, "utf-8")
    answer = cli("start", "two.py", "--json")
    assert answer.code == 3
    assert "it has one, other" in answer.json["error"]["message"]


def test_a_name_that_is_too_short_says_so(cli: Cli, claim: Start) -> None:
    claim()
    answer = cli("show", "zz", "--json")
    assert answer.code == 3
    assert "four or more characters" in answer.json["error"]["message"]


def test_text_from_outside_cannot_steer_the_terminal(cli: Cli, claim: Start) -> None:
    run = claim("250", employee="eve\x1b[31m\x9b2J\nrun forged\u202e")
    for command in (("inbox",), ("runs",), ("show", run), ("log", run)):
        told = cli(*command).out
        assert not {"\x1b", "\x9b", "\u202e"} & set(told), command
        assert not any(line.startswith("run forged") for line in told.splitlines()), command
    assert "\x1b" in cli("show", run, "--json").json["input"]["claim"]["employee"]


def test_piped_lists_have_no_blanks_at_the_end(cli: Cli, claim: Start) -> None:
    claim()
    for command in ("inbox", "runs", "queues"):
        told = cli(command).out.splitlines()
        assert [line for line in told if line != line.rstrip()] == [], command


def test_a_narrow_log_keeps_the_number_of_a_line_with_its_word(
    cli: Cli, claim: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claim()
    lines = {entry["line"] for entry in cli("log", run, "--json").json["lines"] if entry["line"] is not None}
    assert lines
    for width in (70, 80, 100, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        told = cli("log", run).out
        assert all(f"line {line} " in told for line in lines), width


def test_what_is_printed_can_be_typed_here(cli: Cli, claim: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    claim()
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    for called, found, typed in (
        ("pytest", None, "`uv run backstay show ITEM`"),
        ("env/bin/backstay", None, "`env/bin/backstay show ITEM`"),
        ("env/bin/backstay", "/somewhere/backstay", "`backstay show ITEM`"),
    ):
        screen.typed.cache_clear()
        monkeypatch.setattr("sys.argv", [called])
        monkeypatch.setattr("shutil.which", lambda name, found=found: found)
        assert typed in cli("inbox").out
    screen.typed.cache_clear()


def test_runs_lists_the_newest_first_and_filters(cli: Cli, claim: Start) -> None:
    first, second = claim("40"), claim("250")
    assert [run["id"] for run in cli("runs", "--json").json] == [second, first]
    assert [run["id"] for run in cli("runs", "--status", "waiting", "--json").json] == [second]
    unknown = cli("runs", "--workflow", "other", "--json")
    assert unknown.code == 3
    assert "reimburse" in unknown.json["error"]["message"]
    unknown = cli("runs", "--status", "asleep", "--json")
    assert unknown.code == 2
    assert "waiting" in unknown.json["error"]["message"]
    assert cli("runs", "--status", "failed").out == "No such runs.\n"
    assert second[-8:] in cli("runs").out


def test_show_says_what_a_run_waits_for(cli: Cli, project: Path, claim: Start) -> None:
    run = claim()
    shown = cli("show", run[-8:], "--json").json
    assert shown["id"] == run
    assert shown["input"]["claim"]["amount"] == "250"
    assert [wait["queue"] for wait in shown["waits"]] == ["managers"]
    assert Path(shown["picture"]).read_text("utf-8").startswith("<svg")
    told = cli("show", run).out
    assert f"waits: {run[-8:]}/1  approval for managers" in told
    assert f"backstay approve {run[-8:]}/1\n" in told
    assert "amount   250\n" in told


def test_log_tells_the_decision_with_its_values(cli: Cli, claim: Start) -> None:
    run = claim()
    told = cli("log", run).out
    assert "Rule “needs decision” → yes" in told
    assert "claim.amount 250" in told
    assert "managers must decide" in told


def test_every_line_of_the_log_has_time_actor_and_version(cli: Cli, claim: Start) -> None:
    run = claim("40")
    told = cli("log", run, "--json").json
    assert [line["mark"] for line in told["lines"]][-1] == "end"
    for line in told["lines"]:
        assert line["at"].endswith("Z")
        assert line["version"] == told["version"]
        assert line["by"] in ("ann", f"reimburse@{told['version'][:7]}")


def test_cancel_without_a_worker_is_carried_out_by_the_next(cli: Cli, claim: Start) -> None:
    run = claim()
    answer = cli("cancel", run, "--reason", "a mistake")
    assert "No worker is running" in answer.out
    claim("40")
    assert cli("show", run, "--json").json["status"] == "cancelled"


def test_an_id_that_fits_several_runs_is_refused(cli: Cli, claim: Start) -> None:
    first, second = claim("40"), claim("41")
    common = first[: next(n for n in range(26) if first[n] != second[n])]
    answer = cli("show", common, "--json")
    assert answer.code == 4
    assert "more than one run" in answer.json["error"]["message"]


def test_retry_names_what_there_is_to_retry(cli: Cli, claim: Start) -> None:
    run = claim()
    assert cli("retry", run, "--json").code == 4
    assert cli("retry", "--queue", "nowhere", "--json").code == 3
    assert cli("retry", "--json").code == 2


def test_a_switch_holds_calls_back_and_lets_them_go_on(cli: Cli, claim: Start) -> None:
    claim("40")
    assert cli("switch", "action:add_to_payroll", "--off").code == 2
    assert cli("switch", "--off").code == 2
    assert cli("switch", "--off", "--reason", "audit week").code == 2
    assert cli("switch", "action:add_to_payroll", "--off", "--reason", "audit week").code == 0
    assert [entry["scope"] for entry in cli("switch", "--json").json] == ["action:add_to_payroll"]
    held = claim("41")
    assert cli("show", held, "--json").json["waits"][0]["kind"] == "switched"
    assert cli("switch", "action:add_to_payroll", "--on", "--json").json["retried"] == 1
    claim("42")
    assert cli("show", held, "--json").json["status"] == "finished"
