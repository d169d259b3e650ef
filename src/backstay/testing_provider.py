"""A model provider for tests: a real HTTP server on loopback that speaks chat completions, and misbehaves on demand.

async with FakeProvider([call("find_order", number="7"), finish(...)], faults={2: "429", 3: "cut"}) as provider:
    models = Models(careful=Model(name="any", url=provider.url, price=Price(input="1", output="2")))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Self, TypeAlias, cast

from backstay.ai.scripted import Turn
from backstay.ai.transcripts import ToolCall
from backstay.types import Json

Fault: TypeAlias = Literal[
    "429", "500", "400", "401", "404", "hang", "hang-midway", "cut", "short", "malformed", "bad-arguments", "wrong-tool",
    "wrong-arguments", "uncounted",
]  # fmt: skip
"""A number: that status. hang: no answer. hang-midway: half of one. cut: the connection breaks in the middle of the answer.
short: an answer that is streamed ends there in good order. malformed: an answer, or a part of a streamed one, that is not
JSON. bad-arguments: a call of a tool whose arguments are not JSON. wrong-tool: a tool that is not there.
wrong-arguments: arguments that do not fit the schema. uncounted: an answer that does not say what it used."""

STATUS: Final[Mapping[str, str]] = {
    "429": "Too Many Requests", "500": "Internal Server Error", "400": "Bad Request", "401": "Unauthorized",
    "404": "Not Found",
}  # fmt: skip

HANGS: Final = 3600.0
"""Seconds for which a server that hangs does so."""

SPOILED: Final = "call_spoiled"
"""Id of a call that a fault has spoiled: the turn that it took the place of comes next."""


class FakeProvider:
    """Answers by a script: one turn for each message of the model that the request already holds.

    script: turns as for a `ScriptedModel`, or a function of the request's JSON. faults: number of the request, from 1 -> what
    goes wrong with it. The same question asked again is answered as if nothing had been. retry_after: seconds that a 429
    asks for.
    """

    def __init__(
        self, script: Sequence[Turn] | Callable[[Json], Turn], *, faults: Mapping[int, Fault] | None = None,
        retry_after: int | None = None,
    ) -> None:  # fmt: skip
        self._script = script
        self._more = "" if retry_after is None else f"\r\nRetry-After: {retry_after}"
        self._faults: Mapping[int, Fault] = faults or {}
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[Any]] = set()
        self.requests: list[Json] = []
        """Bodies of all requests, also of those that went wrong."""
        self.url = ""
        """Base address, as `Model(url=...)` takes it."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        await self._server.wait_closed()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._visits.add(task)
        try:
            while (body := await _read_request(reader)) is not None:
                self.requests.append(body)
                if not await self._answer(body, self._faults.get(len(self.requests)), writer):
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._visits.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, body: Json, fault: Fault | None, writer: asyncio.StreamWriter) -> bool:
        """Send one answer; False when the connection is to end."""
        if fault == "hang":
            await asyncio.sleep(HANGS)
        if fault in STATUS:
            error = {"error": {"message": f"on demand: {fault}", "type": "fault", "code": fault}}
            more = self._more if fault == "429" else ""
            await _send(writer, f"{fault} {STATUS[fault]}", f"application/json{more}", json.dumps(error).encode())
            return True
        message = self._message(body, fault)
        if body.get("stream"):
            return await _stream(writer, body, message, fault)
        whole = _completion(body, message)
        if fault == "uncounted":
            del whole["usage"]
        text = b"{not json" if fault == "malformed" else json.dumps(whole).encode()
        if fault in ("cut", "hang-midway"):
            writer.write(_head("200 OK", "application/json", len(text)) + text[: len(text) // 2])
            await writer.drain()
            if fault == "hang-midway":
                await asyncio.sleep(HANGS)
            return False
        await _send(writer, "200 OK", "application/json", text)
        return True

    def _message(self, body: Json, fault: Fault | None) -> Json:
        if fault == "wrong-tool":
            return _called([ToolCall(id=SPOILED, tool="no_such_tool", args={})], len(self.requests))
        if fault == "wrong-arguments":
            name = body["tools"][0]["function"]["name"]
            return _called([ToolCall(id=SPOILED, tool=name, args={"no_such_field": 1})], len(self.requests))
        message = self._scripted(body)
        if fault == "bad-arguments" and message.get("tool_calls"):
            message["tool_calls"][0] |= {"id": SPOILED}
            message["tool_calls"][0]["function"]["arguments"] = '{"cut off'
        return message

    def _scripted(self, body: Json) -> Json:
        if callable(self._script):
            turn = self._script(body)
        else:
            said = [message for message in body["messages"] if message["role"] == "assistant"]
            number = sum(SPOILED not in json.dumps(message) for message in said)
            turn = self._script[min(number, len(self._script) - 1)]
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, str):
            return {"role": "assistant", "content": turn}
        calls = [turn] if isinstance(turn, ToolCall) else list(turn)
        return _called(calls, len(self.requests))


def _called(calls: Sequence[ToolCall], request: int) -> Json:
    listed = [
        {
            "id": call.id or f"call_{request}_{number}",
            "type": "function",
            "function": {"name": call.tool, "arguments": json.dumps(call.args)},
        }
        for number, call in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": listed}


def _completion(body: Json, message: Json) -> Json:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    sent, came = len(json.dumps(body["messages"])) // 4, len(json.dumps(message)) // 4
    return {
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000, "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": sent, "completion_tokens": came, "total_tokens": sent + came},
    }  # fmt: skip


# --- HTTP ---------------------------------------------------------------------------------------------


async def _read_request(reader: asyncio.StreamReader) -> Json:
    """The JSON body of the next request; None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return json.loads(await reader.readexactly(int(fields.get("content-length", "0"))))


def _head(status: str, kind: str, length: int | None) -> bytes:
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{size}\r\n\r\n".encode()


async def _send(writer: asyncio.StreamWriter, status: str, kind: str, text: bytes) -> None:
    writer.write(_head(status, kind, len(text)) + text)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, body: Json, message: Json, fault: Fault | None) -> bool:
    """The answer as server-sent events, a few characters each."""
    writer.write(_head("200 OK", "text/event-stream", None))
    events = list(_events(body, message))
    if fault == "uncounted":
        del events[-2]
    elif fault in ("cut", "short", "hang-midway"):
        del events[len(events) // 2 :]
    elif fault == "malformed":
        events[len(events) // 2] = "{not json"
    for event in events:
        data = f"data: {event}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    if fault == "hang-midway":
        await asyncio.sleep(HANGS)
    if fault in ("cut", "hang-midway"):
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _parts(text: str) -> list[str]:
    """A text in pieces of a few characters; a long one in longer pieces."""
    size = max(8, len(text) // 100)
    return [text[place : place + size] for place in range(0, len(text), size)]


def _events(body: Json, message: Json) -> Sequence[str]:
    text: str = message.get("content") or ""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": part} for part in _parts(text)]
    for number, call in enumerate(message.get("tool_calls", ())):
        arguments: str = call["function"]["arguments"]
        named = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": number, "id": call["id"], "type": "function", "function": named}]})
        deltas += [{"tool_calls": [{"index": number, "function": {"arguments": part}}]} for part in _parts(arguments)]
    whole = _completion(body, message)
    base = {**{key: whole[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    chunks = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    reason = whole["choices"][0]["finish_reason"]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    chunks.append({**base, "choices": [], "usage": whole["usage"]})
    return [*map(json.dumps, chunks), "[DONE]"]
