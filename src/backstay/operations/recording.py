"""A recorded case as a what-if needs it: what its program asked for, what it decided before, and what it was answered.

The recorded program is replayed on its own journal; every command it asked for keeps the events that are about it.
`Recording.claim` then finds, for a command of another program, the recorded one that it is. Pure, like replay.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open
from backstay.engine.replay import Machine
from backstay.events import Event, Trail
from backstay.language import Program
from backstay.store.payloads import redact
from backstay.types import Json

Kind: TypeAlias = Literal["call", "undo", "start", "approval", "task", "wait", "sleep", "draw", "note"]
"""What a command asks for; `undo` is a call that the engine makes to compensate another."""

LOOSE: Final = frozenset({"approval", "task", "wait", "sleep", "draw"})
"""Kinds that are the same command, if nothing fits better, when they ask the same queue or for the same name."""

Key: TypeAlias = tuple[str, int]
"""When something happened: its time, and its number in the journal."""

Move: TypeAlias = tuple[Key, Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A journal with its real values. `secrets` are its private texts; `private` also those too short to search for."""

    run: str
    workflow: str
    events: tuple[Event, ...]
    secrets: Mapping[str, str]
    private: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One command as a program asked for it: of which kind, of whom, with what, on which line."""

    id: str
    kind: Kind
    subject: str
    """The action, workflow, queue, signal or value that it names."""
    content: Json
    text: str
    """The content in one order, to compare."""
    site: str
    line: int | None

    def places(self) -> tuple[tuple[str, ...], ...]:
        """What it is recognised by, the most exact first."""
        exact = (("exact", self.kind, self.subject, self.text, self.site), ("like", self.kind, self.subject, self.text))
        near = ("at", self.kind, self.subject, self.site)
        return (*exact, near, ("of", self.kind, self.subject)) if self.kind in LOOSE else (*exact, near)


def asked_of(leaf: Open, program: Program) -> Asked:
    """Describe an open command."""
    kind, subject, content = _described(leaf)
    plain = to_jsonable_python(content, serialize_unknown=True)
    text = json.dumps(plain, sort_keys=True, default=str)
    line = program.line_of(leaf.site.partition(".undo")[0]) or program.line_of(leaf.site.rpartition(".")[0])
    return Asked(id=leaf.id, kind=kind, subject=subject, content=plain, text=text, site=leaf.site, line=line)


def _described(leaf: Open) -> tuple[Kind, str, Any]:
    match leaf.command:
        case Call() as call:
            return "undo" if leaf.undoes else "call", call.action, leaf.args
        case Start() as child:
            return "start", child.workflow, leaf.args
        case Approval() as wanted:
            bound = {"action": wanted.action.action, **wanted.action.args} if wanted.action is not None else {}
            parts = {"show": wanted.show, "evidence": wanted.evidence, "call": bound}
            return "approval", wanted.queue, {name: part for name, part in parts.items() if part}
        case Task() as task:
            return "task", task.queue, {"title": task.title, "show": task.show} if task.title else task.show
        case WaitFor() as wait:
            return "wait", wait.name, None
        case Draw() as draw:
            return "draw", draw.name or draw.kind, None
        case Note() as note:
            return "note", "", note.text
        case Sleep():
            return "sleep", "", None
        case command:  # pragma: no cover - the union of commands is closed
            raise AssertionError(command)


@dataclass(slots=True)
class Way:
    """The way a program took: what it asked for, in order, and what it decided before each of these."""

    program: Program
    asked: list[Asked] = field(default_factory=list["Asked"])
    before: list[Trail] = field(default_factory=list[Trail])
    rest: Trail = field(default_factory=list[dict[str, Json]])
    """Decisions after the last command."""

    def look(self, machine: Machine, seen: set[str]) -> list[Open]:
        """Write down what the machine decided and asked for since the last look; gives the new commands."""
        self.rest.extend(machine.take_path() or ())
        fresh = [leaf for name, leaf in machine.open.items() if name not in seen]
        for leaf in fresh:
            seen.add(leaf.id)
            self.asked.append(asked_of(leaf, self.program))
            self.before.append(self.rest)
            self.rest = []
        return fresh

    def decided(self, until: str | None = None) -> Trail:
        """Every decision up to and including those before the command `until`; of the whole way by default."""
        found: Trail = []
        for asked, trail in zip(self.asked, self.before, strict=True):
            found += trail
            if asked.id == until:
                return found
        return found + self.rest


class Recording:
    """What the recorded program asked for and what it was answered; raises JournalMismatch when it does not replay."""

    def __init__(self, case: Case, program: Program) -> None:
        self.case, self.way = case, Way(program)
        self.moves: dict[str, list[Move]] = defaultdict(list)
        """By command: the events that are about it."""
        self.signals: list[tuple[Key, ev.SignalReceived]] = []
        self.ends: list[Move] = []
        """Cancellation and deadline."""
        self.outside: list[tuple[Key, ev.CallAsked]] = []
        """What a loop outside asked for."""
        self._places: dict[tuple[str, ...], list[Asked]] = defaultdict(list)
        self._claimed: set[str] = set()
        self.machine = self._replay(program)
        for asked in self.way.asked:
            for place in asked.places():
                self._places[place].append(asked)

    def _replay(self, program: Program) -> Machine:
        started, *others = self.case.events
        assert isinstance(started, ev.RunStarted)
        machine = Machine(self.case.run, program, started, dict(self.case.secrets))
        seen = set[str]()
        self.way.look(machine, seen)
        received = set[str]()
        for seq, event in enumerate(others, 2):
            machine.apply(pathless(event), seq)
            self.way.look(machine, seen)
            self._sort((event.at, seq), event, received)
        return machine

    def _sort(self, key: Key, event: Event, received: set[str]) -> None:
        command = getattr(event, "command", None)
        if isinstance(event, ev.CallAsked):
            self.outside.append((key, event))
        elif command is not None:
            self.moves[command].append((key, event))
        elif isinstance(event, ev.SignalReceived):
            if event.id is None or event.id not in received:
                self.signals.append((key, event))
            received.add(event.id or "")
        elif isinstance(event, ev.CancelRequested | ev.DeadlinePassed):
            self.ends.append((key, event))

    def claim(self, asked: Asked) -> Asked | None:
        """The recorded command that this one is, which no other can be from then on; None when there is none."""
        for place in asked.places():
            for found in self._places.get(place, ()):
                if found.id not in self._claimed:
                    self._claimed.add(found.id)
                    return found
        return None

    def again(self, asked: Asked) -> Asked | None:
        """A recorded command with the same content, though it is claimed already."""
        return next(iter(self._places.get(asked.places()[1], ())), None)

    def claim_undo(self, command: str) -> Asked | None:
        """The recorded compensation of a recorded command."""
        return next((asked for asked in self.way.asked if asked.id == command), None)


def pathless(event: Event) -> Event:
    """An event without its decisions: they are derived again, and compared by whoever asks."""
    return replace(cast("Any", event), path=None) if getattr(event, "path", None) else event


def moved(event: Any, leaf: Open) -> Event:
    """A recorded event as if it were about another command."""
    args = leaf.args if isinstance(event, ev.CallIntended) else None  # what undoes it will be given them
    told = {"command": leaf.id, "site": leaf.site, "args": args, "path": None, "refs": None, "approval": None}
    return replace(event, **{name: value for name, value in told.items() if hasattr(event, name)})


def conceal(value: Json, private: Mapping[str, str]) -> Json:
    """A value with a pseudonym wherever it is or holds a private one, numbers and short texts included."""
    if isinstance(value, dict):
        return {str(conceal(key, private)): conceal(item, private) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [conceal(item, private) for item in value]
    if isinstance(value, str):
        return private[value] if value in private else redact(value, _searchable(private))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return private.get(str(value), value)
    return value


def _searchable(private: Mapping[str, str]) -> dict[str, str]:
    return {text: token for text, token in private.items() if len(text) >= 4}
