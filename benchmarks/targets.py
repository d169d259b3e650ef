"""The claims of the engine's specification, as one table that the benchmark checks against what it measured.

A ratio is computed within each round, from contestants that shared the disk's mood, and then the median is taken.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.race import Round


@dataclass(frozen=True, kw_only=True)
class Target:
    """One claim: what must hold, and how to read it from a round."""

    name: str
    claim: str
    compare: Literal[">=", "<="]
    limit: float
    unit: str
    value: Callable[[Round], float]
    """Raises KeyError when the round did not measure it."""


def of(contestant: str, measure: str) -> Callable[[Round], float]:
    return lambda this: this[contestant][measure]


def ratio(measure: str, *others: str, by: str = "steps_per_second") -> Callable[[Round], float]:
    """Backstay's `measure` over the best `by` of the others that measured it."""

    def value(this: Round) -> float:
        measured = [this[other][by] for other in others if by in this.get(other, {})]
        if not measured:
            raise KeyError(others)
        return this["backstay"][measure] / max(measured)

    return value


LANGGRAPH = ("langgraph-sqlite", "langgraph-postgres")

TARGETS: Sequence[Target] = (
    Target(
        name="dbos_sqlite",
        claim="durable steps per second, 200 runs x 20 steps, over DBOS on its SQLite default",
        compare=">=",
        limit=30,
        unit="x",
        value=ratio("steps_per_second", "dbos-sqlite"),
    ),
    Target(
        name="dbos_postgres",
        claim="the same, over DBOS on a local PostgreSQL",
        compare=">=",
        limit=30,
        unit="x",
        value=ratio("steps_per_second", "dbos-postgres"),
    ),
    Target(
        name="langgraph",
        claim="the same, over the better of LangGraph's checkpointers",
        compare=">=",
        limit=10,
        unit="x",
        value=ratio("steps_per_second", *LANGGRAPH),
    ),
    Target(
        name="sqlite_floor",
        claim="steps per second over rows per second of plain sqlite3 in batches of 100",
        compare=">=",
        limit=0.25,
        unit="x",
        value=ratio("steps_per_second", "sqlite", by="rows_per_second"),
    ),
    Target(
        name="sqlite_floor_sustained",
        claim="the same over ten times as many steps and rows, checkpoints included",
        compare=">=",
        limit=0.25,
        unit="x",
        value=ratio("sustained_steps_per_second", "sqlite", by="sustained_rows_per_second"),
    ),
    Target(
        name="sequential_step",
        claim="one sequential step, p50",
        compare="<=",
        limit=3,
        unit="synced appends",
        value=of("backstay", "step_appends"),
    ),
    Target(
        name="short_run",
        claim="a run of three steps from start to finish, p50",
        compare="<=",
        limit=12,
        unit="synced appends",
        value=of("backstay", "run_appends"),
    ),
    Target(
        name="parked_memory",
        claim="100,000 runs parked on approvals: resident memory of the process, started or restarted",
        compare="<=",
        limit=200,
        unit="MB",
        value=of("backstay-parked", "resident_mb"),
    ),
    Target(
        name="parked_threads",
        claim="the same: threads and coroutines that parking added",
        compare="<=",
        limit=8,
        unit="",
        value=of("backstay-parked", "workers_added"),
    ),
    Target(
        name="start_up",
        claim="the same: a new process from exec to ready",
        compare="<=",
        limit=3,
        unit="s",
        value=of("backstay-parked", "start_up_s"),
    ),
    Target(
        name="decision",
        claim="the same: from a decision to the finished run, p99 of 500",
        compare="<=",
        limit=20,
        unit="ms",
        value=of("backstay-parked", "decision_p99_ms"),
    ),
    Target(
        name="burst",
        claim="the same: 10,000 decisions at once, until all are finished",
        compare="<=",
        limit=5,
        unit="s",
        value=of("backstay-parked", "burst_s"),
    ),
    Target(
        name="replay",
        claim="replay of stored journals on one core",
        compare=">=",
        limit=30_000,
        unit="events/s",
        value=of("backstay", "replay_events_per_second"),
    ),
    Target(
        name="gateway",
        claim="gateway overhead per read action, p50, without the commit",
        compare="<=",
        limit=200,
        unit="us",
        value=of("backstay", "gateway_p50_us"),
    ),
    Target(
        name="growth_runs",
        claim="cost per run: most expensive over cheapest of 1,000 / 10,000 / 100,000 runs",
        compare="<=",
        limit=2,
        unit="x",
        value=of("backstay-growth", "run_cost_ratio"),
    ),
    Target(
        name="growth_steps",
        claim="cost per step: most expensive over cheapest of runs of 10 / 100 / 10,000 steps",
        compare="<=",
        limit=2,
        unit="x",
        value=of("backstay-growth", "step_cost_ratio"),
    ),
    Target(
        name="import",
        claim="`import backstay` above a bare interpreter",
        compare="<=",
        limit=150,
        unit="ms",
        value=of("backstay-startup", "import_ms"),
    ),
    Target(
        name="help",
        claim="`backstay --help` above a bare interpreter",
        compare="<=",
        limit=300,
        unit="ms",
        value=of("backstay-startup", "help_ms"),
    ),
)


def judge(rounds: Sequence[Round], *, quick: bool) -> list[dict[str, Any]]:
    """Each target with its median and spread over the rounds; `passed` is None when there is nothing to judge."""
    return [_judge(target, rounds, quick=quick) for target in TARGETS]


def _judge(target: Target, rounds: Sequence[Round], *, quick: bool) -> dict[str, Any]:
    values: list[float] = []
    for this in rounds:
        try:
            values.append(target.value(this))
        except KeyError:
            continue
    value = statistics.median(values) if values else None
    note = "" if value is not None else "not measured"
    passed = None
    if value is not None and not quick:
        passed = value >= target.limit if target.compare == ">=" else value <= target.limit
    elif quick and value is not None:
        note = "a quick run is too small to judge"
    return {
        "name": target.name,
        "claim": target.claim,
        "target": f"{target.compare} {target.limit:g} {target.unit}".rstrip(),
        "compare": target.compare,
        "limit": target.limit,
        "unit": target.unit,
        "value": value,
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
        "rounds": len(values),
        "passed": passed,
        "note": note,
    }
