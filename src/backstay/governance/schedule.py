"""Schedules: when an item is due, when its people are reminded, when it moves on, when it expires; pauses included.

Everything is computed when it is opened, escalated or answered and written into the event, so replay and other workers
agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backstay.governance.calendars import Calendar
from backstay.governance.queues import Queue
from backstay.types import BUSINESS_DAYS, Duration, Json, iso, seconds

Step = dict[str, str]
Plan = list[Step]
"""Steps in order: {"at": moment, "do": "remind" | "escalate" | "expire" | "close" | "decline", "to": queue}."""

EXPIRES: Final = frozenset({"expire", "close"})
"""Steps at which time is over. expire: after working time, so that a question puts it off. close: at a fixed moment,
whatever is open then."""


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


def schedule(
    queue: Queue, opened: str, within: Duration | None, *, until: datetime | None = None, expires: bool
) -> Schedule:
    """When everything happens to an item of this queue that was opened at a moment.

    within, until: what the workflow asked for; else the queue's own. expires: whether its due time also ends it.
    """
    start, calendar = datetime.fromisoformat(opened), queue.calendar
    allowed = queue.within if within is None else within
    due = None if allowed is None else after(calendar, start, allowed)
    due = due if until is None else iso(until)
    plan = _reminders(queue, start) + _escalations(queue, start)
    if due is not None and expires and (within is not None or until is not None):
        plan.append({"at": due, "do": "expire" if until is None else "close"})
    if expires and calendar is not None and queue.after_hours == "decline" and not calendar.is_open(start):
        plan = [{"at": opened, "do": "decline"}]
    return Schedule(due=due, plan=_ordered(plan), calendar=None if calendar is None else calendar.to_json())


def escalated(left: Schedule, queue: Queue, at: str, *, own_due: bool) -> Schedule:
    """The times of an item that moved on to this queue at a moment: what the queue says counts from then on.

    What it does not say stays as it was: the due time, and the escalations still to come. left: what there was, without
    the step that was just taken. own_due: whether the due time is the workflow's, which stays, as does an expiry.
    """
    start, calendar = datetime.fromisoformat(at), queue.calendar
    due = left.due if own_due or queue.within is None else after(calendar, start, queue.within)
    onward = _escalations(queue, start) or [step for step in left.plan if step["do"] == "escalate"]
    plan = _reminders(queue, start) + onward + [step for step in left.plan if step["do"] in EXPIRES]
    return Schedule(due=due, plan=_ordered(plan), calendar=None if calendar is None else calendar.to_json())


def _reminders(queue: Queue, start: datetime) -> Plan:
    return [{"at": after(queue.calendar, start, each), "do": "remind"} for each in queue.remind]


def _escalations(queue: Queue, start: datetime) -> Plan:
    return [
        {"at": after(queue.calendar, start, step.after), "do": "escalate", "to": step.to} for step in queue.escalate
    ]


def _ordered(steps: Sequence[Step]) -> Plan:
    """The steps by their moments, without those that come when time is over."""
    end = min((step["at"] for step in steps if step["do"] in EXPIRES), default=None)
    kept = [step for step in steps if end is None or step["at"] < end or step["do"] in EXPIRES]
    return sorted(kept, key=lambda step: (step["at"], step["do"], step.get("to", "")))


def after(calendar: Calendar | None, start: datetime, amount: Duration) -> str:
    """The moment that lies an amount of (working) time after another, as RFC 3339 text; without a calendar, all days count."""
    if calendar is None:
        days = BUSINESS_DAYS.fullmatch(amount) if isinstance(amount, str) else None
        return iso(start + (timedelta(seconds=seconds(amount)) if days is None else timedelta(days=int(days[1]))))
    exact = amount if isinstance(amount, str | timedelta) else timedelta(seconds=amount)
    return iso(calendar.due(start, exact))


def resumed(schedule: Schedule, asked: str, answered: str, *, fixed_due: bool = False) -> Schedule:
    """What is left of a schedule that stood still from one moment to another: the same working time, from then on.

    Nothing moves to an earlier moment. fixed_due: whether the due time is a moment that no pause puts off.
    """
    calendar = None if schedule.calendar is None else Calendar.from_json(schedule.calendar)
    due = schedule.due
    if due is not None and not fixed_due:
        due = _moved(calendar, due, asked, answered)
    plan = [
        step if step["do"] == "close" else {**step, "at": _moved(calendar, step["at"], asked, answered)}
        for step in schedule.plan
    ]
    return Schedule(due=due, plan=_ordered(plan), calendar=schedule.calendar)


def _moved(calendar: Calendar | None, at: str, asked: str, answered: str) -> str:
    moment, paused, now = (datetime.fromisoformat(text) for text in (at, asked, answered))
    if moment <= paused:
        return at
    if calendar is None:
        return iso(max(moment, now + (moment - paused)))
    left = calendar.working(paused, moment)
    later = calendar.due(now, left) if left else calendar.next_open(now)  # nothing is left: it was due at an opening
    return iso(max(moment, later))
