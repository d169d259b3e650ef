"""What the journal may hold: a closed union of events, written once and read for ever.

A stored event is (run, seq, kind, body): `kind` names the class, `body` is its fields as JSON without defaults.
Fields are only ever added, with defaults; a change of meaning raises SCHEMA and gets a reader of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter

from backstay.errors import InvalidInput
from backstay.types import Effect, Json

SCHEMA: Final = 1
"""Version of this union, written into every `run_started`."""

Trail: TypeAlias = list[dict[str, Json]]
"""Branches, rules and tables that were decided since the event before, with the values that decided them."""

Refs: TypeAlias = dict[str, str]
"""JSON pointer into the event -> where the value really lies: "seal:CLASS:TOKEN" or "blob:SHA256"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base: when it was recorded, and by whom ("" is the run itself)."""

    at: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error as data: class name, redacted message, and the workflow line it came from, if any."""

    type: str
    message: str
    line: int | None = None


# --- a run begins and ends ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested(Event):
    """Somebody asked the run to stop; confirmed effects are compensated first."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    """The workflow's own deadline passed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The workflow returned."""

    result: Json = None
    path: Trail | None = None
    refs: Refs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The workflow raised; what could be undone has been undone."""

    fault: Fault
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(Event):
    """The run was stopped from outside; what could be undone has been undone."""

    reason: str
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRaised(Event):
    """The run cannot go on by itself (journal mismatch, missing definition or action); nothing is lost."""

    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCleared(Event):
    """Somebody asked for another try."""

    reason: str = ""


# --- calls of actions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed(Event):
    """The action failed for good; the workflow gets `ActionFailed`."""

    command: str
    site: str
    action: str
    attempt: int
    fault: Fault
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDenied(Event):
    """A stage of the gate, or a person, said no; the workflow gets `ActionDenied`."""

    command: str
    site: str
    action: str
    stage: str
    reason: str
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetried(Event):
    """A person, or a breaker that closed again, sent a queued call back to the gate."""

    command: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUnknown(Event):
    """Nobody can tell whether the effect happened; a person settles it."""

    command: str
    site: str
    action: str
    queue: str
    reason: str
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettled(Event):
    """What a person found out about an unknown effect, or gave as the answer of a queued call."""

    command: str
    outcome: Literal["happened", "not-happened", "give-up"]
    """happened: `result` is the answer. not-happened: the call goes through the gate again. give-up: it failed."""
    result: Json = None
    reason: str = ""
    refs: Refs | None = None


# --- people -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(Event):
    """A person decided, or the time ran out."""

    command: str
    verdict: Literal["approved", "rejected", "expired"]
    reason: str = ""
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted(Event):
    """A person reported back."""

    command: str
    value: Json
    refs: Refs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemClaimed(Event):
    """A person took an approval or task for themselves."""

    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReleased(Event):
    """A claimed item went back to its queue."""

    command: str


# --- time, signals, children, values -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerSet(Event):
    """A `sleep` began."""

    command: str
    site: str
    due: str
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Event):
    """The time of a `sleep` or of a `wait_for` has come."""

    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOpened(Event):
    """The run waits for a signal."""

    command: str
    site: str
    name: str
    due: str | None = None
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived(Event):
    """A signal came in; if nobody waits for it yet, it is kept."""

    name: str
    payload: Json = None
    id: str | None = None
    """The sender's own id: a second one with the same id is ignored."""
    refs: Refs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStarted(Event):
    """A child run was started, in the same transaction as this event."""

    command: str
    site: str
    workflow: str
    run: str
    detached: bool = False
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded(Event):
    """A child run ended."""

    command: str
    status: Literal["finished", "failed", "cancelled"]
    result: Json = None
    reason: str = ""
    refs: Refs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn(Event):
    """A value from outside the program: clock, chance, id, setting."""

    command: str
    site: str
    what: str
    value: Json
    name: str = ""
    path: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """A remark of the workflow."""

    command: str
    site: str
    text: str
    data: Json = None
    path: Trail | None = None
    refs: Refs | None = None


# --- the system's own chain ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
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

FROM_OUTSIDE: Final = frozenset(
    {
        RunStarted, CancelRequested, AttentionCleared, CallRetried, CallSettled, ApprovalDecided, TaskCompleted,
        ItemClaimed, ItemReleased, SignalReceived, SystemRecorded, ApprovalRequested, TaskOpened, WaitOpened,
        ChildStarted, Noted,
    }
)  # fmt: skip
"""Events whose fields callers or workflows fill in: read back before they are written, so that none can spoil a journal."""

_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {}
_WRITERS: Final[dict[type[Event], tuple[str, Callable[..., bytes]]]] = {}


def _adapter(kind: str) -> TypeAdapter[Any]:
    """Adapters cost milliseconds to build, so each is built when its kind is first met."""
    adapter = _ADAPTERS.get(kind)
    if adapter is None:
        adapter = _ADAPTERS[kind] = TypeAdapter(EVENTS[kind])
    return adapter


def encode(event: Event) -> tuple[str, str]:
    """Write an event as (kind, body); fields that hold their default are left out."""
    writer = _WRITERS.get(type(event))
    if writer is None:
        kind = KINDS[type(event)]
        writer = _WRITERS[type(event)] = (kind, _adapter(kind).serializer.to_json)
    body = writer[1](event, exclude_defaults=True, warnings=False).decode()
    if type(event) in FROM_OUTSIDE:
        try:
            decode(writer[0], body)
        except ValueError as error:
            raise InvalidInput(f"{writer[0]} cannot be recorded as given: {error}") from None
    return writer[0], body


def decode(kind: str, body: str) -> Event:
    """Read an event; raises ValueError for a kind or body that is not in the union."""
    if kind not in EVENTS:
        raise ValueError(f"unknown event kind {kind!r}")
    return _adapter(kind).validate_json(body)
