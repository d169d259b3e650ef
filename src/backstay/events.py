"""What the journal may hold: a closed union of events, written once and read for ever.

A stored event is (run, seq, kind, body): `kind` names the class, `body` is its fields as JSON without defaults.
Fields are only ever added, with defaults; a change of meaning raises SCHEMA and gets a reader of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar, dataclass_transform

from backstay.types import Effect, Json

SCHEMA: Final = 1
"""Version of this union, written into every `run_started`."""

R = TypeVar("R")

Trail: TypeAlias = list[dict[str, Json]]
"""Branches, rules and tables that were decided since the event before, with the values that decided them."""

Refs: TypeAlias = dict[str, str]
"""JSON pointer into the event -> where the value really lies: "seal:CLASS:TOKEN" or "blob:SHA256"."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[R]) -> type[R]:
    """A frozen dataclass to whoever writes code against it: the type checker forbids assignments. Python's own check
    would cost an event more than writing it does."""
    return dataclass(slots=True, kw_only=True)(cls)


@record
class Event:
    """Base: when it was recorded, and by whom ("" is the run itself)."""

    at: str
    by: str = ""


@record
class Fault:
    """An error as data: class name, redacted message, and the workflow line it came from, if any."""

    type: str
    message: str
    line: int | None = None


# --- a run begins and ends ----------------------------------------------------------------------------


@record
class RunStarted(Event):
    """The run exists: its definition is pinned and its input recorded."""

    workflow: str
    version: str
    input: Json
    key: str | None = None
    parent: str | None = None
    parent_command: str | None = None
    trigger: str = ""
    schema: int = SCHEMA
    refs: Refs | None = None


@record
class CancelRequested(Event):
    """Somebody asked the run to stop; confirmed effects are compensated first."""

    reason: str


@record
class DeadlinePassed(Event):
    """The workflow's own deadline passed."""

    reason: str


@record
class RunFinished(Event):
    """The workflow returned."""

    result: Json = None
    path: Trail | None = None
    refs: Refs | None = None


@record
class RunFailed(Event):
    """The workflow raised; what could be undone has been undone."""

    fault: Fault
    path: Trail | None = None


@record
class RunCancelled(Event):
    """The run was stopped from outside; what could be undone has been undone."""

    reason: str
    path: Trail | None = None


@record
class AttentionRaised(Event):
    """The run cannot go on by itself (journal mismatch, missing definition or action); nothing is lost."""

    reason: str
    code: str = ""


@record
class AttentionCleared(Event):
    """Somebody asked for another try."""

    reason: str = ""


# --- calls of actions ---------------------------------------------------------------------------------


@record
class CallIntended(Event):
    """Written before a write or irreversible call is made: from here on the effect may have happened."""

    command: str
    site: str
    action: str
    effect: Effect
    args: Json
    key: str
    attempt: int = 1
    rule: str = ""
    """The policy rule that allowed it."""
    approval: str | None = None
    """The approval it consumes, by the command that asked for it."""
    compensate: str | None = None
    """The action that undoes it."""
    path: Trail | None = None
    refs: Refs | None = None


@record
class CallReturned(Event):
    """An action returned; for a read this is its only event and carries the arguments too."""

    command: str
    site: str
    action: str
    result: Json = None
    args: Json = None
    attempt: int = 1
    micros: int = 0
    path: Trail | None = None
    refs: Refs | None = None
    approval: str | None = None
    """The approval that a read consumed, by the command that asked for it."""


@record
class AttemptFailed(Event):
    """One attempt failed and another follows at `retry_at`."""

    command: str
    site: str
    action: str
    attempt: int
    fault: Fault
    retry_at: str
    first_at: str
    """When the first attempt of this series failed: what the retry deadline counts from."""
    path: Trail | None = None


@record
class CallFailed(Event):
    """The action failed for good; the workflow gets `ActionFailed`."""

    command: str
    site: str
    action: str
    attempt: int
    fault: Fault
    path: Trail | None = None


@record
class CallDenied(Event):
    """A stage of the gate, or a person, said no; the workflow gets `ActionDenied`."""

    command: str
    site: str
    action: str
    stage: str
    reason: str
    path: Trail | None = None


@record
class CallQueued(Event):
    """The call waits in an owned queue for a person: attempts ran out, its breaker is open, or a switch is off."""

    command: str
    site: str
    action: str
    queue: str
    attempt: int
    fault: Fault
    suggestion: str = ""
    args: Json = None
    path: Trail | None = None
    refs: Refs | None = None


@record
class CallRetried(Event):
    """A person, or a breaker that closed again, sent a queued call back to the gate."""

    command: str
    reason: str = ""


@record
class CallUnknown(Event):
    """Nobody can tell whether the effect happened; a person settles it."""

    command: str
    site: str
    action: str
    queue: str
    reason: str
    attempt: int = 1


@record
class CallSettled(Event):
    """What a person found out about an unknown effect, or gave as the answer of a queued call."""

    command: str
    outcome: Literal["happened", "not-happened", "give-up"]
    """happened: `result` is the answer. not-happened: the call goes through the gate again. give-up: it failed."""
    result: Json = None
    reason: str = ""
    refs: Refs | None = None


# --- people -------------------------------------------------------------------------------------------


@record
class ApprovalRequested(Event):
    """A decision is asked for; with `action` it is bound to exactly that call."""

    command: str
    site: str
    queue: str
    show: Json = None
    evidence: Json = None
    action: str | None = None
    args: Json = None
    digest: str | None = None
    """SHA-256 over workflow version, action, its interface and canonical arguments; keyed with the installation's key
    where the arguments may hold private values."""
    due: str | None = None
    reason: str = ""
    """Why the gate held the call; empty for an approval that the workflow asked for."""
    path: Trail | None = None
    refs: Refs | None = None


@record
class ApprovalDecided(Event):
    """A person decided, or the time ran out."""

    command: str
    verdict: Literal["approved", "rejected", "expired"]
    reason: str = ""
    digest: str | None = None


@record
class TaskOpened(Event):
    """A piece of work waits in a queue."""

    command: str
    site: str
    queue: str
    title: str = ""
    show: Json = None
    form: Json = None
    """JSON Schema of the answer."""
    due: str | None = None
    path: Trail | None = None
    refs: Refs | None = None


@record
class TaskCompleted(Event):
    """A person reported back."""

    command: str
    value: Json
    refs: Refs | None = None


@record
class ItemClaimed(Event):
    """A person took an approval or task for themselves."""

    command: str


@record
class ItemReleased(Event):
    """A claimed item went back to its queue."""

    command: str


# --- time, signals, children, values -------------------------------------------------------------------


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


@record
class Drawn(Event):
    """A value from outside the program: clock, chance, id, setting."""

    command: str
    site: str
    what: str
    value: Json
    name: str = ""
    path: Trail | None = None


@record
class Noted(Event):
    """A remark of the workflow."""

    command: str
    site: str
    text: str
    data: Json = None
    path: Trail | None = None
    refs: Refs | None = None


# --- the system's own chain ------------------------------------------------------------------------------


@record
class SystemRecorded(Event):
    """Something that concerns no single run: a definition stored, a switch flipped, a breaker opened, a refusal."""

    what: str
    subject: str
    detail: Json = None


EVENTS: Final[dict[str, type[Event]]] = {
    "run_started": RunStarted,
    "cancel_requested": CancelRequested,
    "deadline_passed": DeadlinePassed,
    "run_finished": RunFinished,
    "run_failed": RunFailed,
    "run_cancelled": RunCancelled,
    "attention_raised": AttentionRaised,
    "attention_cleared": AttentionCleared,
    "call_intended": CallIntended,
    "call_returned": CallReturned,
    "attempt_failed": AttemptFailed,
    "call_failed": CallFailed,
    "call_denied": CallDenied,
    "call_queued": CallQueued,
    "call_retried": CallRetried,
    "call_unknown": CallUnknown,
    "call_settled": CallSettled,
    "approval_requested": ApprovalRequested,
    "approval_decided": ApprovalDecided,
    "task_opened": TaskOpened,
    "task_completed": TaskCompleted,
    "item_claimed": ItemClaimed,
    "item_released": ItemReleased,
    "timer_set": TimerSet,
    "timer_fired": TimerFired,
    "wait_opened": WaitOpened,
    "signal_received": SignalReceived,
    "child_started": ChildStarted,
    "child_ended": ChildEnded,
    "drawn": Drawn,
    "noted": Noted,
    "system_recorded": SystemRecorded,
}
"""Every kind of event there is; a kind that is not here is corruption."""

KINDS: Final = {cls: kind for kind, cls in EVENTS.items()}
