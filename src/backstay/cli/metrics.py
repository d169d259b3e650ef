"""`backstay metrics` and `backstay trace`: the numbers of a process, and one case over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from backstay.cli.options import DEFAULT_HOME, AsJson, Home, RunName
from backstay.cli.stores import reading, run_named

if TYPE_CHECKING:
    from backstay.operations.metrics import Metrics
    from backstay.operations.tracing import Span

WIDE: Final = 100
"""Columns from which the numbers of one thing stand on one line."""

MOST_DAYS: Final = 14
MOST_REASONS: Final = 5
MOST_STUCK: Final = 20
NOTHING: Final = "Nothing to measure yet; start a run with `backstay start app.py:workflow`, or try `backstay demo`."

WHYS: Final = {
    "attention": "an operator must act",
    "silent": "running, and no event for 15 min; is a worker running?",
    "adrift": "waits for what has no due time and no owner",
}

Section = tuple[str, Sequence[str], list[list[str]]]
"""A heading, the columns' names, and rows of cells."""


def metrics(
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="2026-01-31, RFC 3339, or ago: 24h, 7d.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="WHEN", help="Up to then, exclusive; as --since.")] = "",
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="Only runs of this workflow.")] = "",
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print Prometheus' text format: totals since the beginning.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Measure the process: throughput, times, failures, queues, decisions, what is stuck."""
    import sys

    from backstay.cli import screen
    from backstay.operations.metrics import measure, moment
    from backstay.store.clock import Clock
    from backstay.store.measures import Window

    if prometheus and (since or until or workflow or as_json):
        raise typer.BadParameter("--prometheus prints totals of everything; it goes with no other option")
    now = Clock().now()
    window = Window(since=moment(since, now, "--since"), until=moment(until, now, "--until"), workflow=workflow or None)
    with reading(home) as reader:
        if workflow:
            check_workflow(workflow, [row["workflow"] for row in reader.all("runs_by_status")])
        found = measure(reader, window, now=now)
    if prometheus:
        from backstay.operations.prometheus import exposition

        sys.stdout.write(exposition(found))
    elif as_json:
        screen.show_json(found.as_json())
    elif found.empty:
        screen.say(NOTHING)
    else:
        print_metrics(found)


def check_workflow(workflow: str, named: list[str]) -> None:
    from backstay.errors import NotFound

    if workflow not in named:
        listed = ", ".join(sorted(set(named))) or "none yet"
        raise NotFound(f"no run of a workflow {workflow!r} is here; there are runs of: {listed}")


def print_metrics(found: Metrics) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import moment

    body, window = found.as_json(), found.window
    begins = f"since {moment(body['since'])}" if window.since else "since the beginning"
    ends = f" until {moment(body['until'])}" if window.until else ""
    screen.say(begins + ends, "dim")
    for heading, columns, rows in sections(body):
        if rows:
            screen.say()
            screen.say(heading, "bold")
            print_rows(columns, rows)


def sections(body: dict[str, Any]) -> Iterator[Section]:
    """What is shown, in order; a section without rows is not."""
    yield from _runs(body)
    yield from _calls(body)
    yield from _people(body)
    stuck = body["stuck"]
    more = f" (the {MOST_STUCK} oldest of {len(stuck)})" if len(stuck) > MOST_STUCK else ""
    yield (
        f"Stuck{more}", ("run", "workflow", "why", "what"),
        [[one["run"][-8:], one["workflow"], WHYS[one["why"]], one["summary"]] for one in stuck[:MOST_STUCK]],
    )  # fmt: skip


def _runs(body: dict[str, Any]) -> Iterator[Section]:
    ends = ("started", "finished", "failed", "cancelled")
    yield (
        "Runs", ("workflow", *ends, "open", "no person", "p50", "p90", "p99"),
        [
            [one["workflow"], *(str(one[end]) for end in ends), str(one["running"] + one["waiting"] + one["attention"]),
             percent(one["straight_through_rate"]), *spread(one["cycle_seconds"], "p50", "p90", "p99")]
            for one in body["workflows"]
        ],
    )  # fmt: skip
    days = list(dict.fromkeys(one["day"] for one in body["days"]))
    sums = [[day, *(str(sum(o[end] for o in body["days"] if o["day"] == day)) for end in ends)] for day in days]
    more = f" (the last {MOST_DAYS} of {len(days)}, UTC)" if len(days) > MOST_DAYS else " (UTC)"
    yield f"Days{more}", ("day", *ends), sums[:MOST_DAYS]


def _calls(body: dict[str, Any]) -> Iterator[Section]:
    stops = ("queued", "unknown", "diverted", "switched", "denied")
    yield (
        "Actions", ("action", "attempts", "failed", "retries", "p50", "p90", "p99", "stopped"),
        [
            [one["action"], str(one["attempts"]), percent(one["failure_rate"]), str(one["retries"]),
             *spread(one["latency_seconds"], "p50", "p90", "p99"), counts({stop: one[stop] for stop in stops})]
            for one in body["actions"]
        ],
    )  # fmt: skip


def _people(body: dict[str, Any]) -> Iterator[Section]:
    yield (
        "Queues", ("queue", "came in", "lies there", "overdue", "escalated", "on time", "again", "taken p50", "done p50", "done p90"),
        [
            [one["queue"], counts(one["opened"]), counts(one["open"]), str(one["overdue"]), str(one["escalated"]), percent(one["on_time_rate"]),
             str(one["again"]), *spread(one["claim_seconds"], "p50"), *spread(one["handling_seconds"], "p50", "p90")]
            for one in body["queues"]
        ],
    )  # fmt: skip
    yield (
        "Approvals", ("queue", "approved", "rejected", "expired", "rejected %", "p50", "p90"),
        [
            [one["queue"], str(one["approved"]), str(one["rejected"]), str(one["expired"]),
             percent(one["rejection_rate"]), *spread(one["turnaround_seconds"], "p50", "p90")]
            for one in body["approvals"]
        ],
    )  # fmt: skip
    yield (
        "Rejected because", ("queue", "times", "reason"),
        [[one["queue"], str(why["count"]), why["reason"]] for one in body["approvals"]
         for why in one["reasons"][:MOST_REASONS]],
    )  # fmt: skip


def print_rows(columns: Sequence[str], rows: list[list[str]]) -> None:
    """A table, or where it would not fit one block for each row."""
    from rich.cells import cell_len

    from backstay.cli import screen
    from backstay.cli.story import details

    needed = sum(max(map(cell_len, column)) + 2 for column in zip(columns, *rows, strict=True))
    if min(needed, WIDE) <= screen.out().width:
        screen.rows(screen.table(*columns, flexible=columns[-1]), rows)
        return
    for row in rows:
        screen.say(row[0])
        named = zip(columns[1:], row[1:], strict=True)
        screen.out().print(details([(f"  {name}", cell) for name, cell in named if cell not in ("–", "0", "")]))


def percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate * 100:.1f} %".replace(".0 %", " %")


def counts(found: dict[str, int]) -> str:
    """The kinds that there are some of."""
    return ", ".join(f"{count} {kind}" for kind, count in found.items() if count) or "–"


def spread(found: dict[str, float] | None, *names: str) -> list[str]:
    return ["–" if found is None else lasted(found[name]) for name in names]


def lasted(seconds: float) -> str:
    """A duration in one or two units, also a short one."""
    from backstay.operations.wording import lasting

    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else lasting(seconds)


# --- one case over time -----------------------------------------------------------------------------------


def trace(
    run: RunName,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint", metavar="URL", help="Send it as OTLP/HTTP JSON, such as http://HOST:4318/v1/traces."
        ),
    ] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show a case over time: its calls, waits for people and child runs; --json is OTLP for OpenTelemetry."""
    from backstay.cli import screen
    from backstay.operations.tracing import request, send, spans_of
    from backstay.store.clock import Clock

    with reading(home) as reader:
        row = run_named(reader, run)
        spans = spans_of(reader, row.id)
    until = Clock().stamp()
    if endpoint:
        sent = send(spans, endpoint, until)
        if as_json:
            screen.show_json({"run": row.id, "trace": spans[0].trace, "sent": sent})
        else:
            screen.say(f"{sent} spans of trace {spans[0].trace} sent to {endpoint}.")
    elif as_json:
        screen.show_json(request(spans, until))
    else:
        screen.say(f"trace {spans[0].trace}", "dim")
        print_waterfall(spans, until)


def print_waterfall(spans: Sequence[Span], until: str) -> None:
    """Each span as a bar under its parent's, on one scale of time."""
    from datetime import datetime

    from rich.text import Text

    from backstay.cli import screen

    depth: dict[str, int] = {}
    began = min(datetime.fromisoformat(span.start) for span in spans)
    whole = max((datetime.fromisoformat(span.end or until) - began).total_seconds() for span in spans) or 1e-6
    width = max(10, screen.out().width - 2)
    names, bars = (width * 2) // 5, width - (width * 2) // 5 - 12
    for span in spans:
        depth[span.id] = depth.get(span.parent, -1) + 1
        start = (datetime.fromisoformat(span.start) - began).total_seconds()
        took = (datetime.fromisoformat(span.end or until) - began).total_seconds() - start
        name = Text(f"{'  ' * depth[span.id]}{screen.one_line(span.name)}")
        name.truncate(names - 1, overflow="ellipsis", pad=True)
        before = min(bars - 1, int(start / whole * bars))
        bar = "█" * max(1, min(bars - before, round(took / whole * bars))) if span.end else "░" * max(1, bars - before)
        style = "red" if span.status == "error" else "yellow" if "backstay.queue" in span.attributes else "cyan"
        line = Text.assemble(
            name, " ", " " * before, (bar, style), " " * (bars - before - len(bar)), " ", lasted(max(0.0, took))
        )
        screen.out().print(line, no_wrap=True, overflow="ellipsis")
