"""A model that is scripted: for tests and for the offline demonstration only. Every reply says that it is not a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from backstay.ai.providers import Asked, check_call
from backstay.ai.transcripts import Reply, ToolCall
from backstay.errors import NotRetryable
from backstay.types import Duration, Json, Mask

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

    def __init__(self, script: Sequence[Turn] | Callable[[Asked], Turn], *, usd: Decimal | str | None = "0") -> None:
        self._script = script
        self._usd = None if usd is None else Decimal(usd)
        self.asked: list[Asked] = []
        """Every request so far."""

    async def answer(self, asked: Asked, mask: Mask) -> Reply:
        """Do what the script says."""
        seen = asked.mapped(mask.hide)
        self.asked.append(seen)
        turn = self._turn(seen)
        if isinstance(turn, Exception):
            raise turn
        text = turn if isinstance(turn, str) else ""
        calls = [] if isinstance(turn, str) else [turn] if isinstance(turn, ToolCall) else list(turn)
        named = [
            call.model_copy(update={"id": call.id or f"call-{len(seen.messages)}-{n}"}) for n, call in enumerate(calls)
        ]
        shown = [call.model_copy(update={"args": mask.show(call.args)}) for call in named]
        return Reply(
            text=text, calls=[check_call(call, asked) for call in shown], model=SCRIPTED, usd=self._usd,
            input_tokens=sum(len(message.text) for message in seen.messages) // 4, output_tokens=50, request=seen.unlike(asked),
        )  # fmt: skip

    async def close(self) -> None:
        """It has no connections."""

    def worst(self, characters: int) -> Decimal | None:
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
