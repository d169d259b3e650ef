"""Fitting: whether an event can be about an open command. A journal where one cannot is not of this definition."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from backstay import events as ev
from backstay.canonical import digest
from backstay.commands import Approval, Call, Command, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open
from backstay.events import Event
from backstay.types import Json

KINDS: Final[dict[type[Event], tuple[type[Command[Any]], ...]]] = {
    ev.CallIntended: (Call,),
    ev.CallReturned: (Call,),
    ev.AttemptFailed: (Call,),
    ev.CallFailed: (Call,),
    ev.CallDenied: (Call,),
    ev.CallDrafted: (Call,),
    ev.CallQueued: (Call,),
    ev.CallRetried: (Call,),
    ev.CallUnknown: (Call,),
    ev.CallSettled: (Call,),
    ev.ApprovalRequested: (Approval, Call),
    ev.ApprovalDecided: (Approval, Call),
    ev.VoteCast: (Approval, Call),
    ev.ItemAsked: (Approval, Task, Call),
    ev.ItemAnswered: (Approval, Task, Call),
    ev.ItemReminded: (Approval, Task, Call),
    ev.ItemEscalated: (Approval, Task, Call),
    ev.TaskOpened: (Task,),
    ev.TaskCompleted: (Task,),
    ev.TimerSet: (Sleep,),
    ev.TimerFired: (Sleep, WaitFor),
    ev.WaitOpened: (WaitFor,),
    ev.ChildStarted: (Start,),
    ev.ChildEnded: (Start,),
    ev.Drawn: (Draw,),
    ev.Noted: (Note,),
}
"""Which commands each kind of event may be about."""

NAMES: Final[dict[type[Event], tuple[str, str, str]]] = {
    ev.Drawn: ("draws", "what", "kind"),
    ev.WaitOpened: ("waits for", "name", "name"),
    ev.ChildStarted: ("starts", "workflow", "workflow"),
}
"""What an event names that its command must name too: verb, attribute of the event, attribute of the command."""


TELLS: Final[dict[type[Event], tuple[bool, ...]]] = {
    kind: tuple(name in {field.name for field in fields(kind)} for name in ("site", "action", "args")) for kind in KINDS
}
"""Whether each kind of event tells its step, its action and its arguments."""


def _stands_for(told: Json, asked: Json) -> bool:
    """Whether this is the digest of the arguments; a keyed one can be checked only where the key is."""
    return isinstance(told, dict) and len(told) == 1 and ("keyed" in told or told.get("digest") == digest(asked))


def misfit(event: Any, leaf: Open) -> str | None:
    """Why this event cannot be about this command; None when it can."""
    command: Any = leaf.command
    kind = type(event)
    tells_site, tells_action, tells_args = TELLS[kind]
    if tells_site and event.site != leaf.site:
        return f"it belongs to step {event.site!r}, but the workflow is at {leaf.site!r}"
    if not isinstance(command, KINDS[kind]):
        return f"it cannot be about what the workflow asks for, which is {type(command).__name__}"
    if isinstance(command, Call):
        if tells_action and event.action != command.action and event.action is not None:
            return f"it calls {event.action!r}, but the workflow asks for {command.action!r}"
        told = event.args if tells_args else None
        if told is not None and told != leaf.args and not leaf.undoes and not _stands_for(told, leaf.args):
            return "it was recorded with other arguments"
    elif kind in NAMES:
        verb, said, asked = NAMES[kind]
        if getattr(event, said) != getattr(command, asked):
            return f"it {verb} {getattr(event, said)!r}, but the workflow asks for {getattr(command, asked)!r}"
    return None
