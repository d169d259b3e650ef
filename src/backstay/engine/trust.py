"""Trust: the levels of agents that are in force, and how they are taken back without anybody's doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from backstay import events as ev
from backstay.events import Event
from backstay.governance.autonomy import BOUNDS, WHAT, Cause, Conduct, Evidence, Levels, Place, lowered
from backstay.governance.policy import Autonomy, Policy
from backstay.governance.switches import covers
from backstay.language import Program
from backstay.store.acting import acted, changes_of, newest_agents
from backstay.store.views import system_events
from backstay.types import iso

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner


class Trust:
    """Keeps the rules that the gate asks in step with what was granted and taken."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.levels = Levels()
        for event in system_events(runner.reader, WHAT):
            self.levels.apply(event)
        self._enforce()
        runner.system.listeners.append(self._changed)

    def _changed(self, event: Event) -> None:
        if self.levels.apply(event):
            self._enforce()

    def _enforce(self) -> None:
        gateway = self._runner.gateway
        rules = self.levels.rules({name: action.effect for name, action in gateway.actions.items()})
        gateway.granted = Policy((*gateway.policy.rules, *rules)) if rules else gateway.policy

    @cached_property
    def agents(self) -> Mapping[str, Program]:
        """The agents of the application; where none is loaded, those that have run in the store."""
        workflows = self._runner.workflows
        if not workflows:
            return newest_agents(self._runner.reader)
        return {name: each.program for name, each in workflows.items() if each.language_kind == "agent"}

    def declared(self, agent: str) -> Autonomy | None:
        """What an agent declares itself; None where it is not known."""
        found = self.agents.get(agent)
        return None if found is None else cast("Autonomy", found.autonomy)

    def evidence(self, place: Place) -> Evidence:
        """What there is about one place since its level changed last, or for as long as counts at all."""
        since = iso(self._runner.clock.now() - timedelta(days=BOUNDS.days))
        level = self.levels.at(place, self._runner.clock.stamp())
        if level is not None:
            since = max(since, level.at)
        conduct = Conduct()
        for run, agents, event in acted(self._runner.reader, "conduct_after", since, self._runner.payloads):
            conduct.hear(run, agents, event)
        return conduct.evidence(place, since)

    async def lower(self, place: Place, cause: Cause, reason: str, by: str = "") -> None:
        """Back to what the agent declares, and to `propose` where that is to execute."""
        level: Autonomy | None = "propose" if self.declared(place.agent) == "execute" else None
        await self._runner.system.record(WHAT, place.agent, lowered(place, cause, reason, level), by=by)

    async def pulled(self, scope: str, *, by: str, reason: str) -> None:
        """A switch was pulled: what was granted within its scope has ended."""
        for level in self.levels.all(self._runner.clock.stamp()):
            agent, action = level.place.agent, level.place.action
            effect = changes_of(self.agents[agent]).get(action) if agent in self.agents else None
            if level.cause == "granted" and effect is not None and covers(
                scope, action=action, effect=effect, workflow=agent, agents=(agent,)
            ):  # fmt: skip
                await self.lower(level.place, "switch", f"switch {scope!r} was pulled: {reason}", by)

    def hear(self, case: Activation, event: Event) -> None:
        """Take in an event of a run, once it is committed: a rejection, or the undoing of an effect, may be one too many."""
        rejected = isinstance(event, ev.ApprovalDecided) and event.verdict == "rejected"
        undoes = isinstance(event, ev.CallIntended) and event.command.startswith("c")
        if rejected or undoes:
            for name, _ in case.machine.acting:
                self._review(name)

    def _review(self, agent: str) -> None:
        """Take back what an agent may execute where too much of it was overridden."""
        for place in self._executes(agent):
            found = self.evidence(place)
            if found.overrides > BOUNDS.overrides:
                why = f"{found.rejected} rejected and {found.undone} undone of {found.decided} since {found.since[:10]}"
                level: Autonomy | None = "propose" if self.declared(agent) == "execute" else None
                self._runner.system.record(WHAT, agent, lowered(place, "overridden", why, level))

    def _executes(self, agent: str) -> list[Place]:
        """Where an agent may execute now."""
        now, declared = self._runner.clock.stamp(), self.declared(agent)
        levels = {level.place: level.level for level in self.levels.all(now) if level.place.agent == agent}
        found = [place for place, level in levels.items() if level == "execute"]
        if declared == "execute":
            own = [Place(agent, action) for action in changes_of(self.agents[agent])]
            found += [place for place in own if place not in levels]
        return found
