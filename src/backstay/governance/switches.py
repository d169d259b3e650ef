"""The kill switch: what is off, by action, effect class, workflow, agent or everything. Reading always goes on.

A drill turns a scope off for a while, to see that it stops what it should; it ends with the worker that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from backstay.errors import InvalidInput
from backstay.events import SystemRecorded
from backstay.types import Effect, Json

SCOPES: Final = ("all", "agent:NAME", "action:NAME", "workflow:NAME", "effect:write", "effect:irreversible")
"""What a switch may name. An agent's scope has every write that it makes, or that is made in its name."""

NAMED: Final = ("agent", "action", "workflow")
"""Kinds of scope that end in a name."""


def check_flip(scope: object, off: object, reason: object) -> None:
    """Raise InvalidInput for a flip of the wrong types: `off="false"` must not mean off."""
    for name, value, shape, word in (
        ("scope", scope, str, "text"),
        ("off", off, bool, "true or false"),
        ("reason", reason, str, "text"),
    ):
        if not isinstance(value, shape):
            raise InvalidInput(f"a switch's {name} must be {word}, not {value!r}", {name: f"must be {word}"})


def check_scope(scope: str) -> None:
    """Raise InvalidInput for a scope that does not exist."""
    kind, _, name = scope.partition(":")
    if scope not in ("all", "effect:write", "effect:irreversible") and not (kind in NAMED and name):
        raise InvalidInput(f"there is no switch {scope!r}; name one of {', '.join(SCOPES)}", {"scope": "unknown"})


def covers(scope: str, *, action: str, effect: Effect, workflow: str, agents: Iterable[str] = ()) -> bool:
    """Whether a scope has a call in it. agents: those in whose name it is made."""
    return effect != "read" and scope in _scopes(action, effect, workflow, agents)


def _scopes(action: str, effect: Effect, workflow: str, agents: Iterable[str]) -> tuple[str, ...]:
    """Every scope that has such a call in it."""
    named = (f"agent:{name}" for name in agents)
    return ("all", f"effect:{effect}", f"action:{action}", f"workflow:{workflow}", *named)


class Switches:
    """The scopes that are off now, each with the reason it was flipped for."""

    def __init__(self) -> None:
        self.off: dict[str, str] = {}
        self.drills: dict[str, str] = {}
        """Scopes that are off for a drill."""

    def flip(self, scope: str, *, off: bool, reason: str) -> None:
        """Turn a scope off or on again; raises InvalidInput for a scope that does not exist."""
        check_scope(scope)
        if off:
            self.off[scope] = reason
        else:
            self.off.pop(scope, None)

    def stops(self, *, action: str, effect: Effect, workflow: str, agents: Iterable[str] = ()) -> str | None:
        """The scope that stops such a call, or None. agents: those in whose name it is made."""
        if not (self.off or self.drills) or effect == "read":
            return None
        for scope in _scopes(action, effect, workflow, agents):
            if scope in self.off or scope in self.drills:
                return scope
        return None

    def reason(self, scope: str) -> str:
        """Why a scope is off."""
        return self.off.get(scope) or self.drills.get(scope, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What was seen while a scope was off for a drill."""

    scope: str
    by: str
    reason: str
    began: str
    seconds: float
    ended: str | None = None
    """None: the worker stopped before the drill was over."""
    started: int = 0
    """Writes in the scope that started all the same: every one is a fault."""
    held: int = 0
    """Writes in the scope that were kept back, and went on afterwards."""
    reads: int = 0
    """Reads of the whole installation that went on."""

    @property
    def outcome(self) -> str:
        """broken-off: the worker stopped. failed: a write started. idle: nothing wanted to write, so it shows little."""
        if self.ended is None:
            return "broken-off"
        return "failed" if self.started else "passed" if self.held else "idle"

    def due(self, age: timedelta) -> str:
        """When the next one is due, as RFC 3339 text."""
        return (datetime.fromisoformat(self.began) + age).isoformat()

    def told(self) -> Json:
        """What the record of its end holds."""
        return {"reason": self.reason, "began": self.began, "seconds": self.seconds, "started": self.started,
                "held": self.held, "reads": self.reads}  # fmt: skip


def last_drills(events: Iterable[SystemRecorded]) -> Sequence[Drill]:
    """The last drill of each scope, from the system's events about drills, oldest first."""
    found: dict[str, Drill] = {}
    for event in events:
        ended = "began" in event.detail
        told: dict[str, Any] = {"began": event.at, **event.detail}
        found.pop(event.subject, None)
        found[event.subject] = Drill(scope=event.subject, by=event.by, ended=event.at if ended else None, **told)
    return list(found.values())
