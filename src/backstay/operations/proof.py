"""Proof: re-derives a case from its stored definition and journal, offline, and says whether all comes out equal.

Every command, argument, branch, verdict and result must be what the program, driven again, asks for and decides; at the
end the outcome must be the recorded one, or the open commands those that the run is recorded to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open
from backstay.engine.gateway import idempotency_key
from backstay.engine.replay import Machine
from backstay.errors import BackstayError, DefinitionMissing, JournalCorrupted, JournalMismatch, OperatorError
from backstay.events import Event
from backstay.language import Program, compile_definition
from backstay.store.database import Reader
from backstay.store.journal import genesis, link
from backstay.store.payloads import Payloads, redact
from backstay.store.views import Run, Stored, Wait, find_run, read_events, read_wait
from backstay.types import DATA_CLASS

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
    erased: int = 0
    """Private values that are gone: then `event` is how far the rest could be compared, with pseudonyms in their place."""


class Differs(Exception):
    """Where a case is not equal: the event and the line, as far as they are known."""

    def __init__(self, what: str, seq: int | None = None, line: int | None = None) -> None:
        self.seq, self.line = seq, line
        super().__init__(what)


def prove(reader: Reader, payloads: Payloads, run: str) -> Proof:
    """Re-derive a run; raises NotFound. Anything that does not fit is told in the proof, not raised."""
    row, stored, waits, unreadable = _read(reader, run)
    version, mismatch = row.version, None
    erased: list[str] = []
    try:
        if unreadable is not None:
            raise unreadable
        _check_chain(row, stored)
        program = read_program(reader, version)
        machine = _derive(row, stored, program, payloads, erased)
        _check_waits(row, machine, waits)
    except (Differs, BackstayError) as error:
        mismatch = error
    except Exception as error:  # a journal that was tampered with can break anything; the other cases go on
        mismatch = Differs(f"replay breaks off with {type(error).__name__}: {error}")
    damaged = isinstance(mismatch, OperatorError) or isinstance(getattr(mismatch, "__cause__", None), OperatorError)
    limited = bool(erased) and not (damaged and not isinstance(mismatch, JournalMismatch))
    return Proof(
        run=row.id, workflow=row.workflow, version=version, status=row.status, equal=mismatch is None or limited,
        events=len(stored), mismatch="" if limited else str(mismatch or ""), erased=len(set(erased)), event=getattr(mismatch, "seq", None),
        line=getattr(mismatch, "line", None), **_counts(stored),
    )  # fmt: skip


def read_case(reader: Reader, run: str) -> tuple[Run, list[Stored]]:
    """A run and its journal, whose chain holds; raises NotFound, JournalCorrupted, or Differs naming the event."""
    row, stored, _, unreadable = _read(reader, run)
    if unreadable is not None:
        raise unreadable
    _check_chain(row, stored)
    return row, stored


def _read(reader: Reader, run: str) -> tuple[Run, list[Stored], list[Wait], JournalCorrupted | None]:
    """The run, its journal and its waits; read again while a worker is writing in between."""
    row = find_run(reader, run)
    stored: list[Stored] = []
    waits: list[Wait] = []
    unreadable: JournalCorrupted | None = None
    for _ in range(CONSISTENT_READS):
        row = find_run(reader, row.id)
        try:
            stored, unreadable = read_events(reader, row.id), None
        except JournalCorrupted as error:
            stored, unreadable = [], error
        waits = [read_wait(item) for item in reader.all("waits_of_run", (row.id,))]
        if row == find_run(reader, row.id) and reader.value("head_of_run", (row.id,)) == (
            stored[-1].seq if stored else None
        ):
            break
    return row, stored, waits, unreadable


def _check_chain(row: Run, stored: list[Stored]) -> None:
    seq, head = genesis(row.id)
    for item in stored:
        if item.seq != seq + 1 or link(head, row.id, item.seq, item.kind, item.body) != item.hash:
            raise Differs(f"event {item.seq} ({item.kind}) does not match its hash chain: it was changed", item.seq)
        seq, head = item.seq, item.hash
    if not stored or not isinstance(stored[0].event, ev.RunStarted):
        raise Differs("the journal cannot be read, or does not begin with run_started", 1)
    if row.seq > seq:
        raise Differs(f"the journal ends at event {seq}, but the run had {row.seq}: its tail was cut off", seq)


def read_program(reader: Reader, version: str) -> Program:
    """A stored definition, compiled once per process; raises DefinitionMissing."""
    found = reader.one("definition", (version,))
    if found is None:
        raise DefinitionMissing(f"definition {version[:12]} is not in the store")
    return compiled(found["text"], version)


@lru_cache(maxsize=128)
def compiled(text: str, version: str) -> Program:
    """Compiling takes a tenth of a second, and many runs share a version."""
    return compile_definition(text, version)


def restored(payloads: Payloads, item: Stored, secrets: dict[str, str], erased: list[str] | None = None) -> Event:
    """An event with its private and large values; raises Differs naming the event when one is missing or damaged."""
    try:
        return payloads.restore(item.event, secrets, erased)
    except (BackstayError, LookupError, TypeError, ValueError) as error:
        raise Differs(f"event {item.seq} ({item.kind}) cannot be read whole: {error}", item.seq) from error


def _derive(row: Run, stored: list[Stored], program: Program, payloads: Payloads, erased: list[str]) -> Machine:
    secrets: dict[str, str] = {}
    started = restored(payloads, stored[0], secrets, erased)
    assert isinstance(started, ev.RunStarted)
    machine = Machine(row.id, program, started, secrets)
    for item in stored[1:]:
        met = dict(secrets) if isinstance(item.event, WORDED) else secrets
        event = restored(payloads, item, secrets, erased)
        _check_asked(machine, event, item.seq, met)
        if isinstance(event, ev.CallIntended):
            _check_key(machine, event, item.seq, payloads)
        machine.apply(event, item.seq)
        if type(event) in ENDS:
            _check_end(machine, event, item.seq)
    if stored[-1].kind not in {ev.KINDS[kind] for kind in ENDS} and row.ended:
        raise Differs(f"the run is recorded as {row.status}, but its journal has no end", stored[-1].seq)
    return machine


def _check_key(machine: Machine, event: ev.CallIntended, seq: int, payloads: Payloads) -> None:
    """An effect is intended under the key of its run, place and arguments; where these are private, under a keyed one."""
    leaf = machine.find(event.command)
    if leaf is None or leaf.id.startswith("c"):
        return
    plain = idempotency_key(machine.run, leaf, event.action, leaf.args)
    interface = machine.program.interfaces.get(event.action)
    private = leaf.private or (interface is not None and DATA_CLASS in str(interface.arguments))
    derived = payloads.mac(plain)[:40] if private else plain
    if event.key != derived:
        what = f"event {seq} (call_intended) recorded key {event.key!r}, replay asks for {derived!r}"
        raise Differs(what, seq, machine.program.line_of(leaf.site))


# --- what was asked -----------------------------------------------------------------------------------


WORDED: Final = (ev.TaskOpened, ev.Noted)
"""Events with a text of the program: written when the run had not met the private values of the event itself."""


def _check_asked(machine: Machine, event: Event, seq: int, met: Secrets) -> None:
    """An opening event must say what the program asks for at that place; `met` are the private texts known before it."""
    check = ASKED.get(type(event))
    leaf = machine.find(getattr(event, "command", "")) if check else None
    if check is None or leaf is None:
        return
    for name, recorded, derived in check(leaf, event, met):
        if recorded != derived:
            line = machine.program.line_of(leaf.site)
            what = f"event {seq} ({ev.KINDS[type(event)]}) recorded {name} {recorded!r}, replay asks for {derived!r}"
            raise Differs(what, seq, line)


Secrets = Mapping[str, str]
Compared = list[tuple[str, Any, Any]]
"""(what, recorded, derived)"""


def _asked_approval(leaf: Open, event: ev.ApprovalRequested, _: Secrets) -> Compared:
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


def _asked_task(leaf: Open, event: ev.TaskOpened, met: Secrets) -> Compared:
    command = leaf.command
    if not isinstance(command, Task):
        return [("a task", "task", type(command).__name__)]
    return [
        ("queue", event.queue, command.queue),
        ("title", event.title, event.title if event.title == command.title else redact(command.title, met)),
        ("show", event.show, to_jsonable_python(command.show)),
    ]


def _asked_wait(leaf: Open, event: ev.WaitOpened, _: Secrets) -> Compared:
    return [("signal", event.name, leaf.command.name if isinstance(leaf.command, WaitFor) else "")]


def _asked_child(leaf: Open, event: ev.ChildStarted, _: Secrets) -> Compared:
    return [("workflow", event.workflow, leaf.command.workflow if isinstance(leaf.command, Start) else "")]


def _asked_value(leaf: Open, event: ev.Drawn, _: Secrets) -> Compared:
    command = leaf.command
    derived = (command.kind, command.name) if isinstance(command, Draw) else ("", "")
    return [("value", (event.what, event.name), derived)]


def _asked_note(leaf: Open, event: ev.Noted, met: Secrets) -> Compared:
    command = leaf.command
    if not isinstance(command, Note):
        return [("a note", "note", type(command).__name__)]
    text = redact(command.text, met)
    return [("text", event.text, text), ("data", event.data, to_jsonable_python(command.data))]


ASKED: Final[dict[type[Event], Callable[[Open, Any, Secrets], Compared]]] = {
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
    if isinstance(event, ev.RunCancelled) and event.not_undone is not None:  # it was ended without its erased values
        return
    if outcome is None:
        raise Differs(f"event {seq} ends the run, but on replay it still waits for {_named(machine)}", seq)
    if outcome.status != recorded:
        raise Differs(f"event {seq} records {recorded}, but on replay the run {outcome.status}", seq)
    if isinstance(event, ev.RunFinished) and event.result != outcome.result:
        raise Differs(f"event {seq} recorded the result {event.result!r}, replay gives {outcome.result!r}", seq)
    if isinstance(event, ev.RunFailed) and outcome.fault is not None and event.fault != outcome.fault:
        raise Differs(f"event {seq} recorded {event.fault!r}, replay gives {outcome.fault!r}", seq, outcome.fault.line)
    if isinstance(event, ev.RunCancelled) and event.reason != outcome.reason:
        raise Differs(f"event {seq} recorded the reason {event.reason!r}, replay gives {outcome.reason!r}", seq)
    if machine.trail:
        raise Differs(f"replay decides {machine.trail[0]!r} before the end, the journal does not", seq)


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
        raise Differs(f"the store lists waits for {', '.join(sorted(extra))}, which the program does not ask for")
    if missing:
        named = ", ".join(sorted(missing))
        raise Differs(f"the program waits for {named}, but the store does not list that")
    for wait in waits:
        leaf = machine.find(wait.command)
        if leaf is not None and wait.kind not in _kinds(leaf):
            line = machine.program.line_of(leaf.site)
            raise Differs(
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


__all__ = ["Differs", "JournalMismatch", "Proof", "compiled", "prove", "read_case", "read_program", "restored"]
