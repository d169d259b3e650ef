"""What is usual at a time of day or an hour of the week, and whether knowing that helps."""

from __future__ import annotations

from typing import Final

DAY: Final = 86_400.0


class Profile:
    """A repeating span of time in slots: the usual offset from the level in each, and how far values lie from that."""

    __slots__ = ("memory", "rows", "slots", "span", "spread", "usual")

    def __init__(self, span: float, slots: int, memory: int) -> None:
        self.span, self.slots, self.memory = span, slots, memory
        self.usual = [0.0] * slots
        self.spread = [0.0] * slots
        self.rows = [0] * slots

    def slot(self, wall: float) -> int:
        return int(wall % self.span / self.span * self.slots)

    def learn(self, slot: int, offset: float, error: float) -> None:
        rows = self.rows[slot] = self.rows[slot] + 1
        pace = 1.0 / (rows if rows < self.memory else self.memory)
        self.usual[slot] += (offset - self.usual[slot]) * pace
        self.spread[slot] += (error - self.spread[slot]) * pace


class Season:
    """Three predictions that compete by their errors: the level alone, by time of day, by hour of the week."""

    __slots__ = ("day", "error", "errors", "local", "week", "which")

    def __init__(self) -> None:
        self.day = Profile(DAY, 96, 30)
        self.week = Profile(7 * DAY, 168, 16)
        self.errors = [0.0, 0.0, 0.0]
        """Mean error of each, one row ahead."""
        self.which = 0
        """The one that counts now."""
        self.error = 0.0
        self.local = 0.0
        """How far values usually lie from the prediction at this time."""

    def rest(self, wall: float, offset: float, limit: float, pace: float) -> float:
        """What the best prediction leaves of an offset from the level. Learns from it, up to a limit."""
        day, week, errors = self.day, self.week, self.errors
        at, hour = day.slot(wall), week.slot(wall)
        by_day = offset - day.usual[at] if day.rows[at] > 1 else offset
        by_week = offset - week.usual[hour] if week.rows[hour] > 1 else by_day
        plain, of_day, of_week = abs(offset), abs(by_day), abs(by_week)
        held = offset
        if plain > limit:
            plain, held = limit, limit if offset > 0 else -limit
        of_day = min(of_day, limit)
        of_week = min(of_week, limit)
        errors[0] += (plain - errors[0]) * pace
        errors[1] += (of_day - errors[1]) * pace
        errors[2] += (of_week - errors[2]) * pace
        # A richer prediction must be clearly better to be believed.
        which, left = 0, offset
        if errors[1] < 0.9 * errors[0]:
            which, left, self.local = 1, by_day, day.spread[at]
        if errors[2] < (0.95 * errors[1] if which else 0.9 * errors[0]):
            which, left, self.local = 2, by_week, week.spread[hour]
        self.which, self.error = which, errors[which]
        day.learn(at, held, of_day)
        week.learn(hour, held, of_week)
        return left
