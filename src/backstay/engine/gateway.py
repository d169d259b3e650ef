"""The gateway: the one door through which every effect goes.

A call passes the stages in STAGES, in order; each may stop it, and a fault inside a stage stops it too. A call that
passes is made: a read at once, anything else after its intent is committed, under an idempotency key that every later
attempt carries too. What comes back is validated, sealed and recorded, and only then seen by the workflow. A failure is
sorted: tried again, put into an owned queue, told to the workflow, or, when nobody can say whether the effect happened,
made a question to a person. Nothing else in Backstay invokes an action, and a test proves it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Literal, TypeAlias, cast

from backstay import events as ev
from backstay.actions import Action, pause_of
from backstay.canonical import digest
from backstay.engine.frames import Open
from backstay.engine.limits import Breakers
from backstay.engine.stages import STAGES, Case, Gate, Refusal
from backstay.engine.streams import Streams
from backstay.engine.threads import Begun, Threads
from backstay.errors import InvalidInput, NeedsReview, NotInstalled, NotRetryable, OutcomeUnknown
from backstay.events import Fault, Refs
from backstay.governance.approvals import proposal_digest
from backstay.governance.budgets import Days, Limits
from backstay.governance.policy import Policy
from backstay.governance.queues import Queues
from backstay.governance.schedule import schedule
from backstay.governance.switches import Switches
from backstay.store.blobs import OFFLOAD_BYTES
from backstay.store.clock import Clock
from backstay.store.journal import Write
from backstay.store.payloads import ASIDE_BYTES, Payloads, redact
from backstay.store.views import Wait, WaitKind
from backstay.turnstile import Turnstile
from backstay.types import Happened, Json, seconds

Step: TypeAlias = Coroutine[Any, Any, None]
"""What is left to await of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should hear of: an item in a backlog, an unknown effect, a breaker, a run in need."""

    kind: Literal["queued", "unknown", "breaker-opened", "breaker-closed", "attention"]
    queue: str
    run: str
    action: str
    message: str
    at: str


# --- the door -----------------------------------------------------------------------------------------


class Gateway:
    """Makes calls happen. One per application; `perform` is its only entrance."""

    def __init__(
        self,
        actions: Mapping[str, Action[Any]],
        *,
        clock: Clock,
        payloads: Payloads,
        policy: Policy,
        limits: Limits,
        queues: Queues | None = None,
        on_alert: Sequence[Callable[[Alert], Any]] = (),
    ) -> None:
        self.actions, self.clock, self.payloads = actions, clock, payloads
        self.policy, self.granted, self.limits = policy, policy, limits
        self.queues = queues or Queues()
        self.switches, self.days, self.streams = Switches(), Days(), Streams()
        self.breakers = Breakers(clock)
        self.on_breaker: Callable[[str, bool], Awaitable[None]] | None = None
        self._on_alert = on_alert
        self._threads, self.writing_threads = Threads(), Threads()
        self._turnstiles = {
            name: Turnstile(action) for name, action in actions.items() if action.concurrency or action.rate
        }

    def perform(self, case: Case, leaf: Open) -> Step:
        """Take one open call as far as it goes now, recording what happens; awaiting ends when that is committed.

        This and what it hands over to are plain functions that return the coroutine to await: a call passes here
        often, and each coroutine around another would cost as much as a stage.
        """
        command: Any = leaf.command
        name: str = command.action
        action = self.actions.get(name)
        if action is None:
            if not leaf.undoes and name not in case.machine.program.interfaces:  # whoever chose the name made it up
                return self._deny(case, leaf, name, "allow-list", f"there is no tool {name!r}")
            raise NotDeployed(
                f"action {name!r} is not part of this application; deploy it, then `backstay retry` the run"
            )
        gate = Gate(case, leaf, name, action, leaf.args, self.payloads.mac)
        if leaf.intent is not None:
            gate.approval = leaf.intent.approval  # it consumed its approval when it was first intended
            return self._recover(gate)
        return self._pass(gate)

    def _pass(self, gate: Gate, *, done: bool | None = None) -> Step:
        """Through the stages to the call, once its turn has come: what changed while it waited for it counts."""
        turnstile = self._turnstiles.get(gate.name)
        threads = None if gate.action.is_async or gate.action.effect == "read" else self.writing_threads
        at_once = turnstile is None and threads is None
        return self._stages(gate, done) if at_once else self._in_turn(gate, done, turnstile, threads)

    async def _in_turn(
        self, gate: Gate, done: bool | None, turnstile: Turnstile | None, threads: Threads | None
    ) -> None:
        async with turnstile.turn() if turnstile else nullcontext(), threads.places if threads else nullcontext():
            await self._stages(gate, done)

    def _stages(self, gate: Gate, done: bool | None) -> Step:
        """What may have happened (`done` is not known) is not refused: it would look undone."""
        gate.unsure = gate.leaf.intent is not None and done is None
        refusal = self.pass_stages(gate)
        if refusal is None:
            return self._call(gate)
        if refusal.then == "attend":
            raise NotDeployed(f"{refusal.reason}; deploy the one it was checked against, then `backstay retry` the run")
        if gate.unsure and refusal.then in ("deny", "hold"):
            return self._unknown(
                gate, f"an earlier attempt may have happened, and {refusal.stage} stops another: {refusal.reason}"
            )
        return self._stop(gate, refusal)

    def pass_stages(self, gate: Gate) -> Refusal | None:
        """Run the stages; what goes wrong inside one stops the call."""
        stage = STAGES[0]
        try:
            for stage in STAGES:
                refusal = stage(self, gate)
                if refusal is not None:
                    return refusal
        except Exception as error:
            return Refusal(then="deny", stage=stage.__name__, reason=f"the stage itself failed: {error!r}")
        gate.passed()
        return None

    # --- making the call ---

    async def _call(self, gate: Gate) -> None:
        key = ""
        if gate.action.effect != "read":
            key = self.key(gate)
            await self._intend(gate, key)
        elif gate.action.key_parameter:
            key = self.key(gate)
        gate.fill(self)
        begun = perf_counter_ns()
        try:
            result = gate.action.write_result(await self._invoke(gate.action, gate.action.fn, gate.values, key))
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # we are being cancelled, not the action's own doing
            await self._failed(gate, key, error)
        else:
            await self._returned(gate, result, (perf_counter_ns() - begun) // 1000)

    def key(self, gate: Gate) -> str:
        """The key of an effect: what it was intended under before, else one that tells nothing of private arguments."""
        if gate.leaf.intent is not None and gate.leaf.intent.key:
            return gate.leaf.intent.key
        key = idempotency_key(gate.case.row.id, gate.leaf, gate.name, gate.args)
        return self.payloads.mac(key)[:40] if gate.private else key

    async def _intend(self, gate: Gate, key: str) -> None:
        write, refs = Write(), {}
        undo = gate.action.compensate
        event = ev.CallIntended(
            at=self.clock.stamp(), command=gate.leaf.id, site=gate.leaf.site, action=gate.name,
            effect=gate.action.effect, args=self._pack_args(gate, write, refs), key=key, attempt=gate.leaf.attempt + 1,
            rule=gate.rule, approval=gate.approval, compensate=undo.name if undo else None, policy=self.policy.digest,
            path=gate.case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        await gate.case.record(event, write)

    async def _invoke(self, action: Action[Any], function: Callable[..., Any], values: dict[str, Any], key: str) -> Any:
        if action.key_parameter is not None:
            values = {**values, action.key_parameter: key}
        if not action.is_async:
            async with asyncio.timeout(action.timeout_seconds):
                if action.effect == "read":
                    return await self._threads.run(function, **values)
                return await self.writing_threads.run_now(function, **values)  # its place was taken before the stages
        coroutine = function(**values)
        try:
            first = coroutine.send(None)
        except StopIteration as stop:  # it never waited, so no timer was needed
            return stop.value
        async with asyncio.timeout(action.timeout_seconds):
            return await Begun(coroutine, first)

    def _returned(self, gate: Gate, result: Json, micros: int) -> Awaitable[None]:
        closes = self.breakers.succeeded(gate.action)
        return self._close_breaker(gate, result, micros) if closes else self._record_result(gate, result, micros)

    async def _close_breaker(self, gate: Gate, result: Json, micros: int) -> None:
        await self._tell_breaker(gate, opened=False)
        await self._record_result(gate, result, micros)

    def _record_result(self, gate: Gate, result: Json, micros: int) -> Awaitable[None]:
        write, refs, action, leaf, case = Write(), {}, gate.action, gate.leaf, gate.case
        schema = action.interface["result"] if action.seals_result else None
        most = ASIDE_BYTES if action.effect == "read" else OFFLOAD_BYTES
        packed = self.payloads.pack(write, result, "/result", refs, schema, case.machine.secrets, most)
        args, attempt, approval, rule, policy = None, leaf.attempt, None, "", ""
        if action.effect == "read":  # its only event, so it carries what an intent would have said
            args, attempt, approval = self._pack_args(gate, write, refs), leaf.attempt + 1, gate.approval
            rule, policy = gate.rule, self.policy.digest
        event = ev.CallReturned(
            at=self.clock.stamp(), command=leaf.id, site=leaf.site, action=gate.name, result=packed, args=args,
            attempt=attempt, micros=micros, approval=approval, rule=rule, policy=policy,
            path=case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        return case.record(event, write)

    def _pack_args(self, gate: Gate, write: Write, refs: Refs) -> Json:
        if gate.action.derived:
            return gate.stand_in()
        sealing = gate.action.seals_arguments
        if gate.size < OFFLOAD_BYTES and not sealing and not gate.detected and not gate.case.machine.secrets:
            return gate.args
        schema = gate.action.interface["arguments"] if sealing else None
        return self.payloads.pack(write, gate.args, "/args", refs, schema, gate.case.machine.secrets)

    async def _recover(self, gate: Gate) -> None:
        """An earlier attempt may have happened: ask the target, or call again under the same key, or ask a person.

        It failed and is tried again, was sent back from its backlog, or the worker died between intent and result.
        """
        intent, action = cast("ev.CallIntended", gate.leaf.intent), gate.action
        retrying = gate.leaf.state == "retrying"
        if action.probe is not None and not (retrying and action.key_parameter is not None):
            await self._probe(gate, intent.key, "an earlier attempt may have happened")
        elif action.key_parameter is not None:
            await self._pass(gate)
        else:
            await self._unknown(gate, "the worker stopped before the result was recorded, and the action takes no key")

    async def _probe(self, gate: Gate, key: str, why: str, fault: Fault | None = None) -> None:
        """Ask the target whether the effect happened: then its result counts. Otherwise the call is made (again), or
        counts as failed when `fault` says that it was the last attempt.
        """
        function = cast("Callable[..., Any]", gate.action.probe)
        try:
            async with asyncio.timeout(gate.action.timeout_seconds):
                found = (
                    await function(key)
                    if inspect.iscoroutinefunction(function)
                    else await self._threads.run(lambda: function(key))
                )
            told = found.result if isinstance(found, Happened) else found
            result = None if found is None else gate.action.write_result(told)
        except Exception as error:
            await self._unknown(
                gate, f"{why}, and its probe failed: {type(error).__name__}: {self._clean(gate, error)}"
            )
            return
        if found is not None:
            await self._returned(gate, result, 0)
        elif fault is not None:
            await self._give_up(gate, fault, happened=False)
        else:
            await self._pass(gate, done=False)

    # --- sorting failures ---

    async def _failed(self, gate: Gate, key: str, error: BaseException) -> None:
        action, leaf = gate.action, gate.leaf
        fault = Fault(type=type(error).__name__, message=self._clean(gate, error))
        changes = action.effect != "read"
        definite = isinstance(error, (NotRetryable, *action.retry.give_up_on))
        if not definite and self.breakers.failed(action):
            await self._tell_breaker(gate, opened=True)
        elif definite and self.breakers.succeeded(action):  # the target answered, so it is well
            await self._tell_breaker(gate, opened=False)
        repeatable = action.effect == "write" and (action.key_parameter is not None or action.probe is not None)
        if isinstance(error, NeedsReview) and gate.unsure and action.on_failure == "raise":
            await self._give_up(gate, fault)
        elif isinstance(error, NotInstalled) or (isinstance(error, NeedsReview) and action.on_failure == "queue"):
            todo = "install it" if isinstance(error, NotInstalled) else "review what has changed"
            await self._enqueue(gate, "queued", fault, f"{todo}, then retry", over=not gate.unsure)
            why = f"{'not undone: ' if leaf.undoes else ''}{fault.type}: {fault.message}"
            self.alert("queued", action.queue, gate.case.row.id, gate.name, why)
        elif isinstance(error, InvalidInput) and not definite and (repeatable or not changes):
            await self._give_up(gate, fault, attempts_matter=False)
        elif changes and (isinstance(error, OutcomeUnknown) or (isinstance(error, InvalidInput) and not definite)):
            await self._unknown(gate, fault.message)
        elif definite:
            await self._tell_workflow(gate, fault)
        elif changes and action.key_parameter is None and action.probe is None:
            await self._unknown(
                gate, f"it failed with {fault.type}: {fault.message}; without a key nobody may try again"
            )
        elif action.effect == "irreversible":
            if action.probe is not None:
                why = f"it failed with {fault.type}: {fault.message}"
                said = Fault(type="NotPerformed", message=f"{why}; the target says it did not happen")
                await self._probe(gate, key, why, said)
            else:
                await self._unknown(
                    gate, f"it failed with {fault.type}: {fault.message}; it is never retried on its own"
                )
        elif self._may_retry(action, leaf):
            await self._retry_later(gate, fault, pause_of(error))
        else:
            await self._give_up(gate, fault)

    def _clean(self, gate: Gate, error: BaseException) -> str:
        text = str(error) or repr(error)
        if isinstance(error, TimeoutError):
            text = f"no answer within {gate.action.timeout_seconds:g} s"
        return self.payloads.clean(text, gate.case.machine.secrets)[:2000].encode("utf-8", "backslashreplace").decode()

    def _may_retry(self, action: Action[Any], leaf: Open) -> bool:
        made = leaf.attempt + (action.effect == "read") - leaf.spent
        if made >= action.retry.attempts:
            return False
        if action.retry.deadline is None or leaf.first_at is None:
            return True
        limit = self.clock.stamp_after(-seconds(action.retry.deadline))
        return leaf.first_at > limit

    async def _retry_later(self, gate: Gate, fault: Fault, pause: float) -> None:
        leaf, retry = gate.leaf, gate.action.retry
        attempt = leaf.attempt + 1 if gate.action.effect == "read" else leaf.attempt
        due = self.clock.stamp_after(retry.delay(attempt - leaf.spent, self.clock.chance(), pause))
        at = self.clock.stamp()
        event = ev.AttemptFailed(
            at=at, command=leaf.id, site=leaf.site, action=gate.name, attempt=attempt, fault=fault, retry_at=due,
            first_at=leaf.first_at or at, path=gate.case.machine.take_path(),
        )  # fmt: skip
        await gate.case.record(event, wait=self._wait(gate, "retry", "", fault.message, wake_at=due))

    async def _give_up(
        self, gate: Gate, fault: Fault, *, attempts_matter: bool = True, happened: bool | None = None
    ) -> None:
        """Attempts ran out: into the owned queue, unless the action's author wants the workflow to hear of it.

        It hears only of what did not happen: else it would go on as if there were nothing to undo. The target is asked,
        and where it cannot be, a person is.
        """
        if gate.action.on_failure == "raise":
            why = f"it failed with {fault.type}: {fault.message}"
            if gate.action.effect == "read" or happened is False:
                await self._tell_workflow(gate, fault)
            elif gate.action.probe is not None and gate.leaf.intent is not None:
                await self._probe(gate, gate.leaf.intent.key, why, fault)
            else:
                await self._unknown(
                    gate, f"{why}; it may have happened all the same, and the workflow must not take it as undone"
                )
            return
        suggestion = "retry when the target is well again" if attempts_matter else "mend the action, then retry"
        await self._enqueue(gate, "queued", fault, suggestion)
        self.alert("queued", gate.action.queue, gate.case.row.id, gate.name, f"{fault.type}: {fault.message}")

    async def _tell_workflow(self, gate: Gate, fault: Fault) -> None:
        if gate.leaf.undoes:
            await self._not_undone(gate, fault)
            return
        attempt = gate.leaf.attempt + 1 if gate.action.effect == "read" else gate.leaf.attempt
        event = ev.CallFailed(
            at=self.clock.stamp(), command=gate.leaf.id, site=gate.leaf.site, action=gate.name, attempt=attempt,
            fault=fault, path=gate.case.machine.take_path(),
        )  # fmt: skip
        await gate.case.record(event)

    async def _not_undone(self, gate: Gate, fault: Fault) -> None:
        """No workflow is left to hear of a compensation that failed, so a person must: the run ends once it is settled."""
        await self._enqueue(gate, "queued", fault, "undo it by hand and settle it as happened, retry, or give it up")
        self.alert("queued", gate.action.queue, gate.case.row.id, gate.name, f"not undone: {fault.message}")

    async def _enqueue(self, gate: Gate, kind: WaitKind, fault: Fault, suggestion: str, *, over: bool = False) -> None:
        """over: what was intended did not happen, so that a retry begins anew."""
        write, refs, leaf, at = Write(), {}, gate.leaf, self.clock.stamp()
        if over and leaf.intent is not None:
            gate.case.stage(write, ev.CallSettled(at=at, command=leaf.id, outcome="not-happened", reason=fault.message))
        event = ev.CallQueued(
            at=at, command=leaf.id, site=leaf.site, action=gate.name, queue=gate.action.queue,
            attempt=leaf.attempt, fault=fault, suggestion=suggestion, args=self._pack_args(gate, write, refs),
            path=gate.case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        await gate.case.record(event, write, self._wait(gate, kind, gate.action.queue, fault.message))

    async def _unknown(self, gate: Gate, reason: str) -> None:
        leaf, queue = gate.leaf, gate.action.queue
        event = ev.CallUnknown(
            at=self.clock.stamp(), command=leaf.id, site=leaf.site, action=gate.name, queue=queue, reason=reason,
            attempt=leaf.attempt,
        )  # fmt: skip
        await gate.case.record(event, wait=self._wait(gate, "unknown", queue, reason))
        self.alert("unknown", queue, gate.case.row.id, gate.name, reason)

    # --- what a stage stopped ---

    async def _stop(self, gate: Gate, refusal: Refusal) -> None:
        fault = Fault(type=refusal.stage, message=refusal.reason)
        if refusal.then == "divert":
            await self._enqueue(gate, "diverted", fault, "goes on by itself when the breaker closes")
        elif refusal.then == "switch":
            await self._enqueue(gate, "switched", fault, "goes on by itself when the switch is on again")
        elif refusal.then == "hold":
            await self._propose(gate, refusal)
        elif gate.leaf.undoes:
            await self._not_undone(gate, fault)
        elif refusal.then == "draft":
            await self._draft(gate, refusal)
        else:
            await self._deny(gate.case, gate.leaf, gate.name, refusal.stage, refusal.reason, gate.rule)

    async def _deny(self, case: Case, leaf: Open, name: str, stage: str, reason: str, rule: str = "") -> None:
        event = ev.CallDenied(
            at=self.clock.stamp(), command=leaf.id, site=leaf.site, action=name, stage=stage,
            reason=str(redact(reason, case.machine.secrets)), rule=rule, policy=self.policy.digest,
            path=case.machine.take_path(),
        )  # fmt: skip
        await case.record(event)

    async def _draft(self, gate: Gate, refusal: Refusal) -> None:
        """Write down what would have been done."""
        write, refs = Write(), {}
        event = ev.CallDrafted(
            at=self.clock.stamp(), command=gate.leaf.id, site=gate.leaf.site, action=gate.name,
            effect=gate.action.effect, args=self._pack_args(gate, write, refs), rule=gate.rule, reason=refusal.reason,
            path=gate.case.machine.take_path(), refs=refs or None,
        )  # fmt: skip
        await gate.case.record(event, write)

    async def _propose(self, gate: Gate, refusal: Refusal) -> None:
        """Ask a person about exactly this call."""
        write, refs = Write(), {}
        queue = (refusal.rule.approvers if refusal.rule else "") or gate.action.approvers
        found = self.queues.of(queue)
        times = schedule(found, self.clock.stamp(), None, expires=True)
        call = gate.digest()
        event = ev.ApprovalRequested(
            at=self.clock.stamp(), command=gate.leaf.id, site=gate.leaf.site, queue=queue, action=gate.name,
            args=self._pack_args(gate, write, refs), digest=call, reason=refusal.reason,
            path=gate.case.machine.take_path(), refs=refs or None, due=times.due, plan=times.told,
            calendar=times.calendar, policy=self.policy.digest, shown=proposal_digest(call, self.policy.digest, None, None),
        )  # fmt: skip
        wait = self._wait(gate, "approval", queue, f"{gate.name}: {refusal.reason}")
        wait = wait._replace(due_at=times.due, priority=found.priority)
        if times.plan:
            wait = wait._replace(wake_at=times.plan[0]["at"])
        await gate.case.record(event, write, wait)

    def _wait(self, gate: Gate, kind: WaitKind, queue: str, title: str, wake_at: str | None = None) -> Wait:
        return Wait(
            run=gate.case.row.id, command=gate.leaf.id, kind=kind, queue=queue, title=title[:300],
            opened_at=self.clock.stamp(), wake_at=wake_at, requester=gate.case.row.requester, subject=gate.name,
        )  # fmt: skip

    # --- telling people ---

    async def _tell_breaker(self, gate: Gate, *, opened: bool) -> None:
        kind, word = ("breaker-opened", "opened") if opened else ("breaker-closed", "closed")
        self.alert(kind, gate.action.queue, gate.case.row.id, gate.name, f"the breaker of {gate.name!r} {word}")
        if self.on_breaker is not None:
            await self.on_breaker(gate.name, opened)

    def alert(self, kind: Any, queue: str, run: str, action: str, message: str) -> None:
        """Tell whoever listens; a listener that fails must not harm the case."""
        alert = Alert(kind=kind, queue=queue, run=run, action=action, message=message, at=self.clock.stamp())
        for listener in self._on_alert:
            self.call_listener(listener, alert, "on_alert")

    def call_listener(self, listener: Callable[[Any], Any], told: Any, hook: str) -> None:
        """Call one listener; its fault is reported to the loop and goes no further."""
        try:
            listener(told)
        except Exception as error:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"{hook} listener failed: {error!r}", "exception": error})


class NotDeployed(Exception):
    """The application that runs here has no such action, or another one under its name; the run needs an operator."""

    code = "NOT_DEPLOYED"


def idempotency_key(run: str, leaf: Open, action: str, args: Json) -> str:
    """The same for every attempt of one effect and for no other: from run, call site, occurrence and arguments."""
    parts = {"run": run, "site": leaf.site, "occurrence": leaf.occurrence, "action": action, "arguments": args}
    return digest(parts)[:40]
