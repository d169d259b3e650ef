"""What holds an action back apart from rules and its turnstile: its circuit breaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from backstay.actions import Action
from backstay.store.clock import Clock
from backstay.types import seconds


@dataclass(slots=True)
class BreakerState:
    """closed: calls pass. open: they are diverted until `until`. ready: the next call is the canary. half-open: it is on
    its way; when nothing was heard of it until `until` (it was refused, cancelled, lost), another goes."""

    state: Literal["closed", "open", "ready", "half-open"] = "closed"
    failures: int = 0
    until: float = 0.0


class Breakers:
    """The circuit breakers of all actions that declare one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, BreakerState] = {}

    def diverts(self, action: Action[Any]) -> bool:
        """Whether this call must be kept back; after the cooldown the first to ask is let through as the canary."""
        state = self._states.get(action.name)
        if action.breaker is None or state is None or state.state == "closed":
            return False
        self._cool(state)
        if state.state != "ready":
            return True
        state.state = "half-open"
        state.until = self._clock.timestamp() + action.timeout_seconds + seconds(action.breaker.cooldown)
        return False

    def _cool(self, state: BreakerState) -> bool:
        """Make a breaker whose time is over ready for a canary; True when that is news."""
        over = state.state in ("open", "half-open") and self._clock.timestamp() >= state.until
        if over:
            state.state = "ready"
        return over

    def succeeded(self, action: Action[Any]) -> bool:
        """Note a success; True when it closed the breaker."""
        state = self._states.get(action.name)
        if state is None:
            return False
        closed = state.state != "closed"
        state.state, state.failures = "closed", 0
        return closed

    def failed(self, action: Action[Any]) -> bool:
        """Note a failed attempt; True when it opened the breaker."""
        if action.breaker is None:
            return False
        state = self._states.setdefault(action.name, BreakerState())
        state.failures += 1
        if state.state == "closed" and state.failures < action.breaker.failures:
            return False
        opened = state.state != "open"
        self.trip(action)
        return opened

    def trip(self, action: Action[Any]) -> None:
        """Open the breaker for its cooldown."""
        assert action.breaker is not None
        until = self._clock.timestamp() + seconds(action.breaker.cooldown)
        self._states[action.name] = BreakerState(state="open", failures=action.breaker.failures, until=until)

    def is_closed(self, name: str) -> bool:
        return name not in self._states or self._states[name].state == "closed"

    def cooled_down(self) -> list[str]:
        """Actions whose cooldown ended since this was asked last; with nothing diverted, their next call is the canary."""
        return [name for name, state in self._states.items() if self._cool(state)]

    @property
    def next_canary(self) -> float | None:
        """When the next cooldown ends, in seconds since the epoch."""
        return min(
            (state.until for state in self._states.values() if state.state in ("open", "half-open")), default=None
        )
