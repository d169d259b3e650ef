"""Erasure: the part of the client that makes all private values of a person unreadable, while runs go on.

The key ends in the store, in memory and in every byte of the file. What happened, who decided and when stays provable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from backstay.engine.desk import Desk
from backstay.engine.runner import Runner
from backstay.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from backstay.events import SystemRecorded
from backstay.store.database import Reader
from backstay.store.journal import SYSTEM, Write
from backstay.store.keyring import People, people_of
from backstay.store.memories import remembered
from backstay.store.steps import step_file
from backstay.store.views import ENDED


class Erased(TypedDict):
    """What an erasure did."""

    people: list[str]
    """The random ids that the person went by in the journal."""
    values: int
    runs: list[str]
    open: list[str]
    """Those of the runs that had not ended: they stop where they next need a value."""
    by: str
    reason: str
    """As it was recorded: without the person's name."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the store held of a person up to a position."""

    position: int
    values: int
    runs: frozenset[str]


class Erasure(Desk):
    """What only whoever may erase may ask for."""

    def __init__(self, runner: Runner, owners: Mapping[str, str]) -> None:
        super().__init__(runner, owners)
        self._erasing = asyncio.Lock()

    async def erase(self, person: str, *, by: str | None = None, reason: str, force: bool = False) -> Erased:
        """Destroy the key of one person, named as the field `Sensitive["subject"]` does, for ever.

        force: also while runs about them are open; these stop where they next need a value, and can only be cancelled.
        Commits wait while the file is written anew. Raises NotAllowed; NotFound for somebody who is not known by that
        name; Conflict naming the open runs; StoreUnavailable when the key is gone, and its bytes may still be in the file.
        """
        who = self._allow(by, "erase")
        if not reason.strip():
            raise InvalidInput("say why: it is kept in the journal", {"reason": "is missing"})
        async with self._erasing:
            people, found = await self._look_up(person)
            runs = found.runs | self._since(found.position, people)
            still = sorted(run for run in runs if self._is_open(run))
            _check_open(still, force)
            told = reason.replace(person, f"person {people[0]}")  # it must not name whom it makes unnameable
            done = Erased(people=[*people], values=found.values, runs=sorted(runs), open=still, by=who, reason=told)
            await self._commit(person, people, done)
            await asyncio.to_thread(_forget, self._reader.path.parent, people)
            if self._runner.journal.unscrubbed:
                raise StoreUnavailable(
                    "the key is erased, but its bytes may still lie in free space of the file "
                    f"({self._runner.journal.unscrubbed}): free disk space and stop whoever reads the store; whoever opens "
                    "the store next cleans the file"
                )
        return done

    async def _look_up(self, person: str) -> tuple[People, Found]:
        """Whom the name means, and what the store holds of them; what is on its way to the disk counts."""
        keyring, people = self._runner.payloads.keyring, People()
        found = Found(position=0, values=0, runs=frozenset())
        while True:
            await self._runner.journal.submit(Write())
            known = keyring.named(person)
            if not known:
                raise NotFound(
                    f"no values are sealed under a key of {person!r}: check the name as the input gives it; whoever was "
                    "erased is not known by name any more"
                )
            if known == people:  # nobody got another key meanwhile
                return known, found
            people, found = known, await asyncio.to_thread(_about, self._reader.path, known)

    def _since(self, position: int, people: People) -> frozenset[str]:
        """Runs that got a value of theirs while the store was looked through, or are about to."""
        rows = (row["run"] for each in people for row in self._reader.all("runs_about_after", (position, each)))
        staged = (event for write in self._runner.journal.unsynced for event in write.events)
        coming = (run for run, _, _, body, *_ in staged if any(each in body for each in people))
        return frozenset([*rows, *coming]) - {SYSTEM}

    def _is_open(self, run: str) -> bool:
        row = self._reader.one("run", (run,))
        return row is None or row["status"] not in ENDED

    async def _commit(self, name: str, people: People, done: Erased) -> None:
        write, keyring = Write(), self._runner.payloads.keyring
        detail = {"reason": done["reason"], "values": done["values"], "runs": len(done["runs"])}
        events = [
            SystemRecorded(at=self._stamp(), by=done["by"], what="erased", subject=person, detail=detail)
            for person in people
        ]

        def ended(fault: Exception | None) -> None:
            keyring.erasure_ended(name, committed=fault is None)
            if fault is None:
                self._forget_runs(people)

        keyring.erase(write, name, people)
        await self._runner.system.commit(write, events, ended)

    def _forget_runs(self, people: Collection[str]) -> None:
        """Runs that have their values in memory are loaded anew, without them; a call that is under way ends, unheard."""
        for case in self._runner.hot():
            known = case.machine.secrets.values() if case.loaded else ()
            if any(person in people_of(token) for token in known for person in people):
                case.dead = True
                if not self._runner.dispatch.is_active(case.row.id):
                    self._runner.activation(case.row.id)  # takes its place


def _check_open(runs: list[str], force: bool) -> None:
    if runs and not force:
        listed = ", ".join(runs[:5]) + (" and others" if len(runs) > 5 else "")
        raise Conflict(
            f"{len(runs)} run(s) about this person are open ({listed}); let them end, or force it: they then stop where they "
            "next need a value, and can only be cancelled"
        )


def _forget(home: Path, people: People) -> None:
    """What is remembered with their pseudonyms is of no use without them."""
    with remembered(home, readonly=False) as memories:
        if memories is not None:
            memories.forget_people(people)
    with step_file(home, readonly=False) as steps:
        if steps is not None:
            steps.forget_people(people)


def _about(store: Path, people: People) -> Found:
    """Off the loop and with a reader of its own, as it reads the whole journal."""
    with closing(Reader(store)) as reader:
        position: int = reader.value("last_position")
        runs = frozenset(row["id"] for each in people for row in reader.all("runs_about", (each,)))
        values = sum(reader.value("sealed_under", (each,)) for each in people)
    return Found(position=position, values=values, runs=runs)
