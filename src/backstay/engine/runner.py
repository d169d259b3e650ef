"""The runner: holds the runs that are in memory, brings outside events to them, and answers for what goes wrong.

Hot runs stay in memory, least recently used out; a parked run is its row and its waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Final

from backstay import events as ev
from backstay.engine.activation import Activation
from backstay.engine.agents import Agents
from backstay.engine.backlog import Backlog
from backstay.engine.cancelling import ATTENTION, Cancelling
from backstay.engine.dispatch import Dispatch
from backstay.engine.gateway import Gateway
from backstay.engine.items import ITEMS, Items, Notice
from backstay.engine.opening import Opener
from backstay.engine.origins import where_from
from backstay.engine.serving import Attendance
from backstay.engine.system import SystemChain
from backstay.engine.watchers import Watchers
from backstay.errors import (
    Conflict,
    DefinitionMissing,
    NotFound,
    StoreFenced,
    StoreUnavailable,
    WriteRefused,
)
from backstay.events import Refs
from backstay.governance.labels import PLANTED, Labels
from backstay.governance.plans import Plan
from backstay.governance.principals import WHATS, Directory
from backstay.language import Definition, Program, Workflow, compile_definition
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.encoding import decode
from backstay.store.journal import Journal, Write, genesis
from backstay.store.payloads import Payloads
from backstay.store.views import Run, Wait, find_run, read_waiting, system_events
from backstay.types import Json, iso, journalable, seconds

log = logging.getLogger("backstay")

HOT_RUNS: Final = 1000
"""Runs kept in memory between activations."""

CHANGES_AT_ONCE: Final = 64
"""How many runs are changed from outside at the same time, so that a burst does not hold all of its runs in memory."""

DUE_AT_ONCE: Final = 1000
"""Timers that are fired together."""

STORE_RETRY_SECONDS: Final = 0.5
"""How soon a run is tried again after the store could not commit."""

LONGEST_STORE_RETRY: Final = 5.0


class Runner:
    """Everything that moves runs, for one store in one process."""

    def __init__(
        self,
        *,
        journal: Journal,
        reader: Reader,
        clock: Clock,
        payloads: Payloads,
        gateway: Gateway,
        workflows: Mapping[str, Workflow[..., Any]],
        settings: Mapping[str, Json],
        on_notice: Sequence[Callable[[Notice], Any]] = (),
    ) -> None:
        self.journal, self.reader, self.clock, self.payloads = journal, reader, clock, payloads
        self.gateway, self.workflows, self.settings = gateway, workflows, settings
        self.items = Items(self, gateway.queues, on_notice)
        self.opener = Opener(self)
        self.backlog = Backlog(self)
        self.cancelling = Cancelling(self)
        self.dispatch = Dispatch(self._advance, self.fire_due, clock)
        self._hot: OrderedDict[str, Activation] = OrderedDict()
        self._programs: dict[str, Program] = {}
        self._stored: set[str] = set()
        self._ended: dict[str, list[asyncio.Future[Run]]] = {}
        self._starting: dict[tuple[str, str], asyncio.Event] = {}
        """Keyed starts whose commit is on its way: a second one waits for it."""
        self.door = asyncio.Semaphore(CHANGES_AT_ONCE)
        """Who decides on, works on or signals a waiting run comes through here."""
        self._setbacks = 0
        """How often in a row the store did not commit."""
        self._fresh: dict[str, tuple[Activation, ev.RunStarted]] = {}
        """Runs that were created and whose first commit is on its way."""
        self.watchers = Watchers()
        self.awaited: set[str] = set()
        """Children that some parent waits for."""
        self.system = SystemChain(journal, reader, clock)
        self.directory = Directory.of(event for what in WHATS for event in system_events(reader, what))
        self.system.listeners.append(self.directory.apply)
        gateway.on_breaker = self.backlog.breaker_moved
        self.backlog.load_switches()
        self.agents = Agents(self)

    # --- programs ---

    def program(self, version: str) -> Program:
        """Compile a version from the store, once; raises DefinitionMissing."""
        program = self._programs.get(version)
        if program is None:
            row = self.reader.one("definition", (version,))
            if row is None:
                raise DefinitionMissing(
                    f"definition {version[:12]} is not in the store; restore it from a backup, then `backstay retry` the run"
                )
            program = self._programs[version] = compile_definition(row["text"], version)
        return program

    @cached_property
    def watches_labels(self) -> bool:
        """Whether anything of the application cares where values come from: agents, and actions with sinks."""
        agents = any(workflow.language_kind == "agent" for workflow in self.workflows.values())
        return agents or any(action.sinks for action in self.gateway.actions.values())

    def _keep_definition(self, write: Write, definition: Definition) -> None:
        if definition.version in self._stored:
            return
        if self.reader.one("definition", (definition.version,)) is None:
            at = self.clock.stamp()
            write.put("definitions", definition.version, (definition.version, definition.name, definition.text, at))
            detail = {"version": definition.version}
            self.system.stage(
                write, ev.SystemRecorded(at=at, what="definition", subject=definition.name, detail=detail)
            )
        if definition.version not in self._programs:
            self._programs[definition.version] = compile_definition(definition.text, definition.version)

    def write_failed(self) -> None:
        """The store did not take a write: forget what it may have held."""
        self._fresh.clear()
        self.system.reload()

    # --- creating runs ---

    def create(
        self, write: Write, workflow: str, input_: Json, *, key: str | None, by: str, requester: str | None = None,
        parent: tuple[str, str] | tuple[None, None] = (None, None), trigger: str = "", secrets: Mapping[str, str] | None = None,
        labels: Labels | None = None, acting: Sequence[Sequence[str]] = (), attended: Attendance | None = None, plan: Plan | None = None,
    ) -> str:  # fmt: skip
        """Stage a new run, or find the one that the key already started; the write must then be committed.

        labels: what the run that starts it knows of where the input comes from. acting: the agents that led to it.
        attended: a loop outside drives the agent. plan: what an agent hands on.
        """
        found = self._workflow(workflow, attended is not None)
        if key is not None:
            if (workflow, key) in self._starting:
                raise StoreUnavailable(f"a run with key {key!r} is being started just now")
            staged = (row for row in write.rows.get("runs", {}).values() if row is not None)
            beside = next((row for row in staged if (row[1], row[4]) == (workflow, key)), None)
            earlier = beside[0] if beside else self.reader.value("run_by_key", (workflow, key))
            if earlier is not None:
                return str(earlier)
        input_ = journalable(found.write_input((), input_), f"input of workflow {workflow!r}")
        run, at, refs = self.clock.new_id(), self.clock.stamp(), Refs()
        schema = attended.schema if attended else found.input_schema
        packed = self.payloads.pack(write, input_, "/input", refs, schema, secrets)
        wrote = where_from(input_, found.input_schema, labels) if self.watches_labels else {}
        wrote |= dict.fromkeys(attended.outside if attended else (), PLANTED)
        started = ev.RunStarted(
            at=at, by=by, workflow=workflow, version=found.definition.version, input=packed, key=key,
            parent=parent[0], parent_command=parent[1], trigger=trigger, requester=requester, refs=refs or None,
            outside=wrote or None, acting=[list(each) for each in acting] or None, heard=plan is not None and plan.heard,
            plan=attended.plan if attended else plan and plan.named, withheld=plan and (sorted(plan.withheld) or None),
        )  # fmt: skip
        seq, head = write.append(run, genesis(run), started)
        self._keep_definition(write, found.definition)
        row = Run(
            id=run, workflow=workflow, version=found.definition.version, status="running", key=key,
            parent=started.parent, parent_command=started.parent_command, requester=started.requested_by, started_at=at,
            updated_at=at, seq=seq, head=head, summary=None,
        )  # fmt: skip
        write.put("runs", run, row)
        activation = Activation(self, row)
        deadline = self._programs[row.version].deadline
        if deadline is not None:
            due = self.clock.stamp_after(seconds(deadline))
            wait = Wait(
                run=run, command="deadline", kind="deadline", queue="", title="deadline", opened_at=at, due_at=due,
                wake_at=due, requester=row.requester,
            )  # fmt: skip
            activation.put_wait(write, wait)
        self._fresh[run] = (activation, started)
        return run

    def _workflow(self, name: str, attended: bool = False) -> Workflow[..., Any]:
        found = self.workflows.get(name)
        if found is None:
            raise NotFound(f"this application has no workflow {name!r}; it has {', '.join(sorted(self.workflows))}")
        return found.attended if attended and found.attended is not None else found

    async def start(
        self, workflow: str, input_: Json, *, key: str | None, by: str, trigger: str, requester: str | None = None,
        attended: Attendance | None = None,
    ) -> str:  # fmt: skip
        """Create a run and begin it; it is acknowledged once it is committed."""
        while key is not None and (workflow, key) in self._starting:
            await self._starting[workflow, key].wait()
        write = Write()
        run = self.create(
            write, workflow, input_, key=key, by=by, trigger=trigger, requester=requester, attended=attended
        )
        if write.events:
            if key is not None:
                self._starting[workflow, key] = asyncio.Event()
            version = self._fresh[run][1].version
            await self.journal.submit(write, partial(self._started, workflow, version, key, write))
        return run

    def _started(self, workflow: str, version: str, key: str | None, write: Write, fault: Exception | None) -> None:
        if key is not None:
            self._starting.pop((workflow, key)).set()
        if fault is not None:
            self.write_failed()
            return
        self._stored.add(version)
        self.committed(write)

    # --- runs in memory ---

    def activation(self, run: str) -> Activation:
        """The run's activation, from memory or from its rows; raises NotFound."""
        found = self._hot.get(run)
        if found is not None and not (found.dead and not found.busy):
            self._hot.move_to_end(run)
            return found
        row, waits = read_waiting(self.reader, run)
        activation = self._hot[run] = Activation(self, row, waits)
        self._evict(run)
        return activation

    def loaded(self, run: str) -> Activation:
        """The run's activation, ready to take an event: replayed, or if it needs attention with its head alone."""
        activation = self.activation(run)
        if not activation.loaded and not activation.row.ended:
            if activation.row.status == "attention" or activation.inflight:
                activation.find_head()
            else:
                activation.load()
        return activation

    def hot(self) -> list[Activation]:
        """The runs that are in memory."""
        return list(self._hot.values())

    def _evict(self, keep: str) -> None:
        """Forget the runs used longest ago; those at work go to the back of the line instead."""
        for _ in range(4):
            if len(self._hot) <= HOT_RUNS:
                return
            oldest = next(iter(self._hot))
            if oldest == keep or self._hot[oldest].busy or self.dispatch.is_active(oldest):
                self._hot.move_to_end(oldest)
            else:
                del self._hot[oldest]

    async def deliver(self, run: str, change: Callable[[Activation, Write], bool | None]) -> None:
        """Bring something from outside to a run: `change` stages it, then it is committed.

        When `change` says True the workflow has its answer by that, and is activated.
        """
        await self.bring(self.loaded(run), change)

    async def bring(self, activation: Activation, change: Callable[[Activation, Write], bool | None]) -> None:
        """As `deliver`, to a run that is at hand."""
        if activation.row.ended:
            raise Conflict(f"run {activation.row.id} has ended ({activation.row.status})")
        write, head, waits = Write(), activation.head, dict(activation.waits)
        try:
            answers = change(activation, write)
        except BaseException:
            activation.unstage(head, waits)
            raise
        if answers and activation.row.status == "waiting":
            activation.set_status(write, "running")
        await activation.commit(write, partial(self._delivered, activation) if answers else activation.poke)

    def _delivered(self, activation: Activation) -> None:
        activation.poke()
        self.dispatch.activate(activation.row.id)

    def committed(self, write: Write) -> None:
        """Arm the timers and activate the children that a write brought."""
        for row in write.rows.get("waits", {}).values():
            if row is not None and row[7] is not None:
                self.dispatch.wake_by(row[7])
            if row is not None and row[2] == "child" and row[10] not in self._fresh:
                self.dispatch.activate(row[10])  # a child found by its key may have ended long ago
        for run, seq, kind, *_ in write.events:
            if seq == 1 and kind == "run_started":
                try:
                    self._begin_fresh(run)
                except Exception as error:  # it exists all the same; whoever loads it next says what is wrong
                    log.warning("run %s: %s; it is loaded anew", run, error)
                    self._hot.pop(run, None)
                self.dispatch.activate(run)
        self.items.tell(write)

    def _begin_fresh(self, run: str) -> None:
        fresh = self._fresh.pop(run, None)
        if fresh is not None:  # else the store failed in between; the run is read from its rows instead
            self._hot[run], started = fresh
            self._hot[run].begin(started)
            self._evict(run)

    # --- advancing ---

    async def _advance(self, run: str) -> None:
        activation: Activation | None = None
        try:
            activation = self.activation(run)
            if not activation.row.ended and activation.row.status != "attention":
                await activation.advance()
            self._setbacks = 0
            if activation.row.ended:
                await self._run_ended(activation)
        except StoreFenced as error:
            self.dispatch.fatal = error
            log.error("%s", error)
        except StoreUnavailable as error:
            log.warning("run %s: %s", run, error)
            self._hot.pop(run, None)
            self._setbacks += 1
            self.dispatch.activate_later(
                run, min(STORE_RETRY_SECONDS * 2 ** min(self._setbacks, 6), LONGEST_STORE_RETRY)
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await self._needs_attention(activation, run, error)

    async def _needs_attention(self, activation: Activation | None, run: str, error: Exception) -> None:
        code = getattr(error, "code", "INTERNAL")
        if not isinstance(error, ATTENTION):
            log.exception("run %s: %s", run, error, exc_info=error)
        if activation is None:
            return
        if activation.dead:  # its last write was refused: what is recorded now must build on what was committed
            self._hot.pop(run, None)
            activation = self.activation(run)
            activation.find_head()
        try:
            await activation.raise_attention(error, code)
        except (StoreUnavailable, WriteRefused):
            self.dispatch.activate_later(run, STORE_RETRY_SECONDS)
            return
        finally:
            self._hot.pop(run, None)
        self.gateway.alert("attention", "operators", run, "", str(error))

    async def _run_ended(self, activation: Activation) -> None:
        run = activation.row.id
        for waiter in self._ended.pop(run, ()):
            if not waiter.done():
                waiter.set_result(activation.row)
        self._hot.pop(run, None)
        if run in self.awaited:
            for row in self.reader.all("waits_on", (run, "child", -1)):
                await self._tell_parent(row["run"], row["command"], run)
            self.awaited.discard(run)

    async def _tell_parent(self, parent: str, command: str, child: str) -> None:
        row = find_run(self.reader, child)
        last = self.reader.all("events_of_run_after", (child, row.seq - 1))[-1]
        event = decode(last["kind"], last["body"])

        def change(activation: Activation, write: Write) -> bool:
            if command not in activation.waits:
                return False
            finished = event if isinstance(event, ev.RunFinished) else None
            ended = ev.ChildEnded(
                at=self.clock.stamp(), command=command, status=row.status,  # type: ignore[arg-type] - the row has ended
                result=finished.result if finished else None, reason="" if finished else row.summary or "",
                refs=finished.refs if finished else None, outside=finished.outside if finished else None,
            )  # fmt: skip
            activation.stage(write, ended)
            activation.clear_wait(write, command)
            return True

        try:
            await self.deliver(parent, change)
        except Conflict:
            return
        except ATTENTION as error:  # the parent's trouble is not its child's
            await self._needs_attention(self._hot.get(parent), parent, error)

    async def ended(self, run: str) -> Run:
        """Return the run's row once it has ended."""
        hot = self._hot.get(run)
        if hot is None or (hot.row.ended and not hot.busy):  # an end on its way does not count yet, but it will be told
            row = find_run(self.reader, run)
            if row.ended:
                return row
            run = row.id
        future: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._ended.setdefault(run, []).append(future)
        return await future

    # --- timers and breakers ---

    async def fire_due(self) -> str | None:
        """Wake every run whose timer has come; returns when the next one is due."""
        moment = self.clock.stamp()
        rows = self.reader.all("due", (moment, DUE_AT_ONCE))
        await asyncio.gather(*(self._fire_run(row["run"], moment) for row in rows))
        for name in self.gateway.breakers.cooled_down():
            await self.backlog.send_canary(name)
        following = self.next_timer()
        return None if following is None else iso(datetime.fromtimestamp(following, UTC))

    def next_timer(self) -> float | None:
        """When the next timer or canary is due, in seconds since the epoch."""
        stored = self.reader.value("next_wake")
        times = [datetime.fromisoformat(stored).timestamp()] if stored else []
        canary = self.gateway.breakers.next_canary
        return min([*times, canary] if canary is not None else times, default=None)

    async def _fire_run(self, run: str, moment: str) -> None:
        try:
            await self.deliver(run, lambda case, write: self._fire(case, write, moment))
        except (Conflict, StoreFenced):  # it has ended, or we have
            return
        except StoreUnavailable as error:
            log.warning("timer of run %s: %s", run, error)
        except Exception as error:
            await self._needs_attention(self._hot.get(run), run, error)

    def _fire(self, case: Activation, write: Write, moment: str) -> bool:
        """Stage what is due; True when the workflow has an answer by it."""
        answers = False
        for wait in list(case.waits.values()):
            if wait.wake_at is None or wait.wake_at > moment:
                continue
            if wait.kind in ITEMS:
                answers |= self.items.fire(case, write, wait, moment)
                continue
            at, answers = self.clock.stamp(), True
            if wait.kind in ("timer", "signal"):
                case.stage(write, ev.TimerFired(at=at, command=wait.command))
            elif wait.kind == "deadline":
                case.stage(write, ev.DeadlinePassed(at=at, reason="the workflow's deadline passed"))
            case.clear_wait(write, wait.command)
        return answers

    async def retry(self, run: str, command: str, *, by: str, reason: str) -> None:
        """Send a call from its backlog back to the gate."""

        def change(case: Activation, write: Write) -> bool:
            if command not in case.waits:
                raise Conflict(f"{run}/{command} does not wait any more")
            case.stage(write, ev.CallRetried(at=self.clock.stamp(), by=by, command=command, reason=reason))
            case.clear_wait(write, command)
            return True

        await self.deliver(run, change)

    # --- start and stop ---

    async def resume(self) -> int:
        """Go on with everything that a stopped worker left; returns how many runs were in the middle."""
        for row in self.reader.all("waits_of_kind", ("diverted",)):
            action = self.gateway.actions.get(row["subject"])
            if action is not None and action.breaker is not None and self.gateway.breakers.is_closed(action.name):
                self.gateway.breakers.trip(action)
        self.awaited.update(row["subject"] for row in self.reader.all("waits_of_kind", ("child",)))
        rows = self.reader.all("runs_to_resume")
        for row in rows:
            self.dispatch.activate(row["id"])
        for row in self.reader.all("children_ended"):
            await self._tell_parent(row["parent"], row["command"], row["child"])
        await self.backlog.drain(self.backlog.switched_on(), "its switch is on again")
        self.dispatch.begin()
        return len(rows)

    async def stop(self) -> None:
        await self.dispatch.stop()
        for waiters in self._ended.values():
            for waiter in waiters:
                waiter.cancel()
