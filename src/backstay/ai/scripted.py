"""A model that is scripted: for tests and for the offline demonstration only. Every reply says that it is not a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from decimal import Decimal
from typing import Any, Final, TypeAlias

from backstay.ai.providers import Asked
from backstay.ai.transcripts import Reply, ToolCall
from backstay.errors import NotRetryable
from backstay.types import Duration, Json

SCRIPTED: Final = "scripted"
"""What stands as the model's name in the journal and on screen."""

Turn: TypeAlias = "str | ToolCall | Sequence[ToolCall] | Exception"
"""What the model does in one turn: says something, uses one tool or several, or fails."""


class ScriptedModel:
    """Plays a role by a script: a list with one entry a turn, or a function of the request.

    A list is read by the number of the model's messages so far, so that a case that is resumed goes on where it was.
    """

    timeout: Duration = "1m"
    fallback = ""
    answer_tokens = 50
    classes: frozenset[str] = frozenset()

    def __init__(self, script: Sequence[Turn] | Callable[[Asked], Turn], *, usd: Decimal | str | None = "0") -> None:
        self._script = script
        self._usd = None if usd is None else Decimal(usd)
        self.asked: list[Asked] = []
        """Every request so far, with pseudonyms for what is private."""

    async def answer(self, asked: Asked) -> Reply:
        """Do what the script says."""
        self.asked.append(asked)
        turn = self._turn(asked)
        if isinstance(turn, Exception):
            raise turn
        text = turn if isinstance(turn, str) else ""
        calls = [] if isinstance(turn, str) else [turn] if isinstance(turn, ToolCall) else list(turn)
        for word in re.findall(r"\S+\s*|\s+", text):
            asked.progress("text", word)
        for wanted in calls:
            asked.progress("tool", wanted.tool)
        sent = sum(len(message.text) for message in asked.messages) // 4
        return Reply(text=text, calls=calls, model=SCRIPTED, usd=self._usd, input_tokens=sent, output_tokens=50)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """It is never busy."""
        return nullcontext()

    async def close(self) -> None:
        """It has no connections."""

    def worst(self, size: int) -> Decimal | None:
        """What the script says a reply costs."""
        return self._usd

    def _turn(self, asked: Asked) -> Turn:
        if callable(self._script):
            return self._script(asked)
        number = sum(message.role == "model" for message in asked.messages)
        if number >= len(self._script):
            raise NotRetryable(f"the script has {len(self._script)} turns, and this is turn {number + 1}")
        return self._script[number]


def call(tool: str, **args: Json) -> ToolCall:
    """One use of a tool, for a script."""
    return ToolCall(id="", tool=tool, args=args)


def finish(output: Any, *claims: tuple[str, str, str], confidence: float = 0.9, summary: str = "") -> ToolCall:
    """The end of a script; each claim is (text, source, quote)."""
    listed = [{"text": text, "source": source, "quote": quote} for text, source, quote in claims]
    return call("finish", output=output, claims=listed, confidence=confidence, summary=summary)
