"""Starting, looking at, telling, proving and stopping runs, without a worker."""

from __future__ import annotations

from pathlib import Path

from typed import Cli, Start


def test_without_a_store_every_list_says_what_to_do(cli: Cli, project: Path) -> None:
    assert cli("runs").out.startswith("No runs yet; start one with `backstay start")
    assert cli("inbox").out.startswith("Nothing waits for a person")
    assert cli("queues").out == "Every queue is empty.\n"
    assert cli("switch").out == "Nothing is switched off.\n"
    for command in ("runs", "inbox", "queues", "switch"):
        assert cli(command, "--json").json == []


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


def test_runs_lists_the_newest_first_and_filters(cli: Cli, claim: Start) -> None:
    first, second = claim("40"), claim("250")
    assert [run["id"] for run in cli("runs", "--json").json] == [second, first]
    assert [run["id"] for run in cli("runs", "--status", "waiting", "--json").json] == [second]
    assert cli("runs", "--workflow", "other").out == "No such runs.\n"
    assert second[-8:] in cli("runs").out


def test_show_says_what_a_run_waits_for(cli: Cli, project: Path, claim: Start) -> None:
    run = claim()
    shown = cli("show", run[-8:], "--json").json
    assert shown["id"] == run
    assert shown["input"]["claim"]["amount"] == "250"
    assert [wait["queue"] for wait in shown["waits"]] == ["managers"]
    assert Path(shown["picture"]).read_text("utf-8").startswith("<svg")
    assert "waits for" in cli("show", run).out


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


def test_replay_proves_a_run(cli: Cli, claim: Start) -> None:
    run = claim("40")
    answer = cli("replay", run, "--json")
    assert answer.code == 0
    assert answer.json["equal"] is True
    assert answer.json["effects"] == 1
    assert cli("replay", run).out.splitlines()[1].startswith("equal: ")


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
    assert cli("switch", "action:add_to_payroll", "--off", "--reason", "audit week").code == 0
    assert [entry["scope"] for entry in cli("switch", "--json").json] == ["action:add_to_payroll"]
    held = claim("41")
    assert cli("show", held, "--json").json["waits"][0]["kind"] == "switched"
    assert cli("switch", "action:add_to_payroll", "--on", "--json").json["retried"] == 1
    claim("42")
    assert cli("show", held, "--json").json["status"] == "finished"
