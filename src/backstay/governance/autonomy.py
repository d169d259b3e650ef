"""Autonomy: how far each agent may go with each action, as people granted it and as what happened took it away.

A grant is a rule that ends by itself, and a demotion one that stays until somebody grants again. Both are readings of the
system's chain, without I/O and without a clock. Levels are proposed from evidence; only a person raises one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from backstay import events as ev
from backstay.errors import AuthorError, InvalidInput
from backstay.events import Event, SystemRecorded
from backstay.governance.conditions import Asked, Unanswerable, compile_condition
from backstay.governance.policy import AUTONOMY, Autonomy, Policy, Rule, Verdict
from backstay.types import Effect, Json

WHAT: Final = "autonomy"
"""The kind of system event that changes a level."""

Cause: TypeAlias = Literal["granted", "revoked", "overridden", "switch"]
"""granted, revoked: by a person. overridden: people rejected or undid too much of what it did. switch: one was pulled."""

VERDICTS: Final[Mapping[Autonomy, Verdict]] = {"recommend": "draft", "propose": "hold", "execute": "allow"}
"""What each level makes of a call that changes something."""


class Place(NamedTuple):
    """What a level is about."""

    agent: str
    action: str
    when: str = ""
    """Only calls whose arguments fit this condition."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A level that is not the agent's own, and why."""

    place: Place
    level: Autonomy
    expires: str | None
    """None for a demotion: it stays."""
    cause: Cause
    reason: str
    by: str
    at: str

    @property
    def id(self) -> str:
        """Id of its rule, as the journal names it beside each call that it decided."""
        return f"{self.cause}:{self.place.agent}/{self.place.action}" + (
            f" if {self.place.when}" if self.place.when else ""
        )

    def rule(self, effect: Effect) -> Rule:
        """The rule that it is."""
        return Rule(
            id=self.id, verdict=VERDICTS[self.level], agent=_literal(self.place.agent), action=_literal(self.place.action),
            when=self.place.when, effect=effect, owner=self.by or "backstay", expires=self.expires, reason=self.reason,
        )  # fmt: skip


def _literal(name: str) -> str:
    """A name as a pattern that only it matches."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


_TABLE: Final = Policy()


class Levels:
    """Every level that differs from what its agent declares, as the events so far say."""

    def __init__(self) -> None:
        self._levels: dict[Place, Level] = {}

    def apply(self, event: Event) -> bool:
        """Take one event in; says whether it changed a level."""
        if not isinstance(event, SystemRecorded) or event.what != WHAT:
            return False
        told = event.detail
        place = Place(event.subject, told["action"], told["when"])
        self._levels.pop(place, None)
        if told["level"] is not None:
            self._levels[place] = Level(
                place=place, level=told["level"], expires=told["expires"], cause=told["cause"], reason=told["reason"],
                by=event.by, at=event.at,
            )  # fmt: skip
        return True

    def all(self, now: str) -> list[Level]:
        """Those that count at a moment."""
        return [each for each in self._levels.values() if not _TABLE.over(each.rule("write"), now)]

    def at(self, place: Place, now: str) -> Level | None:
        """The one for exactly this, if any counts."""
        return next((each for each in self.all(now) if each.place == place), None)

    def rules(self, effects: Mapping[str, Effect]) -> list[Rule]:
        """They as rules. effects: of each action of the application; a level for another one is no rule."""
        return [each.rule(effects[each.place.action]) for each in self._levels.values() if each.place.action in effects]


def granted(place: Place, level: str, *, expires: str, reason: str, now: str) -> dict[str, Json]:
    """What is recorded of a grant; raises InvalidInput naming what does not fit."""
    if level not in AUTONOMY:
        raise InvalidInput(f"there is no level {level!r}; there are {', '.join(AUTONOMY)}", {"level": "unknown"})
    if not reason.strip():
        raise InvalidInput("say why: a reason is kept with each grant", {"reason": "is empty"})
    made = Level(place=place, level=level, expires=expires, cause="granted", reason=reason, by="x", at=now).rule(
        "write"
    )
    try:
        over = Policy([made]).over(made, now)
    except AuthorError as error:
        field = "expires" if "expires" in str(error) else "when"
        raise InvalidInput(str(error), {field: "does not fit"}) from None
    if over:
        raise InvalidInput(f"expires {expires!r} is over already", {"expires": "is in the past"})
    return {**_recorded(place, "granted", reason), "level": level, "expires": expires}


def lowered(place: Place, cause: Cause, reason: str, level: Autonomy | None) -> Json:
    """What is recorded of a demotion. level: None is back to what the agent declares."""
    return {**_recorded(place, cause, reason), "level": level, "expires": None}


def _recorded(place: Place, cause: Cause, reason: str) -> dict[str, Json]:
    return {"action": place.action, "when": place.when, "cause": cause, "reason": reason}


# --- evidence -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """When a level is proposed, and when one is taken away."""

    days: int = 90
    """Only what happened in so many days counts."""
    decisions: int = 20
    """So many proposals must have been decided before a level is proposed."""
    lowest: float = 0.8
    """The share of approvals must be above this, with 95 % confidence."""
    overrides: int = 2
    """An agent that executes is taken back when more of what it did was rejected or undone."""


BOUNDS: Final = Bounds()
SURE: Final = 1.959964
"""Standard deviations of 95 % confidence."""


def wilson(hits: int, of: int) -> float:
    """The lower end of the 95 % interval of a share (E. B. Wilson, 1927); 0 of nothing."""
    if not of:
        return 0.0
    share, square = hits / of, SURE * SURE
    spread = SURE * sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, (share + square / (2 * of) - spread) / (1 + square / of))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What became of an agent's calls of an action in a window."""

    since: str
    approved: int = 0
    """Proposals that a person approved, and nothing undid."""
    rejected: int = 0
    undone: int = 0
    """Calls that took place and were undone."""

    @property
    def decided(self) -> int:
        return self.approved + self.rejected + self.undone

    @property
    def overrides(self) -> int:
        return self.rejected + self.undone

    @property
    def sure(self) -> float:
        """The share of approvals is above this, with 95 % confidence."""
        return wilson(self.approved, self.decided)

    def proposes(self, level: Autonomy, bounds: Bounds = BOUNDS) -> Autonomy | None:
        """The level that it speaks for: the next one above `propose`, or None."""
        enough = self.decided >= bounds.decisions and self.sure >= bounds.lowest
        return "execute" if level == "propose" and enough else None

    def as_json(self) -> dict[str, Json]:
        return {"since": self.since, "approved": self.approved, "rejected": self.rejected, "undone": self.undone,
                "decided": self.decided, "sure": round(self.sure, 4)}  # fmt: skip


Opened: TypeAlias = ev.ApprovalRequested | ev.CallIntended
"""What a proposal or an effect began with."""


class Conduct:
    """What became of agents' calls: a fold over the journal. restore: gives an event its large and private values."""

    def __init__(self, restore: Callable[[Event], Event] = lambda event: event) -> None:
        self._restore = restore
        self._asked: dict[tuple[str, str], ev.ApprovalRequested] = {}
        self._seen: list[tuple[str, str, str, tuple[str, ...], str, Opened]] = []
        """(at, run, command, agents, what, opened) of each proposal that was decided and each effect that was undone."""
        self._made: dict[tuple[str, str], ev.CallIntended] = {}

    def hear(self, run: str, agents: Iterable[str], event: Event) -> None:
        """Take in an event of a run that acts for agents."""
        place = (run, getattr(event, "command", ""))
        if isinstance(event, ev.ApprovalRequested) and event.action is not None and event.reason:
            self._asked[place] = event
        elif isinstance(event, ev.ApprovalDecided) and (asked := self._asked.pop(place, None)) is not None:
            if event.verdict != "expired":
                self._seen.append((event.at, *place, tuple(agents), f"{event.verdict} {asked.action}", asked))
        elif isinstance(event, ev.CallIntended):
            made = self._made.get((run, event.command.removeprefix("c"))) if event.command.startswith("c") else None
            if made is not None and event.attempt == 1:
                self._seen.append((event.at, run, made.command, tuple(agents), f"undone {made.action}", made))
            if event.compensate:
                self._made[place] = event

    def forget(self, before: str) -> None:
        """Drop what began before a moment."""
        self._asked = {place: event for place, event in self._asked.items() if event.at >= before}
        self._made = {place: event for place, event in self._made.items() if event.at >= before}
        self._seen = [seen for seen in self._seen if seen[-1].at >= before]

    def evidence(self, place: Place, since: str, begun: str = "") -> Evidence:
        """What there is about one place since a moment, of what began at another or later."""
        condition = compile_condition(place.when, "when") if place.when else None
        found: dict[str, set[tuple[str, str]]] = {"approved": set(), "rejected": set(), "undone": set()}
        for at, run, command, agents, what, opened in self._seen:
            verdict, _, action = what.partition(" ")
            concerned = action == place.action and place.agent in agents and at >= since and opened.at >= begun
            if concerned and self._fits(condition, opened):
                found[verdict].add((run, command))
        return Evidence(
            since=since, approved=len(found["approved"] - found["undone"]), rejected=len(found["rejected"]),
            undone=len(found["undone"]),
        )  # fmt: skip

    def _fits(self, condition: Any, opened: Opened) -> bool:
        """Whether a condition holds; of arguments that nobody can read, it does not."""
        if condition is None:
            return True
        try:
            return condition(Asked(getattr(self._restore(opened), "args", None) or {}))
        except Unanswerable:
            return False

    def places(self) -> list[tuple[str, str]]:
        """(agent, action) of whatever was seen."""
        return sorted({(agent, what.partition(" ")[2]) for _, _, _, agents, what, _ in self._seen for agent in agents})
