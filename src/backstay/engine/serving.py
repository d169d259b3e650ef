"""Serving: a loop outside uses the tools that a definition lists, each of its calls a command of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from backstay import events as ev
from backstay.commands import Call, Note, Start
from backstay.engine.frames import Fork, answer_of
from backstay.errors import JournalMismatch
from backstay.governance.plans import PLAN
from backstay.language import Program
from backstay.language.tracker import Tracker, new_context
from backstay.types import Json

if TYPE_CHECKING:
    from backstay.engine.replay import Machine


class Attendance(NamedTuple):
    """How a loop outside begins on a case."""

    outside: Sequence[str]
    """JSON pointers of what in the input came from outside."""
    plan: list[str] | None
    """The tools that the case is about, where that was said."""
    schema: Json
    """What says which parts of the input are private."""


def named(program: Program, name: str, args: Mapping[str, Any]) -> Call[Any] | Start[Any]:
    """What a name stands for; one that the definition does not list is a call that the gateway denies."""
    interface = program.interfaces.get(name)
    return Call(name, args) if interface is None or interface.kind == "action" else Start(name, args)


def unmet(program: Program, fork: Fork, said: Json) -> str:
    """Why a last word would not count by the rules of its own definition; "" when it would. Nothing is changed by asking."""
    rules, context = program.namespace, new_context(Tracker())
    work = context.run(rules["begin"], None, None)
    context.run(rules["take_stock"], work, answer_of(fork, 0, said))
    return work.why if work.reason == "error" else ""


def asked(machine: Machine, event: ev.CallAsked) -> None:
    """Begin a call of the loop outside; one that came after its last word is nobody's."""
    fork = machine.serving
    if fork is None or fork.over:
        return
    if event.command != fork.next_id:
        raise JournalMismatch(f"the loop outside asked for {event.command!r}, and the next is {fork.next_id!r}")
    interface = machine.program.interfaces.get(event.tool)
    args = {"input": event.args} if interface is not None and interface.kind == "agent" else event.args
    fork.results.append(None)
    if event.key is not None:
        fork.keys[event.key] = event.command
    call = Note(event.tool, event.args) if event.tool == PLAN else named(machine.program, event.tool, args)
    fork.children.append(machine.plant(call, event.command, f"{fork.site}.call", fork, len(fork.children)))
