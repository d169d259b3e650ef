"""Watching: what happens to a case, as it happens: its events once they are committed, and what open calls tell meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from backstay import events as ev
from backstay.engine.desk import Desk
from backstay.engine.streams import Piece, Watch
from backstay.events import Event
from backstay.store.views import find_run, read_events

ENDS: Final = (ev.RunFinished, ev.RunFailed, ev.RunCancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """An event of a run's journal; private values are pseudonyms."""

    run: str
    seq: int
    event: Event


Happening: TypeAlias = "Committed | Piece"


class Watching(Desk):
    """Lets people and programs follow a case."""

    def watch(self, run: str) -> AsyncGenerator[Happening, None]:
        """Everything that happens to a case and to the runs that it waits for, from its first event to its last.

        Between the events come the pieces of what a model says just now; nothing of these is kept. Raises NotFound; NotAllowed, also later, when whoever watches may not see any more.
        """
        self._see()
        return self._watch(find_run(self._reader, run).id)

    async def _watch(self, run: str) -> AsyncGenerator[Happening, None]:
        watch, told = Watch(), dict[str, int]()
        try:
            self._follow(run, watch, told)
            while not self._runner.gateway.streams.over:
                watch.moved.clear()
                self._see()
                pieces = watch.take()
                for each in reversed(
                    list(told)
                ):  # children first: their end comes before what their parent makes of it
                    for happening in self._news(each, watch, told, pieces):
                        yield happening
                if run not in told:
                    return
                await watch.moved.wait()
        finally:
            for each in list(told):
                self._leave(each, watch, told)

    def _news(self, run: str, watch: Watch, told: dict[str, int], pieces: Sequence[Piece]) -> Iterator[Happening]:
        """What happened to a run and was not told yet, each piece before the event in which it ended."""
        own = deque(piece for piece in pieces if piece.run == run)
        for stored in read_events(self._reader, run, told[run]):
            while own and own[0].after < stored.seq:
                yield own.popleft()
            told[run] = stored.seq
            yield Committed(run=run, seq=stored.seq, event=stored.event)
            if isinstance(stored.event, ev.ChildStarted) and not stored.event.detached:
                self._follow(stored.event.run, watch, told)
                yield from self._news(stored.event.run, watch, told, pieces)
            elif isinstance(stored.event, ENDS):
                self._leave(run, watch, told)
                return
        yield from own

    def _follow(self, run: str, watch: Watch, told: dict[str, int]) -> None:
        told[run] = 0
        self._runner.watchers.follow(run, watch.moved)
        self._runner.gateway.streams.follow(run, watch)

    def _leave(self, run: str, watch: Watch, told: dict[str, int]) -> None:
        del told[run]
        self._runner.gateway.streams.leave(run, watch)
        self._runner.watchers.leave(run, watch.moved)
