"""Budgets: reserved before the call, so that a limit is never overshot. Crossing one is a refusal, never a success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from backstay import events as ev
from backstay.errors import AuthorError
from backstay.events import Event
from backstay.types import Json

BUDGET: Final = "agent-day"
"""The kind of system event that tells which budget an agent has from then on."""

ASKED: Final = "ask_model"
"""The action by which a model is asked: its result says what that used up."""

NOT_MADE: Final = frozenset({"switch", "breaker"})
"""What stands as the fault of a call that was kept back before it was made."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one run may do at most."""

    calls: int = 100_000
    """Calls of actions, of any effect."""
    effects: int = 10_000
    """Calls that change something."""


def crossed(limits: Limits, *, calls: int, effects: int) -> str | None:
    """Which limit the call numbered `calls` (and, if it changes something, `effects`) would cross, in words."""
    if calls > limits.calls:
        return f"the run has used its {limits.calls} calls"
    if effects > limits.effects:
        return f"the run has used its {limits.effects} effects"
    return None


# --- what an agent may use up in a day ------------------------------------------------------------------


class Use(NamedTuple):
    """What was used up, or may be."""

    calls: int = 0
    """Calls of tools, questions to the model among them; a call that is tried again counts once."""
    effects: int = 0
    """Those that change something."""
    tokens: int = 0
    usd: Decimal = Decimal(0)

    def plus(self, other: Use, times: int = 1) -> Use:
        """Both together."""
        return Use(
            calls=self.calls + times * other.calls, effects=self.effects + times * other.effects,
            tokens=self.tokens + times * other.tokens, usd=self.usd + times * other.usd,
        )  # fmt: skip

    def as_json(self) -> dict[str, Json]:
        return {"calls": self.calls, "effects": self.effects, "tokens": self.tokens, "usd": f"{self.usd:f}"}


NOTHING: Final = Use()


@dataclass(frozen=True)
class AgentDay:
    """What an agent may use up in a calendar day (UTC), in all its runs and in what is done in its name together."""

    agent: str
    _: KW_ONLY
    calls: int | None = None
    effects: int | None = None
    tokens: int | None = None
    usd: str | Decimal | None = None
    """Money for models, in US dollars. A question whose price nobody knows is not asked."""

    def __post_init__(self) -> None:
        for name, value in self.limits().items():
            if not value.is_finite() or value < 0:
                raise AuthorError(f"the day of agent {self.agent!r}: {name} must be 0 or more, not {value}")

    def limits(self) -> dict[str, Decimal]:
        """What is limited, by the names of `Use`."""
        given: dict[str, Any] = {"calls": self.calls, "effects": self.effects, "tokens": self.tokens, "usd": self.usd}
        try:
            return {name: Decimal(value) for name, value in given.items() if value is not None}
        except InvalidOperation:
            raise AuthorError(f"the day of agent {self.agent!r}: usd must be a number, not {self.usd!r}") from None

    def as_json(self) -> dict[str, Json]:
        """The limits, as the journal keeps them."""
        return {name: f"{value:f}" for name, value in self.limits().items()}


class Spent:
    """What agents used up, by day: a fold over the journal."""

    def __init__(self) -> None:
        self.by_day: dict[tuple[str, str], Use] = {}
        """(day, agent) -> what it used up."""
        self._day = ""
        self._counted: set[tuple[str, str, str]] = set()
        """(run, command, what) of the newest day: a call counts once, however often it is tried."""

    def hear(self, run: str, agents: Iterable[str], event: Event) -> None:
        """Take in an event of a run that acts for agents; those that are not about calls count nothing."""
        use = self._use(run, event)
        if use != NOTHING:
            for agent in dict.fromkeys(agents):
                place = (event.at[:10], agent)
                self.by_day[place] = self.by_day.get(place, NOTHING).plus(use)

    def _use(self, run: str, event: Any) -> Use:
        if not isinstance(event, _MADE) or (isinstance(event, ev.CallQueued) and event.fault.type in NOT_MADE):
            return NOTHING
        if event.at[:10] > self._day:
            self._day = event.at[:10]
            self._counted.clear()
        effect = isinstance(event, ev.CallIntended) and self._first(run, event.command, "effect")
        use = Use(calls=self._first(run, event.command, "call"), effects=effect)
        if isinstance(event, ev.CallReturned) and event.action == ASKED and isinstance(event.result, dict):
            reply: Mapping[str, Json] = event.result
            tokens = int(reply.get("input_tokens") or 0) + int(reply.get("output_tokens") or 0)
            use = use._replace(tokens=tokens, usd=Decimal(str(reply.get("charged") or 0)))
        return use

    def has(self, place: tuple[str, str], what: str, day: str) -> bool:
        """Whether a (run, command) is counted already on a day."""
        return day == self._day and (*place, what) in self._counted

    def _first(self, run: str, command: str, what: str) -> int:
        place = (run, command, what)
        new = place not in self._counted
        self._counted.add(place)
        return int(new)


_MADE: Final = (ev.CallIntended, ev.CallReturned, ev.AttemptFailed, ev.CallFailed, ev.CallQueued)
"""Events that tell of a call that was made."""


class Days:
    """The budgets of agents' days: what was used, what is reserved, and whether a call still fits."""

    def __init__(self, budgets: Iterable[AgentDay] = ()) -> None:
        self.budgets: dict[str, AgentDay] = {}
        for budget in budgets:
            if self.budgets.setdefault(budget.agent, budget) is not budget:
                raise AuthorError(f"agent {budget.agent!r} has two budgets of a day; give it one")
        self._limits = {name: budget.limits() for name, budget in self.budgets.items()}
        self.spent = Spent()
        self._reserved: dict[tuple[str, str], tuple[Sequence[str], Use]] = {}
        """(run, command) of a call on its way -> for whom, and what it may use up at most."""
        self._held: dict[str, Use] = {}
        """Agent -> all that is reserved for it."""

    def concerned(self, agents: Iterable[str]) -> tuple[str, ...]:
        """Those of the agents that have a budget."""
        return tuple(name for name in dict.fromkeys(agents) if name in self.budgets)

    def measures(self, agents: Iterable[str]) -> bool:
        """Whether tokens or money of any of them are limited."""
        return any(self._limits[name].keys() & {"tokens", "usd"} for name in agents)

    def need(
        self, place: tuple[str, str], day: str, *, effect: bool, tokens: int = 0, usd: Decimal = Decimal(0)
    ) -> Use:
        """What another attempt at a call may use up; what counts once is not counted again."""
        new = {what: int(not self.spent.has(place, what, day)) for what in ("call", "effect")}
        return Use(calls=new["call"], effects=new["effect"] * effect, tokens=tokens, usd=usd)

    def crossed(self, agents: Iterable[str], use: Use, day: str, *, priced: bool) -> str | None:
        """Which limit a call might cross, in words. priced: whether the most that it may cost is known."""
        for name in agents:
            used = self.used(name, day)
            for what, limit in self._limits[name].items():
                if what == "usd" and not priced:
                    return f"nobody knows what the question may cost, and agent {name!r} has {limit:f} USD a day"
                taken, more = Decimal(getattr(used, what)), Decimal(getattr(use, what))
                if more and taken + more > limit:
                    left, word = max(limit - taken, Decimal(0)), "USD" if what == "usd" else what
                    return f"agent {name!r} has {left:f} of its {limit:f} {word} a day left, and this may take {more:f}"
        return None

    def used(self, agent: str, day: str) -> Use:
        """What an agent used up on a day, with what is reserved for calls on their way."""
        return self.spent.by_day.get((day, agent), NOTHING).plus(self._held.get(agent, NOTHING))

    def reserve(self, place: tuple[str, str], agents: Sequence[str], use: Use) -> None:
        """Set aside what a call may use up, until the journal says what became of it."""
        self.release(place)
        self._reserved[place] = (agents, use)
        for name in agents:
            self._held[name] = self._held.get(name, NOTHING).plus(use)

    def release(self, place: tuple[str, str]) -> None:
        """Nothing is set aside for a call any more."""
        agents, use = self._reserved.pop(place, ((), NOTHING))
        for name in agents:
            self._held[name] = self._held[name].plus(use, -1)

    def hear(self, run: str, agents: Iterable[str], event: Event) -> None:
        """Take in an event of a run as it is committed: what it tells of counts, and is not reserved any more."""
        if isinstance(event, _ENDS):
            for place in [place for place in self._reserved if place[0] == run]:
                self.release(place)
        elif (command := getattr(event, "command", None)) is not None:
            self.release((run, command))
            self.spent.hear(run, self.concerned(agents), event)


_ENDS: Final = (ev.RunFinished, ev.RunFailed, ev.RunCancelled)
