"""Follows a store as it is written: what its runs just did, as lines of their logs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backstay.cli.runs import program_of
from backstay.operations.log import Line, Teller
from backstay.store.database import Reader
from backstay.store.journal import SYSTEM
from backstay.store.views import Run, find_run, read_events

TELLERS = 500
"""Runs whose earlier events are remembered."""

BATCH = 0.05
"""Seconds for which commits are gathered, so that a busy store is read in pages."""


@dataclass(frozen=True)
class News:
    """A line of a run's log, as it happened."""

    run: Run
    line: Line


class Follower:
    """Reads what was committed since the last look, in order of commit."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._position: int = reader.value("last_position")
        self._tellers: OrderedDict[str, tuple[Run, Teller, int]] = OrderedDict()
        self._happened = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def committed(self, _: int) -> None:
        """Called by the writer's thread after each commit."""
        self._loop.call_soon_threadsafe(self._happened.set)

    async def follow(self, tell: Callable[[News], None]) -> None:
        """Tell everything that happens, until cancelled."""
        while True:
            await self._happened.wait()
            await asyncio.sleep(BATCH)
            self._happened.clear()
            for news in self.news():
                tell(news)

    def news(self) -> Iterator[News]:
        """Everything since the last look."""
        while rows := self._reader.all("events_after", (self._position, 500)):
            for run in dict.fromkeys(row["run"] for row in rows):
                if run != SYSTEM:
                    yield from self._of_run(run)
            self._position = rows[-1]["position"]

    def _of_run(self, run: str) -> Iterator[News]:
        known = self._tellers.pop(run, None)
        if known is None:
            row = find_run(self._reader, run)
            teller, seq = Teller(row.workflow, row.version, program_of(self._reader, row), alone=True), 0
            for stored in read_events(self._reader, run):
                if self._before(run, stored.seq):
                    teller.tell(stored)
                    seq = stored.seq
            teller.take()
        else:
            row, teller, seq = known
        for stored in read_events(self._reader, run, seq):
            teller.tell(stored)
            seq = stored.seq
        self._tellers[run] = (row, teller, seq)
        if len(self._tellers) > TELLERS:
            self._tellers.popitem(last=False)
        yield from (News(row, line) for line in teller.take())

    def _before(self, run: str, seq: int) -> bool:
        """Whether an event of a run that we meet for the first time was there before the last look."""
        found = self._reader.one("event_at", (run, seq))
        return found is not None and found["position"] <= self._position
