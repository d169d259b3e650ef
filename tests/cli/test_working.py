"""With a worker in another process: everything goes through it, at once; and what happens when it is not what it seems."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typed import Cli, Start, Worker, wait_until

from backstay.engine.control import RemoteClient, find_worker, is_owned
from backstay.errors import InvalidInput, NotAllowed


def status(cli: Cli, run: str) -> str:
    return cli("show", run, "--json").json["status"]


def test_a_decision_through_the_worker_takes_effect_at_once(cli: Cli, worker: Worker, claim: Start) -> None:
    run = claim()
    wait_until(lambda: status(cli, run) == "waiting")
    answer = cli("approve", run, "--as", "mia", "--json")
    assert answer.json["worker"] is True
    wait_until(lambda: status(cli, run) == "finished")
    told = worker.stop()
    assert "managers must decide" in told
    assert "Finished" in told


def test_start_waits_for_the_end_if_asked(cli: Cli, worker: Worker, project: Path) -> None:
    answer = cli("start", "app.py:reimburse", "-i", "claim.employee=ann", "-i", "claim.amount=40", "--wait", "--json")
    assert answer.json["status"] == "finished"
    assert answer.json["worker"] is True


def test_an_error_comes_back_as_itself(cli: Cli, worker: Worker, project: Path, claim: Start) -> None:
    answer = cli("start", "app.py:reimburse", "-i", "claim.employee=ann", "--json")
    assert answer.code == 6
    assert set(answer.json["error"]["fields"]) == {"claim.amount"}
    run = claim()
    wait_until(lambda: status(cli, run) == "waiting")
    assert cli("approve", run, "--as", "ann", "--json").json["error"]["code"] == "NOT_ALLOWED"


def test_only_the_user_may_read_the_token(worker: Worker, project: Path) -> None:
    mode = (project / ".backstay" / "worker.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_without_the_token_nothing_is_done(worker: Worker, project: Path) -> None:
    port = json.loads((project / ".backstay" / "worker.json").read_text("utf-8"))["port"]
    stranger = RemoteClient(port, "0" * 64)
    with pytest.raises(NotAllowed):
        asyncio.run(stranger.switch("all", off=True, by="eve", reason="because"))


def test_only_listed_methods_can_be_asked_for(worker: Worker, project: Path) -> None:
    client = find_worker(project / ".backstay")
    assert client is not None
    for method, args in (("owner", {"queue": "x"}), ("__class__", {}), ("cancel", {"run": "x", "by": "y", "extra": 1})):
        with pytest.raises(InvalidInput):
            asyncio.run(client._ask(method, **args))


def test_rubbish_on_the_port_is_answered_and_forgotten(cli: Cli, worker: Worker, project: Path, claim: Start) -> None:
    port = json.loads((project / ".backstay" / "worker.json").read_text("utf-8"))["port"]

    async def send(line: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line)
        answer = await reader.readline()
        writer.close()
        return answer

    for line in (b"rubbish\n", b"[]\n", b"\xff\xfe\n", b'{"token": 1}\n', b"null\n"):
        assert b'"error"' in asyncio.run(send(line))
    assert claim()


def test_a_second_worker_is_refused(cli: Cli, worker: Worker, project: Path) -> None:
    command = [sys.executable, "-m", "backstay.cli", "dev", "app.py", "--no-reload", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy())
    assert done.returncode == 5
    assert json.loads(done.stdout)["error"]["code"] == "LOCKED"
    assert f"process {worker.process.pid}" in done.stdout


def test_what_a_dead_worker_left_behind_does_not_mislead(cli: Cli, worker: Worker, project: Path, claim: Start) -> None:
    run = claim()
    wait_until(lambda: status(cli, run) == "waiting")
    worker.kill()
    assert (project / ".backstay" / "worker.json").exists()
    answer = cli("approve", run, "--as", "mia", "--json")
    assert answer.code == 0
    assert answer.json["worker"] is False


def test_a_stopped_worker_leaves_no_token(worker: Worker, project: Path) -> None:
    worker.stop()
    assert not (project / ".backstay" / "worker.json").exists()


def test_an_owner_that_takes_no_requests_is_named(cli: Cli, worker: Worker, project: Path) -> None:
    (project / ".backstay" / "worker.json").unlink()
    answer = cli("switch", "all", "--on", "--json")
    assert answer.code == 5
    assert answer.json["error"]["code"] == "LOCKED"
    assert f"process {worker.process.pid}" in answer.json["error"]["message"]


def test_decisions_at_the_same_time_do_not_disturb_each_other(cli: Cli, project: Path, claim: Start) -> None:
    runs = [claim() for _ in range(4)]
    command = [sys.executable, "-m", "backstay.cli", "approve", "--as", "mia", "--json"]
    processes = [subprocess.Popen([*command, run], stdout=subprocess.DEVNULL) for run in runs]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert cli("inbox", "--json").json == []


def test_a_signal_reaches_its_run(cli: Cli, project: Path) -> None:
    (project / "waiting.py").write_text(
        "from backstay import wait_for, workflow\n\n@workflow\nasync def waiting() -> str:\n"
        '    return await wait_for("paid", type=str)\n',
        "utf-8",
    )
    run = cli("start", "waiting.py:waiting", "--json").json["run"]
    assert cli("signal", run, "paid", "--payload", '"in cash"', "--json").code == 0
    cli("start", "waiting.py:waiting", "--json")
    assert cli("show", run, "--json").json["result"] == "in cash"


def test_a_run_that_fails_has_its_own_exit_code(cli: Cli, project: Path) -> None:
    (project / "failing.py").write_text(
        'from backstay import workflow\n\n@workflow\nasync def failing() -> str:\n    raise ValueError("no")\n', "utf-8"
    )
    answer = cli("start", "failing.py:failing", "--json")
    assert answer.code == 7
    assert answer.json["status"] == "failed"


def test_dev_starts_again_when_a_file_changes(project: Path) -> None:
    command = [sys.executable, "-m", "backstay.cli", "dev", "app.py"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )
    token = project / ".backstay" / "worker.json"
    try:
        wait_until(token.exists)
        before = token.read_text("utf-8")
        (project / "app.py").write_text((project / "app.py").read_text("utf-8") + "\n# changed\n", "utf-8")
        wait_until(lambda: token.exists() and token.read_text("utf-8") not in (before, ""))
    finally:
        process.terminate()
        told = process.communicate(timeout=30)[0]
    assert "app.py changed; starting again" in told
    assert process.returncode == 0
    assert not token.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a polite signal")
def test_a_worker_dies_with_the_dev_that_started_it(project: Path) -> None:
    command = [sys.executable, "-m", "backstay.cli", "dev", "app.py"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy(), stdin=subprocess.DEVNULL
    )
    file = project / ".backstay" / "worker.json"
    wait_until(file.exists)
    assert is_owned(project / ".backstay")
    process.kill()
    process.wait(30)
    wait_until(lambda: not is_owned(project / ".backstay"))
    assert not file.exists()


def test_dev_says_that_it_waits_when_a_file_is_refused(project: Path) -> None:
    (project / "app.py").write_text("import nowhere_at_all\n", "utf-8")
    command = [sys.executable, "-m", "backstay.cli", "dev", "app.py"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if "started again when a Python file is saved" in line:
            break
    process.terminate()
    process.communicate(timeout=30)
    assert "line 1: ModuleNotFoundError" in told
    assert "started again when a Python file is saved" in told


def test_after_a_decision_it_says_what_came_next(cli: Cli, worker: Worker, claim: Start) -> None:
    run = claim("250", receipt="false")
    wait_until(lambda: status(cli, run) == "waiting")
    answer = cli("done", run, "--form", "found=true", "--as", "olga")
    assert "The case now waits in managers." in answer.out
    assert cli("approve", run, "--as", "mia", "--json").json["status"] == "finished"


def test_dev_does_not_wait_for_a_file_that_is_not_there(cli: Cli, project: Path) -> None:
    assert cli("dev", "nowhere.py", "--json").code == 3


NUMBERED = """
from backstay import App, workflow

@workflow
async def book(number: str, lines: int, note: str | None = None) -> str:
    return f"{number}, {lines}, {note}"

app = App("numbered", workflows=[book])
"""


def test_digits_are_a_text_where_a_text_is_declared(cli: Cli, project: Path) -> None:
    (project / "numbered.py").write_text(NUMBERED, "utf-8")
    given = ("-i", "number=7", "-i", "lines=2", "-i", "note=true")
    assert cli("start", "numbered.py:book", *given, "--json").json["result"] == "7, 2, true"
    wrong = cli("start", "numbered.py:book", "-i", "number=7", "-i", "lines=many", "--json")
    assert set(wrong.json["error"]["fields"]) == {"lines"}
    quoted = cli("start", "numbered.py:book", "-i", '{"number": 7, "lines": 2}', "--json")
    assert set(quoted.json["error"]["fields"]) == {"number"}
