"""What becomes of calls of actions."""

from __future__ import annotations

from typing import Literal

from backstay.events.base import Event, Fault, Refs, Trail, record
from backstay.types import Effect, Json


@record
class CallAsked(Event):
    """A loop outside wants to use a tool; from here on it is a call like any other."""

    command: str
    tool: str
    args: Json
    key: str | None = None
    """The loop's own word for it."""
    refs: Refs | None = None


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
    policy: str = ""
    """Digest of the rule table that was in force."""


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
    rule: str = ""
    """The policy rule that allowed a read; that of an effect stands in its intent."""
    policy: str = ""


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
    rule: str = ""
    """The policy rule that decided, if the call came so far."""
    policy: str = ""


@record
class CallDrafted(Event):
    """A rule wants this written down and not done; the workflow gets `ActionDrafted`."""

    command: str
    site: str
    action: str
    effect: str
    args: Json
    rule: str = ""
    reason: str = ""
    path: Trail | None = None
    refs: Refs | None = None


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
    """What a person found out about an unknown effect, or gave as the answer of a queued call.

    By nobody: the action said itself that nothing happened, and its call waits in a queue.
    """

    command: str
    outcome: Literal["happened", "not-happened", "give-up"]
    """happened: `result` is the answer. not-happened: the call goes through the gate again. give-up: it failed."""
    result: Json = None
    reason: str = ""
    refs: Refs | None = None
