"""A turnstile: lets no more through at once, and no faster, than was declared. For actions, and for models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

from backstay.actions import Rate
from backstay.types import seconds


class Limited(Protocol):
    """What declares how often it may be used."""

    @property
    def concurrency(self) -> int | None: ...

    @property
    def rate(self) -> Rate | None: ...


class Turnstile:
    """Who wants through waits here, in the order of coming."""

    def __init__(self, limited: Limited) -> None:
        self._places = asyncio.Semaphore(limited.concurrency) if limited.concurrency else None
        self._gap = seconds(limited.rate.per) / limited.rate.calls if limited.rate else 0.0
        self._next = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Wait for a place and for the next moment that the rate allows."""
        if self._places is not None:
            await self._places.acquire()
        try:
            if self._gap:
                moment = asyncio.get_running_loop().time()
                self._next = max(moment, self._next + self._gap)
                if self._next > moment:
                    await asyncio.sleep(self._next - moment)
            yield
        finally:
            if self._places is not None:
                self._places.release()
