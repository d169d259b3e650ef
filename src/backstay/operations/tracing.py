"""A case as spans, from its trigger to its effects: one trace for a run and everything that it started.

Ids are derived from the runs' ids, so that the same case is the same trace wherever it is exported from. A span says what
was done, when, and whether it went well; never with which values, by whom or in which words. Those are in the journal.
"""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Final, Literal, TypeAlias

from backstay import events as ev
from backstay.canonical import canonical
from backstay.errors import InvalidInput, OperatorError
from backstay.events import Event
from backstay.store.database import Reader
from backstay.store.views import Run, Stored, find_run, read_events, read_run
from backstay.types import Json, iso

SpanKind: TypeAlias = Literal["internal", "client", "producer", "consumer"]
"""internal: a run, or a wait. client: an attempt of an action. producer, consumer: a run started for later, and that run."""

Attribute: TypeAlias = str | int | bool

KINDS: Final[dict[SpanKind, int]] = {"internal": 1, "client": 3, "producer": 4, "consumer": 5}
STATUSES: Final = {"": 0, "ok": 1, "error": 2}


@dataclass(kw_only=True)
class Span:
    """Something that took time."""

    trace: str
    """32 hexadecimal digits: the root run's."""
    id: str
    """16 hexadecimal digits."""
    parent: str = ""
    name: str
    kind: SpanKind = "internal"
    start: str
    end: str | None = None
    """None while it lasts."""
    status: Literal["", "ok", "error"] = ""
    error: str = ""
    """The class of the error, or the word of the refusal; its message stays in the journal."""
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    links: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(trace, span) of what it refers to beside its parent."""

    def close(self, at: str, error: str = "", **attributes: Attribute) -> None:
        self.end, self.error, self.status = at, error, "error" if error else "ok"
        self.attributes |= {f"backstay.{name}": value for name, value in attributes.items()}


def trace_id(root: str) -> str:
    """The trace of a root run and of everything below it."""
    return hashlib.sha256(b"backstay trace\0" + root.encode()).hexdigest()[:32]


def span_id(run: str, part: str = "") -> str:
    """The span of a run, or of one part of it."""
    return hashlib.sha256(f"backstay span\0{run}\0{part}".encode()).hexdigest()[:16]


class Tracer:
    """Turns the events of one run into spans."""

    def __init__(self, row: Run, trace: str) -> None:
        self.run, self.trace = row.id, trace
        parent = span_id(row.parent, f"child {row.parent_command}") if row.parent else ""
        self.root = self.span("", row.started_at, row.workflow, parent=parent)
        self.root.attributes |= {"backstay.workflow": row.workflow, "backstay.version": row.version}
        self.spans = [self.root]
        self.open: dict[str, Span] = {}
        """Command -> what of it lasts."""

    def span(self, part: str, at: str, name: str, kind: SpanKind = "internal", parent: str | None = None) -> Span:
        own = span_id(self.run, part)
        above = span_id(self.run) if parent is None else parent
        attributes: dict[str, Attribute] = {"backstay.run": self.run}
        return Span(trace=self.trace, id=own, parent=above, name=name, kind=kind, start=at, attributes=attributes)

    def begin(self, seq: int, event: Any, name: str, kind: SpanKind = "internal", **attributes: Attribute) -> Span:
        """Something of a command begins; what of it was still open goes on beside it."""
        made = self.span(f"event {seq}", event.at, name, kind)
        made.attributes |= {"backstay.command": event.command, "backstay.seq": seq}
        made.attributes |= {f"backstay.{key}": value for key, value in attributes.items() if value != ""}
        self.spans.append(made)
        self.open[event.command] = made
        return made

    def end(self, event: Any, error: str = "", **attributes: Attribute) -> None:
        found = self.open.pop(event.command, None)
        if found is not None:
            found.close(event.at, error, **attributes)

    def tell(self, stored: Stored) -> None:
        handler = TELLERS.get(type(stored.event))
        if handler is not None:
            handler(self, stored.seq, stored.event)

    # --- calls ---

    def intended(self, seq: int, event: ev.CallIntended) -> None:
        made = self.begin(seq, event, event.action, "client", step=event.site, attempt=event.attempt, rule=event.rule)
        made.attributes |= {"backstay.action": event.action, "backstay.effect": event.effect}
        undone = event.command.removeprefix("c")
        if undone != event.command:
            made.attributes["backstay.compensation"] = True
            done = next((s for s in self.spans if s.attributes.get("backstay.command") == undone), None)
            made.links += [(self.trace, done.id)] if done else []

    def attempted(self, seq: int, event: Any, error: str = "") -> None:
        """An attempt ended; that of a read begins with its end, and took what was measured."""
        found = self.open.get(event.command)
        if found is None or found.kind != "client":
            found = self.begin(seq, event, event.action, "client", step=event.site, attempt=event.attempt)
            found.attributes |= {"backstay.action": event.action, "backstay.effect": "read"}
            taken = timedelta(microseconds=getattr(event, "micros", 0))
            found.start = iso(datetime.fromisoformat(event.at) - taken)
        if error:
            found.attributes["error.type"] = error
        self.end(event, error)

    def failed(self, seq: int, event: ev.AttemptFailed | ev.CallFailed) -> None:
        self.attempted(seq, event, event.fault.type)

    def denied(self, seq: int, event: ev.CallDenied) -> None:
        self.begin(seq, event, f"{event.action} denied", action=event.action, step=event.site, stage=event.stage)
        self.end(event, "denied")

    def drafted(self, seq: int, event: ev.CallDrafted) -> None:
        self.begin(seq, event, f"{event.action} drafted", action=event.action, step=event.site, rule=event.rule)
        self.end(event)

    def queued(self, seq: int, event: ev.CallQueued) -> None:
        if event.fault.type not in ("breaker", "switch"):
            self.attempted(seq, event, event.fault.type)
        self.begin(seq, event, f"{event.queue}: {event.action} queued", queue=event.queue, action=event.action)

    def unknown(self, seq: int, event: ev.CallUnknown) -> None:
        if event.command in self.open:
            self.open[event.command].attributes["error.type"] = "OutcomeUnknown"
            self.end(event, "OutcomeUnknown")
        self.begin(seq, event, f"{event.queue}: settle {event.action}", queue=event.queue, action=event.action)

    def retried(self, _: int, event: ev.CallRetried) -> None:
        self.end(event, outcome="retried", by_person=bool(event.by))

    def settled(self, _: int, event: ev.CallSettled) -> None:
        self.end(event, outcome=event.outcome, by_person=bool(event.by))

    # --- people ---

    def approval_requested(self, seq: int, event: ev.ApprovalRequested) -> None:
        bound = event.action or ""
        name = f"{event.queue}: approve {bound}" if bound else f"{event.queue}: approval"
        self.begin(seq, event, name, queue=event.queue, step=event.site, action=bound, due=event.due or "")

    def approval_decided(self, _: int, event: ev.ApprovalDecided) -> None:
        self.end(event, verdict=event.verdict, by_person=bool(event.by))

    def task_opened(self, seq: int, event: ev.TaskOpened) -> None:
        self.begin(seq, event, f"{event.queue}: task", queue=event.queue, step=event.site, due=event.due or "")

    def task_completed(self, _: int, event: ev.TaskCompleted) -> None:
        self.end(event, by_person=bool(event.by))

    def claimed(self, _: int, event: ev.ItemClaimed) -> None:
        if event.command in self.open:
            self.open[event.command].attributes.setdefault("backstay.claimed_at", event.at)

    # --- time, signals, children ---

    def timer_set(self, seq: int, event: ev.TimerSet) -> None:
        self.begin(seq, event, "sleep", step=event.site, due=event.due)

    def timer_fired(self, _: int, event: ev.TimerFired) -> None:
        self.end(event)

    def wait_opened(self, seq: int, event: ev.WaitOpened) -> None:
        made = self.begin(seq, event, f"signal {event.name}", step=event.site, due=event.due or "")
        made.attributes["backstay.signal"] = event.name

    def signal(self, _: int, event: ev.SignalReceived) -> None:
        """The wait that it ended; one that came early is kept, and nothing waits for it."""
        waiting = next((c for c, s in self.open.items() if s.attributes.get("backstay.signal") == event.name), None)
        if waiting is not None:
            self.open.pop(waiting).close(event.at)

    def child_started(self, seq: int, event: ev.ChildStarted) -> None:
        made = self.begin(seq, event, f"start {event.workflow}", "producer" if event.detached else "internal")
        made.id = span_id(self.run, f"child {event.command}")
        made.attributes |= {
            "backstay.child": event.run,
            "backstay.detached": event.detached,
            "backstay.step": event.site,
        }
        if event.detached:
            self.end(event)

    def child_ended(self, _: int, event: ev.ChildEnded) -> None:
        self.end(event, "" if event.status == "finished" else event.status)

    # --- the run ---

    def started(self, _: int, event: ev.RunStarted) -> None:
        self.root.attributes["backstay.trigger"] = event.trigger.partition(" ")[0] or "start"

    def ended(self, _: int, event: Event) -> None:
        error = event.fault.type if isinstance(event, ev.RunFailed) else ""
        if isinstance(event, ev.RunCancelled):
            error = "cancelled"
        self.root.close(event.at, error)
        for left in self.open.values():  # nobody waits for it any more
            left.end = event.at
            left.attributes["backstay.withdrawn"] = True

    def attention(self, seq: int, event: ev.AttentionRaised) -> None:
        made = self.span(f"event {seq}", event.at, "operators: attention")
        made.attributes |= {"backstay.queue": "operators", "backstay.code": event.code}
        self.spans.append(made)
        self.open["attention"] = made

    def cleared(self, _: int, event: Event) -> None:
        found = self.open.pop("attention", None)
        if found is not None:
            found.close(event.at)


TELLERS: Final[dict[type[Event], Any]] = {
    ev.RunStarted: Tracer.started,
    ev.CallIntended: Tracer.intended,
    ev.CallReturned: Tracer.attempted,
    ev.AttemptFailed: Tracer.failed,
    ev.CallFailed: Tracer.failed,
    ev.CallDenied: Tracer.denied,
    ev.CallDrafted: Tracer.drafted,
    ev.CallQueued: Tracer.queued,
    ev.CallUnknown: Tracer.unknown,
    ev.CallRetried: Tracer.retried,
    ev.CallSettled: Tracer.settled,
    ev.ApprovalRequested: Tracer.approval_requested,
    ev.ApprovalDecided: Tracer.approval_decided,
    ev.TaskOpened: Tracer.task_opened,
    ev.TaskCompleted: Tracer.task_completed,
    ev.ItemClaimed: Tracer.claimed,
    ev.TimerSet: Tracer.timer_set,
    ev.TimerFired: Tracer.timer_fired,
    ev.WaitOpened: Tracer.wait_opened,
    ev.SignalReceived: Tracer.signal,
    ev.ChildStarted: Tracer.child_started,
    ev.ChildEnded: Tracer.child_ended,
    ev.AttentionRaised: Tracer.attention,
    ev.AttentionCleared: Tracer.cleared,
    ev.CancelRequested: Tracer.cleared,
    ev.RunFinished: Tracer.ended,
    ev.RunFailed: Tracer.ended,
    ev.RunCancelled: Tracer.ended,
}
"""What each event begins or ends; the others take no time."""


def spans_of(reader: Reader, run: str) -> list[Span]:
    """A run and everything that it started, as spans; each one's parent comes before it."""
    row = find_run(reader, run)
    return list(_below(reader, row, trace_id(_root(reader, row).id)))


def _root(reader: Reader, row: Run) -> Run:
    while row.parent is not None and (found := reader.one("run", (row.parent,))) is not None:
        row = read_run(found)
    return row


def _below(reader: Reader, row: Run, trace: str) -> Iterator[Span]:
    tracer = Tracer(row, trace)
    for stored in read_events(reader, row.id):
        tracer.tell(stored)
    children = {child.id: child for child in map(read_run, reader.all("children_of", (row.id,)))}
    if row.parent and (above := reader.one("run", (row.parent,))) is not None:
        tracer.root.kind = "consumer" if _detached(reader, read_run(above), row) else "internal"
    for span in tracer.spans:
        yield span
        child = span.attributes.get("backstay.child")
        if isinstance(child, str) and child in children:
            yield from _below(reader, children[child], trace)
        elif isinstance(child, str) and (other := reader.one("run", (child,))) is not None:
            joined = read_run(other)  # it was started under its key by somebody else
            span.links.append((trace_id(_root(reader, joined).id), span_id(child)))


def _detached(reader: Reader, parent: Run, child: Run) -> bool:
    return any(
        isinstance(stored.event, ev.ChildStarted) and stored.event.run == child.id and stored.event.detached
        for stored in read_events(reader, parent.id)
    )


# --- OTLP -----------------------------------------------------------------------------------------------


def request(spans: Iterable[Span], until: str) -> dict[str, Json]:
    """An `ExportTraceServiceRequest` as OTLP/JSON; what lasts is given the end `until` and says that it is open."""
    resource = {"service.name": "backstay", "service.version": version("backstay")}
    scope = {"name": "backstay", "version": version("backstay")}
    written = [_written(span, until) for span in spans]
    return {
        "resourceSpans": [
            {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [{"scope": scope, "spans": written}]}
        ]
    }


def _written(span: Span, until: str) -> dict[str, Json]:
    attributes = span.attributes if span.end else {**span.attributes, "backstay.open": True}
    status = {"code": STATUSES[span.status]} | ({"message": span.error} if span.error else {})
    return {
        "traceId": span.trace, "spanId": span.id, "parentSpanId": span.parent, "name": span.name,
        "kind": KINDS[span.kind], "startTimeUnixNano": _nanos(span.start),
        "endTimeUnixNano": _nanos(max(span.end or until, span.start)), "attributes": _attributes(attributes),
        "links": [{"traceId": trace, "spanId": linked} for trace, linked in span.links], "status": status,
    }  # fmt: skip


def _attributes(values: dict[str, Any]) -> list[dict[str, Json]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Attribute) -> dict[str, Json]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _nanos(at: str) -> str:
    since = datetime.fromisoformat(at) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    return str((since // timedelta(microseconds=1)) * 1000)


def send(spans: Sequence[Span], endpoint: str, until: str, *, timeout: float = 10.0) -> int:
    """Send what has ended to an OTLP/HTTP endpoint as JSON; returns how many spans that were."""
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInput(f"--endpoint: {endpoint!r} is no http or https address", {"--endpoint": "http or https"})
    ended = [span for span in spans if span.end is not None]
    body = canonical(request(ended, until)).encode()
    headers = {"Content-Type": "application/json"}
    try:
        asked = urllib.request.Request(endpoint, body, headers, method="POST")
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            answer.read()
    except (OSError, ValueError) as error:
        raise OperatorError(f"{endpoint!r} did not take the spans: {error}") from error
    return len(ended)
