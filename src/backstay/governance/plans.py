"""A case's plan: the tools that it is about, said before any outsider's text was read.

What a text from outside can talk a model into afterwards is then limited to what was planned without it. (The pattern is
plan-then-execute: Beurer-Kellner et al., "Design Patterns for Securing LLM Agents against Prompt Injections", 2025.)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PLAN: Final = "plan"
"""The tool by which an agent writes down its plan, and the remark in its log that holds it."""


class Planned(BaseModel):
    """What the tool `plan` is told."""

    model_config = ConfigDict(extra="forbid", strict=True, title="plan")

    steps: list[str]
    tools: list[str] = Field(
        default=[],
        description="The tools you may need to change something. Name them before you read anything: later they may be refused.",
    )


def misplanned(args: object) -> str:
    """What is wrong with the arguments of `plan`; "" when nothing is."""
    try:
        Planned.model_validate(args)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return ""


@dataclass(slots=True)
class Plan:
    """What one case may change. Without a plan that counts it is whatever the agent has tools for."""

    first: frozenset[str] | None = None
    """The plan that counts: what a person or workflow said, else the model's first, if it had read nothing by then."""
    later: set[str] = field(default_factory=set)
    """What later plans add."""
    heard: bool = False
    """Whether any text of an outsider has been read."""
    withheld: frozenset[str] = frozenset()
    """The tools of the agents above it that their plan leaves out."""

    @property
    def named(self) -> list[str] | None:
        """The plan that counts, as a list."""
        return None if self.first is None else sorted(self.first)

    def take(self, said: object) -> None:
        """The tools of a plan that the model made; one that names none limits nothing."""
        tools = [tool for tool in cast("list[object]", said) if isinstance(tool, str)] if isinstance(said, list) else []
        if self.first is None and tools and not self.heard:
            self.first = frozenset(tools)
        else:
            self.later.update(tools)

    def handed(self, own: Collection[str], helpers: Collection[str]) -> Plan:
        """What an agent with its own tools hands on to a helper: the plan, and the tools that only the helper has."""
        if self.first is None:
            return Plan(heard=self.heard)
        withheld = self.withheld.union(own) - self.first
        return Plan(first=self.first.union(helpers) - withheld, heard=self.heard, withheld=withheld)

    def verdict(self, tool: str) -> Literal["allow", "hold", "deny"]:
        """allow: it is in the plan, or there is none. hold: a later plan added it. deny: it is in none."""
        if self.first is None or tool in self.first or not self.heard:
            return "allow"
        return "hold" if tool in self.later else "deny"
