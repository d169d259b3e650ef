"""Patterns of agents and workflows that need more than ten lines. The others are shapes: docs/patterns.md has them all."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel

from backstay.ai.agents import Agent, AgentLimits, Callee
from backstay.errors import AuthorError
from backstay.language import Workflow

NONE: Final = "none of these"
"""What a router answers when no workflow fits: then a person decides."""


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
    """A small agent that says which workflow a case belongs to; it starts nothing.

    among: what it may name, told to it by their docstrings or goals. reads: tools by which it looks at the case. The
    workflow that asks it compares the answer with names that it knows, so that one which was made up leads to a person.
    Raises AuthorError for a workflow that does not say what it is for.
    """
    about = {each.name: _purpose(each) for each in among}
    if silent := [each for each, text in about.items() if not text]:
        raise AuthorError(f"router {name!r}: {', '.join(silent)} has no docstring, so nobody can tell what it is for")
    listed = "\n".join(f"- {each}: {text}" for each, text in about.items())
    return Agent(
        name, goal="Say which workflow this case belongs to.", tools=reads, output=Route, evidence=reads, model=model,
        confidence=confidence, autonomy="recommend", limits=limits or AgentLimits(steps=4, tool_calls=6),
        instructions=f"The workflows are:\n{listed}\n- {NONE}: it is something else. When in doubt, say this.",
    )  # fmt: skip


def _purpose(workflow: Workflow[..., Any]) -> str:
    """What a workflow is for, in a line."""
    return workflow.goal if isinstance(workflow, Agent) else (inspect.getdoc(workflow) or "").partition("\n")[0]
