"""Serving: a loop outside uses the tools that a definition lists, each of its calls a command of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backstay import events as ev
from backstay.commands import Call, Start
from backstay.errors import JournalMismatch
from backstay.language import Program

if TYPE_CHECKING:
    from backstay.engine.replay import Machine


def named(program: Program, name: str, args: Mapping[str, Any]) -> Call[Any] | Start[Any]:
    """What a name stands for; one that the definition does not list is a call that the gateway denies."""
    interface = program.interfaces.get(name)
    return Call(name, args) if interface is None or interface.kind == "action" else Start(name, args)


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
    call = named(machine.program, event.tool, args)
    fork.children.append(machine.plant(call, event.command, f"{fork.site}.call", fork, len(fork.children)))
