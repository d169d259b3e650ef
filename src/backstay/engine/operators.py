"""Operators: settling what is unknown, sending calls back to the gate, pulling switches."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from backstay import events as ev
from backstay.actions import invalid
from backstay.commands import Call
from backstay.engine.activation import Activation
from backstay.engine.desk import EARLY_SCHEMA, as_declared, check_answer, clean, hint
from backstay.engine.frames import Open, read_answer, shape_of
from backstay.engine.people import People
from backstay.errors import Conflict, InvalidInput, NotFound
from backstay.events import Refs
from backstay.governance.switches import check_flip
from backstay.store.journal import Write
from backstay.store.views import BACKLOG, Wait
from backstay.types import Json, journalable

Settlement: TypeAlias = Literal["happened", "not-happened", "give-up"]
"""happened: the effect took place (give its result). not-happened: try again. give-up: the workflow gets an error."""


class Operators(People):
    """The part of the client that operators use; they see what people see."""

    async def settle(
        self, item: str, outcome: Settlement, *, by: str | None = None, result: Json = None, reason: str = ""
    ) -> None:
        """Say what became of an unknown effect, or answer a call that lies in its backlog."""
        by = self._allow(by, "settle")

        def change(case: Activation, write: Write, wait: Wait) -> bool:
            refs: Refs = {}
            leaf, answer, schema = self._leaf(case, wait), None, None
            if outcome == "happened" and isinstance(leaf.command, Call):
                answer, schema = self._check_result(case, leaf, leaf.command, result)
            packed = self._runner.payloads.pack(write, answer, "/result", refs, schema, case.machine.secrets)
            event = ev.CallSettled(
                at=self._stamp(), by=by, command=wait.command, outcome=outcome, result=packed,
                reason=clean(case, reason),
                refs=refs or None,
            )  # fmt: skip
            case.stage(write, event)
            case.clear_wait(write, wait.command)
            return True

        await self._change_item(item, ("unknown", *BACKLOG), change, by=by, needs="settle")

    def _check_result(self, case: Activation, leaf: Open, call: Call[Any], result: Json) -> tuple[Json, Json]:
        """A result that a person gave, as the run will read it, and the schema that says what of it is private.

        The run's own definition counts, not what is deployed. It says nothing of an action that undoes another.
        """
        what = f"the result of action {call.action!r}"
        action = self._runner.gateway.actions.get(call.action)
        if leaf.undoes:
            return (journalable(result, what), EARLY_SCHEMA) if action is None else as_declared(action, result)
        answer = check_answer(shape_of(call), result, what)
        try:
            read_answer(call, answer)
        except ValidationError as error:
            raise invalid(what, error) from None
        interface = case.machine.program.interfaces.get(call.action)
        return answer, None if interface is None else interface.result

    async def retry(self, target: str, *, by: str | None = None, reason: str = "") -> int:
        """Send back to the gate: one item (RUN/COMMAND), all of a run, or with "queue:NAME" a whole queue.

        Returns how many went. A run that needs attention is tried again. Raises Conflict for an item or a run of which
        nothing waits any more, so that nobody is told that theirs was the retry that counted.
        """
        by = self._allow(by, "retry")
        outcomes = await asyncio.gather(
            *(self._retry_one(wait, by, reason) for wait in self._targets(target)), return_exceptions=True
        )
        faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if any(not isinstance(fault, Conflict) for fault in faults):
            raise next(fault for fault in faults if not isinstance(fault, Conflict))
        if len(faults) == len(outcomes) and not target.startswith("queue:"):
            raise faults[0]
        return len(outcomes) - len(faults)

    async def _retry_one(self, wait: Wait, by: str, reason: str) -> None:
        if wait.kind == "attention":
            await self._clear_attention(wait, by, reason)
        else:
            told = clean(self._loaded(wait.run), reason)
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
            raise Conflict(f"nothing of {target} waits for a retry" + hint(waits))
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

    async def switch(self, scope: str, *, off: bool, by: str | None = None, reason: str) -> int:
        """Flip a kill switch: "all", "agent:NAME", "action:NAME", "workflow:NAME", "effect:write". Returns how many calls go on.

        Whatever a person granted to an agent within a scope that is turned off has ended: it is granted anew, or not.
        """
        by = self._allow(by, "switch")
        switches = self._runner.gateway.switches
        check_flip(scope, off, reason)
        self._check_scope(scope, off)
        if off:  # at once; turning on again counts only when it is committed
            switches.flip(scope, off=True, reason=reason)
            await asyncio.sleep(
                0
            )  # what passed the gate a moment ago commits its intent before this, and so begins before

        def told(fault: Exception | None) -> None:
            if fault is not None:
                self._runner.backlog.load_switches()
            else:
                switches.flip(scope, off=off, reason=reason)

        flipped = self._runner.system.record("switch", scope, {"off": off, "reason": reason}, by=by, then=told)
        ended = self._runner.agents.trust.pulled(scope, by=by, reason=reason) if off else []
        await asyncio.gather(flipped, *ended)  # handed in together, so that they are in one commit
        if off:
            await self._runner.gateway.writing_threads.begun()
            return 0
        return await self._let_go(by, f"switch {scope!r} is on again")

    async def _let_go(self, by: str, reason: str) -> int:
        """Send what switches kept back to the gate again; returns how many calls that were."""
        rows = self._reader.all("waits_of_kind", ("switched",))
        await asyncio.gather(
            *(self._runner.retry(row["run"], row["command"], by=by, reason=reason) for row in rows),
            return_exceptions=True,
        )
        return len(rows)

    def _check_scope(self, scope: str, off: bool) -> None:
        """A name that this application does not have stops nothing, and whoever pulled it must hear of that."""
        kind, _, name = scope.partition(":")
        agents = [each.name for each in self._runner.workflows.values() if each.language_kind == "agent"]
        known = {
            "action": self._runner.gateway.actions, "workflow": self._runner.workflows, "agent": agents
        }.get(kind)  # fmt: skip
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
            f"this application has no {kind} {name!r}; it has {', '.join(sorted(known)) or 'none'}",
            {"scope": "unknown"},
        )

    @property
    def switches(self) -> dict[str, str]:
        """The scopes that are off, each with its reason."""
        self._see()
        return dict(self._runner.gateway.switches.off)
