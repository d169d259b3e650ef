"""What an agent's case of a hundred turns keeps, compared with what there was to keep."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from backstay import Agent, AgentLimits, App, Models
from backstay import events as ev
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import ToolCall
from backstay.canonical import canonical
from backstay.engine.application import STORE_FILE
from benchmarks.agents_case import CASE, Answer, find_order, prose, read_mail

TURNS: Final = 100


def turn(asked: Asked) -> ToolCall | Sequence[ToolCall]:
    """It thinks aloud, and looks at a mail or an order."""
    number = sum(message.role == "model" for message in asked.messages)
    if number == TURNS - 1:
        return finish({"text": "done"}, ("a mail", "o1", "@brandt.example"))
    return call("find_order", number=f"PO-{number}") if number % 4 == 3 else call("read_mail", number=number)


reader = Agent(
    "reader", goal="Read everything.", tools=[read_mail, find_order], output=Answer,
    limits=AgentLimits(steps=TURNS, tool_calls=TURNS, usd="100"),
)  # fmt: skip
