"""Remembering: the part of the client by which people take back what agents and workflows keep for later cases."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backstay.engine.desk import Desk
from backstay.errors import InvalidInput, NotFound
from backstay.store.memories import remembered


class Remembering(Desk):
    """Whoever may decide what is kept may also take it back."""

    async def forget(self, item: str, *, by: str | None = None, reason: str) -> None:
        """Drop one item from its memory, and from the file; that it was there, and who dropped it, stays in the journal.

        Raises NotAllowed, NotFound, InvalidInput without a reason.
        """
        who = self._allow(by, "decide")
        if not reason.strip():
            raise InvalidInput("say why: it is kept in the journal", {"reason": "is missing"})
        memory = await asyncio.to_thread(_memory_of, self._reader.path.parent, item)
        detail = {"memory": memory, "reason": reason}
        await self._runner.system.record("memory-forgotten", item, detail, by=who)
        await asyncio.to_thread(_forget, self._reader.path.parent, item)

    async def forget_expired(self, *, by: str | None = None) -> int:
        """Drop what has expired, which nobody is told any more, from the file; gives how many items that were."""
        self._allow(by, "decide")
        return await asyncio.to_thread(_purge, self._reader.path.parent, self._stamp())


def _memory_of(home: Path, item: str) -> str:
    with remembered(home) as memories:
        if memories is None:
            raise NotFound(f"nothing is remembered as {item!r}: no memory has kept anything here yet")
        return memories.find(item).memory


def _forget(home: Path, item: str) -> None:
    with remembered(home, readonly=False) as memories:
        if memories is not None:
            memories.forget([item])


def _purge(home: Path, now: str) -> int:
    with remembered(home, readonly=False) as memories:
        return 0 if memories is None else memories.purge(now)
