"""Prompts: what each agent of an application is told, with a version, and the definition that it belongs to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from backstay.ai.agents import Agent
from backstay.engine.application import App


class Prompt(BaseModel):
    """What an agent is told, as one version of it."""

    model_config = ConfigDict(frozen=True)

    agent: str
    version: str
    """SHA-256 of the text."""
    file: str
    """Where its instructions stand; "" where the code says all."""
    definition: str
    """The version of the agent that has this prompt."""
    role: str
    """The configured model role that reads it."""
    text: str = Field(default="", exclude=True)


def prompts_of(app: App) -> Iterator[Prompt]:
    """The prompts of an application, one for each agent."""
    for agent in app.workflows.values():
        if isinstance(agent, Agent):
            text, file = str(agent.settings["system"]), agent.prompt_file
            yield Prompt(
                agent=agent.name, version=hashlib.sha256(text.encode()).hexdigest(),
                file="" if file is None else os.path.relpath(file), definition=agent.definition.version,
                role=agent.model, text=text,
            )  # fmt: skip
