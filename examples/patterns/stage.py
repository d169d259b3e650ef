"""Where the stories of this folder play: a throw-away store, and a model that reads from a script and says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn
from backstay.testing import Harness

Line = Callable[[dict[str, Any], list[str]], Turn]
"""What a model does next: from its case, and what its tools told it so far."""


def scripted(**parts: Line) -> ScriptedModel:
    """A model that plays each agent, by its name, from a script."""

    def turn(asked: Asked) -> Turn:
        name = asked.system.removeprefix("You are ").partition(".")[0].replace("-", "_")
        told = [message.text for message in asked.messages if message.role == "tool"]
        return parts[name](json.loads(asked.messages[0].text), told)

    return ScriptedModel(turn)


def told_of(it: Harness, run: str, indent: str = "") -> list[str]:
    """The log of a run and of what it started, as its process owner reads it."""
    lines = [f"{indent}{it.run(run).workflow}"]
    for line in it.log(run):
        lines.append(f"{indent}  {line.text}")
    for child in it.events(run, "child_started"):
        lines += told_of(it, child.run, indent + "  ")  # type: ignore[attr-defined] - it is that event
    return lines


def play(story: Callable[[], Awaitable[list[str]]]) -> None:
    """Tell a story."""
    print("(the model is scripted: what it says stands in this file)")
    print("\n".join(asyncio.run(_told(story))))


async def _told(story: Callable[[], Awaitable[list[str]]]) -> list[str]:
    return await story()
