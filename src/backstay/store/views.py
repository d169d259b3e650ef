"""Readings of the store as frozen values: what lists, pages and the command line show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from backstay.errors import Conflict, JournalCorrupted, NotFound
from backstay.events import Event, decode
from backstay.store.database import Reader, Row
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as its row says."""

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

    def row(self) -> tuple[Any, ...]:
        """In the order of the table's columns."""
        return (
            self.id, self.workflow, self.version, self.status, self.key, self.parent, self.parent_command,
            self.requester, self.started_at, self.updated_at, self.seq, self.head, self.summary,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something a run waits for; with a queue, somebody owns it."""

    run: str
    command: str
    kind: WaitKind
    queue: str = ""
    title: str = ""
    opened_at: str
    due_at: str | None = None
    wake_at: str | None = None
    claimed_by: str | None = None
    requester: str = ""
    subject: str = ""
    """The action concerned, or the child run."""

    @property
    def id(self) -> str:
        """What people and clients call it: RUN/COMMAND."""
        return f"{self.run}/{self.command}"

    def row(self) -> tuple[Any, ...]:
        return (
            self.run, self.command, self.kind, self.queue, self.title, self.opened_at,
            self.due_at, self.wake_at, self.claimed_by, self.requester, self.subject,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCount:
    """How much of one kind lies in a queue."""

    queue: str
    kind: WaitKind
    items: int
    claimed: int
    oldest: str
    overdue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An event with its place in the chain."""

    seq: int
    kind: str
    body: str
    hash: bytes
    event: Event


def read_run(row: Row) -> Run:
    return Run(**{key: row[key] for key in row.keys()})  # noqa: SIM118 - sqlite3.Row iterates values


def read_wait(row: Row) -> Wait:
    return Wait(**{name: row[name] for name in Wait.__dataclass_fields__})


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


def read_events(reader: Reader, run: str, after: int = 0) -> list[Stored]:
    """The journal of a run; raises JournalCorrupted naming the event that cannot be read."""
    return [_stored(run, row) for row in reader.all("events_of_run_after", (run, after))]


def _stored(run: str, row: Row) -> Stored:
    try:
        event = decode(row["kind"], row["body"])
    except ValueError as error:
        raise JournalCorrupted(f"event {row['seq']} of run {run!r} cannot be read: {error}") from error
    return Stored(seq=row["seq"], kind=row["kind"], body=row["body"], hash=row["hash"], event=event)


def system_events(reader: Reader, what: str) -> Iterator[Event]:
    """What the system's own chain says about one kind of thing, oldest first."""
    for row in reader.all("system_events", (what,)):
        yield _stored(SYSTEM, {"seq": 0, "hash": b"", "kind": row["kind"], "body": row["body"]}).event  # type: ignore[arg-type]
