"""Models by role: which one answers, what may be sent to it, what it costs. The port to every provider.

Requests go out through `pydantic-ai`, which is loaded when the first one does. What is private is replaced by pseudonyms
before it leaves, unless the role may see its data class; in the answer the pseudonyms become the values again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from backstay.actions import Action
from backstay.ai.asking import ask_model
from backstay.ai.providers import Asked, complete, connect, disconnect
from backstay.ai.transcripts import Allowance, Message, Reply
from backstay.errors import AuthorError, BudgetCrossed, NotRetryable
from backstay.types import Duration, Mask, seconds

if TYPE_CHECKING:
    from pydantic_ai.models import Model as ProviderModel

MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs, in US dollars for a million tokens. A model on one's own machine may well cost 0."""

    input: Decimal | str
    output: Decimal | str

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """What one reply costs."""
        return (Decimal(self.input) * input_tokens + Decimal(self.output) * output_tokens) / MILLION


class Player(Protocol):
    """Whatever can play a role: a configured `Model`, or a scripted one."""

    timeout: Duration
    fallback: str
    answer_tokens: int

    async def answer(self, asked: Asked, mask: Mask) -> Reply:
        """Answer one request; raises NotRetryable, or any other error where another attempt may help."""
        ...

    def worst(self, characters: int) -> Decimal | None:
        """The most that a request of so many characters may cost; None when nobody can tell."""
        ...

    async def close(self) -> None:
        """Close its connections; it can be asked again, in another event loop too."""
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model as it is configured for a role."""

    name: str
    """"openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"; with `url`, the name by which that server knows it."""
    url: str | None = None
    """Base address of a server that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, a gateway."""
    key: str = ""
    """Name of the environment variable that holds the key; "" for the provider's usual one, or none for a `url`."""
    price: Price | None = None
    """Otherwise the published price is taken, if there is one."""
    worst_usd: Decimal | str | None = None
    """What a request counts against a money limit while its price is not known."""
    answer_tokens: int = 4096
    timeout: Duration = "2m"
    classes: frozenset[str] = frozenset()
    """Data classes that may be sent to it in clear; of all others it sees pseudonyms."""
    fallback: str = ""
    """The role that answers when this one cannot be had."""
    concurrency: int | None = None
    temperature: float | None = None

    @cached_property
    def provider(self) -> ProviderModel:
        return connect(self.name, self.url, os.environ.get(self.key, "") if self.key else "", seconds(self.timeout))

    @cached_property
    def _turns(self) -> asyncio.Semaphore | None:
        return asyncio.Semaphore(self.concurrency) if self.concurrency else None

    async def answer(self, asked: Asked, mask: Mask) -> Reply:
        """Send the request, without what this model may not see."""
        seen = asked.mapped(lambda value: mask.hide(value, allowed=self.classes))
        settings: dict[str, Any] = {"max_tokens": self.answer_tokens, "timeout": seconds(self.timeout)}
        if self.temperature is not None:
            settings["temperature"] = self.temperature
        async with self._turns or nullcontext():
            reply = await complete(self.provider, seen, settings)
        calls = [call.model_copy(update={"args": mask.show(call.args)}) for call in reply.calls]
        priced = reply.usd if self.price is None else self.price.of(reply.input_tokens, reply.output_tokens)
        return reply.model_copy(
            update={"text": mask.show(reply.text), "calls": calls, "usd": priced, "request": seen.unlike(asked)}
        )

    async def close(self) -> None:
        """Close its connections."""
        self.__dict__.pop("_turns", None)
        provider = self.__dict__.pop("provider", None)
        if provider is not None:
            await disconnect(provider)

    def worst(self, characters: int) -> Decimal | None:
        """Every character a token, and an answer of full length: more than that no request costs."""
        if self.price is not None:
            return self.price.of(characters, self.answer_tokens)
        return None if self.worst_usd is None else Decimal(self.worst_usd)


class Models:
    """The models of an application, by role: `App(models=Models(careful=Model(...), local=Model(...)))`.

    Raises AuthorError for a fallback to a role that is not there, or in a circle.
    """

    def __init__(self, **roles: Player) -> None:
        self.roles: Mapping[str, Player] = roles
        for role in roles:
            self._line(role)

    def _line(self, role: str) -> list[str]:
        """A role and those that stand in for it, in order."""
        line: list[str] = []
        while role:
            if role not in self.roles or role in line:
                raise AuthorError(f"model role {line[0]!r} falls back to {role!r}, which is not a further role")
            line.append(role)
            role = self.roles[role].fallback
        return line

    @property
    def actions(self) -> Sequence[Action[Any]]:
        """The action by which agents ask, with these models behind it."""
        return [replace(ask_model, fn=self.ask)]

    async def close(self) -> None:
        """Close all connections."""
        for player in self.roles.values():
            await player.close()

    async def ask(
        self, role: str, system: str, messages: list[Message], tools: str, left: Allowance, mask: Mask
    ) -> Reply:  # fmt: skip
        """Let the model that plays a role answer, or whoever stands in for it."""
        if role not in self.roles:
            raise NotRetryable(f"no model plays the role {role!r}; configured: {', '.join(self.roles) or 'none'}")
        asked, line = Asked(system=system, messages=messages, tools=tools), self._line(role)
        for name in line:
            player = self.roles[name]
            try:
                worst = _within(name, player, asked, left)
                reply = await player.answer(asked, mask)
            except NotRetryable:
                raise
            except Exception:
                if name == line[-1]:
                    raise
            else:
                return reply.model_copy(update={"role": name, "charged": worst if reply.usd is None else reply.usd})
        raise AssertionError("unreachable")


def _within(role: str, player: Player, asked: Asked, left: Allowance) -> Decimal:
    """The most that a request may cost; raises BudgetCrossed, before it is sent, when that is more than is left.

    A token is at least one character, so the characters bound the tokens of what is sent.
    """
    tokens, usd = asked.characters + player.answer_tokens, player.worst(asked.characters)
    if left.tokens is not None and tokens > left.tokens:
        raise BudgetCrossed(f"another question may take {tokens} tokens, and {left.tokens} are left")
    if left.usd is not None and usd is None:
        raise BudgetCrossed(f"nobody knows what role {role!r} costs: give its Model a price, or worst_usd")
    if left.usd is not None and usd is not None and usd > left.usd:
        raise BudgetCrossed(f"another question may cost {usd:f} USD, and {left.usd:f} are left")
    return usd or Decimal(0)
