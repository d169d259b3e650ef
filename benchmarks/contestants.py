"""Who takes part: one table. A contestant is a script that runs in its own environment and prints one JSON line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One row of the benchmark: what to run, where, and how it is set up."""

    name: str
    title: str
    module: str
    """Module under `benchmarks.sides`."""
    setup: str
    """Its configuration in one line, for the results table; the script's docstring says why."""
    environment: str | None = None
    """File under `benchmarks/pins` that lists its packages; None runs in this environment."""
    options: Sequence[str] = ()
    quick: Sequence[str] = ()
    """Options that `--quick` adds: small enough for a smoke test, too small for a verdict."""
    postgres: bool = False
    """Gets an address of a fresh PostgreSQL database as `--database`."""
    peer: bool = False
    rounds: int = 1_000
    """Takes part in at most this many rounds: the long measurements need fewer."""
    time_limit: float = 600.0
    """Seconds after which it is stopped and reported as failed."""


PEER_QUICK = ("--runs", "4", "--steps", "5", "--sequential", "10", "--short", "3")

CONTESTANTS: Sequence[Contestant] = (
    Contestant(
        name="sqlite",
        title="sqlite3, the floor",
        module="floor_side",
        setup="plain sqlite3, WAL, synchronous=FULL, 100 rows of 250 bytes per commit, keyed by run and sequence",
        quick=("--rows", "1000", "--appends", "50"),
    ),
    Contestant(
        name="backstay",
        title="Backstay",
        module="backstay_side",
        setup="embedded SQLite store, WAL, synchronous=FULL, default settings, every step through the gateway",
        options=("speed",),
        quick=("--runs", "10", "--steps", "5", "--sequential", "10", "--short", "5", "--calls", "50"),
    ),
    Contestant(
        name="dbos-sqlite",
        title="DBOS on SQLite",
        module="dbos_side",
        setup="its default (journal_mode=delete, synchronous=FULL), 4 threads",
        environment="dbos",
        quick=PEER_QUICK,
        peer=True,
    ),
    Contestant(
        name="dbos-sqlite-wal",
        title="DBOS on SQLite, file switched to WAL by us",
        module="dbos_side",
        setup="for comparison only: not a setting of DBOS; 4 threads",
        environment="dbos",
        options=("--wal",),
        quick=PEER_QUICK,
        peer=True,
    ),
    Contestant(
        name="dbos-postgres",
        title="DBOS on PostgreSQL",
        module="dbos_side",
        setup="Unix socket, fsync=on, synchronous_commit=on, 4 threads",
        environment="dbos",
        quick=PEER_QUICK,
        postgres=True,
        peer=True,
    ),
    Contestant(
        name="langgraph-sqlite",
        title="LangGraph on SQLite",
        module="langgraph_side",
        setup='graph, SqliteSaver, WAL, synchronous=FULL, durability="sync", 2 threads',
        environment="langgraph",
        quick=PEER_QUICK,
        peer=True,
    ),
    Contestant(
        name="langgraph-postgres",
        title="LangGraph on PostgreSQL",
        module="langgraph_side",
        setup='functional API, AsyncPostgresSaver, durability="sync", 16 runs at a time, a connection each',
        environment="langgraph",
        quick=PEER_QUICK,
        postgres=True,
        peer=True,
    ),
    Contestant(
        name="backstay-parked",
        title="Backstay, 100,000 runs parked on approvals",
        module="backstay_side",
        setup="one process, one file; then a new process on that file",
        options=("parked",),
        quick=("--runs", "200", "--decisions", "10", "--burst", "50"),
        rounds=3,
        time_limit=900.0,
    ),
    Contestant(
        name="dbos-parked",
        title="DBOS on SQLite, 10,000 waiting runs",
        module="dbos_side",
        setup="async workflows in recv, one process",
        environment="dbos",
        options=("--parked", "10000"),
        quick=("--parked", "20"),
        peer=True,
        rounds=1,
    ),
    Contestant(
        name="langgraph-parked",
        title="LangGraph on SQLite, 10,000 interrupted runs",
        module="langgraph_side",
        setup="graph with an interrupt, one process",
        environment="langgraph",
        options=("--parked", "10000"),
        quick=("--parked", "20"),
        peer=True,
        rounds=1,
    ),
    Contestant(
        name="backstay-growth",
        title="Backstay, growth",
        module="backstay_side",
        setup="1,000 / 10,000 / 100,000 runs of three steps; runs of 10 / 100 / 10,000 steps",
        options=("growth",),
        quick=("--sizes", "10,50", "--lengths", "5,50"),
        rounds=3,
        time_limit=900.0,
    ),
    Contestant(
        name="backstay-startup",
        title="Backstay, import and help",
        module="startup_side",
        setup="best of N processes, each above a bare interpreter, alternating",
        quick=("--times", "1"),
    ),
)
