"""The demo runs to its end, tells what happens, and goes on where a kill stopped it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typed import Cli, wait_until

from backstay.engine.application import LOCK_FILE, take_lock

DEMO = [sys.executable, "-m", "backstay.cli", "demo"]


def run_once(home: Path) -> dict[str, object]:
    done = subprocess.run([*DEMO, "--once", "--json", "--home", str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_killed_and_started_again_it_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole = run_once(tmp_path / "whole")
    process = subprocess.Popen(
        [*DEMO, "--once", "--json", "--home", str(tmp_path / "killed")], stdout=subprocess.DEVNULL
    )
    store = tmp_path / "killed" / "backstay.db-wal"
    wait_until(lambda: store.exists() and store.stat().st_size > 400_000)
    process.kill()
    process.wait()
    again = run_once(tmp_path / "killed")
    assert {**again, "home": ""} == {**whole, "home": ""}
    assert whole["invoices"] == 62
    assert (whole["lost"], whole["failed"], whole["audit"]) == (0, 0, "ok")


def test_it_tells_what_happens_and_what_to_try(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    environment = {**os.environ, "COLUMNS": "100"}
    process = subprocess.Popen([*DEMO, "--home", str(home)], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    told: list[str] = []
    for line in process.stdout:
        told.append(line)
        if "audit verify" in line:
            break
    process.terminate()
    told.append(process.communicate(timeout=30)[0])
    text = "".join(told)
    assert process.returncode == 0
    assert "files lie in the drop folder" in text
    assert "posted, ERP-" in text
    assert "Try, in another terminal:" in text
    assert "goes on from here" in text


def test_a_home_that_another_worker_owns_is_left_as_it_is(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "owned"
    home.mkdir()
    lock = take_lock(home / LOCK_FILE)
    try:
        answer = cli("demo", "--once", "--json", "--home", str(home))
    finally:
        lock.close()
    assert answer.code == 5
    assert answer.json["error"]["code"] == "LOCKED"
    assert [path.name for path in home.iterdir()] == [LOCK_FILE]


def test_without_the_example_it_says_where_to_find_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("backstay.cli.invoices.__file__", str(tmp_path / "a" / "b" / "c" / "d" / "invoices.py"))
    answer = cli("demo", "--once", "--json")
    assert answer.code == 3
    assert "source checkout" in answer.json["error"]["message"]
