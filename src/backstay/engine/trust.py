"""Trust: the levels of agents that are in force, and how they are taken back without anybody's doing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from backstay import events as ev
from backstay.events import Event
from backstay.governance.autonomy import BOUNDS, WHAT, Cause, Conduct, Evidence, Levels, Place, lowered
from backstay.governance.policy import Autonomy, Policy
from backstay.governance.switches import covers
from backstay.language import Program
from backstay.store.acting import changes_of, newest, position_of
from backstay.store.encoding import decode
from backstay.store.views import system_events
from backstay.types import Effect, iso

if TYPE_CHECKING:
    from backstay.engine.activation import Activation
    from backstay.engine.runner import Runner


class Trust:
    """Keeps the rules that the gate asks in step with what was granted and taken."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.levels = Levels()
        self._conduct = Conduct(lambda event: runner.payloads.restore(event, {}, []))
        self._next, self._since = 0, ""
        """Where the first event stands that was not read yet, 0 before any was; the day from which there is something."""
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
        return {program.agent: program for program in self._programs if program.agent}

    @cached_property
    def changes(self) -> Mapping[str, Effect]:
        """The actions that change something, with their effects: an agent may come to any of them through another."""
        return changes_of(*self._programs)

    @cached_property
    def _programs(self) -> Sequence[Program]:
        workflows = self._runner.workflows.values()
        return [each.program for each in workflows] or newest(self._runner.reader)

    def declared(self, agent: str) -> Autonomy | None:
        """What an agent declares itself; None where it is not known."""
        found = self.agents.get(agent)
        return None if found is None else cast("Autonomy", found.autonomy)

    def evidence(self, *places: Place) -> list[Evidence]:
        """What there is about places since their levels changed last, or for as long as counts at all."""
        now, window = self._runner.clock.stamp(), iso(self._runner.clock.now() - timedelta(days=BOUNDS.days))
        changed = {level.place: level.at for level in self.levels.all(now)}
        since = [max(window, changed.get(place, "")) for place in places]
        self._read_on(window)
        begun = min(since)
        return [self._conduct.evidence(place, moment, begun) for place, moment in zip(places, since, strict=True)]

    def _read_on(self, window: str) -> None:
        """Take in what was committed since the last time, so that each event is read once."""
        reader, began = self._runner.reader, dict[str, tuple[str, ...]]()
        position = self._next or position_of(reader, window)
        self._next = int(reader.value("last_position")) + 1  # what is committed meanwhile is heard twice, as once
        for row in reader.all("conduct_after", (position,)):
            run, event = row["run"], decode(row["kind"], row["body"])
            if run not in began:
                began[run] = led_by(decode("run_started", row["began"]), row["agent"])
            if event.at >= window:
                self._conduct.hear(run, began[run], event)
        if window[:10] != self._since:
            self._conduct.forget(window)
            self._since = window[:10]

    def lower(self, place: Place, cause: Cause, reason: str, by: str = "") -> asyncio.Future[None]:
        """Back to what the agent declares, and to `propose` where that is to execute."""
        level: Autonomy | None = "propose" if self.declared(place.agent) == "execute" else None
        return self._runner.system.record(WHAT, place.agent, lowered(place, cause, reason, level), by=by)

    def pulled(self, scope: str, *, by: str, reason: str) -> list[asyncio.Future[None]]:
        """A switch is pulled: what was granted within its scope has ended."""
        ended: list[asyncio.Future[None]] = []
        for level in self.levels.all(self._runner.clock.stamp()):
            agent, action, _ = level.place
            effect = self.changes.get(action)
            if level.cause != "granted" or effect is None:
                continue
            if covers(scope, action=action, effect=effect, workflow=agent, agents=(agent,)):
                ended.append(self.lower(level.place, "switch", f"switch {scope!r} was pulled: {reason}", by))
        return ended

    async def load(self) -> None:
        """Take back what was due when the worker stopped: what is overridden and what follows of it are two commits."""
        granted = (level.place.agent for level in self.levels.all(self._runner.clock.stamp()))
        for recorded in self._review([*self.agents, *granted]):
            await recorded

    def hear(self, case: Activation, event: Event) -> None:
        """Take in an event of a run, once it is committed: a rejection, or the undoing of an effect, may be one too many.

        A run is in memory when it takes one in: what a person decides is checked against what it waits for.
        """
        rejected = isinstance(event, ev.ApprovalDecided) and event.verdict == "rejected"
        undoes = isinstance(event, ev.CallIntended) and event.command.startswith("c")
        if rejected or undoes:
            self._review([name for name, _ in case.machine.acting])

    def _review(self, agents: Sequence[str]) -> list[asyncio.Future[None]]:
        """Take back what agents may execute where too much of it was overridden."""
        recorded: list[asyncio.Future[None]] = []
        places = [place for agent in dict.fromkeys(agents) for place in self._executes(agent)]
        for place, found in zip(places, self.evidence(*places) if places else (), strict=True):
            if found.overrides > BOUNDS.overrides:
                why = f"{found.rejected} rejected and {found.undone} undone of {found.decided} since {found.since[:10]}"
                recorded.append(self.lower(place, "overridden", why))
        return recorded

    def _executes(self, agent: str) -> list[Place]:
        """Where an agent may execute now."""
        levels = {level.place: level.level for level in self.levels.all(self._runner.clock.stamp())}
        found = [place for place, level in levels.items() if place.agent == agent and level == "execute"]
        if self.declared(agent) == "execute":
            own = [Place(agent, action) for action in self.changes]
            found += [place for place in own if place not in levels]
        return found


def led_by(started: Event, agent: str) -> tuple[str, ...]:
    """The agents that led to a run, and its own."""
    led = [name for name, _ in started.acting or ()] if isinstance(started, ev.RunStarted) else []
    return tuple(dict.fromkeys([*led, *([agent] if agent else ())]))
