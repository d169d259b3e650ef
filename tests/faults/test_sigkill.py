"""SIGKILL: a worker killed at every commit, and at random moments, loses no run and repeats no effect."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from backstay.governance.audit import verify

WORKER = Path(__file__).parent / "killed_worker.py"


def work(home: Path, runs: int, kill_at: int = 0) -> int:
    """Let a worker live until it has ended or was killed; returns its exit code."""
    command = [sys.executable, str(WORKER), str(home), str(runs), str(kill_at)]
    return subprocess.run(command, check=False, timeout=30, capture_output=True).returncode


def effects(home: Path) -> Counter[str]:
    with closing(sqlite3.connect(home.parent / "world.db")) as connection:
        return Counter(row[0] for row in connection.execute("SELECT what FROM effects"))


def statuses(home: Path) -> Counter[str]:
    with closing(sqlite3.connect(home / "backstay.db")) as connection:
        query = "SELECT workflow || ' ' || status FROM runs"
        return Counter(row[0] for row in connection.execute(query))


def expected(runs: int) -> Counter[str]:
    """What the world must hold after so many cases, however often the worker died."""
    world: Counter[str] = Counter()
    for case in range(runs):
        if case % 4 == 3:
            world.update([f"reserve {case}", f"unreserve {case}"])
        else:
            world.update([f"reserve {case}", f"reserve {case}", f"pay {case}"])  # its own and its child's
    return world


def check(home: Path, runs: int) -> None:
    sold = sum(case % 4 != 3 for case in range(runs))
    assert statuses(home) == Counter(
        {"sell finished": sold, "part finished": sold, "regret failed": runs - sold}
    ) - Counter({"regret failed": 0})
    assert effects(home) == expected(runs)
    report = verify(home / "backstay.db")
    assert [str(finding) for finding in report.findings] == []


def test_without_a_kill_the_worker_ends_by_itself(home: Path) -> None:
    assert work(home, 4) == 0
    check(home, 4)


def test_a_worker_killed_after_each_commit_of_a_case_loses_and_repeats_nothing(tmp_path: Path) -> None:
    for point in range(1, 50):
        home = tmp_path / str(point) / "home"
        home.parent.mkdir()
        code = work(home, 1, point)
        if code == 0:
            assert point > 8
            return
        assert code == -signal.SIGKILL
        assert work(home, 1) == 0
        check(home, 1)
    raise AssertionError("the worker never came to its end")


@pytest.mark.parametrize("point", [5, 9, 13, 17])
def test_a_worker_killed_among_several_cases_loses_and_repeats_nothing(home: Path, point: int) -> None:
    assert work(home, 4, point) == -signal.SIGKILL
    assert work(home, 4) == 0
    check(home, 4)


def test_a_worker_killed_at_the_second_commit_of_every_life_still_gets_there(home: Path) -> None:
    for life in range(60):
        code = work(home, 1, 2)
        if code == 0:
            check(home, 1)
            assert life > 3
            return
    raise AssertionError("it makes no progress")


def test_a_worker_killed_at_random_moments_loses_and_repeats_nothing(home: Path) -> None:
    chance = random.Random(7)
    command = [sys.executable, str(WORKER), str(home), "80", "0"]
    kills = 0
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(0.25 + chance.random() * 0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        else:
            assert process.returncode == 0
            break
    assert kills > 0
    assert work(home, 80) == 0
    check(home, 80)
