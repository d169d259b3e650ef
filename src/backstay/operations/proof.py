"""Proof: re-derives a case from its stored definition and journal, offline, and says whether all comes out equal.

Every command, argument, branch, verdict and result must be what the program, driven again, asks for and decides; at the
end the outcome must be the recorded one, or the open commands those that the run is recorded to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, cast

from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.canonical import digest
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.fitting import KINDS as FITTING
from backstay.engine.fitting import misfit
from backstay.engine.frames import Open
from backstay.engine.gateway import idempotency_key
from backstay.engine.opening import form_schema
from backstay.engine.replay import Machine
from backstay.errors import BackstayError, DefinitionMissing, JournalCorrupted, JournalMismatch, OperatorError
from backstay.events import Event
from backstay.governance.approvals import call_digest
from backstay.language import Program, compile_definition
from backstay.language.closure import Interface
from backstay.operations.whatif import due_fits, due_of
from backstay.store.database import Reader
from backstay.store.journal import genesis, link
from backstay.store.payloads import Payloads, redact
from backstay.store.views import Run, Stored, Wait, find_run, read_events, read_wait
from backstay.types import DATA_CLASS, Json

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
    case = Derivation(Machine(row.id, program, started, secrets), payloads)
    for item in stored[1:]:
        met = dict(secrets) if isinstance(item.event, WORDED) else secrets
        event = restored(payloads, item, secrets, erased)
        case.check(event, item.seq, met)
        case.machine.apply(event, item.seq)
        case.look()
        if type(event) in ENDS:
            _check_end(case.machine, event, item.seq)
    if stored[-1].kind not in {ev.KINDS[kind] for kind in ENDS}:
        _check_open_end(row, case.machine, stored[-1].seq)
    return case.machine


class Derivation:
    """A case on its way through its program: what each event says is compared with what was asked for."""

    def __init__(self, machine: Machine, payloads: Payloads) -> None:
        self.machine, self._payloads = machine, payloads
        self.met: Secrets = {}
        """The private texts that were known before the event."""
        self._asked: dict[str, Open] = {}
        """Every command that was ever open: events about one that lost its race may still come, others may not."""
        self.look()

    def look(self) -> None:
        """Take note of the commands that are new; they stand last."""
        for name in reversed(self.machine.open):
            if name in self._asked:
                return
            self._asked[name] = self.machine.open[name]

    def check(self, event: Any, seq: int, met: Secrets) -> None:
        """Raise Differs where an event is not about a command, or says something else than what that asks for."""
        command, self.met = getattr(event, "command", None), met
        if command is None or isinstance(event, ev.CallAsked):  # that one begins a command; the machine checks which
            return
        leaf, kind = self._asked.get(command), ev.KINDS[type(event)]
        if leaf is None:
            raise Differs(f"event {seq} ({kind}): the workflow never asked for command {command!r}", seq)
        why = misfit(event, leaf) if type(event) in FITTING else None
        if why is None or not isinstance(leaf.command, Call):
            for check in ASKED.get(type(event), ()):
                for name, recorded, derived in check(self, leaf, event):
                    if recorded != derived:
                        what = f"event {seq} ({kind}) recorded {name} {recorded!r}, replay asks for {derived!r}"
                        raise Differs(what, seq, self.machine.program.line_of(leaf.site))
        if why is not None:
            line = self.machine.program.line_of(leaf.site)
            raise Differs(f"event {seq} ({kind}) does not fit the definition: {why}", seq, line)

    def interface(self, leaf: Open) -> Interface | None:
        """What the definition pins of the action that is called; what undoes an effect is called as it is deployed."""
        pinned = isinstance(leaf.command, Call) and not leaf.undoes
        return self.machine.program.interfaces.get(cast("Call[Any]", leaf.command).action) if pinned else None

    def arguments(self, leaf: Open, told: Json) -> Json:
        """What a call is made with: an action that undoes another takes those of its arguments that it names."""
        if not leaf.undoes or not isinstance(told, dict):
            return leaf.args
        return {name: value for name, value in leaf.args.items() if name in told}

    def mac(self, text: str) -> str:
        """A keyed digest; the plain one where there is no key, as nothing was hidden there, and a proof makes none."""
        return self._payloads.mac(text) if self._payloads.keyring.path.exists() else text

    def stands_for(self, told: Json, asked: Json) -> bool:
        """Whether this is what a journal keeps of arguments that are derived: their digest, or a keyed one."""
        plain = digest(asked)
        return told == {"digest": plain} or (told is not None and told == {"keyed": self.mac(plain)})


# --- what was asked -----------------------------------------------------------------------------------


WORDED: Final = (ev.ApprovalRequested, ev.TaskOpened, ev.Noted)
"""Events with a text of the program: written when the run had not met the private values of the event itself."""

Secrets = Mapping[str, str]
Compared = list[tuple[str, Any, Any]]
"""(what, recorded, derived)"""


def _asked_approval(case: Derivation, leaf: Open, event: ev.ApprovalRequested) -> Compared:
    command = leaf.command
    if isinstance(command, Call):  # the gate asks: whom, and until when, is not the program's to say
        bound = [*_told_args(case, leaf, event), ("action", event.action, command.action)]
        command = Approval(event.queue)
    elif not isinstance(command, Approval):
        return [("a request for approval", "approval", type(command).__name__)]
    else:
        call = command.action
        bound = [("action", event.action, call and call.action), ("arguments", event.args, call and _plain(call.args))]
        bound += _due(command, event, event.calendar)
    return [
        ("queue", event.queue, command.queue), ("title", event.title, _worded(case, event.title, command.title)),
        ("show", event.show, _plain(command.show)), ("evidence", event.evidence, _plain(command.evidence)),
        ("exclude", event.exclude, [name for name in command.exclude if name] or None),
        ("quorum", event.quorum, command.quorum), ("reject", event.reject, command.reject), *bound,
    ]  # fmt: skip


def _asked_task(case: Derivation, leaf: Open, event: ev.TaskOpened) -> Compared:
    command = leaf.command
    if not isinstance(command, Task):
        return [("a task", "task", type(command).__name__)]
    return [
        ("queue", event.queue, command.queue), ("title", event.title, _worded(case, event.title, command.title)),
        ("show", event.show, _plain(command.show)), ("form", event.form, _plain(form_schema(command.form))),
        *_due(command, event, event.calendar),
    ]  # fmt: skip


def _asked_wait(_: Derivation, leaf: Open, event: ev.WaitOpened) -> Compared:
    command = leaf.command
    if not isinstance(command, WaitFor):
        return [("signal", event.name, "")]
    return [("signal", event.name, command.name), *_due(command, event)]


def _asked_timer(_: Derivation, leaf: Open, event: ev.TimerSet) -> Compared:
    return _due(leaf.command, event) if isinstance(leaf.command, Sleep) else []


def _asked_child(_: Derivation, leaf: Open, event: ev.ChildStarted) -> Compared:
    command = leaf.command
    if not isinstance(command, Start):
        return [("workflow", event.workflow, "")]
    detached = command.detached and event.run != ""  # one that could not be started is told as if it were waited for
    return [("workflow", event.workflow, command.workflow), ("detached", event.detached, detached)]


def _asked_value(_: Derivation, leaf: Open, event: ev.Drawn) -> Compared:
    command = leaf.command
    derived = (command.kind, command.name) if isinstance(command, Draw) else ("", "")
    return [("value", (event.what, event.name), derived)]


def _asked_note(case: Derivation, leaf: Open, event: ev.Noted) -> Compared:
    command = leaf.command
    if not isinstance(command, Note):
        return [("a note", "note", type(command).__name__)]
    return [("text", event.text, redact(command.text, case.met)), ("data", event.data, _plain(command.data))]


def _told_args(case: Derivation, leaf: Open, event: Any) -> Compared:
    asked = case.arguments(leaf, event.args)
    return [] if event.args == asked or case.stands_for(event.args, asked) else [("arguments", event.args, asked)]


def _told_result(case: Derivation, leaf: Open, event: ev.CallReturned) -> Compared:
    """The only event of a read carries what the intent of an effect does."""
    interface = case.interface(leaf)
    if interface is None:
        return []
    told = _told_args(case, leaf, event) if interface.effect == "read" else [("arguments", event.args, None)]
    return [*told, *_told_grant(case, leaf, event)]


def _told_effect(case: Derivation, leaf: Open, event: Any) -> Compared:
    interface = case.interface(leaf)
    if interface is not None:
        return [("effect", event.effect, interface.effect)]
    return [("effect", event.effect, "a change")] if event.effect == "read" else []  # no read is intended beforehand


def _told_key(case: Derivation, leaf: Open, event: ev.CallIntended) -> Compared:
    """An effect is intended under the key of its run, place and arguments; where these are private, under a keyed one."""
    plain = idempotency_key(case.machine.run, leaf, event.action, case.arguments(leaf, event.args))
    interface = case.interface(leaf)
    private = leaf.private or (interface is not None and DATA_CLASS in str(interface.arguments))
    if event.key == plain and not private:
        return []
    hidden = case.mac(plain)[:40]  # also where only the gate knew: of what undoes an effect, and of what it detected
    return [] if event.key == hidden else [("key", event.key, hidden if private else plain)]


def _told_grant(case: Derivation, leaf: Open, event: Any) -> Compared:
    """An approval that is consumed was given, for exactly this call, and not consumed before."""
    grants, interface = case.machine.grants, case.interface(leaf)
    given = [(leaf.approved, leaf.approval), *((call, name) for call, names in grants.items() for name in names)]
    tried = None if leaf.intent is None else leaf.intent.approval  # every attempt names what the first one consumed
    if event.approval in (None, tried):
        return []
    bound = {call for call, name in given if name == event.approval}
    if bound and interface is not None:
        plain = call_digest(
            version=case.machine.program.version, action=event.action, interface=interface.digest, args=leaf.args
        )
        bound &= {plain} if plain in bound else {case.mac(plain)}
    return [] if bound else [("approval", event.approval, tried)]


def _due(command: Any, event: Any, calendar: Json = None) -> Compared:
    """When the time is over that the command gives; one that a queue gives is no part of the program."""
    if isinstance(command, Approval | Task) and command.within is None and command.until is None:
        return []
    slack = CLOCK_SLACK if calendar is None or command.within is None else ZONE_SLACK
    if due_fits(command, event.at, calendar, event.due, slack):
        return []
    return [("due", event.due, due_of(command, event.at, calendar))]


CLOCK_SLACK: Final = timedelta(minutes=1)
"""The clock is read twice when something is opened, and a machine may be paused in between."""

ZONE_SLACK: Final = timedelta(hours=1)
"""A calendar counts by the time zones that a machine knows, which governments change."""


def _worded(case: Derivation, told: str, text: str) -> Json:
    return told if told == text else redact(text, case.met)


def _plain(value: Any) -> Json:
    return to_jsonable_python(value)


ASKED: Final[dict[type[Event], tuple[Callable[[Derivation, Open, Any], Compared], ...]]] = {
    ev.ApprovalRequested: (_asked_approval,),
    ev.TaskOpened: (_asked_task,),
    ev.WaitOpened: (_asked_wait,),
    ev.TimerSet: (_asked_timer,),
    ev.ChildStarted: (_asked_child,),
    ev.Drawn: (_asked_value,),
    ev.Noted: (_asked_note,),
    ev.CallIntended: (_told_effect, _told_args, _told_key, _told_grant),
    ev.CallReturned: (_told_result,),
    ev.CallDrafted: (_told_effect, _told_args),
    ev.CallQueued: (_told_args,),
}
"""What is compared besides the step and the action, which the machine itself checks."""


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


def _check_open_end(row: Run, machine: Machine, seq: int) -> None:
    """A case that goes on has no end, and no decision but those that the opening of a new command will carry."""
    if row.ended:
        raise Differs(f"the run is recorded as {row.status}, but its journal has no end", seq)
    told = machine.open and all(leaf.state != "new" or leaf.may_have_happened for leaf in machine.open.values())
    if machine.trail and told:
        raise Differs(f"replay decides {machine.trail[0]!r} by now, the journal does not", seq)


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
