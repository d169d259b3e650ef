"""The public test kit: an app on a throw-away store, a clock that tests move, crash points, assertions on the log.

async with harness(app) as it:
    run = await it.start(process_invoice, document=document)
    await it.advance("48h")
    it.approve(run, by="ann")
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from backstay.engine.application import App
from backstay.engine.client import Client
from backstay.errors import StoreFenced
from backstay.events import Event
from backstay.language import Workflow
from backstay.operations.log import Line, tell
from backstay.store.clock import Clock
from backstay.store.views import Run, Wait
from backstay.types import Duration, Json, seconds

START: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Where a test's clock begins: a Monday morning."""


class ManualClock(Clock):
    """A clock that stands still until a test moves it, with repeatable chance and ids."""

    def __init__(self, start: datetime = START, seed: int = 1) -> None:
        super().__init__()
        self._now = start.timestamp()
        self._passed = 0.0
        self._random = random.Random(seed)

    def wall(self) -> float:
        return self._now

    def steady(self) -> float:
        return self._passed

    def move(self, duration: Duration) -> None:
        """Move the machine's clock, forwards or (with a negative number of seconds) backwards."""
        self._now += seconds(duration)
        self._passed += max(0.0, seconds(duration))

    def chance(self) -> float:
        return self._random.random()

    def entropy(self, bits: int) -> int:
        return self._random.getrandbits(bits)


class Crashed(StoreFenced):
    """The worker was stopped on purpose, right after a commit."""


class Harness:
    """An open application under test."""

    def __init__(self, app: App, home: Path, clock: ManualClock) -> None:
        self.app, self.home, self.clock = app, home, clock
        self.commits = 0
        self._crash_at: int | None = None
        self._stack = AsyncExitStack()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        assert self._client is not None, "the app is not open"
        return self._client

    async def open(self, crash_at: int | None = None) -> None:
        """Open the store; with `crash_at`, the worker dies right after that many commits from now."""
        self.commits, self._crash_at = 0, crash_at
        opened = self.app.open(self.home, clock=self.clock, synchronous="OFF", on_commit=self._count)
        self._client = await self._stack.enter_async_context(opened)

    async def close(self) -> None:
        await self._stack.aclose()
        self._stack, self._client = AsyncExitStack(), None

    async def restart(self) -> None:
        """Close the store and open it again, as a new worker would."""
        await self.close()
        await self.open()

    def _count(self, _: int) -> None:
        self.commits += 1
        if self.commits == self._crash_at:
            raise Crashed("crashed on purpose")

    # --- doing ---

    async def start(
        self, workflow: Workflow[..., Any] | str, *, key: str | None = None, by: str = "system", **input: Any
    ) -> str:
        """Start a run and let it go as far as it can."""
        run = await self.client.start(workflow, input, key=key, by=by)
        await self.settle()
        return run

    async def settle(self) -> None:
        """Let everything happen that needs neither time nor people."""
        await self.client.quiet()

    async def advance(self, duration: Duration) -> None:
        """Move the clock step by step, so that every timer on the way fires in its order."""
        end = self.clock.timestamp() + seconds(duration)
        await self.settle()
        while (due := self.client.next_timer()) is not None and due <= end:
            self.clock.move(max(0.0, due - self.clock.timestamp()))
            await self.client.fire_timers()
            await self.settle()
        self.clock.move(max(0.0, end - self.clock.timestamp()))
        await self.client.fire_timers()
        await self.settle()

    async def approve(self, item: str, *, by: str, reason: str = "") -> None:
        await self.client.decide(item, "approved", by=by, reason=reason)
        await self.settle()

    async def reject(self, item: str, *, by: str, reason: str = "") -> None:
        await self.client.decide(item, "rejected", by=by, reason=reason)
        await self.settle()

    async def complete(self, item: str, value: Json = None, *, by: str) -> None:
        await self.client.complete(item, value, by=by)
        await self.settle()

    # --- looking ---

    def run(self, run: str) -> Run:
        return self.client.run(run)

    def status(self, run: str) -> str:
        return self.client.run(run).status

    async def result(self, run: str) -> Json:
        return await self.client.result(run)

    def events(self, run: str, kind: str | None = None, **fields: Any) -> list[Event]:
        """The events of a run, of one kind and with these fields if given."""
        found = [item for item in self.client.events(run) if kind in (None, item.kind)]
        return [item.event for item in found if all(getattr(item.event, k, None) == v for k, v in fields.items())]

    def kinds(self, run: str) -> list[str]:
        """The kinds of a run's events, in order."""
        return [item.kind for item in self.client.events(run)]

    def log(self, run: str) -> list[Line]:
        """The execution log as its process owner reads it."""
        row = self.run(run)
        workflow = self.app.workflows.get(row.workflow)
        program = workflow.program if workflow is not None and workflow.definition.version == row.version else None
        return tell(row, self.client.events(run), program)

    def waits(self, run: str) -> list[Wait]:
        return self.client.waits_of(run)

    def waits_in(self, run: str) -> list[str]:
        """The queues in which a run has something."""
        return [wait.queue for wait in self.client.waits_of(run) if wait.queue]


@asynccontextmanager
async def harness(
    app: App, home: Path | None = None, *, clock: ManualClock | None = None, crash_at: int | None = None
) -> AsyncGenerator[Harness, None]:
    """Open an app on a store of its own (a throw-away one unless `home` is given)."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
        opened = Harness(app, home or Path(folder), clock or ManualClock())
        await opened.open(crash_at)
        try:
            yield opened
        finally:
            await opened.close()


Story = Callable[[Harness], Awaitable[Any]]


async def crash_everywhere(app: App, story: Story, check: Story, *, most: int = 500) -> int:
    """Tell the story once for each of its commits, with the worker dying right after that commit.

    After each crash a new worker opens the store, everything settles, and `check` must hold. The story must be able to be
    told again from its beginning (idempotent starts by key). Returns how many crash points there were.
    """
    for point in range(1, most + 1):
        with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
            it = Harness(app, Path(folder), ManualClock())
            ending: Literal["crashed", "done"] = "done"
            await it.open(crash_at=point)
            try:
                await story(it)
            except StoreFenced:
                ending = "crashed"
            reached = it.commits >= point
            await it.close()
            await it.open()
            await it.settle()
            if reached or ending == "crashed":
                await story(it)
            await check(it)
            await it.close()
            if not reached:
                return point - 1
    raise AssertionError(f"the story has more than {most} commits")
