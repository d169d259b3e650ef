"""Replay: drive a workflow from its journal, purely.

A `Machine` is a program and what its journal has said so far. `apply` takes one event; the workflow is driven as far as
that event lets it, and `open` then holds the commands it still waits for. There is no I/O, no clock and no event loop
here, so the same journal gives the same commands, branches and verdicts wherever and whenever it is applied. The first
run works the same way: what happened is made an event, committed, and only then applied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from backstay import events as ev
from backstay.commands import Attempt, Call, Command, Gather, Race, Serve, Start, Use, WaitFor
from backstay.engine.decisions import Decisions
from backstay.engine.fitting import misfit
from backstay.engine.frames import LEAVES, Fork, Open, Outcome, answer_of, fault_of, read_answer, tried, wrong_field
from backstay.engine.human import ABOUT_PEOPLE
from backstay.engine.serving import asked, named
from backstay.engine.signals import Signals
from backstay.errors import (
    ActionDenied,
    ActionDrafted,
    ActionFailed,
    BackstayError,
    Cancelled,
    ChildFailed,
    Interrupted,
    InvalidInput,
    JournalMismatch,
    TimedOut,
)
from backstay.events import Event, Fault, Trail
from backstay.language import Program, Tracker, new_context
from backstay.store.payloads import redact
from backstay.types import Json, journalable


class Machine:
    """One run being replayed. Feed it events with `apply`; look at `open`, `outcome` and `trail`."""

    def __init__(
        self, run: str, program: Program, started: ev.RunStarted, secrets: dict[str, str] | None = None
    ) -> None:
        self.run, self.program, self.started = run, program, started
        self.secrets: dict[str, str] = {} if secrets is None else secrets
        self.open: dict[str, Open] = {}
        self.orphans: dict[str, Open] = {}
        """Calls that lost a race or were cancelled after their intent: their outcome must still be learnt."""
        self._dropped: dict[str, Open] = {}
        """Calls that lost a race or were cancelled before any intent of theirs was known."""
        self.outcome: Outcome | None = None
        self.grants: dict[str, list[str]] = {}
        """digest -> commands of the approvals that were granted and not consumed yet."""
        self.effects: list[tuple[ev.CallIntended, Json]] = []
        """Confirmed effects that declare how to undo them, oldest first."""
        self.calls = self.changes = 0
        self.signal_ids: set[str] = set()
        self.serving: Fork | None = None
        """The last `serve` that was opened: its children are the wait for its end, then the calls of the loop outside."""
        self._count = 0
        self._sites: dict[str, int] = {}
        self._signals = Signals()
        self._ready: deque[tuple[Open | Fork, Any, BaseException | None]] = deque()
        self._ending: Outcome | None = None
        self.decisions = Decisions()
        self._tracker = Tracker()
        self._context = new_context(self._tracker)
        try:
            self._coroutine = self._context.run(program.begin, started.input)
        except BackstayError as error:
            raise JournalMismatch(f"the input of run {run!r} does not fit its definition: {error}", seq=1) from error
        self._drive(None, None)
        self._settle()

    # --- what the engine reads ---

    @property
    def unsettled(self) -> Iterable[Open]:
        """Everything that is still to be answered, orphans included."""
        return [*self.open.values(), *self.orphans.values()]

    @property
    def over(self) -> bool:
        """Whether the run has ended and the outcome of every effect is known."""
        return self.outcome is not None and not self.orphans

    @property
    def acting(self) -> list[list[str]]:
        """The agents in whose name the run acts, each with its autonomy: those that led to it, and its own."""
        led, program = self.started.acting or [], self.program
        return [*led, [program.agent, program.autonomy]] if program.agent else led

    def find(self, command: str) -> Open | None:
        return self.open.get(command) or self.orphans.get(command)

    def take_path(self) -> Trail | None:
        """The decisions since the last event that recorded any; the caller puts them into the event it creates."""
        return self.decisions.take()

    @property
    def trail(self) -> Trail:
        """Decisions that no applied event has recorded yet."""
        return self.decisions.pending

    # --- applying events ---

    def apply(self, event: Event, seq: int = 0) -> None:
        """Take one event; raises JournalMismatch when the workflow did not ask for it."""
        path: Trail | None = getattr(event, "path", None)
        if path:
            self.decisions.check(path, event, seq, self.program.line_of)
        about = _ABOUT_COMMANDS.get(type(event))
        if about is not None:
            leaf = self._leaf(event, seq)
            if leaf is not None:
                about(self, leaf, event)
        elif (handler := _ABOUT_RUNS.get(type(event))) is not None:
            handler(self, event)
        if self._ready:
            self._settle()

    def _leaf(self, event: Any, seq: int) -> Open | None:
        """The open command an event speaks of; None when that command is over (a race was lost meanwhile)."""
        leaf = self.open.get(event.command) or self.orphans.get(event.command)
        if leaf is None and isinstance(event, ev.CallIntended) and event.command in self._dropped:
            # Its race was lost while this intent was on its way: the effect may happen all the same.
            leaf = self.orphans[event.command] = self._dropped.pop(event.command)
        if leaf is None:
            root = event.command.partition(".")[0].removeprefix("c")
            if not root.isdigit() or int(root) > self._count:
                raise self._mismatch(event, seq, f"the workflow never asked for command {event.command!r}")
            return None
        why = misfit(event, leaf)
        if why is not None:
            raise self._mismatch(event, seq, why, leaf)
        return leaf

    def _mismatch(self, event: Event, seq: int, why: str, leaf: Open | None = None) -> JournalMismatch:
        line = self.program.line_of(leaf.site) if leaf else None
        where = f" (line {line})" if line else ""
        return JournalMismatch(
            f"event {seq} ({ev.KINDS[type(event)]}) does not fit the definition{where}: {why}", seq=seq, line=line
        )

    # calls

    def on_intended(self, leaf: Open, event: ev.CallIntended) -> None:
        leaf.intent, leaf.attempt, leaf.approval, leaf.state = event, event.attempt, None, "new"
        if event.approval is not None:
            self._consume(event.approval)

    def on_returned(self, leaf: Open, event: ev.CallReturned) -> None:
        if event.approval is not None:
            self._consume(event.approval)
        self._confirmed(leaf, event.result)

    def _consume(self, approval: str) -> None:
        left = {digest: [c for c in commands if c != approval] for digest, commands in self.grants.items()}
        self.grants = {digest: commands for digest, commands in left.items() if commands}

    def _confirmed(self, leaf: Open, result: Json) -> None:
        if leaf.intent is not None and leaf.intent.compensate and not leaf.id.startswith("c"):
            self.effects.append((leaf.intent, result))
        leaf.intent = None
        self.answer_json(leaf, result)

    def on_attempt_failed(self, leaf: Open, event: ev.AttemptFailed) -> None:
        leaf.state, leaf.attempt = "retrying", event.attempt
        leaf.retry_at, leaf.first_at = event.retry_at, event.first_at

    def on_call_failed(self, leaf: Open, event: ev.CallFailed) -> None:
        leaf.intent = None
        self.answer(leaf, error=ActionFailed(event.action, event.fault.type, event.fault.message, event.attempt))

    def on_denied(self, leaf: Open, event: ev.CallDenied) -> None:
        leaf.intent = None
        if leaf.approval is not None and leaf.approval != leaf.id:  # it was granted beforehand and not used
            self.grants.setdefault(leaf.approved or "", []).insert(0, leaf.approval)
        self.refuse(leaf, event.stage, event.reason)

    def on_drafted(self, leaf: Open, event: ev.CallDrafted) -> None:
        self.answer(leaf, error=ActionDrafted(event.action, "policy", event.reason))

    def on_parked(self, leaf: Open, event: ev.CallQueued | ev.CallUnknown) -> None:
        leaf.state = "queued" if isinstance(event, ev.CallQueued) else "unknown"
        leaf.opened, leaf.attempt = event, event.attempt

    def on_retried(self, leaf: Open, event: ev.CallRetried) -> None:
        leaf.state, leaf.first_at, leaf.retry_at, leaf.opened = "new", None, None, None
        leaf.spent = leaf.attempt

    def on_settled(self, leaf: Open, event: ev.CallSettled) -> None:
        if not isinstance(leaf.command, Call):
            return
        if event.outcome == "happened":
            self._confirmed(leaf, event.result)
        elif event.outcome == "give-up":
            leaf.intent = None
            reason = event.reason or "given up by a person"
            self.answer(leaf, error=ActionFailed(leaf.command.action, "GivenUp", reason, leaf.attempt))
        else:
            leaf.state, leaf.intent, leaf.opened = "new", None, None

    # time, signals, children, values

    def on_opened(self, leaf: Open, event: Any) -> None:
        leaf.opened, leaf.state = event, "waiting"

    def on_timer_fired(self, leaf: Open, event: ev.TimerFired) -> None:
        if isinstance(leaf.command, WaitFor):
            self.answer(leaf, error=TimedOut(f"signal {leaf.command.name!r}"))
        else:
            self.answer(leaf)

    def on_signal(self, event: ev.SignalReceived) -> None:
        if event.id is not None:
            if event.id in self.signal_ids:  # two of them were on their way at once
                return
            self.signal_ids.add(event.id)
        self._signals.keep(event)
        for leaf in self.open.values():
            kept = self._signals.take(leaf.command, self.secrets) if isinstance(leaf.command, WaitFor) else None
            if kept is not None:
                self.answer(leaf, kept[0])
                return

    def on_child_started(self, leaf: Open, event: ev.ChildStarted) -> None:
        leaf.opened, leaf.state = event, "waiting"
        if event.detached:
            self.answer(leaf, event.run)

    def on_child_ended(self, leaf: Open, event: ev.ChildEnded) -> None:
        if not isinstance(leaf.command, Start):
            return
        if event.status == "finished":
            self.answer_json(leaf, event.result)
        else:
            run = leaf.opened.run if isinstance(leaf.opened, ev.ChildStarted) else ""
            self.answer(leaf, error=ChildFailed(leaf.command.workflow, run, event.reason or event.status))

    def on_drawn(self, leaf: Open, event: ev.Drawn) -> None:
        self.answer(leaf, datetime.fromisoformat(event.value) if event.what == "now" else event.value)

    def on_noted(self, leaf: Open, event: ev.Noted) -> None:
        self.answer(leaf)

    def on_cancel(self, event: ev.CancelRequested) -> None:
        self._interrupt(Outcome(status="cancelled", reason=event.reason))

    def on_deadline(self, event: ev.DeadlinePassed) -> None:
        self._interrupt(Outcome(status="failed", fault=Fault(type="DeadlinePassed", message=event.reason)))

    # --- answering ---

    def answer_json(self, leaf: Open, value: Json) -> None:
        """Answer a command with JSON from the journal, read as the type that the workflow asked for."""
        try:
            self.answer(leaf, read_answer(leaf.command, value))
        except ValidationError as error:
            raise JournalMismatch(
                f"the answer to command {leaf.id!r} does not fit the definition: {error.errors()[0]['msg']}",
                line=self.program.line_of(leaf.site),
            ) from error

    def answer(self, leaf: Open, value: Any = None, error: BaseException | None = None) -> None:
        """Answer a command with a value, or an error that is raised at its `await`."""
        self._ready.append((leaf, value, error))

    def refuse(self, leaf: Open, stage: str, reason: str, *, reason_code: str = "", by: str = "") -> None:
        """Tell the workflow that its call was not allowed."""
        action = leaf.command.action if isinstance(leaf.command, Call) else ""
        self.answer(leaf, error=ActionDenied(action, stage, reason, reason_code=reason_code, by=by))

    def _settle(self) -> None:
        """Hand answers up to the workflow until it waits again; a loop, so that no workflow can exhaust the stack."""
        while self._ready:
            node, value, error = self._ready.popleft()
            if isinstance(node, Open) and self.open.pop(node.id, None) is None:
                if self.orphans.pop(node.id, None) is not None:
                    self._end_if_clear()
                continue
            if node.parent is not None:
                self._child_done(node.parent, node.index, value, error)
            elif isinstance(node, Open) and node.id.startswith("c"):
                self._undo_next()
            else:
                self._drive(value, error)

    def _child_done(self, fork: Fork, index: int, value: Any, error: BaseException | None) -> None:
        if fork.over:
            return
        served = isinstance(fork.command, Serve) and index > 0
        if served or isinstance(fork.command, Attempt):
            value, error = tried(value, error), None
        fork.missing -= 1
        fork.results[index] = value
        if served or (error is None and isinstance(fork.command, Gather) and fork.missing):
            return
        fork.over = True
        self._abandon(fork)
        if error is None:
            value = answer_of(fork, index, value)
        self._ready.append((fork, value, error))

    def _abandon(self, fork: Fork) -> None:
        """Forget what a finished fork no longer waits for; a call that may have happened becomes an orphan."""
        for child in fork.children:
            if isinstance(child, Fork):
                child.over = True
                self._abandon(child)
            elif self.open.pop(child.id, None) is not None:
                self._drop(child)

    def _drop(self, leaf: Open) -> None:
        if leaf.may_have_happened:
            self.orphans[leaf.id] = leaf
        elif isinstance(leaf.command, Call):
            self._dropped[leaf.id] = leaf

    # --- driving the workflow ---

    def _drive(self, value: Any, error: BaseException | None) -> None:
        coroutine = self._coroutine
        try:
            if error is not None:
                command = self._context.run(coroutine.throw, error)
            else:
                command = self._context.run(coroutine.send, value)
        except StopIteration as stop:
            self._collect()
            self._returned(stop.value)
        except Interrupted:
            self._collect()
            self._end(self._ending or Outcome(status="cancelled"))
        except Cancelled as raised:
            self._collect()
            self._end(Outcome(status="cancelled", reason=fault_of(raised, self.secrets).message))
        except (RecursionError, MemoryError):  # the worker's limits, not the workflow's doing: they decide no outcome
            raise
        except Exception as raised:
            self._collect()
            self._end(Outcome(status="failed", fault=fault_of(raised, self.secrets)))
        else:
            self._collect()
            self._open_root(command)

    def _collect(self) -> None:
        entries = self._tracker.take()
        if entries and not self.program.agent:  # how the loop of an agent turns says nothing about the case
            self.decisions.pending.extend(redact(entries, self.secrets))

    def _returned(self, value: Any) -> None:
        if self._ending is not None:
            self._end(self._ending)
            return
        try:
            result = journalable(self.program.write_result(value), f"result of workflow {self.program.name!r}")
            self._end(Outcome(status="finished", result=result))
        except InvalidInput as error:
            self._end(
                Outcome(status="failed", fault=Fault(type="InvalidResult", message=redact(str(error), self.secrets)))
            )

    def _open_root(self, command: Command[Any]) -> None:
        self._count += 1
        self.plant(command, str(self._count), command.site, None, 0)

    def plant(self, command: Command[Any], id_: str, site: str, parent: Fork | None, index: int) -> Open | Fork:
        if isinstance(command, Use):
            command = named(self.program, command.name, command.args)
        if isinstance(command, (Gather, Race, Attempt, Serve)):
            fork = Fork(command=command, parent=parent, index=index, id=id_, site=site)
            if isinstance(command, Serve):
                self.serving = fork
            fork.missing, fork.results = len(command.children), [None] * len(command.children)
            if not command.children:
                fork.over = True
                empty = None if isinstance(command, Gather) else ValueError("race() needs at least one command")
                self._ready.append((fork, [], empty))
            for place, child in enumerate(command.children):
                fork.children.append(self.plant(child, f"{id_}.{place}", f"{site}.{place}", fork, place))
            return fork
        leaf = Open(id_, command, site, parent, index)
        self.open[id_] = leaf
        if isinstance(command, (Call, Start)):
            self._write_args(leaf, command)
        elif (wrong := wrong_field(command)) is not None:
            self.answer(leaf, error=wrong)
        elif isinstance(command, WaitFor):
            command.name = str(redact(command.name, self.secrets))
            if (kept := self._signals.take(command, self.secrets)) is not None:
                self.answer(leaf, kept[0])
        elif not isinstance(command, LEAVES):
            self.answer(leaf, error=TypeError(f"await: {type(command).__name__} is not a command"))
        return leaf

    def _write_args(self, leaf: Open, command: Call[Any] | Start[Any]) -> None:
        self.calls += 1
        interface = self.program.interfaces.get(command.action) if isinstance(command, Call) else None
        if interface is not None and interface.effect != "read":
            self.changes += 1
            leaf.effect_number = self.changes
        leaf.number = self.calls
        leaf.private = bool(self.secrets)
        leaf.occurrence = self._sites.get(leaf.site, 0)
        self._sites[leaf.site] = leaf.occurrence + 1
        try:
            leaf.args = to_jsonable_python(command.args)
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            name = command.action if isinstance(command, Call) else command.workflow
            self.answer(leaf, error=TypeError(f"arguments of {name!r} cannot be written as JSON: {error}"))

    # --- ending ---

    def _interrupt(self, outcome: Outcome) -> None:
        if self._ending is not None:
            return
        self._ending = outcome
        for leaf in self.open.values():
            self._drop(leaf)
        self.open.clear()
        self._ready.clear()
        awaited = self._count
        self._drive(None, Interrupted(outcome.reason))
        if (
            self._count > awaited
        ):  # a workflow cannot await while it is being ended; what is open now undoes its effects
            self.open.clear()
            self._coroutine.close()
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        self._ending = self._ending or outcome
        self._ready.clear()
        self._end_if_clear()

    def _end_if_clear(self) -> None:
        """Once every effect's outcome is known: undo what a failed run confirmed, then be over."""
        if self._ending is None or self.orphans or self.open or self.outcome is not None:
            return
        self._undo_next()

    def _undo_next(self) -> None:
        """Open the compensation of the newest effect that is not undone yet; each is tried once per effect."""
        assert self._ending is not None
        if self._ending.status == "finished" or not self.effects:
            self.outcome = self._ending
            return
        intent, result = self.effects.pop()
        command: Call[Any] = Call(action=intent.compensate or "", args={})
        leaf = Open(id=f"c{intent.command}", command=command, site=f"{intent.site}.undo{intent.command}")
        leaf.args, leaf.undoes = {**intent.args, "result": result}, True
        self.open[leaf.id] = leaf


_ABOUT_COMMANDS: Final[dict[type[Event], Callable[[Machine, Open, Any], None]]] = {
    **ABOUT_PEOPLE,
    ev.CallIntended: Machine.on_intended,
    ev.CallReturned: Machine.on_returned,
    ev.AttemptFailed: Machine.on_attempt_failed,
    ev.CallFailed: Machine.on_call_failed,
    ev.CallDenied: Machine.on_denied,
    ev.CallDrafted: Machine.on_drafted,
    ev.CallQueued: Machine.on_parked,
    ev.CallRetried: Machine.on_retried,
    ev.CallUnknown: Machine.on_parked,
    ev.CallSettled: Machine.on_settled,
    ev.TimerSet: Machine.on_opened,
    ev.TimerFired: Machine.on_timer_fired,
    ev.WaitOpened: Machine.on_opened,
    ev.ChildStarted: Machine.on_child_started,
    ev.ChildEnded: Machine.on_child_ended,
    ev.Drawn: Machine.on_drawn,
    ev.Noted: Machine.on_noted,
}
"""What each event does to the open command it speaks of."""

_ABOUT_RUNS: Final[dict[type[Event], Callable[[Machine, Any], None]]] = {
    ev.SignalReceived: Machine.on_signal,
    ev.CallAsked: asked,
    ev.CancelRequested: Machine.on_cancel,
    ev.DeadlinePassed: Machine.on_deadline,
}
"""What the others do. Kinds in neither table (claims, attention, ends) change nothing for the workflow."""
