"""An agent's tools for MCP clients: each connection is a session of the agent, so all it calls passes the whole gate.

What the gate, a person or a tool says comes back as the result of a tool, which a model can read. None of it is an error of
the protocol.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

from mcp.server.lowlevel import Server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations

import backstay
from backstay.actions import Action
from backstay.ai.agents import Agent
from backstay.ai.schema_actions import validator
from backstay.engine.answers import Proposed, Refused, Returned, ToolAnswer
from backstay.engine.application import App
from backstay.engine.sessions import Session
from backstay.errors import AuthorError, BackstayError, Conflict, InvalidInput, NotFound
from backstay.governance.plans import PLAN
from backstay.types import Json

PATIENCE: Final = 30.0
"""Seconds that a call waits for a slow tool; many clients give up after sixty."""

BEAT: Final = 5.0
"""Seconds between two notices that a tool is still at work, for clients that asked for them."""

LAST_WORD: Final = 3.0
"""Seconds to wait for a session to be over; a person may have the last word, and then it is over later."""

FINISH: Final = "finish"
PROPOSAL: Final = "proposal"
ASK: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The proposal, as the call was answered."},
        "seconds": {"type": "number", "minimum": 0, "maximum": 50, "description": "How long to wait for its end; default 0."},
    },
    "required": ["id"],
    "additionalProperties": False,
}  # fmt: skip
"""JSON Schema of the arguments of `proposal`."""

HOW: Final = (
    "Some calls wait for a person. They are answered with a proposal: go on with something else, and ask for it with the "
    f"tool `{PROPOSAL}`. Name the tools you may need to change something with the tool `{PLAN}` before you read anything. "
    f"End with `{FINISH}`. After that this connection calls no more tools."
)


def agent_of(app: App, name: str) -> Agent[Any]:
    """The agent that is to be served; without a name the only one. Raises NotFound, AuthorError."""
    agents = {each.name: each for each in app.workflows.values() if isinstance(each, Agent)}
    if not name and len(agents) == 1:
        name = next(iter(agents))
    if name not in agents:
        listed = ", ".join(sorted(agents)) or "none"
        raise NotFound(f"app {app.name!r} has {f'no agent {name!r}' if name else 'not one agent'}; it has {listed}")
    if PROPOSAL in agents[name].tools:
        raise AuthorError(f"agent {name!r} has a tool {PROPOSAL!r}, which is a tool of the server itself; rename it")
    return agents[name]


def tools_of(agent: Agent[Any]) -> list[Tool]:
    """What a client is told: the agent's tools, the two of every agent, and `proposal`."""
    told: list[Json] = json.loads(agent.settings["tools"])
    listed = [
        Tool(name=tool["name"], description=tool["description"], input_schema=tool["arguments"],
             annotations=_hints(agent, tool["name"]))
        for tool in told
    ]  # fmt: skip
    about = "How a call that was answered with a proposal stands: its result, why it was refused, or for whom it waits."
    asks = Tool(name=PROPOSAL, description=about, input_schema=ASK, annotations=ToolAnnotations(read_only_hint=True))
    return [*listed, asks]


def _hints(agent: Agent[Any], tool: str) -> ToolAnnotations | None:
    """What the effect of a tool says; nothing of a workflow or another agent, which may do anything."""
    if tool in (PLAN, FINISH):
        return ToolAnnotations(read_only_hint=tool == PLAN, destructive_hint=False)
    called = agent.tools[tool]
    if not isinstance(called, Action):
        return None
    return ToolAnnotations(read_only_hint=called.effect == "read", destructive_hint=called.effect == "irreversible")


class Seat:
    """What one connection holds: its session, which its first call opens and its end ends."""

    def __init__(self, agent: Agent[Any], begin: Callable[[], Session]) -> None:
        self._begin = begin
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._answers: dict[int, ToolAnswer] = {}
        """Place of a call in the session -> what is known of it."""
        self._asking: set[asyncio.Task[ToolAnswer]] = set()
        schemas = {tool.name: tool.input_schema for tool in tools_of(agent)}
        self._checks = {name: validator(schemas[name], name) for name in (PLAN, FINISH, PROPOSAL)}

    async def call(self, tool: str, args: Mapping[str, Any]) -> CallToolResult:
        """Use a tool, and say what became of that."""
        try:
            if tool in self._checks:
                self._check(tool, args)
            if tool == PROPOSAL:
                return await self._stands(args["id"], args.get("seconds", 0))
            session = await self._opened()
            if tool == FINISH:
                return await self._finish(session, args)
            if tool == PLAN:
                planned = await session.call(PLAN, args)
                return _result("The plan is noted.", None) if isinstance(planned, Returned) else self._told(planned)
            return self._told(await self._ask(session, tool, args))
        except BackstayError as error:
            return _result(str(error), {"kind": type(error).__name__, "reason": str(error)}, failed=True)

    async def close(self) -> None:
        """The connection ended: what it has proposed is withdrawn."""
        for asking in self._asking:
            asking.cancel()
        if self._session is not None:
            with suppress(BackstayError):  # it is over already, or whose rights have ended leaves it to its time limit
                await _soon(self._session.leave("the connection ended without a finding"))

    def _check(self, tool: str, args: Mapping[str, Any]) -> None:
        """Arguments that do not fit would end the session, or be lost: they are sent back instead."""
        wrong = [error.message for error in self._checks[tool].iter_errors(dict(args))]
        if wrong:
            raise InvalidInput(f"arguments of {tool!r}: {'; '.join(wrong[:5])}")

    async def _opened(self) -> Session:
        async with self._opening:
            if self._session is None:
                self._session = await self._begin().__aenter__()
        if self._session.finding is not None:
            raise Conflict("this session has ended; connect again for another case")
        return self._session

    async def _ask(self, session: Session, tool: str, args: Mapping[str, Any]) -> ToolAnswer:
        """Call a tool. A client that gives up waiting for the answer does not undo it: it counts all the same."""

        async def ask() -> ToolAnswer:
            return self._known(await session.call(tool, args, patience=PATIENCE))

        asking = asyncio.create_task(ask())
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asyncio.shield(asking)

    async def _stands(self, call: str, patience: float) -> CallToolResult:
        known = next((answer for answer in self._answers.values() if answer.id == call), None)
        if known is None:
            raise NotFound(f"there is no proposal {call!r} in this session")
        if self._session is not None and isinstance(known, Proposed):
            known = self._known(await self._session.standing(call, patience=patience))
        return self._told(known)

    async def _finish(self, session: Session, args: Mapping[str, Any]) -> CallToolResult:
        if self._asking:
            await asyncio.wait(self._asking)
        finding = await _soon(
            session.finish(
                args["output"], summary=args["summary"], confidence=args["confidence"], claims=args["claims"]
            )
        )
        if finding is None:
            return _result("The session is over; a person has the last word.", None)
        return _result(json.dumps(finding, ensure_ascii=False), finding, failed=finding["reason"] == "error")

    def _known(self, answer: ToolAnswer) -> ToolAnswer:
        if answer.id:
            self._answers[_place(answer.id)] = answer
        return answer

    def _told(self, answer: ToolAnswer) -> CallToolResult:
        """What the client is told of a call."""
        if isinstance(answer, Refused):
            return _result(answer.text, {"kind": answer.kind, "reason": answer.reason}, failed=True)
        if isinstance(answer, Proposed):
            still = f"this waits for a person of {answer.queue!r}" if answer.queue else "this is still at work"
            words = (
                f"Not done yet: {still} ({answer.reason}). It is proposal {answer.id}: ask for it with `{PROPOSAL}`, "
                "or go on with something else."
            )
            return _result(words, {"proposal": answer.id, "queue": answer.queue, "reason": answer.reason})
        return _result(answer.text, answer.value, f"This is observation {answer.observation}.")


def _place(call: str) -> int:
    """Where in its session a call stands."""
    return int(call.rpartition(".")[2])


def _result(text: str, value: Json, *more: str, failed: bool = False) -> CallToolResult:
    """A result with its text, and as structured content where it is more than a text."""
    plain = value is None or isinstance(value, str)
    structured = None if plain else value if isinstance(value, dict) else {"result": value}
    content = [TextContent(text=each) for each in (text, *more)]
    return CallToolResult(content=content, structured_content=structured, is_error=failed)  # type: ignore[arg-type]


async def _soon(ending: Coroutine[Any, Any, Json]) -> Json:
    """How a session ended; None when it waits for a person first, its last word being recorded."""
    try:
        async with asyncio.timeout(LAST_WORD):
            return await ending
    except TimeoutError:
        return None


def make_server(agent: Agent[Any], goal: str, seat_of: Callable[[Any], Seat]) -> Server[Any]:
    """The server of an agent. seat_of: which connection's seat a request is for."""
    tools = tools_of(agent)

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        async with _told_of_progress(context, params.name):
            return await seat_of(context).call(params.name, params.arguments or {})

    words = " ".join(part for part in (f"Your goal: {agent.goal}", goal and f"This case: {goal}", HOW) if part)
    return Server(
        agent.name, version=backstay.__version__, instructions=words, on_list_tools=list_tools, on_call_tool=call_tool
    )


@asynccontextmanager
async def _told_of_progress(context: Any, tool: str) -> AsyncGenerator[None]:
    """Tell a client that asked for it, now and then, that a tool is still at work."""

    async def tell() -> None:
        for beat in count(1):
            await asyncio.sleep(BEAT)
            await context.session.report_progress(beat, message=f"{tool} is at work")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
