"""Requests to providers through `pydantic-ai`: its direct request API, message types, usage and prices, not its agent loop.

Everything of it is imported when the first request is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, cast

from backstay.ai.transcripts import Message, Reply, ToolCall
from backstay.canonical import digest
from backstay.errors import NotRetryable
from backstay.types import Json, Mask, Progress

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters

WORTH_ANOTHER: Final = frozenset({408, 409, 425, 429})
"""Client errors of HTTP that may be cured by waiting; of the others the request itself is to blame."""

MISSING: Final = frozenset({401, 402, 403, 404})
"""Client errors of HTTP that no other request would be spared: the key, the account or the model is to blame."""

MAYBE_WORKED: Final = frozenset({408, 504, 524})
"""Errors of HTTP after which the model may have answered all the same, and the answer may be billed."""

ENVELOPE: Final = 8
"""Tokens that a provider puts around a message, at most."""


class ModelMissing(NotRetryable):
    """A model cannot be had as it is configured: no key, no library, not known to its provider. Another can stand in."""


class AnswerTooSlow(Exception):
    """An answer came, and did not come to its end."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request to a model."""

    system: str
    messages: list[Message]
    tools: str
    """JSON text: a list of objects with name, description, arguments."""
    progress: Progress = field(default_factory=Progress, compare=False)
    """Hears the answer while it comes."""

    @cached_property
    def offered(self) -> dict[str, Json]:
        """Name -> JSON Schema of the arguments."""
        return {tool["name"]: tool["arguments"] for tool in json.loads(self.tools)}

    @cached_property
    def digest(self) -> str:
        """Content address of the request."""
        parts = [message.model_dump(mode="json") for message in self.messages]
        return digest({"system": self.system, "messages": parts, "tools": self.tools})

    def unlike(self, other: Asked) -> str:
        """The content address of this request if it differs from another, else nothing."""
        return "" if self.messages == other.messages else self.digest

    @cached_property
    def size(self) -> int:
        """More tokens than this it never is: a token is at least one byte of UTF-8."""
        own = sum(ENVELOPE + len(message.model_dump_json().encode()) for message in self.messages)
        return len(self.system.encode()) + len(self.tools.encode()) + own

    def hidden(self, mask: Mask, allowed: Collection[str]) -> Asked:
        """The request with pseudonyms for what is private in it, save the data classes that are allowed.

        They stand in what a case brought in: texts, and arguments of calls. What pairs and sorts messages stays.
        """
        hide = partial(mask.hide, allowed=allowed)
        changed = [
            message.model_copy(
                update={"text": hide(message.text), "calls": [_hidden(call, hide) for call in message.calls]}
            )
            for message in self.messages
        ]
        return replace(self, messages=changed)


def _hidden(call: ToolCall, hide: Callable[[Json], Json]) -> ToolCall:
    return call.model_copy(update={"args": hide(call.args), "problem": hide(call.problem)})


def connect(name: str, url: str | None, key: str, timeout: float) -> Model:
    """The provider's model; raises ModelMissing when its library or its key is. Retries are the journal's."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    provider, _, model = name.rpartition(":")
    try:
        if url is None and provider not in ("", "openai", "openai-chat"):
            return infer_model(name)
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles.openai import OpenAIModelProfile
        from pydantic_ai.providers.openai import OpenAIProvider

        own = key or ("none" if url is not None else None)  # a server of one's own wants something, and takes anything
        client = AsyncOpenAI(base_url=url, api_key=own, max_retries=0, timeout=timeout)
        whole = OpenAIModelProfile(
            openai_chat_streaming_requires_finish_reason=True
        )  # else a cut answer looks complete
        return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client), profile=whole)
    except ImportError as error:
        raise ModelMissing(f"model {name!r} needs another package: {error}") from error
    except Exception as error:
        if isinstance(error, UserError) or type(error).__name__ == "OpenAIError":
            raise ModelMissing(f"model {name!r} is not configured: {error}") from error
        raise


async def disconnect(model: Model) -> None:
    """Close a provider's connections."""
    client = getattr(model, "client", None)
    close = getattr(client, "close", None) or getattr(client, "aclose", None)
    if close is not None:
        await close()


async def complete(model: Model, asked: Asked, settings: Mapping[str, Any], *, stream: bool = True) -> Reply:
    """Send one request; raises NotRetryable when the provider refuses it for good, ModelMissing when it would any other.

    stream: have the answer sent as it comes, and tell it; it counts only once it is complete.
    """
    from pydantic_ai.direct import model_request
    from pydantic_ai.exceptions import ModelHTTPError, UserError

    send = partial(_streamed, asked.progress) if stream else model_request
    try:
        response = await send(
            model, _messages(asked), model_settings=cast("Any", dict(settings)), model_request_parameters=_offer(asked)
        )
    except ModelHTTPError as error:
        if error.status_code in MISSING:
            raise ModelMissing(f"{model.model_name} cannot be had: {error}") from error
        if 400 <= error.status_code < 500 and error.status_code not in WORTH_ANOTHER:
            raise NotRetryable(f"{model.model_name} refused the request: {error}") from error
        raise
    except UserError as error:
        raise NotRetryable(str(error)) from error
    return _reply(response)


async def _streamed(progress: Progress, model: Model, messages: list[ModelMessage], **asked: Any) -> ModelResponse:
    """The whole answer of a model; what it says and which tools it asks for is told as it comes."""
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta, ToolCallPart

    async with model_request_stream(model, messages, **asked) as stream:
        async for event in stream:
            match event:
                case (
                    PartStartEvent(part=TextPart(content=text))
                    | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                ):
                    progress("text", text)
                case PartStartEvent(part=ToolCallPart(tool_name=name)):
                    progress("tool", name)
                case _:  # thoughts, arguments, ends: nothing of these is told
                    pass
        return stream.get()


def cost_nothing(error: Exception) -> bool:
    """Whether a request surely was not answered, so that nobody bills it: it was turned away, or never arrived."""
    if isinstance(error, NotRetryable | ConnectionRefusedError):
        return True
    from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError

    if isinstance(error, ModelHTTPError):
        return not error.in_stream and error.status_code not in MAYBE_WORKED
    return isinstance(error, ModelConnectionError) and error.phase in ("pool", "connect")


def _offer(asked: Asked) -> ModelRequestParameters:
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    listed = json.loads(asked.tools)
    tools = [
        ToolDefinition(name=tool["name"], description=tool["description"], parameters_json_schema=tool["arguments"])
        for tool in listed
    ]
    return ModelRequestParameters(function_tools=tools, allow_text_output=True)


def _messages(asked: Asked) -> list[ModelMessage]:
    """The transcript in the library's own types; answers to calls of one turn go into one request."""
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    found: list[Any] = []
    for message in asked.messages:
        if message.role == "model":
            text = [TextPart(message.text)] if message.text else []
            calls = [ToolCallPart(call.tool, call.args, tool_call_id=call.id) for call in message.calls]
            found.append(ModelResponse(parts=[*text, *calls]))
            continue
        if message.role == "user":
            part: Any = UserPromptPart(message.text)
        else:
            part = ToolReturnPart(message.tool, message.text, tool_call_id=message.answers)
        if found and isinstance(found[-1], ModelRequest):
            found[-1] = ModelRequest(parts=[*found[-1].parts, part], instructions=asked.system)
        else:
            found.append(ModelRequest(parts=[part], instructions=asked.system))
    return found


def _reply(response: ModelResponse) -> Reply:
    from pydantic_ai.messages import ToolCallPart

    calls = [_call(part) for part in response.parts if isinstance(part, ToolCallPart)]
    return Reply(
        text=response.text or "", calls=calls, model=f"{response.provider_name or ''}:{response.model_name or ''}",
        input_tokens=response.usage.input_tokens, output_tokens=response.usage.output_tokens, usd=_usd(response),
    )  # fmt: skip


def _call(part: Any) -> ToolCall:
    try:
        args = json.loads(part.args) if isinstance(part.args, str) else part.args or {}
    except (ValueError, RecursionError) as error:
        return ToolCall(id=part.tool_call_id, tool=part.tool_name, problem=f"the arguments are not JSON: {error}")
    if not isinstance(args, dict):
        return ToolCall(id=part.tool_call_id, tool=part.tool_name, problem="the arguments must be a JSON object")
    return ToolCall(id=part.tool_call_id, tool=part.tool_name, args=cast("dict[str, Json]", args))


def _usd(response: ModelResponse) -> Decimal | None:
    """The published price, if the library knows one."""
    try:
        return Decimal(response.cost().total_price)
    except (LookupError, AssertionError, ValueError):
        return None


def published(name: str, input_tokens: int, output_tokens: int) -> Decimal | None:
    """What so many tokens of a model cost by its provider's published prices; None when nobody has published any."""
    from genai_prices import Usage, calc_price

    provider, _, model = name.rpartition(":")
    try:
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        return Decimal(calc_price(usage, model_ref=model, provider_id=provider or "openai").total_price)
    except (LookupError, ValueError):
        return None
