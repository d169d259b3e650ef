"""Models by role: which one answers, what may be sent to it, what it costs. The port to every provider.

Requests go out through `pydantic-ai`, which is loaded when the first one does. What is private is replaced by pseudonyms
before it leaves, unless the role may see its data class; in the answer the pseudonyms become the values again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from backstay.actions import Action, Rate
from backstay.ai.asking import ask_model
from backstay.ai.providers import (
    AnswerTooSlow,
    Asked,
    ModelMissing,
    complete,
    connect,
    cost_nothing,
    disconnect,
    published,
)
from backstay.ai.replies import heard
from backstay.ai.transcripts import Allowance, Message, Reply
from backstay.errors import AuthorError, BudgetCrossed, NotRetryable
from backstay.turnstile import Turnstile
from backstay.types import Duration, IdempotencyKey, Mask, Progress, seconds

if TYPE_CHECKING:
    from pydantic_ai.models import Model as ProviderModel

MILLION: Final = Decimal(1_000_000)

SILENT: Final = Progress()
"""For who asks a model where nobody watches."""

REMEMBERED: Final = 1000
"""Questions of which it is known what their lost attempts may have cost; a new process knows of none."""


ANSWER_SECONDS: Final = 300.0
"""An answer may take so long as a whole, however steadily it comes."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs, in US dollars for a million tokens. A model on one's own machine may well cost 0."""

    input: Decimal | str
    output: Decimal | str

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """What one reply costs."""
        return (Decimal(self.input) * input_tokens + Decimal(self.output) * output_tokens) / MILLION


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What attempts at a question may use up at most."""

    tokens: int = 0
    usd: Decimal = Decimal(0)

    def __add__(self, other: Cost) -> Cost:
        return Cost(tokens=self.tokens + other.tokens, usd=self.usd + other.usd)


class Player(Protocol):
    """Whatever can play a role: a configured `Model`, or a scripted one."""

    timeout: Duration
    fallback: str
    answer_tokens: int
    classes: frozenset[str]
    """Data classes that it may see in clear."""

    async def answer(self, asked: Asked) -> Reply:
        """Answer a request in which private values are pseudonyms, as they then are in the reply.

        What it says meanwhile may be told to `asked.progress`.
        Raises ModelMissing where another may stand in, NotRetryable, or any other error where another attempt may help.
        """
        ...

    def worst(self, size: int) -> Decimal | None:
        """The most that a request of so many bytes may cost; None when nobody can tell."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Within it a question may be sent; entering waits for that."""
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
    """It may be silent for so long."""
    stream: bool = True
    """False for a server that cannot send its answer as it comes, or does not say then what it used, or that it ended."""
    classes: frozenset[str] = frozenset()
    """Data classes that may be sent to it in clear; of all others it sees pseudonyms."""
    fallback: str = ""
    """The role that answers when this one cannot be had."""
    concurrency: int | None = None
    """So many questions at once; the others wait."""
    rate: Rate | None = None
    """So many questions in so long, evenly spread; the others wait."""
    temperature: float | None = None

    @cached_property
    def provider(self) -> ProviderModel:
        return connect(self.name, self.url, os.environ.get(self.key, "") if self.key else "", seconds(self.timeout))

    @cached_property
    def _turnstile(self) -> Turnstile:
        return Turnstile(self)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a place, and for the next moment that the rate allows."""
        return self._turnstile.turn()

    async def answer(self, asked: Asked) -> Reply:
        """Send the request."""
        settings: dict[str, Any] = {"max_tokens": self.answer_tokens, "timeout": seconds(self.timeout)}
        if self.temperature is not None:
            settings["temperature"] = self.temperature
        reply = await complete(self.provider, asked, settings, stream=self.stream)
        if self.price is None:
            return reply
        return reply.model_copy(update={"usd": self.price.of(reply.input_tokens, reply.output_tokens)})

    async def close(self) -> None:
        """Close its connections."""
        self.__dict__.pop("_turnstile", None)
        provider = self.__dict__.pop("provider", None)
        if provider is not None:
            await disconnect(provider)

    def worst(self, size: int) -> Decimal | None:
        """Every byte a token, and an answer of full length: more than that no request costs."""
        if self.price is not None:
            return self.price.of(size, self.answer_tokens)
        if self.worst_usd is not None:
            return Decimal(self.worst_usd)
        return None if self.url is not None else published(self.name, size, self.answer_tokens)


class Models:
    """The models of an application, by role: `App(models=Models(careful=Model(...), local=Model(...)))`.

    Raises AuthorError for a fallback to a role that is not there, or in a circle.
    """

    def __init__(self, **roles: Player) -> None:
        self.roles: Mapping[str, Player] = roles
        self._lost: dict[str, Cost] = {}
        """Question -> what those attempts at it may have cost whose answers were lost."""
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
        return [replace(ask_model, fn=self.ask, worst=self.worst)]

    def worst(self, args: Mapping[str, Any], mask: Mask, key: str) -> tuple[int, Decimal | None]:
        """The most tokens and US dollars that `ask` with these arguments may use up, with what lost attempts may have."""
        asked = Asked(system=args["system"], messages=args["messages"], tools=args["tools"])
        whole, priced = self._lost.get(key, Cost()), True
        for name in self._line(args["role"]) if args["role"] in self.roles else ():
            player = self.roles[name]
            size = asked.hidden(mask, player.classes).size
            usd = player.worst(size)
            whole, priced = (
                whole + Cost(tokens=size + player.answer_tokens, usd=usd or Decimal(0)),
                priced and usd is not None,
            )
        return whole.tokens, whole.usd if priced else None

    async def close(self) -> None:
        """Close all connections."""
        for player in self.roles.values():
            await player.close()

    async def ask(
        self, role: str, system: str, messages: list[Message], tools: str, left: Allowance, mask: Mask, key: IdempotencyKey,
        progress: Progress = SILENT,
    ) -> Reply:  # fmt: skip
        """Let the model that plays a role answer, or whoever stands in for it."""
        if role not in self.roles:
            raise NotRetryable(f"no model plays the role {role!r}; configured: {', '.join(self.roles) or 'none'}")
        asked = Asked(system=system, messages=messages, tools=tools, progress=progress)
        failed = list[Exception]()
        for name in self._line(role):
            player, lost = self.roles[name], self._lost.get(key, Cost())
            seen = asked.hidden(mask, player.classes)
            worst = _within(name, player, seen, left, lost)
            try:
                async with player.turn():
                    self._lose(key, lost + worst)  # whatever ends this attempt, unless it is known to have cost nothing
                    reply = await _answer(name, player, seen)
            except Exception as error:
                if cost_nothing(error):
                    self._lose(key, lost)
                if isinstance(error, NotRetryable) and not isinstance(error, ModelMissing):
                    raise
                failed.append(error)
            else:
                self._lost.pop(key, None)
                counted = _counted(reply, player, seen, worst, lost)
                whence = {"role": name, "request": seen.unlike(asked)}
                return heard(counted, asked, mask).model_copy(update=whence)
        raise next((error for error in failed if not isinstance(error, ModelMissing)), failed[-1])

    def _lose(self, key: str, cost: Cost) -> None:
        self._lost.pop(key, None)
        if cost != Cost():
            self._lost[key] = cost
        if len(self._lost) > REMEMBERED:
            del self._lost[next(iter(self._lost))]


async def _answer(role: str, player: Player, asked: Asked) -> Reply:
    """What a player answers; that it begins and that all was said is told."""
    asked.progress("begun", role)
    limit = asyncio.timeout(ANSWER_SECONDS)
    try:
        async with limit:
            reply = await player.answer(asked)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AnswerTooSlow(f"the answer was not complete after {ANSWER_SECONDS:g} s") from error
    asked.progress("done")
    return reply


def _within(role: str, player: Player, asked: Asked, left: Allowance, lost: Cost) -> Cost:
    """The most that a request may cost; raises BudgetCrossed, before it is sent, when that is more than is left.

    A token is at least one byte, so the bytes bound the tokens of what is sent. What lost attempts may have cost is gone.
    """
    usd = player.worst(asked.size)
    worst = Cost(tokens=asked.size + player.answer_tokens, usd=usd or Decimal(0))
    whole, after = lost + worst, " after what was lost" if lost != Cost() else ""
    if left.tokens is not None and whole.tokens > left.tokens:
        raise BudgetCrossed(f"another question may take {whole.tokens} tokens{after}, and {left.tokens} are left")
    if left.usd is not None and usd is None:
        raise BudgetCrossed(f"nobody knows what role {role!r} costs: give its Model a price, or worst_usd")
    if left.usd is not None and whole.usd > left.usd:
        raise BudgetCrossed(f"another question may cost {whole.usd:f} USD{after}, and {left.usd:f} are left")
    return worst


def _counted(reply: Reply, player: Player, asked: Asked, worst: Cost, lost: Cost) -> Reply:
    """The reply with what counts of it: the worst case where the provider does not say what it used, and what was lost."""
    said, sent, came = reply.input_tokens + reply.output_tokens > 0, reply.input_tokens, reply.output_tokens
    if not said:
        sent, came = asked.size, player.answer_tokens
    usd = reply.usd if said or player.worst(asked.size) == 0 else None
    charged = (worst.usd if usd is None else usd) + lost.usd
    return reply.model_copy(
        update={"input_tokens": sent + lost.tokens, "output_tokens": came, "usd": usd, "charged": charged}
    )
