"""Control: lets other processes of the same user ask the one that owns a store to decide, start, cancel, retry.

The owner listens on loopback only, on a port and with a 256-bit token that stand in `worker.json`, which only its user
may read. A request is one JSON line naming a method of the table below; reading needs no request, the file can be read.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import secrets
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from backstay import errors
from backstay.engine.application import LOCK_FILE, is_locked
from backstay.engine.client import Client
from backstay.engine.erasure import Erased
from backstay.errors import (
    AuthorError,
    BackstayError,
    InvalidInput,
    NotAllowed,
    StoreMismatch,
    StoreUnavailable,
)
from backstay.governance.calendars import Calendar
from backstay.governance.checkpoints import Signed
from backstay.governance.policy import Autonomy
from backstay.governance.principals import Capability, Kind
from backstay.governance.queues import Escalation, Queue
from backstay.store.files import write_whole
from backstay.types import Json

WORKER_FILE: Final = "worker.json"
QUEUES_FILE: Final = "queues.json"
"""Queue -> its rules, left beside the store for those who read it, or change it while no worker runs."""

METHODS: Final[Mapping[str, frozenset[str]]] = {
    "authorize": frozenset({"key", "capability", "by"}),
    "start": frozenset({"workflow", "input", "key", "by", "trigger", "requester"}),
    "signal": frozenset({"run", "name", "payload", "id", "by"}),
    "cancel": frozenset({"run", "by", "reason"}),
    "claim": frozenset({"item", "by"}),
    "release": frozenset({"item", "by"}),
    "reassign": frozenset({"item", "by", "queue", "to", "reason"}),
    "ask": frozenset({"item", "question", "by"}),
    "answer": frozenset({"item", "answer", "by"}),
    "comment": frozenset({"item", "text", "by", "files"}),
    "decide": frozenset({"item", "verdict", "by", "reason", "code", "shown"}),
    "decide_many": frozenset({"items", "verdict", "by", "reason", "code", "without", "shown"}),
    "complete": frozenset({"item", "value", "by"}),
    "settle": frozenset({"item", "outcome", "by", "result", "reason"}),
    "retry": frozenset({"target", "by", "reason"}),
    "switch": frozenset({"scope", "off", "by", "reason"}),
    "drill": frozenset({"scope", "seconds", "by", "reason"}),
    "grant_autonomy": frozenset({"agent", "action", "level", "expires", "reason", "when", "by"}),
    "revoke_autonomy": frozenset({"agent", "action", "reason", "when", "by"}),
    "register": frozenset({"name", "kind", "roles", "groups", "acts_for", "by"}),
    "revoke": frozenset({"name", "by"}),
    "make_key": frozenset({"name", "by", "expires"}),
    "revoke_key": frozenset({"key_id", "by"}),
    "delegate": frozenset({"from_", "to", "until", "start", "queue", "by"}),
    "undelegate": frozenset({"from_", "to", "queue", "by"}),
    "checkpoint": frozenset({"by"}),
    "erase": frozenset({"person", "by", "reason", "force"}),
    "forget": frozenset({"item", "by", "reason"}),
    "forget_expired": frozenset({"by"}),
}
"""Everything that may be asked through the port, with the arguments of each; the names are the client's."""

Verdict: TypeAlias = Literal["approved", "rejected"]

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of one request or answer."""
PATIENCE: Final = 10.0
"""Seconds for a request to come in whole."""
ANSWER_PATIENCE: Final = 120.0
"""Seconds that the other side waits for an answer."""
LONG_PATIENCE: Final = 3600.0
"""The same for what reads the whole store, or writes it anew."""


# --- the owner's side -----------------------------------------------------------------------------------


@asynccontextmanager
async def serve(client: Client, home: str | os.PathLike[str]) -> AsyncGenerator[int]:
    """Answer requests for this open store until the block ends; gives the port. `home` is where the store lies."""
    desk = _Desk(client)
    server = await asyncio.start_server(desk.visit, "127.0.0.1", 0, limit=LARGEST)
    port: int = server.sockets[0].getsockname()[1]
    path = Path(home) / WORKER_FILE
    _write_rules(client, Path(home))
    _write_private(path, {"pid": os.getpid(), "port": port, "token": desk.token})
    try:
        yield port
    finally:
        path.unlink(missing_ok=True)
        server.close()
        await desk.finish()


class _Desk:
    """Answers one request per connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._visits: set[asyncio.Task[Any]] = set()
        self.token = secrets.token_hex(32)

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._visits.add(task)
        try:
            answer = await self._answer(reader)
            writer.write(json.dumps(answer).encode() + b"\n")
            await asyncio.wait_for(writer.drain(), PATIENCE)
        except (OSError, TimeoutError):  # the other side went away; what it asked for is in the journal or is not
            return
        finally:
            self._visits.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> Json:
        try:
            line = await asyncio.wait_for(reader.readline(), PATIENCE)
            method, args = self._read(line)
            return {"result": await getattr(self._client, method)(**args)}
        except BackstayError as error:
            return {"error": error_as_json(error)}
        except (ValueError, TypeError, TimeoutError) as error:
            wrong = InvalidInput(f"the request cannot be read: {error or 'it did not come in time'}")
            return {"error": error_as_json(wrong)}
        except Exception as error:  # whatever was asked, who asked gets an answer
            wrong = InvalidInput(f"the request cannot be carried out: {type(error).__name__}: {error}")
            return {"error": error_as_json(wrong)}

    def _read(self, line: bytes) -> tuple[str, dict[str, Any]]:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise InvalidInput("a request is a JSON object")
        asked = cast("dict[str, Any]", request)
        if not hmac.compare_digest(str(asked.get("token", "")).encode(), self.token.encode()):
            raise NotAllowed("the token is not this worker's; read it from worker.json again")
        method, args = str(asked.get("method")), asked.get("args")
        allowed = METHODS.get(method)
        if allowed is None or not isinstance(args, dict):
            raise InvalidInput(f"there is no request {method!r}; there are {', '.join(METHODS)}")
        given = cast("dict[str, Any]", args)
        unknown = sorted(given.keys() - allowed)
        if unknown:
            raise InvalidInput(f"{method} has no argument {', '.join(unknown)}", dict.fromkeys(unknown, "unknown"))
        if given.get("files"):
            given["files"] = {str(name): base64.b64decode(text, validate=True) for name, text in given["files"].items()}
        return method, given

    async def finish(self) -> None:
        """Let requests in flight end, but not for ever."""
        if self._visits:
            _, late = await asyncio.wait(self._visits, timeout=1.0)
            for task in late:
                task.cancel()


def _write_private(path: Path, content: Json) -> None:
    """Write a file that only its owner may read, all at once."""
    write_whole(path, json.dumps(content).encode())


# --- the other side -------------------------------------------------------------------------------------


def find_worker(home: str | os.PathLike[str]) -> RemoteClient | None:
    """The worker that owns a store and takes requests; None when there is none, and opening the store says why."""
    try:
        content = json.loads((Path(home) / WORKER_FILE).read_text("utf-8"))
        found = RemoteClient(int(content["port"]), str(content["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_owned(home) else None


def is_owned(home: str | os.PathLike[str]) -> bool:
    """Whether a living process has the store; a worker.json that a dead one left behind says nothing."""
    path = Path(home) / LOCK_FILE
    return path.exists() and is_locked(path)


class RemoteClient:
    """The client's methods that change something, carried out by the process that owns the store."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    async def authorize(self, key: str, capability: Capability | None = None, *, by: str | None = None) -> str:
        return await self._ask("authorize", key=key, capability=capability, by=by)

    async def start(
        self, workflow: str, input: Mapping[str, Any] | None = None, *, key: str | None = None,
        by: str = "system", trigger: str = "", requester: str | None = None,
    ) -> str:  # fmt: skip
        return await self._ask(
            "start", workflow=workflow, input=dict(input or {}), key=key, by=by, trigger=trigger, requester=requester
        )

    async def signal(
        self,
        run: str,
        name: str,
        payload: Json = None,
        *,
        id: str | None = None,
        by: str = "system",
    ) -> None:
        await self._ask("signal", run=run, name=name, payload=payload, id=id, by=by)

    async def cancel(self, run: str, *, by: str, reason: str = "cancelled") -> None:
        await self._ask("cancel", run=run, by=by, reason=reason)

    async def claim(self, item: str, *, by: str) -> None:
        await self._ask("claim", item=item, by=by)

    async def release(self, item: str, *, by: str) -> None:
        await self._ask("release", item=item, by=by)

    async def reassign(self, item: str, *, by: str, queue: str | None = None, to: str = "", reason: str = "") -> None:
        await self._ask("reassign", item=item, by=by, queue=queue, to=to, reason=reason)

    async def ask(self, item: str, question: str, *, by: str) -> None:
        await self._ask("ask", item=item, question=question, by=by)

    async def answer(self, item: str, answer: str, *, by: str) -> None:
        await self._ask("answer", item=item, answer=answer, by=by)

    async def comment(self, item: str, text: str, *, by: str, files: Mapping[str, bytes] | None = None) -> None:
        written = {name: base64.b64encode(data).decode() for name, data in (files or {}).items()}
        await self._ask("comment", item=item, text=text, by=by, files=written)

    async def decide(
        self, item: str, verdict: Verdict, *, by: str, reason: str = "", code: str = "", shown: str | None = None
    ) -> None:
        await self._ask("decide", item=item, verdict=verdict, by=by, reason=reason, code=code, shown=shown)

    async def decide_many(
        self, items: Sequence[str], verdict: Verdict, *, by: str, reason: str = "", code: str = "",
        without: Collection[str] = (), shown: Mapping[str, str] | None = None,
    ) -> dict[str, str]:  # fmt: skip
        return await self._ask(
            "decide_many", items=list(items), verdict=verdict, by=by, reason=reason, code=code, without=list(without),
            shown=None if shown is None else dict(shown),
        )  # fmt: skip

    async def complete(self, item: str, value: Json = None, *, by: str) -> None:
        await self._ask("complete", item=item, value=value, by=by)

    async def settle(self, item: str, outcome: str, *, by: str, result: Json = None, reason: str = "") -> None:
        await self._ask("settle", item=item, outcome=outcome, by=by, result=result, reason=reason)

    async def retry(self, target: str, *, by: str, reason: str = "") -> int:
        return await self._ask("retry", target=target, by=by, reason=reason)

    async def switch(self, scope: str, *, off: bool, by: str, reason: str) -> int:
        return await self._ask("switch", scope=scope, off=off, by=by, reason=reason)

    async def drill(self, scope: str, *, seconds: float = 10.0, by: str, reason: str = "drill") -> Json:
        return await self._ask("drill", scope=scope, seconds=seconds, by=by, reason=reason)

    async def grant_autonomy(
        self, agent: str, action: str, level: Autonomy, *, expires: str, reason: str, when: str = "", by: str
    ) -> Json:
        return await self._ask(
            "grant_autonomy", agent=agent, action=action, level=level, expires=expires, reason=reason, when=when, by=by
        )

    async def revoke_autonomy(self, agent: str, action: str, *, reason: str, when: str = "", by: str) -> None:
        await self._ask("revoke_autonomy", agent=agent, action=action, reason=reason, when=when, by=by)

    async def register(
        self, name: str, *, kind: Kind = "person", roles: Collection[str] = (), groups: Collection[str] = (),
        acts_for: str | None = None, by: str,
    ) -> None:  # fmt: skip
        await self._ask(
            "register", name=name, kind=kind, roles=list(roles), groups=list(groups), acts_for=acts_for, by=by
        )

    async def revoke(self, name: str, *, by: str) -> None:
        await self._ask("revoke", name=name, by=by)

    async def make_key(self, name: str, *, by: str, expires: str | None = None) -> str:
        return await self._ask("make_key", name=name, by=by, expires=expires)

    async def revoke_key(self, key_id: str, *, by: str) -> None:
        await self._ask("revoke_key", key_id=key_id, by=by)

    async def delegate(
        self, from_: str, to: str, *, until: str, start: str | None = None, queue: str | None = None, by: str
    ) -> None:
        await self._ask("delegate", from_=from_, to=to, until=until, start=start, queue=queue, by=by)

    async def undelegate(self, from_: str, to: str, *, queue: str | None = None, by: str) -> None:
        await self._ask("undelegate", from_=from_, to=to, queue=queue, by=by)

    async def checkpoint(self, *, by: str) -> Signed:
        return await self._ask("checkpoint", by=by)

    async def erase(self, person: str, *, by: str, reason: str, force: bool = False) -> Erased:
        return await self._ask("erase", person=person, by=by, reason=reason, force=force)

    async def forget(self, item: str, *, by: str, reason: str) -> None:
        await self._ask("forget", item=item, by=by, reason=reason)

    async def forget_expired(self, *, by: str) -> int:
        return await self._ask("forget_expired", by=by)

    async def _ask(self, method: str, **args: Json) -> Any:
        line = json.dumps({"token": self._token, "method": method, "args": args}).encode() + b"\n"
        if len(line) > LARGEST:
            raise InvalidInput(f"the request has {len(line)} bytes; the most is {LARGEST}")
        patience = LONG_PATIENCE if method in ("checkpoint", "erase") else ANSWER_PATIENCE
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=LARGEST)
                writer.write(line)
                answer = await reader.readline()
                writer.close()
        except (OSError, ValueError, TimeoutError) as error:
            raise StoreUnavailable(
                f"the worker did not answer ({error or 'too late'}); look before asking again"
            ) from error
        if not answer:
            raise StoreUnavailable(
                "the worker stopped before it answered; look whether it was done before asking again"
            )
        content = json.loads(answer)
        if "error" in content:
            raise error_from_json(content["error"])
        return content.get("result")


# --- the rules of queues, beside the store --------------------------------------------------------------


def _write_rules(client: Client, home: Path) -> None:
    queues = client._runner.items.queues  # pyright: ignore[reportPrivateUsage] - the client shows only their owners
    rules = {
        name: {field.name: _plain(getattr(queues.of(name), field.name)) for field in _FIELDS} for name in queues.owners
    }
    _write_private(home / QUEUES_FILE, rules)


def read_rules(home: str | os.PathLike[str]) -> list[Queue]:
    """The queues of the application that had the store last; none before the first. Raises StoreMismatch."""
    path = Path(home) / QUEUES_FILE
    try:
        content = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return [_queue(name, rules) for name, rules in content.items()]
    except (OSError, ValueError, TypeError, AttributeError, KeyError, AuthorError) as error:
        raise StoreMismatch(
            f"{QUEUES_FILE!r} cannot be read ({error}); remove it, and start the worker, which writes it anew"
        ) from error


def _queue(name: str, rules: Any) -> Queue:
    if isinstance(rules, str):  # an earlier version kept only the owner
        return Queue(name=name, owner=rules)
    known: dict[str, Any] = {field.name: rules[field.name] for field in _FIELDS if field.name in rules}
    known |= {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
    known["calendar"] = None if known.get("calendar") is None else Calendar.from_json(known["calendar"])
    known["escalate"] = tuple(Escalation(after=step["after"], to=step["to"]) for step in known.get("escalate", ()))
    known["name"] = name
    return Queue(**known)


def _plain(value: Any) -> Json:
    """A rule as JSON."""
    if isinstance(value, Escalation):
        return {"after": _plain(value.after), "to": value.to}
    if isinstance(value, Calendar):
        return value.to_json()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


_FIELDS: Final = fields(Queue)


# --- errors across the wire -----------------------------------------------------------------------------


def error_as_json(error: BackstayError) -> dict[str, Json]:
    """Code, message and fields of an error."""
    return {"code": error.code, "message": str(error), "fields": dict(getattr(error, "fields", {}))}


def error_from_json(content: Mapping[str, Json]) -> BackstayError:
    """The error that was written so: of the same class, with the same message and fields."""
    cls = _CLASSES.get(str(content.get("code")), BackstayError)
    error = cls.__new__(cls)
    error.args = (str(content.get("message", "")),)
    error.__dict__["fields"] = dict(content.get("fields") or {})
    return error


_CLASSES: Final[dict[str, type[BackstayError]]] = {
    cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, BackstayError)
}
