"""The numbers of a process: how many, how long, how often not, who waits for whom; docs/metrics.md defines each.

Measured from the journal alone, so they can be had at any time, for any span, with or without a worker.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from backstay.errors import InvalidInput
from backstay.store.database import Reader
from backstay.store.measures import (
    Attempts,
    Bucket,
    Day,
    Opened,
    Passed,
    Reason,
    Spread,
    Stuck,
    Throughput,
    Verdicts,
    Waiting,
    Window,
    measuring,
)
from backstay.types import Json, iso, seconds

T = TypeVar("T")

SILENT: Final = timedelta(minutes=15)
"""A run that is running and has had no event for so long counts as stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Everything that is measured of one span."""

    at: str
    window: Window
    throughput: list[Throughput]
    days: list[Day]
    attempts: list[Attempts]
    breakers: list[Opened]
    passed: list[Passed]
    waiting: list[Waiting]
    verdicts: list[Verdicts]
    reasons: list[Reason]
    stuck: list[Stuck]
    spreads: list[Spread]
    buckets: list[Bucket]

    def spread(self, measure: str, name: str) -> Spread | None:
        return next((one for one in self.spreads if (one.measure, one.name) == (measure, name)), None)

    @property
    def queues(self) -> list[str]:
        """Every queue that something came into, or lies in."""
        return sorted({one.queue for one in (*self.passed, *self.waiting)})

    @property
    def empty(self) -> bool:
        return not (self.throughput or self.passed or self.waiting)

    def as_json(self) -> dict[str, Json]:
        """The numbers under stable names; durations in seconds, rates between 0 and 1, null where nothing was measured."""
        return {
            "at": self.at,
            "since": iso(self.window.since) if self.window.since else None,
            "until": iso(self.window.until) if self.window.until else None,
            "workflow": self.window.workflow,
            "workflows": [self._workflow(one) for one in self.throughput],
            "days": [asdict(one) for one in self.days],
            "actions": [self._action(one) for one in self.attempts],
            "queues": [self._queue(name) for name in self.queues],
            "approvals": [self._approvals(one) for one in self.verdicts],
            "stuck": [asdict(one) for one in self.stuck],
        }

    def _workflow(self, one: Throughput) -> dict[str, Json]:
        rate = share(one.straight_through, one.finished)
        return {**asdict(one), "straight_through_rate": rate, "cycle_seconds": self._seconds("run", one.workflow)}

    def _action(self, one: Attempts) -> dict[str, Json]:
        attempts = one.returned + one.failed
        opened = sum(each.opened for each in self.breakers if each.action == one.action)
        return {
            "action": one.action, "attempts": attempts, **asdict(one), "failure_rate": share(one.failed, attempts),
            "breaker_opened": opened, "latency_seconds": self._seconds("call", one.action),
        }  # fmt: skip

    def _queue(self, name: str) -> dict[str, Json]:
        passed = [one for one in self.passed if one.queue == name]
        waiting = [one for one in self.waiting if one.queue == name]
        with_due, on_time = sum(one.with_due for one in passed), sum(one.on_time for one in passed)
        return {
            "queue": name,
            "opened": {one.kind: one.opened for one in passed if one.opened},
            "ended": sum(one.ended for one in passed),
            "ended_by_people": sum(one.by_people for one in passed),
            "open": {one.kind: one.open for one in waiting},
            "claimed": sum(one.claimed for one in waiting),
            "overdue": sum(one.overdue for one in waiting),
            "with_due": with_due, "on_time": on_time, "on_time_rate": share(on_time, with_due),
            "again": sum(one.again for one in passed),
            "escalated": sum(one.escalated for one in passed),
            "claim_seconds": self._seconds("claim", name),
            "handling_seconds": self._seconds("handling", name),
        }  # fmt: skip

    def _approvals(self, one: Verdicts) -> dict[str, Json]:
        reasons = [{"reason": each.reason, "count": each.count} for each in self.reasons if each.queue == one.queue]
        return {
            **asdict(one), "rejection_rate": share(one.rejected, one.approved + one.rejected), "reasons": reasons,
            "turnaround_seconds": self._seconds("approval", one.queue),
        }  # fmt: skip

    def _seconds(self, measure: str, name: str) -> dict[str, Json] | None:
        found = self.spread(measure, name)
        return None if found is None else dict(list(asdict(found).items())[2:])


def share(part: int, whole: int) -> float | None:
    """A rate, to four places; None of nothing."""
    return round(part / whole, 4) if whole else None


def measure(reader: Reader, window: Window, *, now: datetime, silent: timedelta = SILENT) -> Metrics:
    """Measure a span of the journal. A reader of its own is best: a large journal takes seconds."""
    with measuring(reader, window, now=now, silent=silent) as them:
        return Metrics(
            at=iso(now), window=window, throughput=them.all(Throughput), days=them.all(Day),
            attempts=them.all(Attempts), breakers=them.all(Opened), passed=them.all(Passed), waiting=them.all(Waiting),
            verdicts=them.all(Verdicts), reasons=them.all(Reason), stuck=them.all(Stuck), spreads=them.all(Spread),
            buckets=them.all(Bucket),
        )  # fmt: skip


def moment(text: str, now: datetime, option: str) -> datetime | None:
    """Read when a span begins or ends: RFC 3339, a date (UTC), or how long ago, such as "24h" or "7d"."""
    if not text:
        return None
    try:
        return now - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        wrong = f"{text!r} is no moment; write 2026-01-31, 2026-01-31T09:00:00Z, or how long ago: 24h, 7d"
        raise InvalidInput(f"{option}: {wrong}", {option: wrong}) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
