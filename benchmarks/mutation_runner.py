"""Runs tests against mutants, as a plugin of pytest: the tests are collected once, then each mutant is a fork of that.

mutmut makes the mutants and knows which tests reach which function; its own runner collects the tests anew for every
mutant, which takes longer than to run them. Here, what killed a mutant of a function is also tried first on the next.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

PLAN: Final = "BACKSTAY_MUTANTS"
"""Environment variable: path of the plan, {"jobs": 2, "out": path, "mutants": {name: [node ids, quickest first]}}."""

CPU_SECONDS: Final = 40
IDLE_SECONDS: Final = 10
"""A mutant that spins longer, or waits longer without using the CPU, was noticed."""

failed: list[str] = []
"""The tests that failed in this process."""


@dataclass(kw_only=True)
class Fork:
    """A mutant under test."""

    name: str
    killer: int
    """Where it writes the test that failed."""
    ticks: int = 0
    busy: float = field(default_factory=time.monotonic)
    """When it was last seen to do something."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failed.append(report.nodeid)


def pytest_runtestloop(session: pytest.Session) -> bool:
    """In place of pytest's own loop: one fork for each mutant, so many at a time."""
    plan: dict[str, Any] = json.loads(Path(os.environ[PLAN]).read_text("utf-8"))
    items = {item.nodeid: item for item in session.items}
    running: dict[int, Fork] = {}
    killers: dict[str, list[str]] = {}
    gc.freeze()
    with Path(plan["out"]).open("a", encoding="utf-8") as out:
        for name, tests in plan["mutants"].items():
            while len(running) >= plan["jobs"]:
                _reap(running, killers, out)
            proven = killers.get(_function(name), [])
            chosen = [items[test] for test in dict.fromkeys([*proven, *tests]) if test in items]
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                _judge(name, chosen, writing)
            os.close(writing)
            running[pid] = Fork(name=name, killer=reading)
        while running:
            _reap(running, killers, out)
    return True


def _function(name: str) -> str:
    return name.rpartition("__mutmut_")[0]


def _judge(name: str, items: list[pytest.Item], killer: int) -> NoReturn:
    """In the fork: 1 as soon as a test fails, 0 when none does."""
    from mutmut.mutation.trampoline import set_mutant_under_test

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    set_mutant_under_test(name)
    for item in items:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        if failed:
            os.write(killer, failed[0].encode())
            os._exit(1)
    os._exit(0)


def _reap(running: dict[int, Fork], killers: dict[str, list[str]], out: Any) -> None:
    """Wait a little for any fork to end, and write down how."""
    for pid, fork in list(running.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done and _idle(pid, fork):
            os.kill(pid, signal.SIGKILL)
            done, status = os.waitpid(pid, 0)
        if not done:
            continue
        del running[pid]
        test = os.read(fork.killer, 4096).decode()
        os.close(fork.killer)
        if test:
            killers.setdefault(_function(fork.name), []).insert(0, test)
        verdict = {0: "survived", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "timeout")
        out.write(json.dumps({"mutant": fork.name, "verdict": verdict, "test": test}) + "\n")
        out.flush()
    time.sleep(0.01)


def _idle(pid: int, fork: Fork) -> bool:
    """Whether a fork has been asleep all the time; one that only gets no CPU is not."""
    told = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    state, ticks = told[0], int(told[11]) + int(told[12])
    if ticks != fork.ticks or state != "S":
        fork.ticks, fork.busy = ticks, time.monotonic()
    return time.monotonic() - fork.busy > IDLE_SECONDS
