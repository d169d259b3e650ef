"""Metrics in the Prometheus text exposition format 0.0.4: counters and histograms since the beginning, gauges of now.

Labels are names of workflows, actions, queues and kinds; never a run, a person or a text that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from backstay.operations.metrics import Metrics
from backstay.store.measures import DurationOf

Labels: TypeAlias = dict[str, str]

MOST_ROWS: Final = 500
"""Rows that a family may have, in the order of their names; what comes after them is left out."""

SHORT: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0)
LONG: Final = (1.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0, 604800.0, 2592000.0)
"""Bounds of histograms in seconds; each is one of those in the query `metrics_buckets`."""


class Family(NamedTuple):
    """One metric with its samples."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: list[tuple[Labels, float]]


HISTOGRAMS: Final[tuple[tuple[DurationOf, str, str, tuple[float, ...], str], ...]] = (
    ("run", "backstay_run_duration_seconds", "workflow", LONG, "From start to end of finished runs."),
    ("call", "backstay_action_duration_seconds", "action", SHORT, "Attempts that returned."),
    ("claim", "backstay_item_claim_seconds", "queue", LONG, "From an item's opening until somebody first took it."),
    ("handling", "backstay_item_handling_seconds", "queue", LONG, "From an item's opening until a person ended it."),
    ("approval", "backstay_approval_turnaround_seconds", "queue", LONG, "The same, of approvals alone."),
)
"""(what is measured, name, label, bounds, help)."""


def exposition(metrics: Metrics) -> str:
    """The whole page, ending in a line feed."""
    lines = [line for family in families(metrics) for line in _family(family)]
    lines += [line for row in HISTOGRAMS for line in _histogram(metrics, *row)]
    return "\n".join(lines) + "\n"


def families(metrics: Metrics) -> Iterator[Family]:
    """Every counter and gauge."""
    yield from _of_runs(metrics)
    yield from _of_actions(metrics)
    yield from _of_queues(metrics)


def _of_runs(metrics: Metrics) -> Iterator[Family]:
    runs, ends, states = metrics.throughput, ("finished", "failed", "cancelled"), ("running", "waiting", "attention")
    yield _counter("runs_started", "Runs that were started.", _split(runs, ("workflow",)))
    yield _counter("runs_ended", "Runs that ended.", _split(runs, ("workflow",), "status", ends))
    yield _counter(
        "runs_straight_through", "Runs that finished without any person.",
        _split(runs, ("workflow",), fields=("straight_through",)),
    )  # fmt: skip
    yield _gauge("runs_open", "Runs that have not ended.", _split(runs, ("workflow",), "status", states))
    whys = dict.fromkeys(("attention", "silent", "adrift"), 0.0)
    for one in metrics.stuck:
        whys[one.why] += 1
    yield _gauge("runs_stuck", "Runs that nothing moves by itself.", [({"why": k}, v) for k, v in whys.items()])


def _of_actions(metrics: Metrics) -> Iterator[Family]:
    attempts, label = metrics.attempts, ("action",)
    yield _counter(
        "action_attempts", "Attempts of actions.", _split(attempts, label, "outcome", ("returned", "failed"))
    )
    yield _counter(
        "action_retries", "Failed attempts that another followed.", _split(attempts, label, "", ("retries",))
    )
    stopped = ("queued", "unknown", "diverted", "switched", "denied")
    yield _counter(
        "action_stopped", "Calls that went to a person or were refused.", _split(attempts, label, "how", stopped)
    )
    yield _counter("breaker_opened", "Breakers that opened.", _split(metrics.breakers, label, "", ("opened",)))


def _of_queues(metrics: Metrics) -> Iterator[Family]:
    passed, waiting, labels = metrics.passed, metrics.waiting, ("queue", "kind")
    yield _counter("items_opened", "Items that came into a queue.", _split(passed, labels, "", ("opened",)))
    yield _counter("items_ended", "Items that were ended, by a person or not.", _split(passed, labels, "", ("ended",)))
    yield _counter("items_with_due", "Ended items that had a due time.", _split(passed, labels, "", ("with_due",)))
    yield _counter("items_on_time", "Those that a person ended by then.", _split(passed, labels, "", ("on_time",)))
    yield _counter(
        "items_again", "Items of a step whose earlier item had ended.", _split(passed, labels, "", ("again",))
    )
    yield _counter("items_escalated", "Times that an item was escalated.", _split(passed, labels, "", ("escalated",)))
    yield _gauge("items_open", "Items that lie in a queue.", _split(waiting, labels, "", ("open",)))
    yield _gauge("items_overdue", "Items past their due time.", _split(waiting, labels, "", ("overdue",)))
    verdicts = ("approved", "rejected", "expired")
    yield _counter("approvals", "Approvals, by verdict.", _split(metrics.verdicts, ("queue",), "verdict", verdicts))


def _counter(name: str, help_: str, samples: list[tuple[Labels, float]]) -> Family:
    return Family(f"backstay_{name}_total", "counter", help_, samples)


def _gauge(name: str, help_: str, samples: list[tuple[Labels, float]]) -> Family:
    return Family(f"backstay_{name}", "gauge", help_, samples)


def _split(
    rows: Iterable[Any], labels: tuple[str, ...], by: str = "", fields: tuple[str, ...] = ("started",)
) -> list[tuple[Labels, float]]:
    """One sample per row and field; `by` is the label that names the field."""
    return [
        ({label: getattr(row, label) for label in labels} | ({by: field} if by else {}), float(getattr(row, field)))
        for row in list(rows)[:MOST_ROWS]
        for field in fields
    ]


def _family(family: Family) -> Iterator[str]:
    if family.samples:
        yield from _head(family.name, family.kind, family.help)
        yield from (_sample(family.name, labels, value) for labels, value in family.samples)


def _histogram(
    metrics: Metrics, measure: DurationOf, name: str, label: str, bounds: tuple[float, ...], help_: str
) -> Iterator[str]:
    spreads = [one for one in metrics.spreads if one.measure == measure][:MOST_ROWS]
    if spreads:
        yield from _head(name, "histogram", help_)
    for spread in spreads:
        own = [one for one in metrics.buckets if (one.measure, one.name) == (measure, spread.name)]
        labels = {label: spread.name}
        for bound in bounds:
            below = sum(one.count for one in own if one.bound is not None and one.bound <= bound)
            yield _sample(f"{name}_bucket", labels | {"le": f"{bound:g}" if bound < 1e5 else f"{bound:.0f}"}, below)
        yield _sample(f"{name}_bucket", labels | {"le": "+Inf"}, spread.count)
        yield _sample(f"{name}_sum", labels, spread.sum)
        yield _sample(f"{name}_count", labels, spread.count)


def _head(name: str, kind: str, help_: str) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {int(value) if value == int(value) else repr(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
