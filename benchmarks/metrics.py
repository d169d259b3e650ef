"""What measuring costs on a large journal, and what an index would: `python -m benchmarks.metrics --runs 100000`.

The runs are written as the engine writes them, through the journal, without being executed: ten events each, a call that
fails once, an approval, three calls. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backstay import events as ev
from backstay.operations.metrics import measure
from backstay.operations.prometheus import exposition
from backstay.store.database import Reader
from backstay.store.journal import Journal, Write, genesis
from backstay.store.measures import Window
from backstay.store.views import Run
from backstay.types import iso

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
APART = timedelta(seconds=30)
INDEX = "CREATE INDEX events_by_kind ON events (kind, position)"


def one_run(number: int, chance: random.Random) -> Write:
    """A finished run of ten events."""
    run, at = f"{number:026d}", BEGIN + number * APART

    def stamp(seconds: float) -> str:
        return iso(at + timedelta(seconds=seconds))

    args = {"invoice": {"number": f"R-{number}", "vendor": "Brandt", "total": "119.00", "lines": [1, 2, 3]}}
    common: dict[str, Any] = {"site": "process.3", "action": f"action_{number % 20}"}
    wait = chance.randrange(1, 15)  # the run ends before the next one, so time grows with position
    events: list[ev.Event] = [
        ev.RunStarted(at=stamp(0), by="system", workflow=f"flow_{number % 5}", version="v", input=args),
        ev.CallReturned(at=stamp(1), command="1", args=args, result=args, micros=chance.randrange(10**6), **common),
        ev.CallIntended(at=stamp(2), command="2", effect="write", args=args, key="k" * 40, **common),
        ev.AttemptFailed(
            at=stamp(3), command="2", attempt=1, fault=ev.Fault(type="E", message="down"), retry_at=stamp(9),
            first_at=stamp(3), **common,
        ),
        ev.CallIntended(at=stamp(9), command="2", effect="write", args=args, key="k" * 40, attempt=2, **common),
        ev.CallReturned(at=stamp(10), command="2", result="ok", micros=chance.randrange(10**6), **common),
        ev.ApprovalRequested(at=stamp(11), command="3", site="process.7", queue=f"q{number % 8}", show=args, due=stamp(20)),
        ev.ApprovalDecided(at=stamp(11 + wait), by="dana", command="3", verdict="approved", reason="fine"),
        ev.CallReturned(at=stamp(12 + wait), command="4", result=args, micros=chance.randrange(10**6), **common),
        ev.RunFinished(at=stamp(13 + wait), result="posted"),
    ]  # fmt: skip
    write, head = Write(), genesis(run)
    for event in events:
        head = write.append(run, head, event)
    row = Run(
        id=run, workflow=f"flow_{number % 5}", version="v", status="finished", key=None, parent=None, parent_command=None,
        requester="system", started_at=stamp(0), updated_at=stamp(13 + wait), seq=head[0], head=head[1], summary=None,
    )  # fmt: skip
    write.put("runs", run, row)
    return write


async def fill(store: Path, runs: int) -> float:
    """Write the runs; returns events per second of the journal, which is the write path alone."""
    chance, spent = random.Random(1), 0.0
    journal = Journal(store)
    try:
        for start in range(0, runs, 500):
            writes = [one_run(number, chance) for number in range(start, min(start + 500, runs))]
            begun = time.perf_counter()
            await asyncio.gather(*(journal.submit(write) for write in writes))
            spent += time.perf_counter() - begun
    finally:
        journal.close()
    return runs * 10 / spent


def timed(work: Callable[[], Any], rounds: int = 3) -> float:
    """The best of some rounds, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return round(best, 3)


def reading(store: Path, runs: int) -> dict[str, float]:
    now, reader = BEGIN + runs * APART, Reader(store)
    windows = {
        "everything": Window(),
        "7d": Window(since=now - timedelta(days=7)),
        "24h": Window(since=now - timedelta(days=1)),
    }
    try:
        found = {name: timed(lambda w=window: measure(reader, w, now=now)) for name, window in windows.items()}
        whole = measure(reader, Window(), now=now)
        return {**found, "one workflow": timed(lambda: measure(reader, Window(workflow="flow_1"), now=now)),
                "prometheus text": timed(lambda: exposition(whole))}  # fmt: skip
    finally:
        reader.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        plain, indexed = Path(folder) / "plain.db", Path(folder) / "indexed.db"
        report: dict[str, Any] = {"runs": runs, "events": runs * 10, "sqlite": sqlite3.sqlite_version}
        Journal(indexed).close()
        with closing(sqlite3.connect(indexed)) as connection:
            connection.execute(INDEX)
        for name, store in (("as it is", plain), ("with an index by kind", indexed)):
            rate = asyncio.run(fill(store, runs))
            size = round(store.stat().st_size / 1e6)
            report[name] = {"written events per second": round(rate), "MB": size, "seconds": reading(store, runs)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
