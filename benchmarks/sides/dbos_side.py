"""DBOS, on its SQLite default or on PostgreSQL, in the quickest honest configuration we found.

- Workflows and steps are synchronous functions called directly from a small pool of threads: quicker than
  `start_workflow`, than its queues (they poll each second) and than async workflows, on both databases. Four workers
  were the best, or within the noise of it, of 1, 2, 4, 8, 32 and 64; the other runs wait in the pool's queue.
- Its connection pool, serializer and everything else stay at their defaults; logging is at ERROR, telemetry is off.
- SQLite: DBOS leaves `journal_mode=delete` (several syncs per commit). `--wal` switches the file to WAL before DBOS
  opens it. DBOS has no such setting; we show it so that nobody thinks the journal mode explains the difference.
- `--parked` starts async workflows, one coroutine each: its synchronous ones hold a thread each while they wait.
- A step's result is committed before the next step begins; each commit is synced (SQLite FULL, PostgreSQL fsync=on).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sqlite3
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from dbos import DBOS  # pyright: ignore[reportMissingImports]

from benchmarks.sides.measures import Memory, gaps, report

SETTLE = 3.0
"""Seconds for the last runs to reach their wait before memory is read."""

moments: list[float] = []


@DBOS.step()
def step(number: int) -> int:
    moments.append(time.perf_counter())
    return number + 1


@DBOS.workflow()
def count(steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = step(number)
    return number


@DBOS.workflow()
async def wait() -> str | None:
    return await DBOS.recv_async("decision", timeout_seconds=86_400)


def park(runs: int) -> dict[str, float]:
    """Start `runs` async workflows that wait for a message, and look at this process once all of them do."""

    async def start_all() -> dict[str, float]:
        memory = Memory()
        handles = [await DBOS.start_workflow_async(wait) for _ in range(runs)]
        await asyncio.sleep(SETTLE)
        return memory.parked(len(handles))

    return asyncio.run(start_all())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--database", help="address of a PostgreSQL database; SQLite in --scratch without it")
    parser.add_argument("--wal", action="store_true")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sequential", type=int, default=100, help="steps of the run that goes alone")
    parser.add_argument("--short", type=int, default=40, help="how many three-step runs, one after the other")
    parser.add_argument("--parked", type=int, help="only park this many runs, and report memory")
    options = parser.parse_args()
    file = options.scratch / "dbos.sqlite"
    if options.wal:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    address = options.database or f"sqlite:///{file}"
    # DBOS keeps its own logger; errors still reach standard error.
    logging.getLogger("dbos").setLevel(logging.ERROR)
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": address,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
    )
    DBOS.launch()
    versions = {"dbos": version("dbos"), "sqlite": sqlite3.sqlite_version}
    if options.parked:
        report(**park(options.parked), versions=versions)
        # Waiting workflows keep DBOS.destroy() from returning.
        os._exit(0)
    count(3)
    rate = together(options.runs, options.steps, options.workers)
    moments.clear()
    expect(count(options.sequential), options.sequential)
    step_ms = statistics.median(gaps(moments))
    runs_ms: list[float] = []
    for _ in range(options.short):
        before = time.perf_counter()
        expect(count(3), 3)
        runs_ms.append((time.perf_counter() - before) * 1000)
    report(
        steps_per_second=rate,
        step_ms=step_ms,
        run_ms=statistics.median(runs_ms),
        versions=versions,
    )
    DBOS.destroy()


def together(runs: int, steps: int, workers: int) -> float:
    before = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for result in pool.map(count, [steps] * runs):
            expect(result, steps)
    return runs * steps / (time.perf_counter() - before)


def expect(result: int, steps: int) -> None:
    if result != steps:
        raise RuntimeError(f"a run of {steps} steps answered {result}")


if __name__ == "__main__":
    main()
