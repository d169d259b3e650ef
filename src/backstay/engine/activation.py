"""An activation: one run, loaded and advanced until everything it asks for waits on the outside.

All appends to a run go through its activation, which numbers and chains them in order; an event is applied to the
machine only after its commit. When the store cannot commit, the activation is dead and the run is loaded anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from backstay import events as ev
from backstay.commands import Call
from backstay.engine.frames import Open, stop_reason
from backstay.engine.items import ITEMS
from backstay.engine.origins import Origins
from backstay.engine.replay import Machine
from backstay.errors import JournalCorrupted, JournalMismatch, StoreFenced, StoreUnavailable
from backstay.events import Event
from backstay.governance.labels import Labels
from backstay.governance.plans import Plan
from backstay.store.journal import Head, Write, genesis, link
from backstay.store.keyring import ValueErased
from backstay.store.payloads import Secrets
from backstay.store.views import Run, Status, Wait, read_events

if TYPE_CHECKING:
    from backstay.engine.runner import Runner

log = logging.getLogger("backstay")
E = TypeVar("E", bound=Event)

EXTERNAL: Final = frozenset({"waiting", "queued", "unknown", "held"})
"""States of an open command about which the engine itself can do nothing now."""


class Activation:
    """One run in memory. `machine` is None until it is loaded; a parked run needs only its row to take an event."""

    def __init__(self, runner: Runner, row: Run, waits: Sequence[Wait] = ()) -> None:
        self.runner, self.row = runner, row
        self.head: Head = (row.seq, row.head)
        self.machine: Machine = None  # type: ignore[assignment] - set by load(), which advance() calls first
        self.origins = Origins()
        self.waits: dict[str, Wait] = {wait.command: wait for wait in waits}
        """Rows that stand in the store for this run."""
        self.dead = False
        self.inflight = 0
        self.loaded = False
        self.at_head = False
        """Whether `head` is the journal's; the row may be older."""
        self._unapplied: deque[tuple[int, Event]] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._writing: set[asyncio.Task[Any]] = set()
        self._newest: asyncio.Future[None] | None = None
        """The last commit that was handed in."""
        self._wake: asyncio.Future[None] | None = None
        self._advancing: asyncio.Task[Any] | None = None
        self._inline: str | None = None
        self._abandoned = False

    @property
    def labels(self) -> Labels:
        return self.origins.labels

    @property
    def plan(self) -> Plan:
        return self.origins.plan

    @property
    def busy(self) -> bool:
        return self.inflight > 0 or bool(self._tasks) or bool(self._unapplied)

    # --- loading ---

    def load(self) -> None:
        """Read the journal, prove its chain, and replay it."""
        stored = read_events(self.runner.reader, self.row.id)
        head = genesis(self.row.id)
        for item in stored:
            if item.seq != head[0] + 1 or link(head[1], self.row.id, item.seq, item.kind, item.body) != item.hash:
                raise JournalCorrupted(
                    f"event {item.seq} ({item.kind}) of run {self.row.id} does not match its hash chain; "
                    "`backstay audit verify` shows what was changed"
                )
            head = (item.seq, item.hash)
        self.head, self.at_head = head, True
        started = stored[0].event if stored else None
        if not isinstance(started, ev.RunStarted):
            raise JournalCorrupted(f"the journal of run {self.row.id} does not begin with run_started")
        secrets = Secrets()
        self._make_machine(self.runner.payloads.restore(started, secrets), secrets)
        for item in stored[1:]:
            self._apply(item.seq, item.event)
        self.loaded = True

    def find_head(self) -> None:
        """Take an event without replaying: for a run that needs attention and may not be replayable."""
        if not self.at_head:
            head = self.runner.reader.one("head_of_run", (self.row.id,))
            self.head, self.at_head = (head["seq"], head["hash"]) if head else genesis(self.row.id), True

    def begin(self, started: ev.RunStarted) -> None:
        """Load a run that has just been created, without reading it back."""
        secrets = Secrets()
        self._make_machine(self.runner.payloads.restore(started, secrets), secrets)
        self.loaded = True

    def _make_machine(self, started: ev.RunStarted, secrets: dict[str, str]) -> None:
        program = self.runner.program(started.version)
        self.machine = Machine(self.row.id, program, started, secrets)
        if self.runner.watches_labels:
            self.origins.begin(started, program, self.runner.gateway.actions)

    # --- recording ---

    def record(self, event: Event, write: Write | None = None, wait: Wait | None = None) -> asyncio.Future[None]:
        """Stage and hand in one event, with the wait it opens; await the answer to see it applied.

        A wait of its command that stood before is over.
        """
        if write is None:
            write = Write()
        self.stage(write, event)
        if wait is not None:
            self.put_wait(write, wait)
        elif self.waits and (command := getattr(event, "command", None)) is not None:
            self.clear_wait(write, command)
        return self.commit(write)

    def stage(self, write: Write, event: Event) -> None:
        """Number and chain an event; from here on its write must be committed."""
        if self.dead:
            raise StoreUnavailable("the store failed a moment ago; this run is loaded anew")
        self.head = write.append(self.row.id, self.head, event)
        self._unapplied.append((self.head[0], event))

    def unstage(self, head: Head, waits: dict[str, Wait]) -> None:
        """Take back what was staged since `head`: its write will not be committed."""
        self.head, self.waits = head, waits
        while self._unapplied and self._unapplied[-1][0] > head[0]:
            self._unapplied.pop()

    def on_their_way(self, kind: type[E]) -> list[E]:
        """The events of a kind that are staged and not applied yet."""
        return [event for _, event in self._unapplied if isinstance(event, kind)]

    def put_wait(self, write: Write, wait: Wait) -> None:
        self.waits[wait.command] = wait
        write.put("waits", (wait.run, wait.command), wait)

    def clear_wait(self, write: Write, command: str) -> None:
        if (wait := self.waits.pop(command, None)) is not None:
            write.put("waits", (self.row.id, command), None)
            write.over.append(wait)

    def set_status(self, write: Write, status: Status, summary: str | None = None) -> None:
        """Bring the run's row up to date with the chain."""
        seq, head = self.head
        self.row = self.row._replace(
            status=status, updated_at=self.runner.clock.stamp(), seq=seq, head=head, summary=summary
        )
        write.put("runs", self.row.id, self.row)

    def commit(self, write: Write, then: Callable[[], None] | None = None) -> asyncio.Future[None]:
        """Hand the write in at once, so that nothing staged later can overtake it; await the answer to see it applied.

        It is applied once it is synced, and `then` is called, whether or not anybody still waits for the answer.
        """
        self.inflight += 1
        task = asyncio.current_task() if self._tasks else None
        if task is not None:
            self._writing.add(task)
        self._newest = self.runner.journal.submit(write, partial(self._synced, self.head[0], write, task, then))
        return self._newest

    async def applied(self) -> None:
        """Return when nothing of this run is on its way to the disk."""
        while self.inflight and self._newest is not None:
            await asyncio.wait([self._newest])

    def _synced(
        self, upto: int, write: Write, task: asyncio.Task[Any] | None, then: Callable[[], None] | None,
        fault: Exception | None,
    ) -> None:  # fmt: skip
        self.inflight -= 1
        if task is not None:
            self._writing.discard(task)
        if fault is not None:
            self._lost(fault)
            return
        try:
            self._apply_upto(upto)
        except Exception as error:  # committed, and not to be applied: the run is loaded anew, which says what is wrong
            log.warning("run %s: %s; it is loaded anew", self.row.id, error)
            self.dead = True
            self._unapplied.clear()
            self.runner.dispatch.activate(self.row.id)
        if write.rows:
            self.runner.committed(write)
        if then is not None:
            then()
        elif self._inline is not None and self._inline not in self.machine.open:
            self._inline = None  # the call has its answer, so there is nothing left of it to drop

    def _lost(self, error: Exception) -> None:
        """A failed commit leaves a gap: load anew."""
        if isinstance(error, StoreFenced):
            self.runner.dispatch.fatal = error
        self.dead = True
        self._unapplied.clear()
        self.runner.write_failed()

    def _apply_upto(self, seq: int) -> None:
        while self._unapplied and self._unapplied[0][0] <= seq:
            number, event = self._unapplied.popleft()
            if self.loaded:
                self._apply(number, event)
                self.runner.agents.hear(self, event)
        self.runner.watchers.wake(self.row.id)

    def _apply(self, seq: int, event: Event) -> None:
        if getattr(event, "refs", None):
            event = self.runner.payloads.restore(event, self.machine.secrets)
        leaf = self.machine.find(getattr(event, "command", "")) if self.runner.watches_labels else None
        self.machine.apply(event, seq)
        if self.runner.watches_labels:
            self._observe(event, leaf)

    def _observe(self, event: Event, leaf: Open | None) -> None:
        command, args = (None, None) if leaf is None else (leaf.command, leaf.args)
        called = (
            event.action if isinstance(event, ev.CallReturned) else command.action if isinstance(command, Call) else ""
        )
        self.origins.take(event, args, self.runner.gateway.actions.get(called), self.machine.program.agent)

    # --- advancing ---

    async def advance(self) -> None:
        """Make open commands happen until all of them wait on the outside or the run is over."""
        if not self.loaded:
            try:
                self.load()
            except ValueErased:
                if await self.runner.cancelling.end_unreadable(self):
                    return
                raise
        self._advancing = asyncio.current_task()
        try:
            while not self.row.ended and not self.runner.dispatch.stopping:
                await self._withdraw_items()
                await self._make_single_calls()
                await self._open_new()
                calls = self._calls_to_make()
                if self.machine.over and not self._tasks:
                    await self._finish()
                elif calls and self.row.status == "waiting":
                    await self._say_running()
                elif calls or self._tasks:
                    await self._run_calls(calls)
                elif await self._park():
                    return
        finally:
            await self._cancel_tasks()

    async def _open_new(self) -> None:
        """Write the opening events of everything new that is not a call, in one commit, until nothing is new."""
        while self.machine.outcome is None:
            fresh = [
                leaf for leaf in self.machine.open.values()
                if leaf.state == "new" and not isinstance(leaf.command, Call)
            ]  # fmt: skip
            if not fresh:
                return
            write, head, waits, quiet = Write(), self.head, dict(self.waits), not self._unapplied
            try:
                for leaf in fresh:
                    self.runner.opener.open(self, leaf, write)
            except BaseException:
                self.unstage(head, waits)
                raise
            new = {leaf.id for leaf in fresh}
            others_wait = all(leaf.state in EXTERNAL for leaf in self.machine.unsettled if leaf.id not in new)
            if others_wait and quiet and not self._tasks and new <= self.waits.keys() and not self._lost_children():
                self._clear_settled(write)
                self.set_status(write, "waiting")  # parked by the same commit that asks the outside
            await self.commit(write)

    async def _make_single_calls(self) -> None:
        """The common case, which needs no task of its own: one new call after the other is all that the run waits for."""
        while (leaf := self._only_call()) is not None and not self.runner.dispatch.stopping:
            if self.row.status == "waiting":
                await self._say_running()
                continue
            self._inline = leaf.id
            try:
                await self.runner.gateway.perform(self, leaf)
            except asyncio.CancelledError:
                if not self._abandoned or self._advancing is None:
                    raise
                self._abandoned = False
                self._advancing.uncancel()
            finally:
                self._inline = None
                if self._abandoned and self._advancing is not None:  # the action swallowed it
                    self._abandoned = False
                    self._advancing.uncancel()

    async def _say_running(self) -> None:
        """A retry came due while the run was being parked: say so first, or a crash would leave it waiting for nothing."""
        write = Write()
        self.set_status(write, "running")
        await self.commit(write)

    def poke(self) -> None:
        """Something arrived from outside: look again, and drop a call in flight that nobody waits for any more."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        abandoned = self._inline is not None and self.machine.find(self._inline) is None
        if abandoned and not self.inflight and not self._abandoned:
            self._abandoned = True
            if self._advancing is not None:
                self._advancing.cancel()

    def _only_call(self) -> Open | None:
        """The new call that is all the run waits for, if so."""
        machine = self.machine
        if len(machine.open) != 1 or self._tasks or machine.orphans:
            return None
        leaf = next(iter(machine.open.values()))
        return leaf if leaf.state == "new" and isinstance(leaf.command, Call) else None

    def _calls_to_make(self) -> list[Open]:
        moment = None
        found: list[Open] = []
        for leaf in self.machine.unsettled:
            if leaf.id in self._tasks or not isinstance(leaf.command, Call):
                continue
            if leaf.state == "new":
                found.append(leaf)
            elif leaf.state == "retrying":
                moment = moment or self.runner.clock.stamp()
                if (leaf.retry_at or "") <= moment:
                    found.append(leaf)
        return found

    async def _run_calls(self, calls: Sequence[Open]) -> None:
        for leaf in calls:
            task = asyncio.create_task(self.runner.gateway.perform(self, leaf))
            self._tasks[leaf.id] = task
        self._wake = asyncio.get_running_loop().create_future()
        await asyncio.wait([*self._tasks.values(), self._wake], return_when=asyncio.FIRST_COMPLETED)
        for command, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[command]
                task.result()
            elif self.machine.find(command) is None and task not in self._writing:  # it lost a race before any intent
                task.cancel()
                del self._tasks[command]

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks.values())
        if tasks and self.runner.dispatch.stopping:  # a graceful stop: what is in flight may still end
            await asyncio.wait(tasks)
        self._tasks.clear()
        for task in tasks:
            if task not in self._writing:
                task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _park(self) -> bool:
        """Leave the run as a row. False when something arrived meanwhile."""
        if await self._withdraw_children():
            return False
        if self._unapplied:
            await asyncio.sleep(0)
            return False
        write = Write()
        self._clear_settled(write)
        if self.row.status != "waiting" or write.rows:
            self.set_status(write, "waiting")
            await self.commit(write)
            return not self._unapplied and not self._calls_to_make() and not self.machine.over
        return True

    def _clear_settled(self, write: Write) -> None:
        """Take away the rows of what nobody waits for any more: the program has gone on without it."""
        for command in [command for command in self.waits if not self._still_waits(command)]:
            self.clear_wait(write, command)

    def _still_waits(self, command: str) -> bool:
        return command == "deadline" or self.machine.find(command) is not None

    def _lost_children(self) -> list[Wait]:
        """The child runs that nobody waits for any more: a race was lost, a gather failed, the run is ending."""
        return [w for w in self.waits.values() if w.kind == "child" and self.machine.find(w.command) is None]

    async def _withdraw_children(self) -> bool:
        """Cancel the child runs of `_lost_children`; says whether there were any."""
        alone = self._lost_children()
        for wait in alone:
            await self.runner.cancelling.cancel_child(wait)
            write = Write()
            self.clear_wait(write, wait.command)
            await self.commit(write)
        return bool(alone)

    async def _withdraw_items(self) -> None:
        """Take out of the inbox at once what nobody need do any more, as what comes next may take long."""
        gone = [w.command for w in self.waits.values() if w.kind in ITEMS and self.machine.find(w.command) is None]
        if gone and self.machine.outcome is None:  # else its end takes it out
            write = Write()
            for command in gone:
                self.clear_wait(write, command)
            await self.commit(write)

    async def _finish(self) -> None:
        if await self._withdraw_children():
            return
        outcome = self.machine.outcome
        assert outcome is not None
        write, at = Write(), self.runner.clock.stamp()
        path, refs = self.machine.take_path(), {}
        summary: str | None = None
        if outcome.status == "finished":
            schema = self.machine.program.result_schema
            packed = self.runner.payloads.pack(write, outcome.result, "/result", refs, schema, self.machine.secrets)
            wrote = self.labels.pointers(outcome.result) if self.runner.watches_labels else None
            self.stage(write, ev.RunFinished(at=at, result=packed, path=path, refs=refs or None, outside=wrote or None))
            stopped = stop_reason(outcome.result) if self.machine.program.agent else ""
            summary = f"agent stopped: {stopped}" if stopped else None
        elif outcome.status == "failed":
            fault = outcome.fault or ev.Fault(type="Error", message=outcome.reason)
            summary = f"{fault.type}: {fault.message}"[:300]
            self.stage(write, ev.RunFailed(at=at, fault=fault, path=path))
        else:
            summary = outcome.reason[:300]
            self.stage(write, ev.RunCancelled(at=at, reason=outcome.reason, path=path))
        for command in list(self.waits):
            self.clear_wait(write, command)
        self.set_status(write, outcome.status, summary)
        await self.commit(write)

    async def raise_attention(self, error: Exception, code: str) -> None:
        """Put a run that cannot go on into an operator's hands; its journal stays as it is, plus this remark."""
        write, at = Write(), self.runner.clock.stamp()
        if not isinstance(error, JournalCorrupted | JournalMismatch) or self.loaded:
            self.stage(write, ev.AttentionRaised(at=at, reason=str(error)[:2000], code=code))
        wait = Wait(
            run=self.row.id, command="attention", kind="attention", queue="operators", title=str(error)[:300],
            opened_at=at, requester=self.row.requester,
        )  # fmt: skip
        self.put_wait(write, wait)
        row = self.row
        self.set_status(write, "attention", str(error)[:300])
        if isinstance(error, JournalCorrupted):  # never bless a damaged chain with a new head
            self.row = self.row._replace(seq=row.seq, head=row.head)
            write.put("runs", row.id, self.row)
        await self.commit(write)
