"""A run begins and ends; and what concerns no single run."""

from __future__ import annotations

from backstay.events.base import SCHEMA, Event, Fault, Refs, Trail, record
from backstay.types import Json


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
    requester: str | None = None
    """For whom a service, an agent or an operator (`by`) asked; None where they asked for themselves."""
    outside: dict[str, str] | None = None
    """JSON pointers of the parts of the input that outsiders or a model wrote -> "planted" or "suspect"."""
    acting: list[list[str]] | None = None
    """The agents that led to this run, each with its autonomy, the first one first."""
    plan: list[str] | None = None
    """The tools that the case is about, where who asked for it said so."""
    heard: bool = False
    """Whether the agent that started it had read a text from outside."""
    withheld: list[str] | None = None
    """The tools of the agents that led to it which that plan leaves out."""
    schema: int = SCHEMA
    refs: Refs | None = None

    @property
    def requested_by(self) -> str:
        """Whose request it is: they are asked when there is a question."""
        return self.requester or self.by


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
    outside: dict[str, str] | None = None
    """The same of the result."""


@record
class RunFailed(Event):
    """The workflow raised; what could be undone has been undone."""

    fault: Fault
    path: Trail | None = None


@record
class RunCancelled(Event):
    """The run was stopped from outside, or the workflow raised `Cancelled`; what could be undone has been undone."""

    reason: str
    path: Trail | None = None
    not_undone: list[dict[str, str]] | None = None
    """Given when its private values are erased, so that it could only be ended: what stays done, or nobody knows of."""


@record
class AttentionRaised(Event):
    """The run cannot go on by itself (journal mismatch, missing definition or action); nothing is lost."""

    reason: str
    code: str = ""


@record
class AttentionCleared(Event):
    """Somebody asked for another try."""

    reason: str = ""


@record
class SystemRecorded(Event):
    """Something that concerns no single run: a definition stored, a switch flipped, a breaker opened, a refusal."""

    what: str
    subject: str
    detail: Json = None
