"""How MCP clients reach an agent's tools: over stdio, one connection for the process; over HTTP, as many as come."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

import anyio
import uvicorn
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION, DiscoverResult, RequestParams, UnsupportedProtocolVersionErrorData
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.responses import JSONResponse

from backstay.cli import screen
from backstay.cli.following import News
from backstay.cli.story import brief
from backstay.cli.worker import LOOK_FOR_FAULTS, opened, stopping
from backstay.engine.client import Client
from backstay.errors import InvalidInput, NotAllowed, OperatorError
from backstay.governance.keys import id_of
from backstay.operations.mcp_server import Seat, make_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from backstay.ai.agents import Agent
    from backstay.engine.application import App

GRACE: Final = 5
"""Seconds that requests have to end when the server stops."""

PATH: Final = "/mcp"


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What is served, and in whose name."""

    app: App
    agent: Agent[Any]
    home: Path
    goal: str
    acting_for: str | None
    as_json: bool

    def seat(self, client: Client) -> Seat:
        """A seat for one connection, whose calls are made by whom the client is bound to."""
        return Seat(self.agent, lambda: client.session(self.agent, goal=self.goal, acting_for=self.acting_for))

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Client]:
        """The application, as the worker of its store; what happens is told on stderr."""
        async with opened(self.app, self.home, self.as_json, tell=self._tell) as client:
            yield client

    def say(self, text: str, fields: dict[str, Any]) -> None:
        """One line on stderr, in words or as JSON."""
        print(json.dumps(fields) if self.as_json else text, file=sys.stderr, flush=True)

    def _tell(self, news: News) -> None:
        about = {"run": news.run.id, "workflow": news.run.workflow, **news.line.as_json()}
        self.say(screen.one_line(brief(news.line, news.run.id, screen.PIPED_WIDTH).plain), about)


async def fault_or_stop(client: Client, stop: asyncio.Event) -> None:
    """Return when somebody stops the process; raises what made the engine stop."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_FOR_FAULTS)
        if client.fault is not None:
            raise client.fault


# --- stdio ----------------------------------------------------------------------------------------------


@contextmanager
def wire() -> Generator[tuple[BinaryIO, TextIO]]:
    """The process' stdin and stdout, for the protocol alone: what else is printed goes to stderr, what else reads is at the end."""
    sys.stdout.flush()
    ours, theirs = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        yield os.fdopen(ours, "rb", closefd=False), TextIOWrapper(os.fdopen(theirs, "wb", closefd=False), "utf-8")
    finally:
        sys.stdout.flush()
        os.dup2(theirs, 1)
        os.dup2(ours, 0)


class Lines:
    """The lines of a stream. A thread of its own reads them: nothing else ends a wait for what nobody may ever send."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._loop = stream, asyncio.get_running_loop()
        self._lines = asyncio.Queue[str | None]()
        threading.Thread(target=self._read, daemon=True).start()

    def end(self) -> None:
        """As if the other side had closed it."""
        self._lines.put_nowait(None)

    def _read(self) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            for line in self._stream:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace"))
            self._loop.call_soon_threadsafe(self.end)

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            raise StopAsyncIteration
        return line


async def serve_stdio(serving: Serving, bound: Callable[[Client], Client], stdin: BinaryIO, stdout: TextIO) -> None:
    """Serve one connection until the client or somebody else ends it. bound: the client of whoever it acts as."""
    stop = stopping()
    async with serving.opened() as client:
        seat, lines = serving.seat(bound(client)), Lines(stdin)
        server = make_server(serving.agent, serving.goal, lambda context: seat)

        async def watch() -> None:
            try:
                await fault_or_stop(client, stop)
            finally:
                lines.end()

        watching = asyncio.create_task(watch())
        serving.say(f"{serving.agent.name} is served on stdio.", {"served": "stdio", "agent": serving.agent.name})
        try:
            with _client_may_go():
                streams = stdio_server(cast("Any", lines), anyio.wrap_file(stdout))
                async with streams as (read, write):
                    await server.run(read, write, server.create_initialization_options())
        finally:
            await seat.close()
            stop.set()
            await watching


@contextmanager
def _client_may_go() -> Generator[None]:
    """A client that goes away ends its connection; that is no fault."""
    try:
        yield
    except* (BrokenPipeError, ConnectionError):
        pass


# --- HTTP -----------------------------------------------------------------------------------------------


class Door:
    """Lets nobody in without an API key once somebody is registered, and says to each request whose it is."""

    def __init__(self, app: ASGIApp, client: Client, by: str) -> None:
        self._app, self._client, self._by = app, client, by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._client.directory.empty:
            scope["backstay"] = self._client.acting(self._by)
        else:
            scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
            try:
                if scheme.lower() != "bearer":
                    raise NotAllowed(
                        "an API key is needed: Authorization: Bearer KEY; `backstay people key NAME` makes one"
                    )
                scope["backstay"] = self._client.sign_in(key.strip())
            except NotAllowed as error:
                refused = JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})
                return await refused(scope, receive, send)
            # the SDK lets only the key that opened a connection use it
            scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=id_of(key.strip()), scopes=[]))
        await self._app(scope, receive, send)
        return None


async def serve_http(serving: Serving, by: str, listening: socket.socket) -> None:
    """Serve every connection that comes, until somebody stops the process. by: who acts where nobody is registered."""
    stop, (host, port) = stopping(), listening.getsockname()[:2]

    def seat_of(context: Any) -> Seat:
        if context.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            raise _unsupported(context.protocol_version)
        connection = context.session._connection  # the SDK names no other way to what a connection holds
        if "seat" not in connection.state:
            seat = connection.state["seat"] = serving.seat(context.request.scope["backstay"])
            connection.exit_stack.push_async_callback(seat.close)
        return connection.state["seat"]

    server = make_server(serving.agent, serving.goal, seat_of)

    async def discover(context: Any, params: RequestParams) -> DiscoverResult:
        return DiscoverResult(
            supported_versions=list(HANDSHAKE_PROTOCOL_VERSIONS), capabilities=server.get_capabilities()
        )

    server.add_request_handler("server/discover", RequestParams, discover)
    app = server.streamable_http_app(streamable_http_path=PATH, host=host if is_loopback(host) else "0.0.0.0")
    async with serving.opened() as client:
        if client.directory.empty and not is_loopback(host):
            raise NotAllowed(
                f"whoever reaches {host} could act; register people first (`backstay people add`), or use 127.0.0.1"
            )
        async with _answered(Door(app, client, by), listening), server.session_manager.run():
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
            serving.say(f"{serving.agent.name} is served at {url}", {"served": url, "agent": serving.agent.name})
            await fault_or_stop(client, stop)


def _unsupported(version: str) -> MCPError:
    """Since 2026-07-28 requests over HTTP belong to no connection, and so to no session."""
    known = UnsupportedProtocolVersionErrorData(supported=list(HANDSHAKE_PROTOCOL_VERSIONS), requested=version)
    words = "over HTTP a session needs a connection that `initialize` opened"
    return MCPError(UNSUPPORTED_PROTOCOL_VERSION, words, known.model_dump(by_alias=True))


class _Quiet(uvicorn.Server):
    """Leaves signals to us: connections end before the server does."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def _answered(app: ASGIApp, listening: socket.socket) -> AsyncGenerator[None]:
    """Answer HTTP until the block ends."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=GRACE)
    http = _Quiet(config)
    answering = asyncio.create_task(http.serve([listening]))
    try:
        yield
    finally:
        http.should_exit = True
        await answering


def listen(where: str) -> socket.socket:
    """A socket that listens on HOST:PORT, or on a port of this machine; raises InvalidInput, OperatorError."""
    host, _, port = where.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"--http {where!r} is no HOST:PORT, such as 127.0.0.1:8760", {"http": "HOST:PORT"})
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise OperatorError(f"--http {where!r} cannot be listened on: {error.strerror or error}") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    return ip_address(host).is_loopback
