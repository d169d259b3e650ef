"""Tools of MCP servers as actions: pinned by a reviewed file, called through the gateway, compared with it at every call.

What a server says now is never told to a model: the file is. A tool that no longer is what the file says is not called.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel

from backstay.actions import Action
from backstay.ai.mcp_connection import Connection, Offer, ServerMissing
from backstay.ai.schema_actions import SchemaAction, Tools, action_name, closed, size, validator
from backstay.ai.tool_file import Definition, Tool, ToolFile, load
from backstay.errors import AuthorError, InvalidInput, NeedsReview, NotRetryable, OutcomeUnknown
from backstay.types import CUT, Duration, Json, seconds

if TYPE_CHECKING:
    from mcp.types import CallToolResult

ANSWER: Final = 1_000_000
"""So many bytes one result may have, as JSON; a longer text is cut."""

FILES: Final = 100
"""So many files of one result are told of."""

WORDS: Final = 1000
"""So many characters of a server's own words go into an error."""

NOTHING_HAPPENED: Final = frozenset({-32601, -32602})
"""Errors of JSON-RPC by which a server says that it did not even begin: no such method, parameters that do not fit."""


class ToolChanged(NeedsReview):
    """A tool is not what was reviewed; it was not called, and its call waits until somebody has looked at it."""

    code = "TOOL_CHANGED"


class ToolFailed(NotRetryable):
    """A tool reported an error, and nothing happened."""

    code = "TOOL_FAILED"


class ToolUnreachable(Exception):
    """The server did not answer; asking again may help."""


class ToolFileEntry(BaseModel):
    """Something in a result that is no plain text: its address by content, without its bytes."""

    kind: Literal["image", "audio", "resource", "link"]
    type: str = ""
    uri: str = ""
    name: str = ""
    bytes: int | None = None
    sha256: str = ""
    text: str = ""
    """What it holds, where that is text."""


class ToolAnswer(BaseModel):
    """What a tool answers that promises no structure of its own."""

    text: str = ""
    files: list[ToolFileEntry] = []


class MCPServer:
    """An MCP server whose tools are actions: `App(suppliers=[github])`, `Agent(tools=[github.tools["create_issue"]])`.

    tools: the reviewed file. command: the words that start it. url: or where it is. env: names of environment variables
    that the command is given. headers: for a url; `${NAME}` stands for an environment variable. Further options are those
    of `action`: timeout, retry, queue, approvers, on_failure, breaker. Raises AuthorError, NotFound without the file.
    """

    def __init__(
        self, name: str, *, tools: str | Path, command: Sequence[str] = (), url: str = "", env: Sequence[str] = (),
        headers: Mapping[str, str] | None = None, timeout: Duration = "60s", **options: Any,
    ) -> None:  # fmt: skip
        self.name, self.file = name, Path(tools)
        self.connection = Connection(name, command=command, url=url, env=env, headers=headers)
        self._timeout, self._options = timeout, options
        self._pinned: ToolFile = load(self.file)

    @cached_property
    def tools(self) -> Mapping[str, Action[Any]]:
        """The actions by the names that the server gives its tools; what cannot be one is not among them."""
        refused = {name: why for name, tool in self._pinned.tools.items() if (why := unusable(tool.pinned))}
        made = {name: self._action(name, tool) for name, tool in self._pinned.tools.items() if name not in refused}
        return Tools(self.name, made, refused)

    @property
    def actions(self) -> Sequence[Action[Any]]:
        """All of them."""
        return list(self.tools.values())

    async def close(self) -> None:
        """Close the connection; it is opened again when a tool is called."""
        await self.connection.close()

    def _action(self, name: str, tool: Tool) -> Action[Any]:
        async def call(**arguments: Any) -> Any:
            return await self._call(name, tool, arguments)

        call.__doc__ = tool.pinned.description
        answer = ToolAnswer.model_json_schema() if tool.pinned.result is None else tool.pinned.result
        return SchemaAction(
            fn=call, name=action_name(self.name, name), effect=tool.effect, untrusted=tool.untrusted,
            reviewed=tool.reviewed is not None,
            sinks=None if tool.sinks is None else frozenset(tool.sinks), timeout=self._timeout, answer=answer,
            schema=closed(tool.pinned.arguments, f"tool {name!r}"), **self._options,
        )  # fmt: skip

    async def _call(self, name: str, tool: Tool, arguments: Mapping[str, Any]) -> Json:
        """Compare, call once, and say truly how it went: what may have happened is never reported as failed."""
        async with AsyncExitStack() as stack:
            offer = await self._compared(name, tool, stack)
            from mcp import MCPError

            try:
                answer = await offer.call(name, arguments)
            except MCPError as error:
                if error.code in NOTHING_HAPPENED:
                    raise ToolFailed(f"{self._named(name)} was not carried out: {_short(str(error))}") from error
                raise self._lost(name, tool, error) from error
            except Exception as error:
                raise self._lost(name, tool, error) from error
        return self._answered(name, tool, answer)

    async def _compared(self, name: str, tool: Tool, stack: AsyncExitStack) -> Offer:
        """The session on which the tool is just what was reviewed; raises ToolChanged, and then nothing was called."""
        review = f"`backstay tools pull` into {str(self.file)!r}, look at it, and `backstay tools review {self.file} --tool {name}`"
        if tool.changed:
            raise ToolChanged(
                f"{self._named(name)} was changed by its server and is held until somebody reviews it: {review}"
            )
        try:
            async with asyncio.timeout(seconds(self._timeout) / 2):  # the rest is for the call
                offer = await stack.enter_async_context(self.connection.asked())
        except NotRetryable:
            raise
        except Exception as error:
            why = _short(str(error)) or f"no answer, {type(error).__name__}"
            words = f"MCP server {self.name!r} cannot be reached, so {name!r} was not called: {why}"
            raise (ToolUnreachable if tool.effect == "read" else ServerMissing)(words) from error
        offered = offer.tools.get(name)
        if offered is None:
            raise ToolChanged(f"{self._named(name)} is not offered any more, so it was not called: {review}")
        if offered.digest != tool.digest:
            raise ToolChanged(f"{self._named(name)} is not what was reviewed, so it was not called: {review}")
        return offer

    def _lost(self, name: str, tool: Tool, error: Exception) -> Exception:
        words = f"the answer of {self._named(name)} was lost: {_short(str(error)) or type(error).__name__}"
        if tool.effect == "read":
            return ToolUnreachable(words)
        return OutcomeUnknown(f"{words}; whether it happened, only the server knows")

    def _answered(self, name: str, tool: Tool, answer: CallToolResult) -> Json:
        if answer.is_error:
            said = _short(" ".join(getattr(part, "text", "") for part in answer.content)) or "without a word"
            if tool.effect == "read" or tool.atomic:
                raise ToolFailed(f"{self._named(name)} reported an error: {said}")
            raise OutcomeUnknown(
                f"{self._named(name)} reported an error: {said}; whether something happened all the same, nobody has said "
                f"(`backstay tools review --atomic` if its errors mean that nothing did)"
            )
        if tool.pinned.result is None:
            return _plain(answer)
        if size(answer.structured_content) > ANSWER:
            raise InvalidInput(f"the result of {self._named(name)} is longer than {ANSWER} bytes")
        return answer.structured_content

    def _named(self, tool: str) -> str:
        return f"tool {tool!r} of MCP server {self.name!r}"


def unusable(definition: Definition) -> str:
    """Why a tool cannot be an action; "" when it can."""
    try:
        closed(definition.arguments, "its arguments")
        validator(definition.result or {}, "its result")
    except AuthorError as error:
        return str(error)
    return ""


# --- what came back -------------------------------------------------------------------------------------


def _plain(answer: CallToolResult) -> Json:
    """As `ToolAnswer`: texts as they are, everything else by its address."""
    texts = [part.text for part in answer.content if part.type == "text"]
    files = [_file(part) for part in answer.content if part.type != "text"][:FILES]
    told = [file.model_dump(mode="json", exclude_defaults=True) for file in files]
    return {"text": _cut("\n".join(texts), ANSWER), "files": told}


def _file(part: Any) -> ToolFileEntry:
    if part.type == "resource_link":
        kind, where, name = _short(part.mime_type or ""), _short(str(part.uri)), _short(part.name)
        return ToolFileEntry(kind="link", type=kind, uri=where, name=name)
    if part.type != "resource":
        return ToolFileEntry(kind=part.type, type=_short(part.mime_type), **_address(part.data))
    held = part.resource
    text = getattr(held, "text", None)
    known = _address(held.blob) if text is None else _of(text.encode("utf-8", "surrogatepass"))
    return ToolFileEntry(
        kind="resource",
        type=_short(held.mime_type or ""),
        uri=_short(str(held.uri)),
        text=_cut(text or "", ANSWER // FILES),
        **known,
    )


def _address(data: str) -> dict[str, Any]:
    try:
        return _of(base64.b64decode(data, validate=True))
    except binascii.Error:
        raise InvalidInput("a picture, sound or file of the result is no base64") from None


def _of(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _cut(text: str, longest: int) -> str:
    clean = text.encode("utf-8", "replace").decode()
    if len(clean.encode()) <= longest:
        return clean
    return clean.encode()[:longest].decode("utf-8", "ignore") + CUT


def _short(text: str) -> str:
    return _cut(" ".join(text.split()), WORDS)
