"""Daemon threads for synchronous user functions: one that blocks for ever stalls neither the others nor the exit."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, TypeVar

T = TypeVar("T")

IDLE_SECONDS: Final = 10.0
"""A thread with nothing to do ends after this long."""


class Threads:
    """Runs functions in threads that are made when needed and reused while warm; at most `limit` at once."""

    def __init__(self, limit: int = 256) -> None:
        self.places = asyncio.Semaphore(limit)
        self.starting = set[object]()
        """Jobs that were handed over and have not begun."""
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[..., T], /, **named: Any) -> T:
        """Call `function` in a thread and await what it returns; cancelling leaves the thread to finish unheard."""
        async with self.places:
            return await self.run_now(function, **named)

    async def run_now(self, function: Callable[..., T], /, **named: Any) -> T:
        """The same for whoever has a place already."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def job() -> None:
            self.starting.discard(future)
            try:
                result = context.run(function, **named)
            except BaseException as error:
                _tell(loop, future, None, error)
            else:
                _tell(loop, future, result, None)

        self.starting.add(future)
        self._hand_over(job)
        return await future

    async def begun(self) -> None:
        """Return once every job that was handed over has begun."""
        while self.starting:
            await asyncio.sleep(0.001)

    def _hand_over(self, job: Callable[[], None]) -> None:
        with self._lock:
            fresh = self._idle == 0
            self._idle -= not fresh
        if fresh:
            threading.Thread(target=self._work, args=(job,), name="backstay-action", daemon=True).start()
        else:
            self._jobs.put(job)

    def _work(self, job: Callable[[], None]) -> None:
        while True:
            job()
            with self._lock:
                self._idle += 1
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                job = self._jobs.get()


def _tell(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    def settle() -> None:
        if future.done():
            return
        if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt | GeneratorExit):
            future.set_exception(RuntimeError(f"the function raised {error!r}"))
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    if not loop.is_closed():
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop closed meanwhile: nobody listens
            return


class Begun:
    """A coroutine that has already taken its first step and waits for `first`; awaiting it goes on from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], first: Any) -> None:
        self._coroutine, self._first = coroutine, first

    def __await__(self) -> Generator[Any, Any, Any]:
        awaited, coroutine = self._first, self._coroutine
        while True:
            try:
                sent = yield awaited
            except BaseException as error:
                step: Callable[[], Any] = partial(coroutine.throw, error)
            else:
                step = partial(coroutine.send, sent)
            try:
                awaited = step()
            except StopIteration as stop:
                return stop.value
