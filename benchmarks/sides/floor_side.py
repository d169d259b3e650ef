"""The floor under everything: plain `sqlite3`, WAL, synchronous=FULL, nothing of an engine.

- `rows_per_second`: as many rows as the engines write in "200 runs x 20 steps", of about 250 bytes, 100 per commit,
  into a table keyed by run and sequence, from 200 runs in turn: what any readable journal must at least do.
  Nine times into the same file, the median.
- `sustained_rows_per_second`: the same for ten times as many rows, checkpoints of the log included.
- `heap_rows_per_second`: into a table without any index, a limit that no journal can reach.
- `append_ms`: one row in one commit, p50: the *synced append*.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.sides.measures import HEAP, KEYED, ROW_BYTES, Appender, report, synced

BATCH = 100
RUNS = [hashlib.sha256(str(run).encode()).hexdigest()[:26] for run in range(200)]
MOMENT = "2026-01-01T00:00:00.000000Z"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4_400, help="20 steps, start and finish of 200 runs")
    parser.add_argument("--appends", type=int, default=300)
    options = parser.parse_args()
    appender = Appender(options.scratch / "append.db")
    appender.append(options.appends)
    short = rates(options.scratch / "keyed.db", KEYED, keyed, [options.rows] * 9)
    long = rates(options.scratch / "sustained.db", KEYED, keyed, [options.rows * 10])
    bare = rates(options.scratch / "heap.db", HEAP, heap, [options.rows] * 3)
    report(
        rows_per_second=statistics.median(short),
        best_rows_per_second=max(short),
        sustained_rows_per_second=long[0],
        heap_rows_per_second=statistics.median(bare),
        append_ms=appender.p50,
        versions={"sqlite": sqlite3.sqlite_version},
    )


def keyed(number: int) -> tuple[object, ...]:
    """Five values of about 250 bytes in all."""
    return (RUNS[number % len(RUNS)], number // len(RUNS), MOMENT, "completed", "x" * (ROW_BYTES - 63))


def heap(number: int) -> tuple[object, ...]:
    return (number + 1, "x" * ROW_BYTES)


def rates(path: Path, table: str, row: Callable[[int], tuple[object, ...]], sizes: list[int]) -> list[float]:
    """Rows per second for each of `sizes`, one after the other into one table."""
    connection = synced(path)
    connection.execute(table)
    insert = f"INSERT INTO entry VALUES ({', '.join('?' * len(row(0)))})"
    numbers = itertools.count()
    found: list[float] = []
    for size in sizes:
        rows = [row(number) for number in itertools.islice(numbers, size)]
        before = time.perf_counter()
        for first in range(0, size, BATCH):
            connection.execute("BEGIN")
            connection.executemany(insert, rows[first : first + BATCH])
            connection.execute("COMMIT")
        found.append(size / (time.perf_counter() - before))
    connection.close()
    return found


if __name__ == "__main__":
    main()
