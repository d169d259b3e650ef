"""The system's own chain: what concerns no single run, such as definitions stored, switches flipped, breakers opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from backstay.events import Event, SystemRecorded
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.journal import SYSTEM, Head, Journal, Then, Write, genesis
from backstay.types import Json


class SystemChain:
    """Appends to the system's chain; other writes may carry its events along."""

    def __init__(self, journal: Journal, reader: Reader, clock: Clock) -> None:
        self._journal, self._reader, self._clock = journal, reader, clock
        self._head: Head = genesis(SYSTEM)
        self.listeners: list[Callable[[Event], None]] = []
        """Who hears of an event of the system once it is committed."""
        self.reload()

    def stage(self, write: Write, event: Event) -> None:
        """Put an event into a write; if that write fails, `reload` must be called."""
        self._head = write.append(SYSTEM, self._head, event)

    def record(
        self, what: str, subject: str, detail: Json, by: str = "", then: Then | None = None
    ) -> asyncio.Future[None]:
        """Commit an event of its own; `then` hears of it, whether or not anybody still awaits it."""
        event = SystemRecorded(at=self._clock.stamp(), by=by, what=what, subject=subject, detail=detail)
        return self.commit(Write(), [event], then)

    def commit(self, write: Write, events: Sequence[Event], then: Then | None = None) -> asyncio.Future[None]:
        """Commit a write together with events of the system, which are staged into it here."""
        for event in events:
            self.stage(write, event)

        def told(fault: Exception | None) -> None:
            if fault is not None:
                self.reload()
            else:
                for event in events:
                    for listener in self.listeners:
                        listener(event)
            if then is not None:
                then(fault)

        return self._journal.submit(write, told)

    def reload(self) -> None:
        """A write failed that may have held system events: go on from what the store really has."""
        head = self._reader.one("head_of_run", (SYSTEM,))
        self._head = (head["seq"], head["hash"]) if head else genesis(SYSTEM)
