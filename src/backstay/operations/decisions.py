"""Decisions in words: branches, rules and tables as a trail holds them, folded so that a rule comes with its reasons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backstay.language import Program
from backstay.operations.wording import condition, plain, verdict
from backstay.types import Json

SHORT: Final = 40
"""Characters up to which a value is shown again each time."""

SHAPES: Final[dict[str, str]] = {
    "rule": "Rule “{name}”",
    "table": "Table “{name}”",
    "if": "{text}?",
    "choice": "{text}?",
    "while": "Goes on while {text}?",
    "guard": "{text}?",
    "where": "{text}?",
    "and": "{text}?",
    "or": "{text}?",
    "assert": "Must hold: {text}?",
}
"""How each kind of branch is told; other kinds show their text."""

_JOINED: Final = re.compile(r" (and|or|if|≤|≥|<|>|is|in|has) ")


@dataclass(eq=False)
class Told:
    """A decision as the journal has it, with what its rule looked at inside."""

    entry: dict[str, Json]
    inner: list[Told] = field(default_factory=list["Told"])
    more: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])
    """Branches that only repeat it."""

    @property
    def step(self) -> str:
        return str(self.entry.get("step", ""))

    def entries(self) -> list[dict[str, Json]]:
        """In the order in which they were decided."""
        return [*(entry for one in self.inner for entry in one.entries()), self.entry, *self.more]


class Decisions:
    """Tells the decisions of one program."""

    def __init__(self, program: Program | None) -> None:
        items = program.closure.items.values() if program else ()
        self._rules = [item.name for item in items if item.kind in ("rule", "table")]

    def fold(self, path: Iterable[dict[str, Json]]) -> list[Told]:
        """Decisions in order; those inside a rule are put into it, and a branch that only asks it is added to it."""
        whole: list[Told] = []
        inside: list[Told] = []
        for entry in path:
            told = Told(entry)
            if entry.get("kind") == "rule":
                told.inner = [one for one in inside if one.step.startswith(f"{entry.get('name')}/")]
                inside = [one for one in inside if one not in told.inner]
            before = (inside or whole)[-1] if inside or whole else None
            if before is not None and self._repeats(before.entry, entry):
                before.more.append(entry)
            else:
                (inside if "/" in told.step else whole).append(told)
        return [*whole, *inside]

    def _repeats(self, before: Mapping[str, Json], entry: Mapping[str, Json]) -> bool:
        """Whether a branch only asks the rule that was told just before, and comes to the same."""
        text = str(entry.get("text", ""))
        asked, came_to = self._readable(text).removeprefix("not "), entry.get("verdict")
        if text.startswith("not ") and isinstance(came_to, bool):
            came_to = not came_to
        same = before.get("kind") == "rule" and isinstance(came_to, bool) and before.get("verdict") is came_to
        return same and asked == f"“{spaced(before.get('name'))}”"

    def tell(self, told: Told) -> tuple[str, list[tuple[str, str]]]:
        """A decision as a line, and under it its reasons and values."""
        entry = told.entry
        text, came_to = self._words(entry)
        reasons = Counter(self._reason(one) for one in told.inner)
        details = [
            ("because", reason if count == 1 else f"{reason}, {count} times") for reason, count in reasons.items()
        ]
        details += self._values(entry)
        if entry.get("row") is not None:
            details.append(("row", plain(entry["row"])))
        if len(came_to) > SHORT:
            return text, [*details, ("→", came_to)]
        return f"{text} → {came_to}" if came_to else text, details

    def _words(self, entry: Mapping[str, Json]) -> tuple[str, str]:
        """What was asked, and what it came to."""
        kind, came_to = str(entry.get("kind", "")), entry.get("verdict")
        if kind == "dropped":
            return f"… and {entry.get('count')} more decisions that were not written down", ""
        text = self._readable(str(entry.get("text", "")))
        if isinstance(came_to, bool) and text.startswith("not ") and not _JOINED.search(text):
            text, came_to = text.removeprefix("not "), not came_to
        return SHAPES.get(kind, "{text}").format(text=text, name=spaced(entry.get("name", ""))), verdict(came_to)

    def _values(self, entry: Mapping[str, Json]) -> list[tuple[str, str]]:
        """The values that decided, without those that the condition itself already says."""
        text = self._readable(str(entry.get("text", "")))
        said = (text, text.removeprefix("not "))
        return [(label, plain(value)) for label, value in (entry.get("values") or {}).items() if label not in said]

    def _reason(self, told: Told) -> str:
        """A decision inside a rule, on one line, with the values that decided it, long ones shortened."""
        text, came_to = self._words(told.entry)
        values = dict(pair for entry in told.entries() for pair in self._values(entry))
        shown = {label: value if len(value) <= SHORT else value[: SHORT - 1] + "…" for label, value in values.items()}
        looked_at = ", ".join(f"{label} {value}" for label, value in shown.items())
        return f"{text} → {came_to}" + (f" ({looked_at})" if looked_at else "")

    def _readable(self, text: str) -> str:
        """A condition in words: a rule is named, its arguments follow as details."""
        for name in self._rules:
            start = text.find(f"{name}(")
            while start >= 0 and (end := _closing(text, start + len(name))) >= 0:
                text = f"{text[:start]}“{spaced(name)}”{text[end + 1 :]}"
                start = text.find(f"{name}(", start + 1)
        return condition(text)


def repeated(details: Sequence[tuple[str, str]], told: set[str]) -> tuple[tuple[str, str], ...]:
    """Details where a long value that was shown before is not shown again; remembers what is shown now."""
    shown = [(label, value if len(value) <= SHORT or value not in told else "as above") for label, value in details]
    told.update(value for _, value in details)
    return tuple((label, value) for label, value in shown if value)


def spaced(name: Any) -> str:
    """A name of the program as words."""
    return str(name).replace("_", " ")


def _closing(text: str, start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place
    return -1
