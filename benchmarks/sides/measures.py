"""What every side measures the same way: synced appends, percentiles, the gaps between steps. Standard library only.

Imported in the peers' environments too, so it may need nothing but Python.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROW_BYTES = 250
"""About the size of one journal row."""

KEYED = "CREATE TABLE entry (run TEXT, seq INTEGER, at TEXT, type TEXT, body TEXT, PRIMARY KEY (run, seq))"
"""The smallest table that can give a run its history back: one index by run and sequence."""
HEAP = "CREATE TABLE entry (id INTEGER PRIMARY KEY, body TEXT)"
"""No index at all: rows in, nothing can be found again."""


def synced(path: Path) -> sqlite3.Connection:
    """Open a plain connection where each commit is on disk before it returns: WAL, synchronous=FULL."""
    connection = sqlite3.connect(path, isolation_level=None)
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    level = connection.execute("PRAGMA synchronous").fetchone()[0]
    if (mode, level) != ("wal", 2):
        raise RuntimeError(f"SQLite answered journal_mode={mode}, synchronous={level}; wanted wal and 2 (FULL)")
    return connection


class Appender:
    """One row, one synced commit: the unit in which latencies are given."""

    def __init__(self, path: Path) -> None:
        self.connection = synced(path)
        self.connection.execute(HEAP)
        self.seconds: list[float] = []

    def append(self, times: int) -> None:
        for _ in range(times):
            before = time.perf_counter()
            self.connection.execute("INSERT INTO entry (body) VALUES (?)", ("x" * ROW_BYTES,))
            self.seconds.append(time.perf_counter() - before)

    @property
    def p50(self) -> float:
        """Milliseconds."""
        return statistics.median(self.seconds) * 1000


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def gaps(moments: Sequence[float]) -> list[float]:
    """Milliseconds between consecutive moments: with a stamp in each step's body, the cost of one step."""
    return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(moments)]


def resident_mb() -> float:
    """Memory of this process that is in RAM now, in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Memory:
    """Resident memory and workers before and after runs were parked."""

    def __init__(self) -> None:
        self.before, self.threads = resident_mb(), threading.active_count()

    def parked(self, runs: int) -> dict[str, float]:
        after = resident_mb()
        return {
            "resident_mb": after,
            "parked_kb_each": (after - self.before) * 1000 / runs,
            "threads": threading.active_count(),
        }


def report(**measured: object) -> None:
    """Print the one JSON line that the benchmark reads, as the last line of the output."""
    sys.stdout.flush()
    print(json.dumps({"ok": True, **measured}), flush=True)
