"""The client: start, signal, decide, settle, retry, cancel, list, wait. The only way in.

The command line, tests, triggers and later the API and the console call this and nothing else. Every change names who
asks for it, is checked before anything is written, and is an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from pydantic import ValidationError

from backstay import events as ev
from backstay.actions import Action, invalid
from backstay.commands import Call, Task, WaitFor
from backstay.engine.activation import Activation
from backstay.engine.frames import Open, adapter_for, model_schema, read_answer, shape_of
from backstay.engine.runner import ATTENTION, Runner
from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.events import Refs
from backstay.governance.approvals import check_decider, check_person
from backstay.governance.switches import check_flip
from backstay.language import Workflow
from backstay.store.journal import Write
from backstay.store.payloads import EARLY, redact
from backstay.store.views import (
    BACKLOG,
    QueueCount,
    Run,
    Stored,
    Wait,
    find_run,
    read_events,
    read_run,
    read_wait,
)  # fmt: skip
from backstay.types import DATA_CLASS, Json, journalable

Settlement: TypeAlias = Literal["happened", "not-happened", "give-up"]
"""happened: the effect took place (give its result). not-happened: try again. give-up: the workflow gets an error."""

_EARLY: Final = {DATA_CLASS: EARLY}
"""Schema of what nobody can describe yet: it is sealed whole."""

LISTED: Final = 200
"""Rows a list gives unless asked for more."""


class Client:
    """Everything that may be asked of one store. Methods that change something take `by`, the person or service."""

    def __init__(self, runner: Runner, owners: Mapping[str, str]) -> None:
        self._runner = runner
        self._owners = owners
        self._reader = runner.reader

    # --- runs ---

    async def start(
        self,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        by: str = "system",
        trigger: str = "",
    ) -> str:
        """Start a run and return its id once that is committed.

        input: the workflow's arguments by name. key: the same key starts one run only, and gives its id again.
        Raises InvalidInput naming each field that does not fit, NotFound, StoreUnavailable.
        """
        check_person(by)
        name = workflow if isinstance(workflow, str) else workflow.name
        return await self._runner.start(name, dict(input or {}), key=key, by=by, trigger=trigger)

    async def signal(
        self, run: str, name: str, payload: Json = None, *, id: str | None = None, by: str = "system"
    ) -> None:
        """Send a run an event; it is kept if the run does not wait for it yet. The same `id` counts once."""
        check_person(by)

        def change(case: Activation, write: Write) -> None:
            if not case.loaded:
                raise Conflict(f"run {case.row.id} needs attention; `backstay retry` it, then send the signal again")
            if id is not None and id in case.machine.signal_ids:
                return
            refs, named = Refs(), str(_clean(case, name))
            waiting = next((leaf for leaf in case.machine.open.values() if _waits_for(leaf, named)), None)
            shape = waiting.command.type if waiting is not None and isinstance(waiting.command, WaitFor) else None
            answer = _check_answer(shape, payload, f"payload of signal {name!r}")
            packed = self._runner.payloads.pack(
                write, answer, "/payload", refs, _EARLY if waiting is None else shape and model_schema(shape),
                case.machine.secrets,
            )  # fmt: skip
            event = ev.SignalReceived(at=self._stamp(), by=by, name=named, payload=packed, id=id, refs=refs or None)
            case.stage(write, event)
            if waiting is not None:
                case.clear_wait(write, waiting.id)

        async with self._runner.door:
            await self._runner.deliver(self._loaded(run).row.id, change)

    async def cancel(self, run: str, *, by: str, reason: str = "cancelled") -> None:
        """Stop a run: what it confirmed is undone in reverse, then it is cancelled."""
        check_person(by)
        await self._runner.cancel(self.run(run).id, by=by, reason=reason)

    async def wait(self, run: str) -> Run:
        """Return the run's row once it has ended."""
        return await self._runner.ended(run)

    async def result(self, run: str) -> Json:
        """Wait for a run and return its result as JSON; raises Conflict when it failed or was cancelled."""
        ended = await self.wait(run)
        if ended.status != "finished":
            raise Conflict(f"run {ended.id} {ended.status}: {ended.summary}")
        last = read_events(self._reader, ended.id, ended.seq - 1)[-1].event
        restored = self._runner.payloads.restore(last, {})
        return restored.result if isinstance(restored, ev.RunFinished) else None

    async def idle(self) -> None:
        """Return when nothing moves: no run is being advanced, and no failed call is about to be tried again."""
        while True:
            await self._runner.dispatch.idle()
            if self._reader.one("retries_pending") is None:
                return
            await self._runner.dispatch.next_end()

    async def quiet(self) -> None:
        """Return when no run is being advanced; failed calls may still be waiting for their next attempt.

        Raises what made the worker stop, if it had to.
        """
        await self._runner.dispatch.idle()
        if self._runner.dispatch.fatal is not None:
            raise self._runner.dispatch.fatal

    @property
    def fault(self) -> BaseException | None:
        """What made the worker stop by itself, if it had to: another one took the store over, for example."""
        return self._runner.dispatch.fatal

    def next_timer(self) -> float | None:
        """When the next timer is due, in seconds since the epoch."""
        return self._runner.next_timer()

    async def fire_timers(self) -> None:
        """Look at the timers now (a clock was moved)."""
        await self._runner.fire_due()

    def run(self, run: str) -> Run:
        """A run by its id, or by an unambiguous part of at least four characters."""
        return find_run(self._reader, run)

    def runs(
        self, *, status: str | None = None, workflow: str | None = None, before: str | None = None, limit: int = LISTED
    ) -> list[Run]:
        """Runs, newest first; `before` is the last id of the page before."""
        parameters = {"status": status, "workflow": workflow, "before": before, "limit": limit}
        return [read_run(row) for row in self._reader.all("runs", parameters)]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many runs stand where: workflow -> status -> number."""
        found: dict[str, dict[str, int]] = {}
        for row in self._reader.all("runs_by_status"):
            found.setdefault(row["workflow"], {})[row["status"]] = row["runs"]
        return found

    def events(self, run: str) -> list[Stored]:
        """The journal of a run, private values as pseudonyms."""
        return read_events(self._reader, self.run(run).id)

    def waits_of(self, run: str) -> list[Wait]:
        """What a run waits for."""
        return [read_wait(row) for row in self._reader.all("waits_of_run", (self.run(run).id,))]

    # --- people ---

    def inbox(self, *, queue: str | None = None, kind: str | None = None, limit: int = LISTED) -> list[Wait]:
        """Everything that waits for a person, the soonest due first."""
        parameters = {"queue": queue, "kind": kind, "action": None, "people": 1, "limit": limit}
        return [read_wait(row) for row in self._reader.all("waits", parameters)]

    def queues(self) -> list[QueueCount]:
        """What lies in each queue, by kind."""
        rows = self._reader.all("queue_counts", {"now": self._stamp()})
        return [QueueCount(**{name: row[name] for name in QueueCount.__dataclass_fields__}) for row in rows]

    @property
    def owners(self) -> dict[str, str]:
        """Queue -> owner, as the application declares them."""
        return dict(self._owners)

    def owner(self, queue: str) -> str:
        """Who answers for a queue; every queue has an owner."""
        return self._owners.get(queue) or self._owners.get("*", "operators")

    async def claim(self, item: str, *, by: str) -> None:
        """Take an approval or task for oneself; raises Conflict when somebody else has it."""

        def change(case: Activation, write: Write, wait: Wait) -> None:
            check_person(by)
            if wait.claimed_by not in (None, by):
                raise Conflict(f"{wait.id} is claimed by {wait.claimed_by!r}")
            case.stage(write, ev.ItemClaimed(at=self._stamp(), by=by, command=wait.command))
            case.put_wait(write, wait._replace(claimed_by=by))

        await self._change_item(item, ("approval", "task"), change, keep=True)

    async def release(self, item: str, *, by: str) -> None:
        """Give a claimed item back to its queue."""
        check_person(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            if wait.claimed_by is None:
                raise Conflict(f"{wait.id} is not claimed")
            case.stage(write, ev.ItemReleased(at=self._stamp(), by=by, command=wait.command))
            case.put_wait(write, wait._replace(claimed_by=None))

        await self._change_item(item, ("approval", "task"), change, keep=True)

    async def decide(self, item: str, verdict: Literal["approved", "rejected"], *, by: str, reason: str = "") -> None:
        """Approve or reject; the decision is bound to exactly what was shown, and counts once.

        Raises NotAllowed (own request, somebody else's claim), Conflict (decided, withdrawn or expired already).
        """
        if verdict not in ("approved", "rejected"):
            raise InvalidInput(f"{verdict!r} is no verdict; decide 'approved' or 'rejected'", {"verdict": "unknown"})

        def change(case: Activation, write: Write, wait: Wait) -> None:
            requester = case.machine.started.by if case.loaded else wait.requester  # the journal's word counts
            check_decider(by=by, requester=requester, claimed_by=wait.claimed_by)
            if wait.wake_at is not None and wait.wake_at <= self._stamp():
                raise Conflict(f"{wait.id} expired at {wait.wake_at}; it does not count any more")
            opened = self._opened(case, wait)
            digest = opened.digest if isinstance(opened, ev.ApprovalRequested) else None
            event = ev.ApprovalDecided(
                at=self._stamp(), by=by, command=wait.command, verdict=verdict, reason=_clean(case, reason),
                digest=digest,
            )  # fmt: skip
            case.stage(write, event)

        await self._change_item(item, ("approval",), change)

    async def complete(self, item: str, value: Json = None, *, by: str) -> None:
        """Report a task done, with its filled-in form; raises InvalidInput naming each field that does not fit."""

        def change(case: Activation, write: Write, wait: Wait) -> None:
            check_person(by)
            if wait.claimed_by not in (None, by):
                raise NotAllowed(f"{wait.claimed_by!r} has claimed {wait.id}; it must be released first")
            leaf = self._leaf(case, wait)
            if not isinstance(leaf.command, Task):
                raise Conflict(f"{wait.id} is not a task")
            opened, refs = leaf.opened, Refs()
            answer = value
            form = opened.form if isinstance(opened, ev.TaskOpened) else None
            if form is None:
                answer = value if isinstance(value, dict) else {"comment": "" if value is None else str(value)}
                answer = journalable(answer, f"the report on task {wait.id}")
            else:
                answer = _check_answer(leaf.command.form, value, f"the form of task {wait.id}")
            packed = self._runner.payloads.pack(write, answer, "/value", refs, form, case.machine.secrets)
            case.stage(
                write, ev.TaskCompleted(at=self._stamp(), by=by, command=wait.command, value=packed, refs=refs or None)
            )

        await self._change_item(item, ("task",), change)

    # --- operators ---

    async def settle(self, item: str, outcome: Settlement, *, by: str, result: Json = None, reason: str = "") -> None:
        """Say what became of an unknown effect, or answer a call that lies in its backlog."""
        check_person(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            refs: Refs = {}
            leaf, answer, schema = self._leaf(case, wait), None, None
            if outcome == "happened" and isinstance(leaf.command, Call):
                answer, schema = self._check_result(case, leaf, leaf.command, result)
            packed = self._runner.payloads.pack(write, answer, "/result", refs, schema, case.machine.secrets)
            event = ev.CallSettled(
                at=self._stamp(), by=by, command=wait.command, outcome=outcome, result=packed,
                reason=_clean(case, reason),
                refs=refs or None,
            )  # fmt: skip
            case.stage(write, event)

        await self._change_item(item, ("unknown", *BACKLOG), change)

    def _check_result(self, case: Activation, leaf: Open, call: Call[Any], result: Json) -> tuple[Json, Json]:
        """A result that a person gave, as the run will read it, and the schema that says what of it is private.

        The run's own definition counts, not what is deployed. It says nothing of an action that undoes another.
        """
        what = f"the result of action {call.action!r}"
        action = self._runner.gateway.actions.get(call.action)
        if leaf.undoes:
            return (journalable(result, what), _EARLY) if action is None else _as_declared(action, result)
        answer = _check_answer(shape_of(call), result, what)
        try:
            read_answer(call, answer)
        except ValidationError as error:
            raise invalid(what, error) from None
        interface = case.machine.program.interfaces.get(call.action)
        return answer, None if interface is None else interface.result

    async def retry(self, target: str, *, by: str, reason: str = "") -> int:
        """Send back to the gate: one item (RUN/COMMAND), all of a run, or with "queue:NAME" a whole queue.

        Returns how many went. A run that needs attention is tried again.
        """
        check_person(by)
        outcomes = await asyncio.gather(
            *(self._retry_one(wait, by, reason) for wait in self._targets(target)), return_exceptions=True
        )
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if any(not isinstance(fault, Conflict) for fault in faults):
            raise next(fault for fault in faults if not isinstance(fault, Conflict))
        return len(outcomes) - len(faults)

    async def _retry_one(self, wait: Wait, by: str, reason: str) -> None:
        if wait.kind == "attention":
            await self._clear_attention(wait, by, reason)
        else:
            told = _clean(self._loaded(wait.run), reason)
            await self._runner.retry(wait.run, wait.command, by=by, reason=told or "retried by a person")

    def _targets(self, target: str) -> list[Wait]:
        kinds = BACKLOG | {"attention"}
        if target.startswith("queue:"):
            name = target.removeprefix("queue:")
            found = [wait for wait in self.inbox(queue=name, limit=1_000_000) if wait.kind in kinds]
            if not found and name not in self._owners and not self.inbox(queue=name, limit=1):
                raise NotFound(f"there is no queue {name!r}; `backstay queues` lists them")
            return found
        run, _, command = target.partition("/")
        waits = [wait for wait in self.waits_of(run) if command in ("", wait.command)]
        found = [wait for wait in waits if wait.kind in kinds]
        if not found:
            raise Conflict(f"nothing of {target} waits for a retry" + _hint(waits))
        return found

    async def _clear_attention(self, wait: Wait, by: str, reason: str) -> None:
        activation, write = self._runner.loaded(wait.run), Write()
        activation.stage(write, ev.AttentionCleared(at=self._stamp(), by=by, reason=reason))
        activation.clear_wait(write, wait.command)
        activation.set_status(write, "running")

        def cleared() -> None:
            self._runner.dispatch.look_now()
            self._runner.dispatch.activate(wait.run)

        await activation.commit(write, cleared)

    async def switch(self, scope: str, *, off: bool, by: str, reason: str) -> int:
        """Flip a kill switch: "all", "effect:write", "action:NAME", "workflow:NAME". Returns how many calls go on."""
        check_person(by)
        switches = self._runner.gateway.switches
        check_flip(scope, off, reason)
        self._check_scope(scope, off)
        before = switches.off.get(scope)
        switches.flip(scope, off=off, reason=reason)
        await self._runner.system.record(
            "switch", scope, {"off": off, "reason": reason}, by=by,
            lost=lambda: switches.flip(scope, off=before is not None, reason=before or ""),
        )  # fmt: skip
        if off:
            return 0
        rows = self._reader.all("waits_of_kind", ("switched",))
        again = f"switch {scope!r} is on again"
        await asyncio.gather(
            *(self._runner.retry(row["run"], row["command"], by=by, reason=again) for row in rows),
            return_exceptions=True,
        )
        return len(rows)

    def _check_scope(self, scope: str, off: bool) -> None:
        """A name that this application does not have stops nothing, and whoever pulled it must hear of that."""
        kind, _, name = scope.partition(":")
        known = {"action": self._runner.gateway.actions, "workflow": self._runner.workflows}.get(kind)
        loaded = bool(self._runner.workflows)
        if (
            not off
            or known is None
            or not (loaded and name)
            or name in known
            or (kind == "workflow" and name in self.counts())
        ):
            return
        raise InvalidInput(
            f"this application has no {kind} {name!r}; it has {', '.join(sorted(known))}", {"scope": "unknown"}
        )

    @property
    def switches(self) -> dict[str, str]:
        """The scopes that are off, each with its reason."""
        return dict(self._runner.gateway.switches.off)

    # --- shared parts ---

    async def _change_item(
        self,
        item: str,
        kinds: tuple[str, ...],
        change: Callable[[Activation, Write, Wait], None],
        *,
        keep: bool = False,
    ) -> None:
        """Change a waiting item, named RUN/COMMAND, or by its run when only one of the kinds waits there."""
        run, _, command = item.partition("/")
        async with self._runner.door:
            activation, write = self._loaded(run), Write()
            wait = _pick(activation, item, command, kinds)

            def apply(case: Activation, write: Write) -> None:
                change(case, write, wait)
                if not keep:
                    case.clear_wait(write, wait.command)

            if keep:
                apply(activation, write)
                await activation.commit(write, activation.poke)
            else:
                await self._runner.deliver(wait.run, apply)

    def _loaded(self, run: str) -> Activation:
        try:
            return self._runner.loaded(run)
        except NotFound:
            return self._runner.loaded(self.run(run).id)
        except ATTENTION:
            self._runner.dispatch.activate(run)  # it fails there as well, and so comes before an operator
            raise

    def _leaf(self, case: Activation, wait: Wait) -> Open:
        if not case.loaded:
            raise Conflict(f"run {wait.run} needs attention; `backstay retry` it, then it can be answered")
        leaf = case.machine.find(wait.command)
        if leaf is None:
            raise Conflict(f"{wait.id} does not wait any more")
        return leaf

    def _opened(self, case: Activation, wait: Wait) -> object:
        return self._leaf(case, wait).opened

    def _stamp(self) -> str:
        return self._runner.clock.stamp()


def _pick(case: Activation, item: str, command: str, kinds: tuple[str, ...]) -> Wait:
    """The one wait of a run that is meant; raises Conflict saying what waits there instead."""
    waits = list(case.waits.values())
    found = [wait for wait in waits if (wait.command == command if command else wait.kind in kinds)]
    if not found and case.row.ended:
        raise Conflict(f"{item} does not wait for that: run {case.row.id} has {case.row.status}")
    if not found:
        raise Conflict(f"{item} does not wait for that: it was decided, withdrawn or has expired{_hint(waits)}")
    if len(found) > 1:
        raise Conflict(f"run {case.row.id} waits for more than one thing; name one of {', '.join(w.id for w in found)}")
    if found[0].kind not in kinds:
        raise Conflict(f"{found[0].id} is of kind {found[0].kind!r}, not {' or '.join(kinds)}")
    return found[0]


def _hint(waits: list[Wait]) -> str:
    listed = ", ".join(f"{wait.command} ({wait.kind})" for wait in waits if wait.queue)
    return f"; what waits there: {listed}" if listed else ""


def _check_answer(shape: Any, value: Json, what: str) -> Json:
    """Validate what a person or sender gave against the type the workflow asked for, and write it as JSON."""
    if shape is None:
        return journalable(value, what)
    adapter = adapter_for(shape)
    try:
        return journalable(adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True), what)
    except ValidationError as error:
        raise invalid(what, error) from None


def _as_declared(action: Action[Any], result: Json) -> tuple[Json, Json]:
    """A result that a person gave, written as the action itself would, and the schema that says what of it is private."""
    answer = _check_answer(action.result, result, f"the result of action {action.name!r}")
    return answer, action.interface["result"] if action.seals_result else None


def _clean(case: Activation, text: Any) -> Any:
    """What a person wrote, without the private texts that the run knows."""
    return str(redact(text, case.machine.secrets)) if case.loaded and isinstance(text, str) else text


def _waits_for(leaf: Open, name: str) -> bool:
    return isinstance(leaf.command, WaitFor) and leaf.command.name == name
