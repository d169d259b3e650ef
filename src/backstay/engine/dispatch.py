"""Dispatch: who advances which run, and when.

The port is one sentence: activate run R at or after time T, one activation at a time, and again if the worker dies. This
is the embedded implementation: one process, one event loop, timers read from the store. A wake-up costs no polling:
whoever commits something that concerns a run also activates it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final

from backstay.store.clock import Clock

log = logging.getLogger("backstay")

GRACE: Final = 5.0
"""Seconds that a graceful stop waits for calls in flight."""

LOOK_AGAIN: Final = 1.0
"""Seconds after which a sleeping timer looks at the clock again, so that a moved clock is noticed."""


class Dispatch:
    """Activates runs: now, or when their timer is due."""

    def __init__(
        self,
        advance: Callable[[str], Coroutine[Any, Any, None]],
        fire_due: Callable[[], Coroutine[Any, Any, str | None]],
        clock: Clock,
        *,
        most_active: int = 2000,
    ) -> None:
        self._advance, self._fire_due, self._clock = advance, fire_due, clock
        self._most_active = most_active
        self._active: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._queue: deque[str] = deque()
        self._queued: set[str] = set()
        self._timer: asyncio.Task[None] | None = None
        self._next: str | None = None
        self._rearm = asyncio.Event()
        self._idle: list[asyncio.Future[None]] = []
        self._ends: list[asyncio.Future[None]] = []
        self.stopping = False
        self.fatal: BaseException | None = None

    def begin(self) -> None:
        """Start watching timers."""
        self._timer = asyncio.create_task(self._watch_timers())

    def hold(self) -> None:
        """Activate nothing: the store is only open to look or decide, and the next worker goes on with it."""
        self.stopping = True

    def is_active(self, run: str) -> bool:
        return run in self._active

    def activate(self, run: str) -> None:
        """Advance a run as soon as possible; while it is being advanced, once more afterwards."""
        if self.stopping:
            return
        if run in self._active:
            self._again.add(run)
        elif len(self._active) >= self._most_active:
            if run not in self._queued:
                self._queued.add(run)
                self._queue.append(run)
        else:
            self._begin_run(run)

    def activate_later(self, run: str, delay: float) -> None:
        """Advance a run after some seconds of real time (the store failed; it may be well again by then)."""
        if not self.stopping:
            asyncio.get_running_loop().call_later(delay, self.activate, run)

    def _begin_run(self, run: str) -> None:
        self._active[run] = asyncio.create_task(self._active_run(run))

    async def _active_run(self, run: str) -> None:
        try:
            await self._advance(run)
        except Exception as error:
            self.fatal = error
        finally:
            self._ended(run)

    def _ended(self, run: str) -> None:
        del self._active[run]
        if run in self._again:
            self._again.discard(run)
            self.activate(run)
        while self._queue and len(self._active) < self._most_active and not self.stopping:
            queued = self._queue.popleft()
            self._queued.discard(queued)
            self.activate(queued)
        _release(self._ends)
        if not self._active:
            _release(self._idle)

    async def idle(self) -> None:
        """Return when no run is being advanced."""
        while self._active:
            await _held_in(self._idle)

    async def next_end(self) -> None:
        """Return when the next activation has ended."""
        await _held_in(self._ends)

    # --- timers ---

    def wake_by(self, moment: str) -> None:
        """A timer is due at this moment (RFC 3339); make sure to look then."""
        if self._next is None or moment < self._next:
            self._next = moment
            self._rearm.set()

    def look_now(self) -> None:
        """The clock was moved: look at the timers at once."""
        self._rearm.set()

    async def _watch_timers(self) -> None:
        while not self.stopping:  # `wait_for` may swallow the cancelling when its event was set just before
            self._rearm.clear()
            if self._next is None or self._next <= self._clock.stamp():
                await self._fire()
                self._rearm.clear()
            try:
                await asyncio.wait_for(self._rearm.wait(), self._seconds_to_next())
            except TimeoutError:
                continue

    async def _fire(self) -> None:
        self._next = None
        try:
            upcoming = await self._fire_due()
        except Exception as error:  # without its timers a worker would look well and be deaf
            log.error("timers: %s", error)
            await asyncio.sleep(LOOK_AGAIN)
            upcoming = self._clock.stamp()
        if upcoming is not None:
            self.wake_by(upcoming)
            if upcoming <= self._clock.stamp():  # more are due than fit at once, or the store cannot commit
                await asyncio.sleep(0.05)

    def _seconds_to_next(self) -> float | None:
        if self._next is None:
            return None
        remaining = datetime.fromisoformat(self._next).timestamp() - self._clock.timestamp()
        return min(LOOK_AGAIN, max(0.0, remaining))

    async def stop(self) -> None:
        """Begin nothing new, give calls in flight `GRACE` seconds to end, then interrupt what is left.

        What was interrupted goes on at the next start, exactly as after a crash.
        """
        self.stopping = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._active.values())
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *([self._timer] if self._timer else []), return_exceptions=True)


async def _held_in(waiting: list[asyncio.Future[None]]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting.append(future)
    await future


def _release(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()
