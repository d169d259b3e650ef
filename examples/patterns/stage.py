"""Where the stories of this folder play: a throw-away store, and a model that reads from a script and says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn
from backstay.events import ChildStarted
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
    lines += [f"{indent}  {line.text}" for line in it.log(run)]
    children = [event.run for event in it.events(run) if isinstance(event, ChildStarted)]
    return [*lines, *(line for child in children for line in told_of(it, child, indent + "  "))]


def play(story: Callable[[], Coroutine[Any, Any, list[str]]]) -> None:
    """Tell a story."""
    print("(the model is scripted: what it says stands in this file)")
    print("\n".join(asyncio.run(story())))
