"""The backlog: calls that a breaker or a switch kept back, and how they go on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from backstay import events as ev
from backstay.store.encoding import decode

if TYPE_CHECKING:
    from backstay.engine.runner import Runner

log = logging.getLogger("backstay")


class Backlog:
    """Sends queued calls back to the gate."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def load_switches(self) -> None:
        """Take over the switches as they were left, also where nothing is resumed."""
        self._runner.gateway.switches.off.clear()
        for event in self._runner.reader.all("system_events", ("switch",)):
            flipped = decode(event["kind"], event["body"])
            if isinstance(flipped, ev.SystemRecorded) and isinstance(flipped.detail, dict):
                self._runner.gateway.switches.flip(
                    flipped.subject, off=flipped.detail["off"], reason=flipped.detail["reason"]
                )

    async def breaker_moved(self, action: str, opened: bool) -> None:
        """Record that a breaker opened or closed; a closed one lets its diverted calls go."""
        await self._runner.system.record("breaker", action, {"opened": opened})
        if opened:
            until = self._runner.gateway.breakers.next_canary or self._runner.clock.timestamp()
            self._runner.dispatch.wake_by(
                self._runner.clock.stamp_after(max(0.0, until - self._runner.clock.timestamp()))
            )
        else:
            rows = self._runner.reader.all("waits_on", (action, "diverted", -1))
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self.drain(rows, "the breaker closed")))

    async def send_canary(self, action: str) -> None:
        """Try one diverted call, to see whether the target is well again."""
        for row in self._runner.reader.all("waits_on", (action, "diverted", -1)):
            if await self.drain([row], "canary: is the target well again?"):
                return

    async def drain(self, rows: list[Any], reason: str) -> int:
        """Send calls from their backlog back to the gate; returns how many went."""
        retries = (self._runner.retry(row["run"], row["command"], by="", reason=reason) for row in rows)
        outcomes = await asyncio.gather(*retries, return_exceptions=True)
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is not None:
                log.info("draining %s/%s: %s", row["run"], row["command"], outcome)
        return outcomes.count(None)

    def switched_on(self) -> list[Any]:
        """Calls that a switch held back which is on again: the worker died while it let them go."""
        switches, found = self._runner.gateway.switches, list[Any]()
        for row in self._runner.reader.all("waits_of_kind", ("switched",)):
            action = self._runner.gateway.actions.get(row["subject"])
            if action is None:
                continue
            workflow, agents = self.behind(row["run"])
            if not switches.stops(action=action.name, effect=action.effect, workflow=workflow, agents=agents):
                found.append(row)
        return found

    def behind(self, run: str) -> tuple[str, list[str]]:
        """The workflow of a run, and the agents in whose name it acts, as its journal has them."""
        first = self._runner.reader.all("event_body", (run, 1))[0]
        started = decode(first["kind"], first["body"])
        if not isinstance(started, ev.RunStarted):
            return "", []
        own = self._runner.program(started.version).agent
        return started.workflow, [*(name for name, _ in started.acting or ()), *([own] if own else ())]
