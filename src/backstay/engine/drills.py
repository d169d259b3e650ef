"""Drills: the part of the client that pulls a switch to see that it works, and leaves evidence of what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from backstay import events as ev
from backstay.engine.operators import Operators
from backstay.errors import Conflict, InvalidInput
from backstay.governance.switches import Drill, check_flip, covers
from backstay.store.encoding import decode
from backstay.store.journal import Write
from backstay.types import Json

LONGEST_DRILL: Final = 60.0
"""Seconds for which a drill may keep writes back."""
LOOK: Final = 0.02
"""Seconds between two looks at the store's clock."""


class Drills(Operators):
    """What whoever may pull a switch may try."""

    async def drill(self, scope: str, *, seconds: float = 10.0, by: str | None = None, reason: str = "drill") -> Json:
        """Turn a scope off for some seconds, count what happened meanwhile, turn it on again, and record that.

        Gives the record with its `outcome`. What was kept back goes on. A drill ends with its worker, and touches no switch that is really off. Raises
        InvalidInput, NotAllowed; Conflict when the scope is off, or in a drill.
        """
        by = self._allow(by, "switch")
        check_flip(scope, True, reason)
        self._check_scope(scope, True)
        if not 0 < seconds <= LONGEST_DRILL:
            raise InvalidInput(f"seconds must be above 0, and at most {LONGEST_DRILL:g}", {"seconds": "out of range"})
        async with self._off(scope, reason, by):
            clock, record = self._runner.clock, self._runner.system.record
            drill = Drill(scope=scope, by=by, reason=reason, began=self._stamp(), seconds=seconds)
            end = clock.timestamp() + seconds
            await record("drill", scope, {"reason": reason, "seconds": seconds}, by=by)
            while clock.timestamp() < end:
                await asyncio.sleep(LOOK)
            await self._runner.journal.submit(Write())  # what is on its way to the disk counts too
            drill = self._seen(drill)
            await record("drill", scope, drill.told(), by=by)
        done = replace(drill, ended=self._stamp())
        return {"scope": scope, "by": by, "outcome": done.outcome, **done.told()}

    @asynccontextmanager
    async def _off(self, scope: str, reason: str, by: str) -> AsyncGenerator[None]:
        switches = self._runner.gateway.switches
        if scope in switches.off or scope in switches.drills:
            raise Conflict(f"{scope!r} is off already: {switches.reason(scope)}")
        switches.drills[scope] = f"a drill ({reason})"
        try:
            yield
        finally:
            switches.drills.pop(scope, None)
            await self._let_go(by, f"the drill of {scope!r} is over")

    def _seen(self, drill: Drill) -> Drill:
        """What the journal says of the time since the drill began."""
        begun, started, held, reads = self._reader.value("drill_begun", (drill.scope,)), 0, 0, 0
        for row in self._reader.all("calls_after", (begun,)):
            event = decode(row["kind"], row["body"])
            assert isinstance(event, ev.CallIntended | ev.CallReturned | ev.CallQueued)
            action = self._runner.gateway.actions.get(event.action)
            if action is None:
                continue
            if action.effect == "read":
                reads += isinstance(event, ev.CallReturned)
                continue
            workflow, agents = self._runner.backlog.behind(row["run"])
            if covers(drill.scope, action=action.name, effect=action.effect, workflow=workflow, agents=agents):
                started += isinstance(event, ev.CallIntended)
                held += isinstance(event, ev.CallQueued) and event.fault.type == "switch"
        return replace(drill, started=started, held=held, reads=reads)
