"""A connection to an MCP server through the official SDK: opened when it is first needed, kept, made anew when it broke.

The SDK wants a connection to be opened and closed by one task, so each has a task of its own that holds it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TextIO

from backstay.ai.credentials import filled, variable
from backstay.ai.tool_file import HINTS, Definition
from backstay.errors import AuthorError, NotRetryable

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult, Tool

PAGES: Final = 100
"""So many pages of tools are asked for."""

TOOLS: Final = 2000
"""So many tools one server may offer."""


class ServerMissing(NotRetryable):
    """The server, or what is needed to speak to it, cannot be had; nothing was called."""

    code = "SERVER_MISSING"


@dataclass(frozen=True)
class Offer:
    """What a server offers, and the session over which it said so."""

    tools: dict[str, Definition]
    _session: ClientSession

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool once, over the same session."""
        return await self._session.call_tool(tool, dict(arguments))


class Connection:
    """How to reach one server: by a command that is started, or by a URL.

    env: names of environment variables that the command is given. headers: for a URL; `${NAME}` stands for an
    environment variable.
    """

    def __init__(
        self, name: str, *, command: Sequence[str] = (), url: str = "", env: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        if bool(command) == bool(url) or isinstance(command, str):
            raise AuthorError(
                f"MCP server {name!r}: give it either command=[...], a list of words, or url='https://...'"
            )
        if (url and env) or (command and headers):
            raise AuthorError(f"MCP server {name!r}: env= goes with a command, headers= with a url")
        self.name, self.command, self.url = name, tuple(command), url
        self.env, self.headers = tuple(env), dict(headers or {})
        self._held: _Held | None = None
        self._retired: list[_Held] = []

    @asynccontextmanager
    async def asked(self) -> AsyncGenerator[Offer, None]:
        """What the server offers now, over a connection that works: one that broke meanwhile is made anew once."""
        fresh = not self._alive()
        held = self._current()
        with held.used():
            try:
                offer = await self._listed(held)
            except NotRetryable:
                raise
            except Exception:
                if fresh:
                    raise
                offer = None
            if offer is not None:
                yield offer
                return
        held = self._current()
        with held.used():
            yield await self._listed(held)

    async def offered(self) -> dict[str, Definition]:
        """The tools that the server offers now."""
        async with self.asked() as offer:
            return offer.tools

    async def close(self) -> None:
        """Close the connections, and end the server if we started it."""
        held, self._held = self._held, None
        for each in (*self._retired, *([held] if held else [])):
            await each.close()
        self._retired.clear()

    def _alive(self) -> bool:
        return self._held is not None and self._held.is_of(asyncio.get_running_loop())

    def _current(self) -> _Held:
        if self._held is None or not self._alive():
            self._retired = [each for each in self._retired if each.is_of(asyncio.get_running_loop())]
            self._held = _Held(self._open)
        return self._held

    def _retire(self, held: _Held) -> None:
        """Let it end with the last call that is under way on it; further calls go over a new one."""
        if self._held is held:
            self._held = None
            self._retired.append(held)
            held.retire()

    async def _listed(self, held: _Held) -> Offer:
        found, cursor = dict[str, Definition](), None
        try:
            session = await held.session()
            from mcp.types import PaginatedRequestParams  # there, as the session is

            for _ in range(PAGES):
                page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                found |= {tool.name: _definition(tool) for tool in page.tools}
                cursor = page.next_cursor
                if not cursor or len(found) > TOOLS:
                    break
        except BaseException:
            self._retire(held)
            raise
        if cursor:
            raise ServerMissing(f"MCP server {self.name!r} offers more than {TOOLS} tools, or {PAGES} pages of them")
        return Offer(found, session)

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[ClientSession, None]:
        try:
            await asyncio.to_thread(import_module, "mcp")  # it is large, and other cases go on meanwhile
            import httpx2
            from mcp import Client, StdioServerParameters, stdio_client
            from mcp.client.streamable_http import streamable_http_client
        except ImportError as error:
            raise ServerMissing(
                f"MCP server {self.name!r} needs the extra 'mcp': pip install 'backstay[mcp]' ({error})"
            ) from error
        async with AsyncExitStack() as stack:
            if self.url:
                timeout = httpx2.Timeout(30, read=None)  # how long an answer may take is the action's own
                http = httpx2.AsyncClient(headers=filled(self.headers, self.name), timeout=timeout)
                transport = streamable_http_client(self.url, http_client=await stack.enter_async_context(http))
            else:
                program, *words = self.command
                env = {name: variable(name, self.name) for name in self.env}
                started = StdioServerParameters(command=program, args=words, env=env)
                transport = stdio_client(started, errlog=stack.enter_context(_error_output()))
            yield (await stack.enter_async_context(Client(transport, cache=None))).session


@contextmanager
def _error_output() -> Generator[TextIO, None, None]:
    """Where a server's error output goes: to the worker's own, if there is one. `sys.stderr` may be no file."""
    if sys.__stderr__ is not None:
        yield sys.__stderr__
        return
    with open(os.devnull, "w") as nowhere:
        yield nowhere


def _definition(tool: Tool) -> Definition:
    said = tool.annotations
    hints = {name: getattr(said, f"{name}_hint", None) for name in HINTS}
    return Definition(
        description=tool.description or "", arguments=tool.input_schema, result=tool.output_schema,
        hints={name: value for name, value in hints.items() if value is not None},
    )  # fmt: skip


class _Held:
    """An open session and the task that holds it."""

    def __init__(self, open: Callable[[], AbstractAsyncContextManager[ClientSession]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[ClientSession] = self._loop.create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # it is looked at, always
        self._end = asyncio.Event()
        self._users, self._over = 0, False
        self._task = asyncio.create_task(self._hold(open))

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it can be used in an event loop, and is not over."""
        return self._loop is loop and not self._task.done()

    async def session(self) -> ClientSession:
        return await asyncio.shield(self._ready)

    @contextmanager
    def used(self) -> Generator[None, None, None]:
        """Keep it while somebody waits for it, or for an answer over it."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._over and not self._users:
                self._finish()

    def retire(self) -> None:
        """End it when nobody uses it any more."""
        self._over = True
        if not self._users:
            self._finish()

    async def close(self) -> None:
        self._finish()
        if self._loop is asyncio.get_running_loop():
            await asyncio.gather(self._task, return_exceptions=True)

    def _finish(self) -> None:
        self._end.set()
        if not self._ready.done():
            self._task.cancel()

    async def _hold(self, open: Callable[[], AbstractAsyncContextManager[ClientSession]]) -> None:
        try:
            async with open() as session:
                self._ready.set_result(session)
                await self._end.wait()
        except Exception as error:
            if not self._ready.done():
                self._ready.set_exception(_first(error))
        finally:
            if not self._ready.done():
                self._ready.set_exception(ConnectionError("the connection was closed before it was made"))


def _first(error: BaseException) -> BaseException:
    """What went wrong first, out of the groups in which the SDK's tasks report it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
