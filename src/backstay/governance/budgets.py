"""Budgets: reserved before the call, so that a limit is never overshot. Crossing one is a refusal, never a success."""

from __future__ import annotations

from dataclasses import dataclass


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
