"""Approvals, tasks, and what happens to them until they are over."""

from __future__ import annotations

from typing import Literal

from backstay.events.base import Event, Plan, Refs, Trail, record
from backstay.types import Json


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
    plan: Plan | None = None
    calendar: Json = None
    """The business calendar by which the plan was made; None counts every hour."""
    quorum: int = 1
    """How many people must approve."""
    reject: Literal["veto", "quorum"] = "veto"
    """veto: one rejection decides. quorum: as many must reject as must approve."""
    policy: str = ""
    """Digest of the rule table that was in force."""
    shown: str = ""
    """SHA-256 over the call's digest, the policy's, and what was shown as reason and evidence: what a decision is about."""
    title: str = ""
    exclude: list[str] | None = None
    """Who may not decide it, besides the requester."""


@record
class ApprovalDecided(Event):
    """A person decided, or the time ran out."""

    command: str
    verdict: Literal["approved", "rejected", "expired"]
    reason: str = ""
    digest: str | None = None
    code: str = ""
    """The queue's own word for the reason."""
    behalf: str = ""
    """Whom `by` stands in for, if not for themselves."""
    shown: str = ""
    votes: list[dict[str, Json]] | None = None
    """Every vote of a quorum, the last one included."""


@record
class VoteCast(Event):
    """One of several people decided; the approval waits for the others."""

    command: str
    verdict: Literal["approved", "rejected"]
    reason: str = ""
    code: str = ""
    behalf: str = ""


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
    plan: Plan | None = None
    calendar: Json = None


@record
class TaskCompleted(Event):
    """A person reported back."""

    command: str
    value: Json
    refs: Refs | None = None
    behalf: str = ""


@record
class ItemClaimed(Event):
    """A person took an approval or task for themselves."""

    command: str
    until: str | None = None
    """When it goes back by itself."""
    behalf: str = ""


@record
class ItemReleased(Event):
    """A claimed item went back to its queue: given back, or ("" as `by`) its lease ran out."""

    command: str


@record
class ItemReassigned(Event):
    """An item was given to another queue, or to one person of its queue."""

    command: str
    queue: str
    to: str = ""
    reason: str = ""


@record
class ItemAsked(Event):
    """Whoever has the item asks the requester back; its clock pauses."""

    command: str
    question: str


@record
class ItemAnswered(Event):
    """The question was answered; the clock goes on, by a new plan."""

    command: str
    answer: str
    due: str | None = None
    plan: Plan | None = None


@record
class ItemCommented(Event):
    """A remark on an item, with files by content address."""

    command: str
    text: str
    files: list[dict[str, Json]] | None = None
    refs: Refs | None = None


@record
class ItemReminded(Event):
    """The people of a queue were reminded."""

    command: str


@record
class ItemEscalated(Event):
    """Nobody acted in time; the item moved on to another queue, and that queue's times began."""

    command: str
    queue: str
    due: str | None = None
    plan: Plan | None = None
    """What happens from now on; None in journals of versions in which the first queue's plan went on."""
    calendar: Json = None
