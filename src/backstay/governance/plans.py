"""A case's plan: the tools that it is about, said before any outsider's text was read.

What a text from outside can talk a model into afterwards is then limited to what was planned without it. (The pattern is
plan-then-execute: Beurer-Kellner et al., "Design Patterns for Securing LLM Agents against Prompt Injections", 2025.)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal

PLAN: Final = "plan"
"""The tool by which an agent writes down its plan, and the remark in its log that holds it."""


@dataclass(slots=True)
class Plan:
    """What one case may change. Without a plan that counts it is whatever the agent has tools for."""

    first: frozenset[str] | None = None
    """The plan that counts: what a person or workflow said, else the model's first, if it had read nothing by then."""
    later: set[str] = field(default_factory=set)
    """What later plans add."""
    heard: bool = False
    """Whether any text of an outsider has been read."""

    @property
    def named(self) -> list[str] | None:
        """The plan that counts, as a list."""
        return None if self.first is None else sorted(self.first)

    def take(self, tools: Collection[str]) -> None:
        """A plan that the model made; one that names no tools limits nothing."""
        if self.first is None and tools and not self.heard:
            self.first = frozenset(tools)
        else:
            self.later.update(tools)

    def verdict(self, tool: str) -> Literal["allow", "hold", "deny"]:
        """allow: it is in the plan, or there is none. hold: a later plan added it. deny: it is in none."""
        if self.first is None or tool in self.first or not self.heard:
            return "allow"
        return "hold" if tool in self.later else "deny"
