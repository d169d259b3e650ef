"""Timers, signals, children, and values from outside."""

from __future__ import annotations

from typing import Literal

from backstay.events.base import Event, Refs, Trail, record
from backstay.types import Json


@record
class TimerSet(Event):
    """A `sleep` began."""

    command: str
    site: str
    due: str
    path: Trail | None = None


@record
class TimerFired(Event):
    """The time of a `sleep` or of a `wait_for` has come."""

    command: str


@record
class WaitOpened(Event):
    """The run waits for a signal."""

    command: str
    site: str
    name: str
    due: str | None = None
    path: Trail | None = None


@record
class SignalReceived(Event):
    """A signal came in; if nobody waits for it yet, it is kept."""

    name: str
    payload: Json = None
    id: str | None = None
    """The sender's own id: a second one with the same id is ignored."""
    refs: Refs | None = None


@record
class ChildStarted(Event):
    """A child run was started, in the same transaction as this event."""

    command: str
    site: str
    workflow: str
    run: str
    detached: bool = False
    path: Trail | None = None


@record
class ChildEnded(Event):
    """A child run ended."""

    command: str
    status: Literal["finished", "failed", "cancelled"]
    result: Json = None
    reason: str = ""
    refs: Refs | None = None
    outside: dict[str, str] | None = None
    """As the end of the child's run says it."""


@record
class Drawn(Event):
    """A value from outside the program: clock, chance, id, setting."""

    command: str
    site: str
    what: str
    value: Json
    name: str = ""
    path: Trail | None = None
    refs: Refs | None = None


@record
class Noted(Event):
    """A remark of the workflow."""

    command: str
    site: str
    text: str
    data: Json = None
    path: Trail | None = None
    refs: Refs | None = None
