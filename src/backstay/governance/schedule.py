"""Schedules: when an item is due, when its people are reminded, when it moves on, when it expires; pauses included.

Everything is computed when it is opened or answered and written into the event, so replay and other workers agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from backstay.governance.calendars import Calendar
from backstay.governance.queues import Queue
from backstay.types import BUSINESS_DAYS, Duration, Json, iso, seconds

Plan = list[dict[str, str]]
"""Steps in order: {"at": moment, "do": "remind" | "escalate" | "expire" | "decline", "to": queue}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What an item's opening event says about time."""

    due: str | None
    plan: Plan
    calendar: Json

    @property
    def told(self) -> Plan | None:
        """The plan as an approval's event carries it: None where its due time says it all."""
        usual = [] if self.due is None else [{"at": self.due, "do": "expire"}]
        return None if self.plan == usual else self.plan


def schedule(queue: Queue, opened: str, within: Duration | None, *, expires: bool) -> Schedule:
    """When everything happens to an item of this queue that was opened at a moment.

    within: what the workflow asked for; else the queue's own. expires: whether its due time also ends it.
    """
    start, calendar = datetime.fromisoformat(opened), queue.calendar
    allowed = queue.within if within is None else within
    due = None if allowed is None else after(calendar, start, allowed)
    steps = [(after(calendar, start, each), "remind", "") for each in queue.remind]
    steps += [(after(calendar, start, step.after), "escalate", step.to) for step in queue.escalate]
    if due is not None and expires and within is not None:
        steps = [step for step in steps if step[0] < due] + [(due, "expire", "")]
    if expires and calendar is not None and queue.after_hours == "decline" and not calendar.is_open(start):
        steps = [(opened, "decline", "")]
    plan = [{"at": at, "do": do} | ({"to": to} if to else {}) for at, do, to in sorted(steps)]
    return Schedule(due=due, plan=plan, calendar=None if calendar is None else calendar.to_json())


def after(calendar: Calendar | None, start: datetime, amount: Duration) -> str:
    """The moment that lies an amount of (working) time after another, as RFC 3339 text; without a calendar, all days count."""
    if calendar is None:
        days = BUSINESS_DAYS.fullmatch(amount) if isinstance(amount, str) else None
        return iso(start + (timedelta(seconds=seconds(amount)) if days is None else timedelta(days=int(days[1]))))
    exact = amount if isinstance(amount, str | timedelta) else timedelta(seconds=amount)
    return iso(calendar.due(start, exact))


def resumed(schedule: Schedule, asked: str, answered: str) -> Schedule:
    """What is left of a schedule that stood still from one moment to another: the same working time, from then on."""
    calendar = None if schedule.calendar is None else Calendar.from_json(schedule.calendar)
    due = None if schedule.due is None else _moved(calendar, schedule.due, asked, answered)
    plan = [{**step, "at": _moved(calendar, step["at"], asked, answered)} for step in schedule.plan]
    return Schedule(due=due, plan=plan, calendar=schedule.calendar)


def _moved(calendar: Calendar | None, at: str, asked: str, answered: str) -> str:
    moment, paused, now = (datetime.fromisoformat(text) for text in (at, asked, answered))
    if moment <= paused:
        return at
    if calendar is None:
        return iso(now + (moment - paused))
    return iso(calendar.due(now, calendar.working(paused, moment)))
