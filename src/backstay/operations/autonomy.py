"""Autonomy as people see it: how far each agent may go with each action, on what evidence, and what that speaks for.

Read from the store alone: the newest definition of each agent, the system's chain, and what became of its calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from backstay.governance.autonomy import BOUNDS, WHAT, Bounds, Conduct, Evidence, Level, Levels, Place
from backstay.governance.policy import Autonomy
from backstay.language import Program
from backstay.store.acting import acted, changes_of, newest
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import system_events
from backstay.types import Effect, iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One agent with one action, or with a segment of its calls."""

    agent: str
    action: str
    when: str
    effect: Effect
    declared: Autonomy
    """The agent's own."""
    level: Autonomy
    """What is in force."""
    evidence: Evidence
    proposal: Autonomy | None
    """The level that the evidence speaks for, if that is another."""
    expires: str | None = None
    by: str = ""
    reason: str = ""


def autonomy(reader: Reader, payloads: Payloads, now: datetime, bounds: Bounds = BOUNDS) -> list[Row]:
    """Every agent that has run, with each action by which it, or somebody in its name, changes something."""
    window = iso(now - timedelta(days=bounds.days))
    conduct, levels = Conduct(), Levels()
    for run, agents, event in acted(reader, "conduct_after", window, payloads):
        conduct.hear(run, agents, event)
    for event in system_events(reader, WHAT):
        levels.apply(event)
    programs = newest(reader)
    agents, effects = {each.agent: each for each in programs if each.agent}, changes_of(*programs)
    in_force = {level.place: level for level in levels.all(iso(now))}
    own = {Place(agent, action) for agent, program in agents.items() for action in changes_of(program)}
    seen = {Place(*pair) for pair in conduct.places()}
    places = [each for each in sorted({*own, *seen, *in_force}) if each.agent in agents and each.action in effects]
    return [
        _row(place, agents[place.agent], effects[place.action], in_force.get(place), conduct, window, bounds)
        for place in places
    ]


def _row(
    place: Place, program: Program, effect: Effect, level: Level | None, conduct: Conduct, window: str, bounds: Bounds
) -> Row:
    declared = cast("Autonomy", program.autonomy)
    evidence = conduct.evidence(place, max(window, level.at) if level else window)
    in_force = level.level if level else declared
    return Row(
        agent=place.agent, action=place.action, when=place.when, effect=effect, declared=declared, level=in_force,
        evidence=evidence, proposal=evidence.proposes(in_force, bounds), expires=level.expires if level else None,
        by=level.by if level else "", reason=level.reason if level else "",
    )  # fmt: skip
