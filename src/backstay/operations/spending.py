"""Spending as people see it: what each agent used up on each day, and what is left of its budget. Read from the store alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from backstay.events import SystemRecorded
from backstay.governance.budgets import BUDGET, NOTHING, Spent, Use
from backstay.store.acting import acted
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import system_events
from backstay.types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentDay:
    """One agent on one day."""

    day: str
    agent: str
    used: Use
    limits: Mapping[str, Decimal]
    """By the names of `Use`; what is not there has none."""

    def left(self, what: str) -> Decimal | None:
        """How much of something is left; None where it has no limit."""
        limit = self.limits.get(what)
        return None if limit is None else max(limit - Decimal(getattr(self.used, what)), Decimal(0))

    def as_json(self) -> dict[str, Json]:
        """Limits and what is left as text, so that money stays exact."""
        limits = {what: f"{limit:f}" for what, limit in self.limits.items()}
        left = {what: f"{self.left(what):f}" for what in self.limits}
        return {"day": self.day, "agent": self.agent, "used": self.used.as_json(), "limits": limits, "left": left}


def spending(reader: Reader, payloads: Payloads, now: datetime, days: int = 1) -> list[SpentDay]:
    """The last days, today first; an agent with a budget is there today whether or not it used any."""
    spent, today = Spent(), now.date().isoformat()
    since = (now - timedelta(days=days - 1)).date().isoformat()
    for run, agents, event in acted(reader, "spent_after", since, payloads):
        spent.hear(run, agents, event)
    told = [event for event in system_events(reader, BUDGET) if isinstance(event, SystemRecorded)]
    places = {*spent.by_day, *((today, name) for name, limits in _limits(told, today).items() if limits)}
    return [
        SpentDay(
            day=day, agent=agent, used=spent.by_day.get((day, agent), NOTHING), limits=_limits(told, day).get(agent, {})
        )
        for day, agent in sorted(places, key=lambda place: (place[0], place[1]), reverse=True)
    ]


def _limits(told: list[SystemRecorded], day: str) -> dict[str, dict[str, Decimal]]:
    """The budgets in force at the end of a day."""
    found: dict[str, dict[str, Decimal]] = {}
    for event in told:
        if event.at[:10] <= day:
            found[event.subject] = {what: Decimal(limit) for what, limit in (event.detail or {}).items()}
    return found
