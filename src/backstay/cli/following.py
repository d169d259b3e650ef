"""Follows a store as it is written: what its runs just did, as lines of their logs, and what models are just saying."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backstay.cli.runs import program_of
from backstay.engine.streams import Piece
from backstay.operations.log import Line, Teller
from backstay.store.database import Reader
from backstay.store.journal import SYSTEM
from backstay.store.views import Run, find_run, read_events

TELLERS = 500
"""Runs whose earlier events are remembered."""

BATCH = 0.05
"""Seconds for which commits are gathered, so that a busy store is read in pages."""


class Speech:
    """Puts what models say together to lines, so that several can be read that speak at the same time."""

    def __init__(self, tell: Callable[[str, str], None], width: Callable[[], int]) -> None:
        self._tell, self._width = tell, width
        self._unfinished: dict[tuple[str, str], str] = {}

    def hear(self, piece: Piece) -> None:
        """Tell every line that is full, with its run; what is left once no more comes."""
        place = piece.run, piece.command
        if piece.kind == "text":
            *lines, rest = broken(self._unfinished.get(place, "") + piece.text, self._width())
            self._unfinished[place] = rest
        else:
            lines = [self._unfinished.pop(place, "")]
            if piece.kind == "tool":
                lines.append(f"asks for {piece.text}")
        for line in lines:
            if line.strip():
                self._tell(piece.run, line)


def broken(text: str, width: int) -> list[str]:
    """A text as lines of at most so many characters; the last may go on."""
    *lines, rest = text.split("\n")
    found: list[str] = [part for line in lines for part in broken(line, width)]
    while len(rest) > width:
        at = rest.rfind(" ", 1, width + 1)
        at = width if at < 0 else at
        found.append(rest[:at])
        rest = rest[at:].lstrip(" ")
    return [*found, rest]


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
