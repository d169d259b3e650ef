"""Readings of the store as frozen values: what lists, pages and the command line show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from backstay.errors import Conflict, JournalCorrupted, NotFound
from backstay.events import Event
from backstay.store.blobs import inlined, with_values
from backstay.store.database import Reader, Row
from backstay.store.encoding import decode
from backstay.store.journal import SYSTEM

Status: TypeAlias = Literal["running", "waiting", "attention", "finished", "failed", "cancelled"]
"""running: being advanced. waiting: for the outside. attention: cannot go on by itself. The rest are ends."""

ENDED = frozenset({"finished", "failed", "cancelled"})

WaitKind: TypeAlias = Literal[
    "approval", "task", "queued", "diverted", "switched", "unknown", "attention",
    "signal", "timer", "retry", "child", "deadline",
]  # fmt: skip
"""approval, task: a person decides or works. queued: a call whose attempts ran out, in its backlog. diverted: a call that
an open breaker kept back. switched: one that a kill switch keeps back. unknown: an effect to be settled. attention: an
operator must act. signal, timer, retry, child, deadline: the outside, not a person."""

BACKLOG: Final = frozenset({"queued", "diverted", "switched"})
"""Kinds of waits that `retry` sends back to the gate."""


class Run(NamedTuple):
    """A run as its row says: the table's columns, in their order."""

    id: str
    workflow: str
    version: str
    status: Status
    key: str | None
    parent: str | None
    parent_command: str | None
    requester: str
    started_at: str
    updated_at: str
    seq: int
    head: bytes
    summary: str | None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Wait(NamedTuple):
    """Something a run waits for, in the order of the table's columns; with a queue, somebody owns it."""

    run: str
    command: str
    kind: WaitKind
    queue: str
    title: str
    opened_at: str
    due_at: str | None = None
    wake_at: str | None = None
    claimed_by: str | None = None
    requester: str = ""
    subject: str = ""
    """The action concerned, or the child run."""
    priority: int = 0
    claimed_until: str | None = None
    assigned: str = ""
    """The one person it is meant for."""
    asked_at: str | None = None
    """Its clock stands still since then: the requester was asked something."""

    @property
    def id(self) -> str:
        """What people and clients call it: RUN/COMMAND."""
        return f"{self.run}/{self.command}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """How much of one kind lies in a queue."""

    queue: str
    kind: WaitKind
    items: int
    claimed: int
    oldest: str
    overdue: int


class Stored(NamedTuple):
    """An event with its place in the chain."""

    seq: int
    kind: str
    body: str
    """As it was written and hashed."""
    hash: bytes
    event: Event
    """As it is read: with the values in place that lie beside the journal and are small enough."""


def read_run(row: Row) -> Run:
    return Run._make(row)


def read_wait(row: Row) -> Wait:
    return Wait._make(row[: len(Wait._fields)])


def find_run(reader: Reader, name: str) -> Run:
    """A run by its id, or by an unambiguous beginning or end of it; raises NotFound or Conflict."""
    row = reader.one("run", (name,))
    if row is not None:
        return read_run(row)
    pattern = name.replace("[", "").replace("*", "").replace("?", "")
    rows = reader.all("runs_like", (pattern, pattern)) if len(pattern) >= 4 else []
    if not rows:
        raise NotFound(f"there is no run {name!r}; `backstay runs` lists them")
    if len(rows) > 1:
        raise Conflict(f"{name!r} fits more than one run; give more of the id")
    return read_run(rows[0])


def read_waiting(reader: Reader, run: str) -> tuple[Run, list[Wait]]:
    """A run by its id, with what it waits for; raises NotFound."""
    rows = reader.all("run_waiting", (run,))
    if not rows:
        raise NotFound(f"there is no run {run!r}; `backstay runs` lists them")
    size = len(Run._fields)
    return Run._make(rows[0][:size]), [Wait._make(row[size:]) for row in rows if row[size] is not None]


def read_events(reader: Reader, run: str, after: int = 0) -> list[Stored]:
    """The journal of a run; raises JournalCorrupted naming the event that cannot be read."""
    stored = [_stored(run, *row) for row in reader.all("events_of_run_after", (run, after))]
    values = inlined(reader, (item.body for item in stored))
    return [item._replace(event=with_values(item.event, values)) for item in stored] if values else stored


def _stored(run: str, seq: int, kind: str, body: str, hash_: bytes) -> Stored:
    try:
        return Stored(seq, kind, body, hash_, decode(kind, body))
    except ValueError as error:
        raise JournalCorrupted(f"event {seq} of run {run!r} cannot be read: {error}") from error


def system_events(reader: Reader, what: str) -> Iterator[Event]:
    """What the system's own chain says about one kind of thing, oldest first."""
    for row in reader.all("system_events", (what,)):
        yield _stored(SYSTEM, 0, row["kind"], row["body"], b"").event
