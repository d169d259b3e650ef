"""Cancelling: asking runs to stop, with what they started, and ending those that can only end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from backstay import events as ev
from backstay.engine.gateway import NotDeployed
from backstay.errors import Conflict, DefinitionMissing, JournalCorrupted, JournalMismatch, NotFound, WriteRefused
from backstay.events import Event
from backstay.store.journal import Write
from backstay.store.keyring import ValueErased
from backstay.store.payloads import redact
from backstay.store.views import Wait, read_events

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner

log = logging.getLogger("backstay")

ATTENTION: Final = (JournalMismatch, JournalCorrupted, DefinitionMissing, NotDeployed, WriteRefused, ValueErased)
"""What a run cannot get over by itself: it is parked for an operator."""


class Cancelling:
    """Brings requests to stop to runs."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def cancel(self, run: str, *, by: str, reason: str) -> None:
        """Ask a run to stop; one that needs attention is tried again, as it may get as far as its end."""
        runner = self._runner

        def change(case: Activation, write: Write) -> bool:
            told = redact(reason, case.machine.secrets) if case.loaded else reason
            case.stage(write, ev.CancelRequested(at=runner.clock.stamp(), by=by, reason=told))
            if case.row.status == "attention":
                case.clear_wait(write, "attention")
                case.set_status(write, "running")
            return True

        try:
            activation = runner.loaded(run)
        except ValueErased:  # it cannot go on, but it can end
            activation = runner.activation(run)
            activation.find_head()
        await runner.bring(activation, change)

    async def cancel_child(self, wait: Wait) -> None:
        """Cancel the child behind a wait, unless another parent waits for it too."""
        reader = self._runner.reader
        waiting = reader.all("waits_on", (wait.subject, "child", -1))
        child = reader.one("run", (wait.subject,))
        if child is None or (child["parent"], child["parent_command"]) != (wait.run, wait.command):
            return  # somebody else started it under its key; this run only joined
        if any(row["run"] != wait.run or row["command"] != wait.command for row in waiting):
            return
        reason = f"run {wait.run} no longer waits for it"
        try:
            await self.cancel(wait.subject, by="", reason=reason)
        except (Conflict, NotFound, *ATTENTION) as error:  # it has ended, or an operator must look at it anyway
            log.info("cancelling child %s: %s", wait.subject, error)

    async def end_unreadable(self, case: Activation) -> bool:
        """End a run whose private values are erased, if somebody asked for its end, and say what stays undone; else False."""
        runner = self._runner
        stored = [item.event for item in read_events(runner.reader, case.row.id)]
        asked = next((event for event in stored if isinstance(event, ev.CancelRequested)), None)
        if asked is None:
            return False
        for wait in [wait for wait in case.waits.values() if wait.kind == "child"]:
            await self.cancel_child(wait)
        left, write = left_behind(stored), Write()
        case.stage(write, ev.RunCancelled(at=runner.clock.stamp(), reason=asked.reason, not_undone=left))
        for command in list(case.waits):
            case.clear_wait(write, command)
        told = "; ".join([asked.reason, *map(in_words, left)])
        case.set_status(write, "cancelled", told[:300])
        await case.commit(write)
        if left:
            runner.gateway.alert(
                "attention", "operators", case.row.id, "", f"cancelled without its erased values: {told}"
            )
        return True


def left_behind(events: Iterable[Event]) -> list[dict[str, str]]:
    """Effects that a run leaves as they are: confirmed ones with an undoing that was not made, and those nobody knows of."""
    intents: dict[str, ev.CallIntended] = {}
    known: dict[str, str] = {}
    for event in events:
        if isinstance(event, ev.CallIntended):
            intents[event.command], known[event.command] = event, "unknown"
        elif isinstance(event, ev.CallReturned) or (isinstance(event, ev.CallSettled) and event.outcome == "happened"):
            known[event.command] = "happened"
        elif isinstance(event, ev.CallFailed | ev.CallDenied | ev.CallSettled):
            known[event.command] = "not"
    left: list[dict[str, str]] = []
    for command, intent in intents.items():
        undone = known.get(f"c{command}") == "happened"
        if known[command] == "unknown" or (known[command] == "happened" and intent.compensate and not undone):
            left.append({"command": command, "action": intent.action, "outcome": known[command],
                         "undo": intent.compensate or ""})  # fmt: skip
    return left


def in_words(effect: dict[str, str]) -> str:
    """One effect that was left behind, for people."""
    undo = f", {effect['undo']} would have undone it" if effect["undo"] else ""
    if effect["outcome"] == "unknown":
        return f"nobody knows whether {effect['action']!r} happened{undo}"
    return f"{effect['action']!r} stays done{undo}"
