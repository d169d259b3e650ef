"""What the journal may hold: a closed union of events, written once and read for ever.

A stored event is (run, seq, kind, body): `kind` names the class, `body` is its fields as JSON without defaults.
Fields are only ever added, with defaults; a change of meaning raises SCHEMA and gets a reader of its own.
"""

from __future__ import annotations

from typing import Final

from backstay.events.base import Event, Fault, Plan, Refs, SCHEMA, Trail
from backstay.events.calls import (
    AttemptFailed,
    CallDenied,
    CallFailed,
    CallIntended,
    CallQueued,
    CallRetried,
    CallReturned,
    CallSettled,
    CallUnknown,
)
from backstay.events.people import (
    ApprovalDecided,
    ApprovalRequested,
    ItemAnswered,
    ItemAsked,
    ItemClaimed,
    ItemCommented,
    ItemEscalated,
    ItemReassigned,
    ItemReleased,
    ItemReminded,
    TaskCompleted,
    TaskOpened,
    VoteCast,
)
from backstay.events.runs import (
    AttentionCleared,
    AttentionRaised,
    CancelRequested,
    DeadlinePassed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
    SystemRecorded,
)
from backstay.events.waits import (
    ChildEnded,
    ChildStarted,
    Drawn,
    Noted,
    SignalReceived,
    TimerFired,
    TimerSet,
    WaitOpened,
)

__all__ = [
    "ApprovalDecided", "ApprovalRequested", "AttemptFailed", "AttentionCleared", "AttentionRaised", "CallDenied",
    "CallFailed", "CallIntended", "CallQueued", "CallRetried", "CallReturned", "CallSettled", "CallUnknown",
    "CancelRequested", "ChildEnded", "ChildStarted", "DeadlinePassed", "Drawn", "EVENTS", "Event", "Fault",
    "ItemAnswered", "ItemAsked", "ItemClaimed", "ItemCommented", "ItemEscalated", "ItemReassigned",
    "ItemReleased", "ItemReminded", "KINDS", "Noted", "Plan", "Refs", "RunCancelled", "RunFailed", "RunFinished",
    "RunStarted", "SCHEMA", "SignalReceived", "SystemRecorded", "TaskCompleted", "TaskOpened", "TimerFired",
    "TimerSet", "Trail", "VoteCast", "WaitOpened",
]  # fmt: skip

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
    "item_reassigned": ItemReassigned,
    "item_asked": ItemAsked,
    "item_answered": ItemAnswered,
    "item_commented": ItemCommented,
    "item_reminded": ItemReminded,
    "item_escalated": ItemEscalated,
    "vote_cast": VoteCast,
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
