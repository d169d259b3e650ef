"""The public test kit: an app on a throw-away store, a clock that tests move, crash points, assertions on the log.

async with harness(app) as it:
    run = await it.start(process_invoice, document=document)
    await it.advance("48h")
    await it.approve(run, by="ann")
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from backstay.engine.application import STORE_FILE, App
from backstay.engine.client import Client
from backstay.errors import BackstayError, Conflict, StoreFenced
from backstay.events import Event
from backstay.language import Workflow
from backstay.operations.log import Line, tell
from backstay.operations.proof import prove
from backstay.operations.rerun import NotRecorded, RecordedCase
from backstay.operations.rerun import read_recorded as recorded
from backstay.operations.sweep import choose
from backstay.operations.trajectory import Act, Missed, Trajectory, read_trajectory
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import Run, Wait
from backstay.types import Duration, Json, seconds

START: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Where a test's clock begins: a Monday morning."""
PATIENCE: Final = 0.5
"""Seconds of real time in which what was handed in a moment ago is surely committed."""


class ManualClock(Clock):
    """A clock that stands still until a test moves it, with repeatable chance and ids."""

    def __init__(self, start: datetime = START, seed: int = 1) -> None:
        super().__init__()
        self._now = start.timestamp()
        self._passed = 0.0
        self._random = random.Random(seed)

    @classmethod
    def of_store(cls, home: Path) -> ManualClock:
        """A clock that goes on where the store in `home` stands, with ids that it does not hold; START for a new one."""
        if not (home / STORE_FILE).exists():
            return cls()
        reader = Reader(home / STORE_FILE)
        try:
            newest, events = reader.value("newest_at"), reader.value("last_position") or 0
        except BackstayError:  # it is no store of ours: opening it says so
            return cls()
        finally:
            reader.close()
        return cls(max(START, datetime.fromisoformat(newest)) if newest else START, seed=1 + events)

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

    async def reject(self, item: str, *, by: str, reason: str = "", code: str = "") -> None:
        await self.client.decide(item, "rejected", by=by, reason=reason, code=code)
        await self.settle()

    async def complete(self, item: str, value: Json = None, *, by: str) -> None:
        await self.client.complete(item, value, by=by)
        await self.settle()

    async def signal(
        self, run: str, name: str, payload: Json = None, *, by: str = "system", id: str | None = None
    ) -> None:
        await self.client.signal(run, name, payload, by=by, id=id)
        await self.settle()

    async def cancel(self, run: str, *, by: str, reason: str = "cancelled") -> None:
        await self.client.cancel(run, by=by, reason=reason)
        await self.settle()

    # --- looking ---

    def run(self, run: str) -> Run:
        return self.client.run(run)

    def status(self, run: str) -> str:
        return self.client.run(run).status

    async def result(self, run: str) -> Json:
        """The result of a run; raises Conflict when it did not finish, or still waits once nothing moves any more."""
        ending = asyncio.ensure_future(self.client.wait(run))
        try:
            while not await self._ends(ending):
                before = self.commits
                await asyncio.wait([ending], timeout=PATIENCE)
                parked = self.status(run) in ("waiting", "attention")  # a running one is tried again by itself
                if parked and not ending.done() and self.commits == before:
                    waits = "; ".join(_told(wait) for wait in self.waits(run)) or "nothing"
                    raise Conflict(f"run {run} is {self.status(run)} and has no result yet; it waits for {waits}")
        finally:
            ending.cancel()
        return await self.client.result(run)

    async def _ends(self, ending: asyncio.Future[Run]) -> bool:
        """Return whether the run has ended, as soon as it has or nothing moves."""
        settled = asyncio.ensure_future(self.settle())
        await asyncio.wait([ending, settled], return_when=asyncio.FIRST_COMPLETED)
        if not settled.done():
            settled.cancel()
        elif not ending.done():
            settled.result()
        return ending.done()

    def prove(self, *runs: str) -> int:
        """Re-derive these runs, or every run of the store, from their journals alone; how many there were.

        Raises AssertionError naming each case that does not come out as it was recorded.
        """
        reader = Reader(self.home / STORE_FILE)
        try:
            payloads = Payloads(self.home, reader)
            proofs = [prove(reader, payloads, run) for run in runs or [chosen.run for chosen in choose(reader)]]
        finally:
            reader.close()
        unequal = [
            f"{each.workflow} {each.run}, event {each.event}, line {each.line}: {each.mismatch}"
            for each in proofs
            if not each.equal
        ]
        if unequal:
            raise AssertionError("replay does not give what was recorded:\n" + "\n".join(unequal))
        return len(proofs)

    def events(self, run: str, kind: str | None = None, **fields: Any) -> list[Event]:
        """The events of a run, of one kind and with these fields if given."""
        found = [item for item in self.client.events(run) if kind in (None, item.kind)]
        return [item.event for item in found if all(getattr(item.event, k, None) == v for k, v in fields.items())]

    def kinds(self, run: str) -> list[str]:
        """The kinds of a run's events, in order."""
        return [item.kind for item in self.client.events(run)]

    def trajectory(self, run: str) -> Trajectory:
        """What a run and those that it started did, to assert on: `it.trajectory(run).called("find_order", number="7")`."""
        return read_trajectory(self.home, self.run(run).id)

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


def _told(wait: Wait) -> str:
    """A wait in a few words."""
    where = f" in {wait.queue!r}" if wait.queue else ""
    when = f" at {wait.wake_at}" if wait.wake_at else ""
    return f"{wait.kind} {wait.title!r}{where}{when} ({wait.id})"


@asynccontextmanager
async def harness(
    app: App,
    home: Path | None = None,
    *,
    clock: ManualClock | None = None,
    crash_at: int | None = None,
    prove: bool = True,
) -> AsyncGenerator[Harness, None]:
    """Open an app on a store of its own (a throw-away one unless `home` is given).

    A store that was there before goes on at the time it has reached. prove: when the test got to its end, every case of
    the store is replayed, and must come out as recorded; False for a test that damages its store on purpose.
    """
    with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
        place = home or Path(folder)
        opened = Harness(app, place, clock or ManualClock.of_store(place))
        await opened.open(crash_at)
        try:
            yield opened
        finally:
            await opened.close()
        if prove:
            opened.prove()


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


__all__ = [
    "START", "Act", "Crashed", "Harness", "ManualClock", "Missed", "NotRecorded", "RecordedCase", "Story",
    "Trajectory", "crash_everywhere", "harness", "recorded",
]  # fmt: skip
