"""Proof: re-derives a case from its stored definition and journal, offline, and says whether all comes out equal.

Every command, argument, branch, verdict and result must be what the program, driven again, asks for and decides; at the
end the outcome must be the recorded one, or the open commands those that the run is recorded to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open
from backstay.engine.gateway import idempotency_key
from backstay.engine.replay import Machine
from backstay.errors import BackstayError, DefinitionMissing, JournalCorrupted, JournalMismatch
from backstay.events import Event
from backstay.language import Program, compile_definition
from backstay.store.database import Reader
from backstay.store.journal import genesis, link
from backstay.store.payloads import Payloads, redact
from backstay.store.views import Run, Stored, Wait, find_run, read_events, read_wait

CONSISTENT_READS: Final = 20
"""How often a live run is read again until its journal and its waits are of one moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was re-derived, and whether it is equal; if not, the event and the line where it first differs."""

    run: str
    workflow: str
    version: str
    status: str
    equal: bool
    events: int
    commands: int
    branches: int
    effects: int
    mismatch: str = ""
    event: int | None = None
    line: int | None = None


class _Differs(Exception):
    def __init__(self, what: str, seq: int | None = None, line: int | None = None) -> None:
        self.seq, self.line = seq, line
        super().__init__(what)


def prove(reader: Reader, payloads: Payloads, run: str) -> Proof:
    """Re-derive a run; raises NotFound. Anything that does not fit is told in the proof, not raised."""
    row, stored, waits = _read(reader, run)
    version = row.version
    try:
        _check_chain(row, stored)
        program = _program(reader, version)
        machine = _derive(row, stored, program, payloads)
        _check_waits(row, machine, waits)
        mismatch: BackstayError | _Differs | None = None
    except (_Differs, BackstayError) as error:
        mismatch = error
    return Proof(
        run=row.id, workflow=row.workflow, version=version, status=row.status, equal=mismatch is None,
        events=len(stored), mismatch=str(mismatch or ""), event=getattr(mismatch, "seq", None),
        line=getattr(mismatch, "line", None), **_counts(stored),
    )  # fmt: skip


def _read(reader: Reader, run: str) -> tuple[Run, list[Stored], list[Wait]]:
    """The run, its journal and its waits; read again while a worker is writing in between."""
    row = find_run(reader, run)
    stored: list[Stored] = []
    waits: list[Wait] = []
    for _ in range(CONSISTENT_READS):
        row = find_run(reader, row.id)
        try:
            stored = read_events(reader, row.id)
        except JournalCorrupted:
            stored = []
        waits = [read_wait(item) for item in reader.all("waits_of_run", (row.id,))]
        if row == find_run(reader, row.id) and reader.value("head_of_run", (row.id,)) == (
            stored[-1].seq if stored else None
        ):
            break
    return row, stored, waits


def _check_chain(row: Run, stored: list[Stored]) -> None:
    seq, head = genesis(row.id)
    for item in stored:
        if item.seq != seq + 1 or link(head, row.id, item.seq, item.kind, item.body) != item.hash:
            raise _Differs(f"event {item.seq} ({item.kind}) does not match its hash chain: it was changed", item.seq)
        seq, head = item.seq, item.hash
    if not stored or not isinstance(stored[0].event, ev.RunStarted):
        raise _Differs("the journal cannot be read, or does not begin with run_started", 1)
    if row.seq > seq:
        raise _Differs(f"the journal ends at event {seq}, but the run had {row.seq}: its tail was cut off", seq)


def _program(reader: Reader, version: str) -> Program:
    found = reader.one("definition", (version,))
    if found is None:
        raise DefinitionMissing(f"definition {version[:12]} is not in the store")
    return compile_definition(found["text"], version)


def _derive(row: Run, stored: list[Stored], program: Program, payloads: Payloads) -> Machine:
    secrets: dict[str, str] = {}
    started = payloads.restore(stored[0].event, secrets)
    assert isinstance(started, ev.RunStarted)
    machine = Machine(row.id, program, started, secrets)
    for item in stored[1:]:
        event = payloads.restore(item.event, secrets)
        _check_asked(machine, event, item.seq)
        machine.apply(event, item.seq)
        if type(event) in ENDS:
            _check_end(machine, event, item.seq)
    if stored[-1].kind not in {ev.KINDS[kind] for kind in ENDS} and row.ended:
        raise _Differs(f"the run is recorded as {row.status}, but its journal has no end", stored[-1].seq)
    return machine


# --- what was asked -----------------------------------------------------------------------------------


def _check_asked(machine: Machine, event: Event, seq: int) -> None:
    """An opening event must say what the program asks for at that place."""
    check = ASKED.get(type(event))
    leaf = machine.find(getattr(event, "command", "")) if check else None
    if check is None or leaf is None:
        return
    for name, recorded, derived in check(machine, leaf, event):
        if recorded != derived:
            line = machine.program.line_of(leaf.site)
            what = f"event {seq} ({ev.KINDS[type(event)]}) recorded {name} {recorded!r}, replay asks for {derived!r}"
            raise _Differs(what, seq, line)


Compared = list[tuple[str, Any, Any]]
"""(what, recorded, derived)"""


def _asked_call(machine: Machine, leaf: Open, event: ev.CallIntended) -> Compared:
    if leaf.id.startswith("c"):
        return []
    return [("key", event.key, idempotency_key(machine.run, leaf, event.action, leaf.args))]


def _asked_approval(machine: Machine, leaf: Open, event: ev.ApprovalRequested) -> Compared:
    command = leaf.command
    if isinstance(command, Call):
        return [("arguments", event.args, leaf.args)]
    if not isinstance(command, Approval):
        return [("a request for approval", "approval", type(command).__name__)]
    compared: Compared = [("queue", event.queue, command.queue), ("show", event.show, to_jsonable_python(command.show))]
    compared.append(("evidence", event.evidence, to_jsonable_python(command.evidence)))
    if command.action is not None:
        compared.append(("action", event.action, command.action.action))
        compared.append(("arguments", event.args, to_jsonable_python(command.action.args)))
    return compared


def _asked_task(machine: Machine, leaf: Open, event: ev.TaskOpened) -> Compared:
    command = leaf.command
    if not isinstance(command, Task):
        return [("a task", "task", type(command).__name__)]
    return [
        ("queue", event.queue, command.queue),
        ("title", event.title, event.title if event.title == command.title else redact(command.title, machine.secrets)),
        ("show", event.show, to_jsonable_python(command.show)),
    ]


def _asked_wait(_: Machine, leaf: Open, event: ev.WaitOpened) -> Compared:
    return [("signal", event.name, leaf.command.name if isinstance(leaf.command, WaitFor) else "")]


def _asked_child(_: Machine, leaf: Open, event: ev.ChildStarted) -> Compared:
    return [("workflow", event.workflow, leaf.command.workflow if isinstance(leaf.command, Start) else "")]


def _asked_value(_: Machine, leaf: Open, event: ev.Drawn) -> Compared:
    command = leaf.command
    derived = (command.kind, command.name) if isinstance(command, Draw) else ("", "")
    return [("value", (event.what, event.name), derived)]


def _asked_note(machine: Machine, leaf: Open, event: ev.Noted) -> Compared:
    command = leaf.command
    if not isinstance(command, Note):
        return [("a note", "note", type(command).__name__)]
    text = redact(command.text, machine.secrets)
    return [("text", event.text, text), ("data", event.data, to_jsonable_python(command.data))]


ASKED: Final[dict[type[Event], Callable[[Machine, Open, Any], Compared]]] = {
    ev.CallIntended: _asked_call,
    ev.ApprovalRequested: _asked_approval,
    ev.TaskOpened: _asked_task,
    ev.WaitOpened: _asked_wait,
    ev.ChildStarted: _asked_child,
    ev.Drawn: _asked_value,
    ev.Noted: _asked_note,
}
"""What is compared besides the step, the action and the arguments, which the machine itself checks."""


# --- how it ended, or what it waits for -----------------------------------------------------------------


def _check_end(machine: Machine, event: Any, seq: int) -> None:
    outcome, recorded = machine.outcome, ENDS[type(event)]
    if outcome is None:
        raise _Differs(f"event {seq} ends the run, but on replay it still waits for {_named(machine)}", seq)
    if outcome.status != recorded:
        raise _Differs(f"event {seq} records {recorded}, but on replay the run {outcome.status}", seq)
    if isinstance(event, ev.RunFinished) and event.result != outcome.result:
        raise _Differs(f"event {seq} recorded the result {event.result!r}, replay gives {outcome.result!r}", seq)
    if isinstance(event, ev.RunFailed) and outcome.fault is not None and event.fault != outcome.fault:
        raise _Differs(f"event {seq} recorded {event.fault!r}, replay gives {outcome.fault!r}", seq, outcome.fault.line)
    if isinstance(event, ev.RunCancelled) and event.reason != outcome.reason:
        raise _Differs(f"event {seq} recorded the reason {event.reason!r}, replay gives {outcome.reason!r}", seq)
    if machine.trail:
        raise _Differs(f"replay decides {machine.trail[0]!r} before the end, the journal does not", seq)


ENDS: Final[dict[type[Event], str]] = {
    ev.RunFinished: "finished",
    ev.RunFailed: "failed",
    ev.RunCancelled: "cancelled",
}


def _check_waits(row: Run, machine: Machine, waits: list[Wait]) -> None:
    """A parked run waits for exactly its open commands; one that is moving, at least for what its rows say."""
    recorded = {wait.command for wait in waits if wait.kind not in ("deadline", "attention")}
    derived = {leaf.id for leaf in machine.unsettled}
    if row.ended:
        derived = set()
    missing = derived - recorded if row.status == "waiting" or row.ended else set[str]()
    extra = recorded - derived
    if extra:
        raise _Differs(f"the store lists waits for {', '.join(sorted(extra))}, which the program does not ask for")
    if missing:
        named = ", ".join(sorted(missing))
        raise _Differs(f"the program waits for {named}, but the store does not list that")
    for wait in waits:
        leaf = machine.find(wait.command)
        if leaf is not None and wait.kind not in _kinds(leaf):
            line = machine.program.line_of(leaf.site)
            raise _Differs(
                f"{wait.command} is recorded as {wait.kind!r}, but on replay it is {leaf.state!r}", None, line
            )


def _kinds(leaf: Open) -> frozenset[str]:
    """The kinds of wait that an open command may be recorded as."""
    if leaf.state in STATES:
        return STATES[leaf.state]
    kinds: dict[type[Any], str] = {
        Approval: "approval",
        Task: "task",
        WaitFor: "signal",
        Sleep: "timer",
        Start: "child",
        Call: "retry",
    }
    return frozenset({kinds.get(type(leaf.command), "")})


STATES: Final[dict[str, frozenset[str]]] = {
    "held": frozenset({"approval"}),
    "queued": frozenset({"queued", "diverted", "switched"}),
    "unknown": frozenset({"unknown"}),
    "retrying": frozenset({"retry"}),
}


def _named(machine: Machine) -> str:
    return ", ".join(f"{leaf.id} ({leaf.site})" for leaf in machine.unsettled) or "nothing"


def _counts(stored: list[Stored]) -> dict[str, int]:
    events = [item.event for item in stored]
    commands = {command for event in events if (command := getattr(event, "command", None)) is not None}
    effects = {event.command for event in events if isinstance(event, ev.CallIntended)}
    branches = sum(len(getattr(event, "path", None) or ()) for event in events)
    return {"commands": len(commands), "branches": branches, "effects": len(effects)}


__all__ = ["JournalMismatch", "Proof", "prove"]
