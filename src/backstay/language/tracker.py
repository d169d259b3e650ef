"""What one run leaves behind while it computes: its branch trail and how long it has been spinning.

The engine makes one context per run; instrumented code finds the run's tracker in it. Nothing here depends on a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from decimal import ROUND_HALF_EVEN, Decimal, DivisionByZero, InvalidOperation, Overflow, setcontext
from decimal import Context as DecimalContext
from enum import Enum
from typing import Any, Final

from backstay.errors import ProgramLimit
from backstay.language.tables import DecisionTable
from backstay.language.text import shown
from backstay.types import Json

MAX_STEPS: Final = 100_000
"""Loop rounds, comprehension entries and calls of rules and methods between two awaits."""
MAX_BUILT: Final = 200_000_000
"""Characters of large texts, and eight for each entry of large lists, that may be made between two awaits."""
MAX_TRAIL: Final = 1_000
"""Branches written down between two awaits; the rest are counted."""
MAX_NESTING: Final = 50
"""Rules and methods that may be inside one another."""
SEALED: Final = "(sealed)"
"""What the trail shows instead of a value that is tagged as sensitive, or made from one."""


class Missing:
    """A leaf of a condition that was not looked at, because the verdict was already clear."""


MISSING: Final = Missing()

Raw = tuple[Any, ...]
"""A trail entry before it is written out: ("if", point, verdict, values), ("rule", point, verdict, values, row)."""

_FIXED: Final = frozenset({str, int, bool, float, Decimal, type(None), Missing})


class Point:
    """A place in the program that reports: its step, kind, source text and the names of the values it reports."""

    __slots__ = ("hidden", "kind", "labels", "name", "step", "text")

    def __init__(
        self, step: str, kind: str, text: str, labels: tuple[str, ...], name: str, hidden: frozenset[str]
    ) -> None:
        self.step, self.kind, self.text, self.labels, self.name = step, kind, text, labels, name
        self.hidden = hidden
        """Labels whose values are sealed; "" seals the verdict of a rule as well."""


class Tracker:
    """Collects the trail of one run and counts its steps since it last waited."""

    __slots__ = ("_raw", "built", "depth", "dropped", "steps")

    def __init__(self) -> None:
        self._raw: list[Raw] = []
        self.steps = 0
        self.built = 0
        self.dropped = 0
        self.depth = 0

    @property
    def trail(self) -> list[dict[str, Json]]:
        """JSON-safe entries since the last `take`."""
        entries = [_entry(raw) for raw in self._raw]
        if self.dropped:
            entries.append({"kind": "dropped", "count": self.dropped})
        return entries

    def take(self) -> list[dict[str, Json]]:
        """The entries since last time; starts a new count of steps, as the run has just waited."""
        entries = self.trail if self._raw else []
        if self._raw:
            self._raw = []
        self.steps = self.built = self.dropped = self.depth = 0
        return entries

    def add(self, raw: Raw) -> None:
        """Write one branch down."""
        if len(self._raw) < MAX_TRAIL:
            self._raw.append(raw)
        else:
            self.dropped += 1

    def spend(self, steps: int) -> None:
        """Count work; raises ProgramLimit beyond the budget, again and again until the run waits."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ProgramLimit(
                f"more than {MAX_STEPS} loop rounds without waiting for anything; loop over less, or let an action do it"
            )

    def build(self, size: int) -> None:
        """Count a large value that was made; raises ProgramLimit beyond the budget."""
        self.built += size
        if self.built > MAX_BUILT:
            raise ProgramLimit(f"more than {MAX_BUILT} characters built without waiting for anything")


current_tracker: Final[ContextVar[Tracker]] = ContextVar("current_tracker")


def new_context(tracker: Tracker) -> Context:
    """A context for one run: its tracker, and decimal arithmetic that no setting of the process can change."""
    context = Context()
    context.run(_prepare, tracker)
    return context


def _prepare(tracker: Tracker) -> None:
    current_tracker.set(tracker)
    setcontext(
        DecimalContext(
            prec=28,
            rounding=ROUND_HALF_EVEN,
            Emin=-999999,
            Emax=999999,
            capitals=1,
            clamp=0,
            flags=[],
            traps=[InvalidOperation, DivisionByZero, Overflow],
        )
    )


def verdict(point: Point, _reset: Any, outcome: Any, *values: Any) -> Any:
    """Report a condition: the verdict and the leaves that were looked at. Gives the outcome back unchanged."""
    tracker = current_tracker.get()
    if len(tracker._raw) < MAX_TRAIL:  # pyright: ignore[reportPrivateUsage] - the hot path skips a call
        tracker._raw.append(  # pyright: ignore[reportPrivateUsage]
            (point, outcome if outcome is True or outcome is False else bool(outcome), freeze(point, values))
        )
    else:
        tracker.dropped += 1
    return outcome


def freeze(point: Point, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keep values as they are now: what can change later is written out at once."""
    for value in values:
        if type(value) not in _FIXED:
            return tuple(keep(value) for value in values)
    return values


def keep(value: Any) -> Any:
    """One value as it is now."""
    if type(value) in _FIXED or isinstance(value, Enum):
        return value
    return shown(value)


def _entry(raw: Raw) -> dict[str, Json]:
    point, outcome, values = raw[0], raw[1], raw[2]
    entry: dict[str, Json] = {"step": point.step, "kind": point.kind}
    if point.name:
        entry["name"] = point.name
    if point.text:
        entry["text"] = point.text
    entry["verdict"] = SEALED if "" in point.hidden and not isinstance(outcome, bool) else shown(outcome)
    entry["values"] = {
        label: SEALED if label in point.hidden else shown(value)
        for label, value in zip(point.labels, values, strict=False)
        if value is not MISSING
    }
    if len(raw) > 3:
        entry["row"] = raw[3]
    return entry


def tick() -> None:
    """One round of a loop."""
    tracker = current_tracker.get()
    tracker.steps += 1
    if tracker.steps > MAX_STEPS:
        tracker.spend(0)


def enter() -> Tracker:
    """Begin a rule or method: counts as a step, and may not be nested too deep."""
    tracker = current_tracker.get()
    tracker.spend(1)
    if tracker.depth >= MAX_NESTING:
        raise ProgramLimit(f"rules and methods nested deeper than {MAX_NESTING}")
    tracker.depth += 1
    return tracker


def ask_rule(point: Point, fn: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a rule and report what it was asked and what it said."""
    values = freeze(point, (*args, *named.values()))
    outcome = fn(*args, **named)
    current_tracker.get().add((point, keep(outcome), values))
    return outcome


def ask_table(point: Point, table: DecisionTable, *args: Any, **named: Any) -> Any:
    """Ask a decision table and report the row that answered."""
    values = freeze(point, (*args, *named.values()))
    tracker = current_tracker.get()
    tracker.spend(1)
    outcome, row = table.decide(*args, **named)
    tracker.add((point, keep(outcome), values, row))
    return outcome
