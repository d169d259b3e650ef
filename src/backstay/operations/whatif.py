"""A what-if: another program is driven on a recorded case. Nothing real is called, as there is nobody here who could.

Each command gets the recorded events of the command that it is, in the recorded order; time and notes need no record.
What the recording cannot answer is left open, unless the caller assumes an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from backstay import events as ev
from backstay.commands import Approval, Call, Draw, Note, Sleep, Start, Task, WaitFor
from backstay.engine.frames import Open, model_schema, read_answer
from backstay.engine.replay import Machine
from backstay.errors import AuthorError, JournalMismatch
from backstay.events import Event
from backstay.governance.calendars import Calendar
from backstay.governance.schedule import EXPIRES, Schedule, after, resumed
from backstay.language import Program
from backstay.operations.recording import Asked, Key, Move, Recording, Way, moved
from backstay.store.payloads import private_texts
from backstay.types import Done, Json, iso

LAST: Final = 1 << 60
"""Number of what no journal has: after everything that was recorded at the same time."""

SLACK: Final = timedelta(seconds=1)
"""Two due times closer than this are one: recorded ones are taken from the clock twice."""

NOT_RECORDED: Final = "the recording has no answer to it"
NOT_DECIDED: Final = "nobody had answered when its time ran out in the recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which recorded command answered one of the what-if's."""

    old: Asked | None
    again: bool = False
    """A read that was recorded once and is asked for again."""
    assumed: bool = False
    """The caller said what the answer would be."""


class WhatIf:
    """A program driven on a recording as far as it goes; raises JournalMismatch when it does not take the input."""

    def __init__(self, recording: Recording, program: Program, assume: Mapping[str, Json]) -> None:
        case, started = recording.case, recording.case.events[0]
        assert isinstance(started, ev.RunStarted)
        self.recording, self.way, self.assume = recording, Way(program), assume
        self.machine = Machine(case.run, program, started, dict(case.secrets))
        self.claims: dict[str, Claim] = {}
        self.unfit: dict[str, str] = {}
        """Commands that have a recorded answer which they cannot take, and why."""
        self._moves: dict[str, list[Move]] = {}
        self._signals, self._ends, self._outside = [*recording.signals], [*recording.ends], [*recording.outside]
        self._now: Key = (started.at, 1)
        self._seen = set[str]()
        self._look()
        while (move := self._next()) is not None:
            self._apply(*move)

    def unanswered(self) -> Iterator[tuple[Open, str]]:
        """The open commands that the recorded case never waited for, and why they have no answer."""
        for leaf in self.machine.open.values():
            if leaf.id in self.unfit:
                yield leaf, self.unfit[leaf.id]
            elif self.claims[leaf.id].old is None:
                yield leaf, NOT_RECORDED

    # --- what happens next ---

    def _next(self) -> tuple[Key, Event, Open | None] | None:
        """The recorded or invented event that comes first among those that somebody waits for."""
        found: list[tuple[Key, Event, Open | None]] = []
        for name, moves in self._moves.items():
            leaf = self.machine.find(name) if moves else None
            if leaf is not None:
                found.append((*moves[0], leaf))
        found += self._signals_awaited()
        if self._outside and (serving := self.machine.serving) is not None and not serving.over:
            key, event = self._outside[0]
            found.append((key, replace(event, command=serving.next_id), None))
        if self._ends and not any(self.unanswered()):
            found.append((*self._ends[0], None))
        return min(found, key=lambda move: move[0], default=None)

    def _signals_awaited(self) -> Iterator[tuple[Key, Event, Open]]:
        for leaf in self.machine.open.values():
            if isinstance(leaf.command, WaitFor):
                for key, event in self._signals:
                    if event.name == leaf.command.name and _readable(leaf, event.payload) is None:
                        yield key, event, leaf
                        break

    def _apply(self, key: Key, event: Event, leaf: Open | None) -> None:
        self._now = max(self._now, key)
        if isinstance(event, ev.SignalReceived) and leaf is not None:
            self._signals = [signal for signal in self._signals if signal[0] != key]
            self._keep_private(event, leaf)
        elif leaf is not None:
            self._moves[leaf.id].pop(0)
        elif isinstance(event, ev.CallAsked):
            self._outside.pop(0)
        else:
            self._ends.pop(0)
        why = _unreadable(event, leaf)
        if why is None:
            self.machine.apply(event, key[1])
            self._look()
        elif leaf is not None:
            self.unfit[leaf.id] = why
            self._moves[leaf.id].clear()

    def _keep_private(self, event: ev.SignalReceived, leaf: Open) -> None:
        """A signal that came early was sealed whole: only now its type says what of it is private."""
        token, shape = (event.refs or {}).get("/payload", "").removeprefix("seal:"), getattr(leaf.command, "type", None)
        if token and shape is not None:
            texts = private_texts(event.payload, model_schema(shape))
            self.machine.secrets.update(dict.fromkeys(texts, token))

    # --- who answers a command ---

    def _look(self) -> None:
        known = len(self.way.asked)
        for leaf, asked in zip(self.way.look(self.machine, self._seen), self.way.asked[known:], strict=True):
            claim = self.claims[leaf.id] = self._claim(asked, leaf)
            moves = self._recorded(leaf, claim.old) if claim.old is not None else []
            self._moves[leaf.id] = moves or ([] if claim.old is not None else self._invented(leaf, asked))

    def _claim(self, asked: Asked, leaf: Open) -> Claim:
        if asked.kind == "undo":
            undone = self.claims[leaf.id.removeprefix("c")].old
            old = self.recording.claim_undo(f"c{undone.id}") if undone is not None else None
            return Claim(old=old)
        old = self.recording.claim(asked)
        if old is not None:
            return Claim(old=old)
        interface = self.way.program.interfaces.get(asked.subject)
        if asked.kind == "call" and interface is not None and interface.effect == "read":
            old = self.recording.again(asked)
        return Claim(old=old, again=old is not None, assumed=old is None and asked.subject in self.assume)

    def _recorded(self, leaf: Open, old: Asked) -> list[Move]:
        moves = [(key, moved(event, leaf)) for key, event in self.recording.moves.get(old.id, ())]
        return self._retimed(leaf, moves)

    def _retimed(self, leaf: Open, moves: list[Move]) -> list[Move]:
        """The recorded events, with another end where the new program gives it another time."""
        opened: Any = next((event for _, event in moves if isinstance(event, TIMED)), None)
        if opened is None or isinstance(leaf.command, Call):  # the gate's own approvals have no time of the workflow's
            return moves
        try:
            due = due_of(leaf.command, opened.at, calendar := getattr(opened, "calendar", None))
            if due_fits(leaf.command, opened.at, calendar, expiry_of(opened), SLACK):
                return moves
        except ValueError as error:  # a time that the queue's calendar does not count
            self.unfit[leaf.id] = str(error)
            return [move for move in moves if move[1] is opened]
        kept = [(key, event) for key, event in moves if not _ran_out(event)]
        end = None if due is None else _put_off(leaf, max(due, opened.at), opened, kept)
        before = [(key, event) for key, event in kept if end is None or key[0] <= end]
        answered = any(isinstance(event, ev.ApprovalDecided) for _, event in before)
        fired = isinstance(opened, ev.TimerSet) and len(kept) < len(moves)
        if end is not None and not answered and (fired or end <= self.recording.case.events[-1].at):
            return [*before, ((end, LAST), _expiry(leaf, end))]
        if len(kept) < len(moves):
            self.unfit[leaf.id] = NOT_DECIDED
        return kept

    def _invented(self, leaf: Open, asked: Asked) -> list[Move]:
        """Events of a command that was never recorded: time passes by itself, the rest only if it is assumed."""
        at = self._now[0]
        if isinstance(leaf.command, Sleep):
            due = max(due_of(leaf.command, at) or at, at)
            return [((due, LAST), _expiry(leaf, due))]
        event: Event | None = None
        if isinstance(leaf.command, Note):
            event = ev.Noted(at=at, command=leaf.id, site=leaf.site, text="")
        elif isinstance(leaf.command, Draw) and leaf.command.kind == "now":
            event = ev.Drawn(at=at, command=leaf.id, site=leaf.site, what="now", value=at)
        elif leaf.undoes:
            event = ev.CallReturned(at=at, command=leaf.id, site=leaf.site, action=asked.subject)
        if event is not None:
            return [((at, LAST), event)]
        if asked.subject not in self.assume:
            return []
        return [((at, LAST), event) for event in _assumed(leaf, self.assume[asked.subject], at)]


# --- time --------------------------------------------------------------------------------------------------

TIMED: Final = (ev.ApprovalRequested, ev.WaitOpened, ev.TimerSet)
"""Openings that end by themselves when their time has come."""


def due_of(command: Any, opened: str, calendar: Json = None) -> str | None:
    """When the time that a command itself gives is over, if it was opened then; None when it gives none.

    calendar: the business calendar by which it counts, as its event recorded it. Raises ValueError for what it cannot count.
    """
    if getattr(command, "until", None) is not None:
        return iso(command.until if command.until.tzinfo else command.until.replace(tzinfo=UTC))
    span = (command.duration or 0) if isinstance(command, Sleep) else command.within
    if span is None:
        return None
    try:
        return after(_calendar(json.dumps(calendar)), datetime.fromisoformat(opened), span)
    except AuthorError as error:
        raise ValueError(str(error)) from error


def due_fits(command: Any, opened: str, calendar: Json, due: str | None, slack: timedelta) -> bool:
    """Whether this is when the command's time is over, or would be if the clock had been read a little later or earlier."""
    exact = due_of(command, opened, calendar)
    if exact is None or not due:
        return exact is None and not due
    at = datetime.fromisoformat(due)
    if getattr(command, "until", None) is not None:
        return at == datetime.fromisoformat(exact)
    first, last = (
        datetime.fromisoformat(due_of(command, iso(datetime.fromisoformat(opened) + way), calendar) or exact) + way
        for way in (-slack, slack)
    )
    return first <= at <= last


@lru_cache(maxsize=64)
def _calendar(text: str) -> Calendar | None:
    """A recorded calendar, read once: most items of a store count by the same few."""
    recorded = json.loads(text)
    return None if recorded is None else Calendar.from_json(recorded)


def expiry_of(opened: Any) -> str | None:
    """When a recorded wait ends by itself; a due time that only the queue gives does not end it."""
    plan = opened.plan if isinstance(opened, ev.ApprovalRequested) else None
    if plan is None:
        return opened.due
    return next((step["at"] for step in plan if step["do"] in EXPIRES), None)


def _put_off(leaf: Open, due: str, opened: Any, moves: list[Move]) -> str | None:
    """When time is over, as every question that was asked before puts it off; None while one stays open."""
    do = "expire" if getattr(leaf.command, "until", None) is None else "close"
    times = Schedule(due=due, plan=[{"at": due, "do": do}], calendar=getattr(opened, "calendar", None))
    asked: str | None = None
    for _, event in moves:
        if (asked is None or do == "close") and times.plan[0]["at"] <= event.at:
            return times.plan[0]["at"]
        if isinstance(event, ev.ItemAsked):
            asked = event.at
        elif isinstance(event, ev.ItemAnswered) and asked is not None:
            times, asked = resumed(times, asked, event.at), None
        elif isinstance(event, ev.ItemEscalated) and event.plan is not None:
            times = replace(times, calendar=event.calendar)
    return times.plan[0]["at"] if asked is None or do == "close" else None


def _ran_out(event: Event) -> bool:
    return isinstance(event, ev.TimerFired) or (isinstance(event, ev.ApprovalDecided) and event.verdict == "expired")


def _expiry(leaf: Open, due: str) -> Event:
    if isinstance(leaf.command, Approval):
        return ev.ApprovalDecided(at=due, command=leaf.id, verdict="expired")
    return ev.TimerFired(at=due, command=leaf.id)


# --- answers -----------------------------------------------------------------------------------------------


def _assumed(leaf: Open, value: Json, at: str) -> list[Event]:
    """What would be recorded if this were the answer."""
    name, site = leaf.id, leaf.site
    match leaf.command:
        case Call() as call:
            return [ev.CallReturned(at=at, command=name, site=site, action=call.action, result=value)]
        case Start() as child:
            run = str(value) if child.detached else ""
            begun = ev.ChildStarted(
                at=at, command=name, site=site, workflow=child.workflow, run=run, detached=child.detached
            )
            ended = ev.ChildEnded(at=at, command=name, status="finished", result=value)
            return [begun] if child.detached else [begun, ended]
        case Approval() as wanted:
            asked = ev.ApprovalRequested(at=at, command=name, site=site, queue=wanted.queue)
            verdict = "approved" if value is True else "rejected"
            reason = value if isinstance(value, str) else "assumed"
            return [asked, ev.ApprovalDecided(at=at, by="assumed", command=name, verdict=verdict, reason=reason)]
        case Task():
            return [ev.TaskCompleted(at=at, by="assumed", command=name, value=value)]
        case WaitFor() as wait:
            return [ev.SignalReceived(at=at, by="assumed", name=wait.name, payload=value)]
        case Draw() as draw:
            return [ev.Drawn(at=at, command=name, site=site, what=draw.kind, name=draw.name, value=value)]
        case _:
            return []


def _unreadable(event: Any, leaf: Open | None) -> str | None:
    """Why a command cannot take the answer that an event brings; None when it can."""
    match event:
        case _ if leaf is None:
            return None
        case ev.TaskCompleted(value=value) if getattr(leaf.command, "form", Done) is not Done:
            return _readable(leaf, value)
        case (
            ev.CallReturned(result=value)
            | ev.ChildEnded(status="finished", result=value)
            | ev.CallSettled(outcome="happened", result=value)
        ):
            return _readable(leaf, value)
        case _:
            return None


def _readable(leaf: Open, value: Json) -> str | None:
    """None when a command can take this answer, else why not."""
    if leaf.undoes:
        return None
    try:
        read_answer(leaf.command, value)
    except ValueError as error:
        told = getattr(error, "errors", None)
        return f"the recorded answer does not fit: {told()[0]['msg'] if told else error}"
    return None


__all__ = ["Claim", "JournalMismatch", "WhatIf", "due_fits", "due_of"]
