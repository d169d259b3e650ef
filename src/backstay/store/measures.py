"""Measurements over the journal as frozen values, one per named query of `sql/metrics.sql`; docs/metrics.md defines them.

The span's events are read once into temporary tables of the reader's own connection; the store itself is not written.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, TypeVar

from backstay.store.database import Reader
from backstay.types import iso

T = TypeVar("T")

SLACK: Final = timedelta(minutes=1)
"""By how much an event may be committed after one that is younger than it."""

BEGINNING: Final = "0001-01-01T00:00:00.000000Z"
END: Final = "9999-12-31T23:59:59.999999Z"

DurationOf: TypeAlias = Literal["run", "call", "claim", "handling", "approval"]
"""run: per workflow, start to end of finished runs. call: per action. claim: per queue, until somebody took it. handling:
per queue, until a person ended it. approval: the same of approvals alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of the journal is measured."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    workflow: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration is spread, in seconds."""

    measure: DurationOf
    name: str
    """The workflow, action or queue."""
    count: int
    sum: float
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Durations of one interval of a histogram."""

    measure: DurationOf
    name: str
    bound: float | None
    """Its upper end in seconds; None is without end."""
    count: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """Runs of a workflow."""

    workflow: str
    started: int
    finished: int
    failed: int
    cancelled: int
    running: int
    waiting: int
    attention: int
    straight_through: int


@dataclass(frozen=True, slots=True)
class Day:
    """Runs of a workflow that started and ended on one day, UTC."""

    day: str
    workflow: str
    started: int
    finished: int
    failed: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of an action by how they ended, and calls that were stopped before they were made."""

    action: str
    returned: int
    failed: int
    retries: int
    queued: int
    unknown: int
    diverted: int
    switched: int
    denied: int


@dataclass(frozen=True, slots=True)
class Opened:
    """How often the breaker of an action opened."""

    action: str
    opened: int


@dataclass(frozen=True, slots=True)
class Passed:
    """What came into a queue and left it, of one kind."""

    queue: str
    kind: str
    opened: int
    ended: int
    by_people: int
    with_due: int
    on_time: int
    again: int
    escalated: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What lies in a queue now, of one kind."""

    queue: str
    kind: str
    open: int
    claimed: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was decided in a queue."""

    queue: str
    approved: int
    rejected: int
    expired: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why people rejected, and how often."""

    queue: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """A run that nothing will move by itself."""

    run: str
    workflow: str
    since: str
    why: Literal["attention", "silent", "adrift"]
    """attention: an operator must act. silent: running, and no event for a while. adrift: waiting for something that has no
    due time, no timer and no owner."""
    summary: str


READINGS: Final[dict[type[Any], str]] = {
    Spread: "metrics_spreads",
    Bucket: "metrics_buckets",
    Throughput: "metrics_workflows",
    Day: "metrics_days",
    Attempts: "metrics_actions",
    Opened: "metrics_breakers",
    Passed: "metrics_queues",
    Waiting: "metrics_waiting",
    Verdicts: "metrics_verdicts",
    Reason: "metrics_reasons",
    Stuck: "metrics_stuck",
}
"""The query behind each value; its columns are the value's fields, in their order."""


class Measures:
    """The readings of one span, all of the same view of the store."""

    def __init__(self, reader: Reader, parameters: dict[str, Any]) -> None:
        self._reader, self._parameters = reader, parameters

    def all(self, kind: type[T]) -> list[T]:
        """Every reading of a kind."""
        make: Any = kind
        return [make(*row) for row in self._reader.all(READINGS[kind], self._parameters)]


FILL: Final = (
    *(f"metrics_{table}_{step}" for table in ("facts", "items", "durations") for step in ("drop", "table")),
    "metrics_facts", "metrics_carry", "metrics_items", "metrics_call_durations", "metrics_item_durations",
    "metrics_run_durations",
)  # fmt: skip
"""What is done before the readings, in order; the carry is the facts again, of the positions before the span."""


@contextmanager
def measuring(reader: Reader, window: Window, *, now: datetime, silent: timedelta) -> Generator[Measures]:
    """Measure a span of the journal; a run that is running and was silent for so long counts as stuck."""
    reader.one("metrics_begin")
    try:
        first, last = _positions(reader, window)
        parameters = {
            "first": first, "last": last, "carry": 0, "workflow": window.workflow,
            "from": iso(window.since) if window.since else BEGINNING, "to": iso(window.until) if window.until else END,
            "since": round(window.since.timestamp() * 1_000_000) if window.since else -(1 << 62),
            "now": iso(now), "silent": iso(now - silent),
        }  # fmt: skip
        for name in FILL:
            if name != "metrics_carry":
                reader.all(name, parameters)
            elif first > 1:
                reader.all("metrics_facts", {**parameters, "first": 0, "last": first, "carry": 1})
        yield Measures(reader, parameters)
    finally:
        for table in ("facts", "items", "durations"):
            reader.all(f"metrics_{table}_drop")
        reader.one("metrics_end")


def _positions(reader: Reader, window: Window) -> tuple[int, int]:
    """Positions that enclose the window: from the first, and before the last."""
    newest: int = reader.value("last_position")
    first = _position(reader, window.since - SLACK, newest) if window.since else 1
    return first, _position(reader, window.until + SLACK, newest) if window.until else newest + 1


def _position(reader: Reader, moment: datetime, newest: int) -> int:
    """The first position whose event is not older than a moment: time grows with position, so halves tell."""
    low, high, sought = 1, newest + 1, iso(moment)
    while low < high:
        middle = (low + high) // 2
        row = reader.one("metrics_moment", (middle,))
        if row is None or row["position"] >= high or row["at"] >= sought:
            high = middle
        else:
            low = row["position"] + 1
    return low
