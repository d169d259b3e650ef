"""Items of human work: what the engine does with them while people do nothing, and who hears of it.

An item is an open approval or task. Its plan (reminders, escalation, expiry) stands in its opening event; here its steps
are taken when their time has come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from backstay import events as ev
from backstay.commands import Approval, Command, Task
from backstay.events import Plan
from backstay.governance.queues import Queues
from backstay.governance.schedule import Schedule, Step, escalated, schedule
from backstay.store.journal import Write
from backstay.store.views import Wait
from backstay.types import Duration

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner

ITEMS: Final = frozenset({"approval", "task"})
"""Kinds of waits that are items of human work."""

NoticeKind = Literal[
    "opened", "reminder", "escalated", "asked", "answered", "reassigned", "commented", "lapsed", "voted",
    "approved", "rejected", "expired", "completed", "withdrawn",
]  # fmt: skip
"""lapsed: a claim ran out. voted: others must still decide. approved, rejected, expired, completed: it is over.
withdrawn: the case went on or ended without it, so that nobody need do it any more."""

NOTICES: Final[dict[str, NoticeKind]] = {
    "approval_requested": "opened",
    "task_opened": "opened",
    "item_reminded": "reminder",
    "item_escalated": "escalated",
    "item_asked": "asked",
    "item_answered": "answered",
    "item_reassigned": "reassigned",
    "item_commented": "commented",
    "item_released": "lapsed",
    "vote_cast": "voted",
}
"""Event about an item that goes on waiting -> what people are told. Of its end they are told by how it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something about an item that somebody may want to hear of: send it by mail or chat from `App(on_notice=[...])`."""

    kind: NoticeKind
    item: str
    queue: str
    owner: str
    members: tuple[str, ...]
    title: str
    requester: str
    claimed_by: str | None
    due_at: str | None


class Items:
    """The clockwork of human work, for one store."""

    def __init__(self, runner: Runner, queues: Queues, on_notice: Sequence[Callable[[Notice], Any]] = ()) -> None:
        self._runner, self.queues, self._on_notice = runner, queues, on_notice

    def schedule(self, queue: str, within: Duration | None, until: datetime | None, *, expires: bool) -> Schedule:
        """When everything happens to an item that is opened now."""
        return schedule(self.queues.of(queue), self._runner.clock.stamp(), within, until=until, expires=expires)

    def fire(self, case: Activation, write: Write, wait: Wait, moment: str) -> bool:
        """Take the steps of an item's plan that are due; True when the workflow has its answer."""
        leaf = case.machine.find(wait.command)
        item = leaf.item if leaf is not None else None
        if leaf is None or item is None:
            return False
        times = Schedule(due=item.due, plan=item.plan, calendar=item.calendar)
        if wait.claimed_until is not None and wait.claimed_until <= moment:
            case.stage(write, ev.ItemReleased(at=self._stamp(), command=wait.command))
            wait = wait._replace(claimed_by=None, claimed_until=None)
        while (step := _next(wait, times.plan)) is not None and step["at"] <= moment:
            if step["do"] in ENDS:
                verdict, reason = ENDS[step["do"]]
                at = self._stamp()
                case.stage(
                    write, ev.ApprovalDecided(at=at, command=wait.command, verdict=verdict, reason=reason)
                )  # fmt: skip
                case.clear_wait(write, wait.command)
                return True
            times = replace(times, plan=times.plan[1:])
            if step["do"] == "remind":
                case.stage(write, ev.ItemReminded(at=self._stamp(), command=wait.command))
            else:
                times = escalated(
                    times, self.queues.of(step["to"]), at := self._stamp(), own_due=_own_due(leaf.command)
                )
                wait = self._escalate(case, write, wait, step["to"], times, at)
        case.put_wait(write, wake(wait, times.plan))
        return False

    def _escalate(self, case: Activation, write: Write, wait: Wait, to: str, times: Schedule, at: str) -> Wait:
        event = ev.ItemEscalated(
            at=at, command=wait.command, queue=to, due=times.due, plan=times.plan, calendar=times.calendar
        )
        case.stage(write, event)
        moved = wait._replace(queue=to, priority=self.queues.of(to).priority, due_at=times.due)
        return moved._replace(claimed_by=None, claimed_until=None, assigned="")

    def _stamp(self) -> str:
        return self._runner.clock.stamp()

    # --- telling people ---

    def tell(self, write: Write) -> None:
        """Tell whoever listens what a commit did to items; a listener that fails harms nobody."""
        if not self._on_notice:
            return
        waits, ended = write.rows.get("waits", {}), dict[tuple[str, str], NoticeKind]()
        for run, _, kind, body, *_ in write.events:
            if kind in ENDINGS:
                event = json.loads(body)
                ended[run, event["command"]] = event.get("verdict", "completed")
            elif kind in NOTICES:
                event = json.loads(body)
                row = waits.get((run, event["command"]))
                if row is not None and not (kind == "item_released" and event.get("by")):  # given back, not lapsed
                    self._notify(Wait._make(row), NOTICES[kind])
        for wait in write.over:
            if wait[2] in ITEMS and waits.get(wait[:2]) is None:
                self._notify(Wait._make(wait), ended.get((wait[0], wait[1]), "withdrawn"))

    def _notify(self, wait: Wait, kind: NoticeKind) -> None:
        queue = self.queues.of(wait.queue)
        notice = Notice(
            kind=kind, item=wait.id, queue=wait.queue, owner=queue.owner, members=tuple(queue.members),
            title=wait.title, requester=wait.requester, claimed_by=wait.claimed_by, due_at=wait.due_at,
        )  # fmt: skip
        for listener in self._on_notice:
            self._runner.gateway.call_listener(listener, notice, "on_notice")


ENDS: Final[dict[str, tuple[Literal["rejected", "expired"], str]]] = {
    "expire": ("expired", "expired"),
    "close": ("expired", "expired"),
    "decline": ("rejected", "asked for outside working hours"),
}
"""Steps that decide: never that something is approved."""

ENDINGS: Final = frozenset({"approval_decided", "task_completed"})
"""Events with which an item is over."""


def wake(wait: Wait, plan: Plan) -> Wait:
    """The wait, to be looked at when its next step or the end of its claim comes."""
    moments = [wait.claimed_until] if wait.claimed_until is not None else []
    if (step := _next(wait, plan)) is not None:
        moments.append(step["at"])
    return wait._replace(wake_at=min(moments, default=None))


def _next(wait: Wait, plan: Plan) -> Step | None:
    """The step that comes next: while a question is open, only the one that no question puts off."""
    return next((step for step in plan if wait.asked_at is None or step["do"] == "close"), None)


def _own_due(command: Command[Any]) -> bool:
    """Whether the workflow said when it is due."""
    return isinstance(command, Approval | Task) and (command.within is not None or command.until is not None)
