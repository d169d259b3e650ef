"""Human work as replay sees it: what each event does to an open approval or task. Pure, like all of replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from backstay import events as ev
from backstay.commands import Call, Task
from backstay.events import Event, Plan
from backstay.types import Decision, Done, Json

if TYPE_CHECKING:
    from backstay.engine.frames import Open
    from backstay.engine.replay import Machine


@dataclass(slots=True)
class Item:
    """An open approval or task, besides who has it just now."""

    due: str | None
    plan: Plan
    calendar: Json
    votes: list[ev.VoteCast] = field(default_factory=list[ev.VoteCast])


def approval_requested(machine: Machine, leaf: Open, event: ev.ApprovalRequested) -> None:
    leaf.opened, leaf.state = event, "held" if isinstance(leaf.command, Call) else "waiting"
    plan = event.plan
    if plan is None:  # its due time is all there is
        plan = [] if event.due is None else [{"at": event.due, "do": "expire"}]
    leaf.item = Item(event.due, plan, event.calendar)


def approval_decided(machine: Machine, leaf: Open, event: ev.ApprovalDecided) -> None:
    if not isinstance(leaf.opened, ev.ApprovalRequested):
        return
    approved, by = event.verdict == "approved", event.by if event.verdict != "expired" else ""
    if isinstance(leaf.command, Call):
        if approved:
            leaf.state, leaf.approval, leaf.approved = "new", leaf.id, leaf.opened.digest
        else:
            reason = event.reason or event.verdict
            machine.refuse(leaf, "approval", reason, reason_code=event.code, by=by)
        return
    if approved and leaf.opened.digest is not None:
        machine.grants.setdefault(leaf.opened.digest, []).append(leaf.id)
    decision = Decision(
        approved=approved, verdict=event.verdict, by=by,
        reason=event.reason, code=event.code, at=datetime.fromisoformat(event.at), voters=_voters(event),
    )  # fmt: skip
    machine.answer(leaf, decision)


def _voters(event: ev.ApprovalDecided) -> list[str]:
    """Who voted for what was decided."""
    if event.verdict == "expired":
        return []
    return [str(vote["by"]) for vote in event.votes or () if vote["verdict"] == event.verdict] or [event.by]


def task_opened(machine: Machine, leaf: Open, event: ev.TaskOpened) -> None:
    leaf.opened, leaf.state = event, "waiting"
    leaf.item = Item(event.due, event.plan or [], event.calendar)


def task_completed(machine: Machine, leaf: Open, event: ev.TaskCompleted) -> None:
    if not isinstance(leaf.command, Task):
        return
    if leaf.command.form is Done:
        comment = event.value.get("comment", "") if isinstance(event.value, dict) else ""
        machine.answer(leaf, Done(by=event.by, comment=comment, at=datetime.fromisoformat(event.at)))
    else:
        machine.answer_json(leaf, event.value)


def vote_cast(machine: Machine, leaf: Open, event: ev.VoteCast) -> None:
    if leaf.item is not None:
        leaf.item.votes.append(event)


def asked(machine: Machine, leaf: Open, event: ev.ItemAsked) -> None:
    """A question changes nothing for the workflow; that it is about an open item is checked all the same."""


def answered(machine: Machine, leaf: Open, event: ev.ItemAnswered) -> None:
    if leaf.item is not None:
        leaf.item.due, leaf.item.plan = event.due, event.plan or []


def reminded(machine: Machine, leaf: Open, event: ev.ItemReminded) -> None:
    if leaf.item is not None:
        leaf.item.plan = leaf.item.plan[1:]


def escalated(machine: Machine, leaf: Open, event: ev.ItemEscalated) -> None:
    if leaf.item is None:
        return
    if event.plan is None:  # an earlier version went on by the first queue's plan
        leaf.item.plan = leaf.item.plan[1:]
    else:
        leaf.item.due, leaf.item.plan, leaf.item.calendar = event.due, event.plan, event.calendar


ABOUT_PEOPLE: Final[dict[type[Event], Callable[[Any, Any, Any], None]]] = {
    ev.ApprovalRequested: approval_requested,
    ev.ApprovalDecided: approval_decided,
    ev.VoteCast: vote_cast,
    ev.TaskOpened: task_opened,
    ev.TaskCompleted: task_completed,
    ev.ItemAsked: asked,
    ev.ItemAnswered: answered,
    ev.ItemReminded: reminded,
    ev.ItemEscalated: escalated,
}
"""What each event does to the item it speaks of. Claims, comments and reassignments change nothing for the workflow."""
