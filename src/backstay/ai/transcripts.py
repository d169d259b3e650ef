"""What passes between an agent and its model: messages, calls of tools, replies. Plain data, kept in the journal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel


class ToolCall(BaseModel):
    """A tool that the model wants to use."""

    id: str
    """The model's own word for it; it pairs a call with its answer and decides nothing."""
    tool: str
    args: dict[str, Any] = {}
    problem: str = ""
    """Why it cannot be carried out: text that is not JSON, a tool that is not there, arguments that do not fit."""


class Message(BaseModel):
    """One entry of a transcript."""

    role: Literal["user", "model", "tool"]
    text: str = ""
    calls: list[ToolCall] = []
    """What a model asked for."""
    answers: str = ""
    """Id of the call that a tool's message answers."""
    tool: str = ""
    failed: bool = False


class Allowance(BaseModel):
    """What may still be used up. None: no limit of this kind."""

    steps: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    usd: Decimal | None = None


class Reply(BaseModel):
    """What a model answered, and what that cost."""

    text: str = ""
    calls: list[ToolCall] = []
    model: str = ""
    """Provider and name of the model that answered."""
    role: str = ""
    """The configured role that it played; another than was asked for when that one was not to be had."""
    input_tokens: int = 0
    """With the most that lost attempts at the same question may have used up."""
    output_tokens: int = 0
    """The longest possible answer, where the provider does not say what it used."""
    usd: Decimal | None = None
    """None: the price is not known."""
    charged: Decimal = Decimal(0)
    """What counts against the budget: the price, or the worst case that the role declares where there is none; and the
    worst case of each attempt at the same question whose answer was lost."""
    request: str = ""
    """SHA-256 of the request as it left, where something in it was hidden; else a replay makes it again as it was."""
