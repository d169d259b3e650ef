"""What is usual for one vendor, customer or other key, and for all of them: counts and short memories, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

MOST: Final = 60
"""Numbers that a profile remembers of each kind; the oldest go first."""
VALUES: Final = 500
"""Different values of one field that a profile counts."""
NORMAL: Final = 1.4826
"""What makes a median absolute deviation a standard deviation, if things are normal."""


@dataclass(slots=True)
class Profile:
    """What was learned of a key, or of all records together."""

    count: int = 0
    """Records learned."""
    numbers: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """By field and unit; amounts as logarithms."""
    values: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """How often each value of a field was there."""
    events: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """By name: how often something happened, and how often it could have."""
    last: dict[str, float] = field(default_factory=dict[str, float])
    """The newest time of each field, in seconds."""
    recent: list[list[Any]] = field(default_factory=list[list[Any]])
    """What the newest records would be doubled by."""

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def note(self, name: str, number: float) -> None:
        kept = self.numbers.setdefault(name, [])
        kept.append(number)
        del kept[:-MOST]

    def count_value(self, name: str, value: str) -> None:
        known = self.values.setdefault(name, {})
        if value in known or len(known) < VALUES:
            known[value] = known.get(value, 0) + 1

    def happened(self, name: str, *, did: bool) -> None:
        event = self.events.setdefault(name, [0, 0])
        event[0] += did
        event[1] += 1


def middle_of(numbers: list[float], least: float) -> tuple[float, float]:
    """Median and robust standard deviation, never below `least`."""
    center = median(numbers)
    return center, max(least, NORMAL * median(abs(one - center) for one in numbers))


def rate(own: Profile, everyone: Profile, event: str) -> float:
    """How likely an event is for a key: its own frequency, drawn to everyone's, which is drawn to one in twenty."""
    happened, chances = everyone.events.get(event, (0, 0))
    common = (happened + 1) / (chances + 20)
    mine, of = own.events.get(event, (0, 0))
    return min(1.0, (mine + 5 * common) / (of + 5))


def beyond(distance: float, spread: float) -> float:
    """How likely so large a distance is: the tail of a distribution with rare but real outliers (Student's t, 5 degrees)."""
    angle = math.atan(abs(distance) / spread / math.sqrt(5))
    inside = angle + math.sin(angle) * math.cos(angle) * (1 + 2 / 3 * math.cos(angle) ** 2)
    return max(1e-12, 1 - 2 / math.pi * inside)


def as_rare(counts: Iterable[float], this: float) -> float:
    """How likely something as rare as this is, given how often everything was."""
    every = list(counts)
    return sum(one for one in every if one <= this * 1.000001) / sum(every)
