"""Patterns of agents and workflows that need more than ten lines. The others are shapes: docs/patterns.md has them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from backstay.ai.agents import Agent, AgentLimits, Callee
from backstay.ai.classifying import NONE as NONE  # noqa: PLC0414 - it is part of this pattern
from backstay.ai.routing import purposes
from backstay.language import Workflow


class Route(BaseModel):
    """Which workflow a case belongs to."""

    workflow: str
    """Name of a workflow, or `none of these`."""
    why: str = ""


def router(
    name: str,
    *,
    among: Sequence[Workflow[..., Any]],
    reads: Sequence[Callee],
    model: str = "fast",
    confidence: float = 0.8,
    limits: AgentLimits | None = None,
) -> Agent[Route]:
    """A small agent that says which workflow a case belongs to, having looked at it; it starts nothing. Where the text of the
    case tells, `routing.Router` does it without a model.

    among: what it may name, told to it by their docstrings or goals. reads: tools by which it looks at the case. The
    workflow that asks it compares the answer with names that it knows, so that one which was made up leads to a person.
    Raises AuthorError for a workflow that does not say what it is for.
    """
    listed = "\n".join(f"- {each}: {text}" for each, text in purposes(name, among).items())
    return Agent(
        name, goal="Say which workflow this case belongs to.", tools=reads, output=Route, evidence=reads, model=model,
        confidence=confidence, autonomy="recommend", limits=limits or AgentLimits(steps=4, tool_calls=6),
        instructions=f"The workflows are:\n{listed}\n- {NONE}: it is something else. When in doubt, say this.",
    )  # fmt: skip
