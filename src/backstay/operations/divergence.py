"""Divergence: what a changed program would have done differently in a recorded case, and why.

Both programs are driven on the same journal (`recording.py`, `whatif.py`). Their commands are compared one by one; the
cause is the first decision before the first difference that came out another way. Pure: a case and two programs go in,
frozen data comes out, in which private values are pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final, Literal, TypeAlias

from backstay.engine.frames import Outcome
from backstay.engine.replay import Machine
from backstay.errors import JournalMismatch
from backstay.events import Trail
from backstay.language import Program
from backstay.language.trees import tree_digest
from backstay.operations.decisions import Decisions, Told
from backstay.operations.recording import Asked, Case, Recording, asked_of, conceal
from backstay.operations.whatif import NOT_RECORDED, Claim, WhatIf
from backstay.types import Json

What: TypeAlias = Literal["new", "changed", "again", "gone", "moved"]
"""new: only the changed program asks for it. changed: with other content. again: a read that is repeated. gone: it asks
for it no more. moved: in another order."""

ACTS: Final = frozenset({"call", "undo", "start", "approval", "task"})
"""Kinds of commands that somebody outside notices. Waits, draws and sleeps count when they have no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A rule, table or constant whose source the change touched, and where it stands."""

    name: str
    kind: str
    file: str
    line: int
    change: Literal["added", "changed", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A decision as one of the programs made it."""

    words: str
    details: tuple[tuple[str, str], ...]
    """The reasons and the values that decided it."""
    verdict: Json
    values: Json
    source: str
    file: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A decision that came out another way, or that only one of the programs made."""

    subject: str
    """The rule's name, or the condition."""
    old: Side | None
    new: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A command that is not as recorded."""

    what: What
    kind: str
    subject: str
    old: Json
    new: Json
    old_line: int | None
    new_line: int | None
    note: str = ""
    """Why nobody can tell how it goes on, or what to know about the answer it got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How far a program came with the case."""

    status: Literal["finished", "failed", "cancelled", "waiting", "unknown"]
    """waiting: as the recorded case does. unknown: for an answer that no recording has."""
    result: Json = None
    reason: str = ""
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """What would have been different; `same` says that nothing would."""

    run: str
    workflow: str
    old_version: str
    new_version: str
    same: bool
    headline: str
    """The first difference in a few words, the same for every case that differs in this way."""
    turn: Turn | None
    """The decision that led to it; None when no decision did."""
    changes: tuple[Change, ...]
    unchanged: int
    """Commands that are as recorded."""
    old: Ending
    new: Ending
    touched: tuple[Item, ...]


def compare(case: Case, old: Program, new: Program, assume: Mapping[str, Json] | None = None) -> Divergence:
    """Drive both programs on a case; `assume` answers, by action, queue, workflow or signal, what was never recorded.

    Raises JournalMismatch when the case does not replay on its own definition.
    """
    recording = Recording(case, old)
    try:
        what_if = WhatIf(recording, new, assume or {})
    except JournalMismatch as error:
        return _not_taken(recording, new, str(error))
    return _Comparison(recording, what_if).divergence()


def _not_taken(recording: Recording, new: Program, why: str) -> Divergence:
    case, old = recording.case, recording.way.program
    why = str(conceal(why, case.private))
    return Divergence(
        run=case.run, workflow=case.workflow, old_version=old.version, new_version=new.version, same=False,
        headline="the changed workflow does not take the recorded input", turn=None, changes=(), unchanged=0,
        old=ending(recording.machine, recording.way.program, case.private), new=Ending(status="failed", reason=why),
        touched=touched(old, new),
    )  # fmt: skip


class _Comparison:
    def __init__(self, recording: Recording, what_if: WhatIf) -> None:
        self.recording, self.what_if = recording, what_if
        self.private = {**recording.case.private, **what_if.machine.secrets}
        self.open = {leaf.id: why for leaf, why in what_if.unanswered()}
        claims = what_if.claims
        self.old = [asked for asked in recording.way.asked if asked.kind in ACTS]
        self.new = [asked for asked in what_if.way.asked if asked.kind in ACTS or asked.id in self.open]
        self.claimed = {claim.old.id for claim in claims.values() if claim.old is not None}

    def divergence(self) -> Divergence:
        case, old, new = self.recording.case, self.recording.way.program, self.what_if.way.program
        changes = [*self.changes()]
        before, after = self.endings()
        same = not changes and before == after
        turn = None if same else self.turn()
        return Divergence(
            run=case.run, workflow=case.workflow, old_version=old.version, new_version=new.version, same=same,
            headline="" if same else headline(turn, changes, before, after), turn=turn, changes=tuple(changes),
            unchanged=len(self.new) - sum(change.what != "gone" for change in changes), old=before, new=after,
            touched=touched(old, new),
        )  # fmt: skip

    def endings(self) -> tuple[Ending, Ending]:
        before = ending(self.recording.machine, self.recording.way.program, self.private)
        after = ending(self.what_if.machine, self.what_if.way.program, self.private)
        return before, replace(after, status="unknown") if self.open and after.status == "waiting" else after

    def changes(self) -> Iterator[Change]:
        """What is not as recorded, in the order in which the changed program asks for it, then what is gone."""
        last = -1
        places = {asked.id: place for place, asked in enumerate(self.old)}
        for asked in self.new:
            claim = self.what_if.claims[asked.id]
            what = self._what(asked, claim)
            place = places.get(claim.old.id, last) if claim.old is not None and not claim.again else last
            if what is None and place < last:
                what = "moved"
            last = max(last, place)
            if what is not None:
                yield self._change(what, claim.old, asked, self._note(asked, claim))
        reached = "" if not self.open else "not reached"
        for asked in self.old:
            if asked.id not in self.claimed:
                yield self._change("gone", asked, None, reached)

    def _what(self, asked: Asked, claim: Claim) -> What | None:
        if claim.old is None:
            return "new"
        if claim.again:
            return "again"
        return "changed" if claim.old.text != asked.text or asked.id in self.open else None

    def _note(self, asked: Asked, claim: Claim) -> str:
        if asked.id in self.open:
            return self.open[asked.id]
        if claim.assumed:
            return "answered as assumed"
        if claim.old is None:
            return "taken as done" if asked.kind == "undo" else NOT_RECORDED
        return {"approval": "decided on other values", "task": "answered on other values"}.get(asked.kind, "")

    def _change(self, what: What, old: Asked | None, new: Asked | None, note: str) -> Change:
        either = new or old
        assert either is not None
        return Change(
            what=what, kind=either.kind, subject=str(conceal(either.subject, self.private)),
            old=conceal(old.content, self.private) if old else None, old_line=old.line if old else None,
            new=conceal(new.content, self.private) if new else None, new_line=new.line if new else None, note=note,
        )  # fmt: skip

    def turn(self) -> Turn | None:
        """The first decision up to the first difference that came out another way."""
        before, after = self._up_to_the_difference()
        old, new = self.recording.way.program, self.what_if.way.program
        pair = first_difference(self._fold(old, before), self._fold(new, after))
        if pair is None:
            return None
        one, other = pair
        told = one or other
        assert told is not None
        subject = str(told.entry.get("name") or told.entry.get("text") or told.step)
        return Turn(subject=subject, old=one and side(old, one), new=other and side(new, other))

    def _up_to_the_difference(self) -> tuple[Trail, Trail]:
        old, new = [*self.old], [*self.new]
        for one, other in zip(old, new, strict=False):
            claim = self.what_if.claims[other.id]
            if claim.old is None or claim.old.id != one.id or claim.old.text != other.text:
                return self.recording.way.decided(one.id), self.what_if.way.decided(other.id)
        old, new = old[len(self.new) :], new[len(self.old) :]
        return (
            self.recording.way.decided(old[0].id if old else None),
            self.what_if.way.decided(new[0].id if new else None),
        )

    def _fold(self, program: Program, trail: Trail) -> list[Told]:
        return Decisions(program).fold(conceal(trail, self.private))


# --- decisions ---------------------------------------------------------------------------------------------


def first_difference(old: list[Told], new: list[Told]) -> tuple[Told | None, Told | None] | None:
    """The first decision with another verdict; without one, the first that only one of the programs made."""
    recorded = dict(_numbered(old))
    for key, told in _numbered(new):
        twin = recorded.get(key)
        if twin is not None and twin.entry.get("verdict") != told.entry.get("verdict"):
            return twin, told
    changed = dict(_numbered(new))
    gone = next((told for key, told in recorded.items() if key not in changed), None)
    added = next((told for key, told in changed.items() if key not in recorded), None)
    return (gone, added) if gone is not None or added is not None else None


def _numbered(told: list[Told]) -> Iterator[tuple[tuple[str, int], Told]]:
    """Decisions by what they are: a rule by its name, a branch by its step, each with its number among its like."""
    counted: Counter[str] = Counter()
    for one in told:
        name = one.entry.get("name")
        key = f"{one.entry.get('kind')} {name}" if name else one.step
        counted[key] += 1
        yield (key, counted[key]), one


def side(program: Program, told: Told) -> Side:
    """A decision with its words and its place in the source; of a rule, the place that decided inside it."""
    words, details = Decisions(program).tell(told)
    deepest = told.inner[-1] if told.inner else told
    step = program.steps.get(deepest.step) or program.steps.get(told.step)
    item = program.closure.items.get(step.item) if step is not None else None
    values: dict[str, Json] = {}
    for entry in told.entries():
        values.update(entry.get("values") or {})
    return Side(
        words=words, details=tuple(details), verdict=told.entry.get("verdict"), values=values,
        source=step.text if step is not None else "", line=step.line if step is not None else None,
        file=PurePath(item.source.file).name if item is not None else "",
    )  # fmt: skip


def headline(turn: Turn | None, changes: list[Change], old: Ending, new: Ending) -> str:
    """The first difference in words that hold no value of a single case."""
    if turn is not None:
        return f"{turn.subject}: {_verdict(turn.old)} → {_verdict(turn.new)}"
    if changes:
        return f"{changes[0].what} {changes[0].kind} {changes[0].subject}".strip()
    if old.status != new.status:
        return f"ends {new.status} instead of {old.status}"
    return "another result" if old.status == "finished" else "ends for another reason"


def _verdict(side: Side | None) -> str:
    if side is None:
        return "not asked"
    if isinstance(side.verdict, bool) or side.verdict in ("True", "False"):
        return "yes" if side.verdict in (True, "True") else "no"
    return "a value"


# --- how it ended, and what was changed ----------------------------------------------------------------------


def ending(machine: Machine, program: Program, private: Mapping[str, str]) -> Ending:
    """How far a machine came, with pseudonyms."""
    outcome: Outcome | None = machine.outcome
    if outcome is None:
        asked = [asked_of(leaf, program) for leaf in machine.unsettled]
        return Ending(status="waiting", waits=tuple(str(conceal(f"{a.kind} {a.subject}", private)) for a in asked))
    reason = f"{outcome.fault.type}: {outcome.fault.message}" if outcome.fault is not None else outcome.reason
    return Ending(status=outcome.status, result=conceal(outcome.result, private), reason=str(conceal(reason, private)))


@lru_cache(maxsize=16)
def touched(old: Program, new: Program) -> tuple[Item, ...]:
    """The definitions whose meaning differs between two programs."""
    before, after = old.closure.items, new.closure.items
    found: list[Item] = []
    for name in dict.fromkeys((*after, *before)):
        one, other = before.get(name), after.get(name)
        shown: Any = other or one
        if one is not None and other is not None and tree_digest(one.tree) == tree_digest(other.tree):
            continue
        change = "added" if one is None else "removed" if other is None else "changed"
        file, line = PurePath(shown.source.file).name, shown.source.line
        found.append(Item(name=name, kind=shown.kind, file=file, line=line, change=change))
    return tuple(found)
