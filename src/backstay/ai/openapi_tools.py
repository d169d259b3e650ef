"""Operations of an HTTP API as actions, from its OpenAPI document: called through the gateway, at one base address only.

The committed document is the pin: a model is told what it says, and only what it names is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic_core import from_json

from backstay.actions import Action
from backstay.ai.credentials import filled
from backstay.ai.openapi_document import Operation, is_json, read_document, read_operations
from backstay.ai.openapi_requests import write
from backstay.ai.schema_actions import SchemaAction, Tools, action_name
from backstay.errors import AuthorError, InvalidInput, NotRetryable
from backstay.types import CUT, Duration, Effect, Json, seconds

if TYPE_CHECKING:
    import httpx2

ANSWER: Final = 1_000_000
"""So many bytes one answer may have."""

WORDS: Final = 500
"""So many characters of the server's own words go into an error."""

READS: Final = ("GET", "HEAD")
"""Methods that are proposed as reads; everything else is irreversible until its author says otherwise."""

WAIT: Final = frozenset({408, 425, 429})
"""Client errors of HTTP that waiting may cure."""

NOT_BEGUN: Final = frozenset({425, 429})
"""Of these, the ones that say that nothing was done."""

SAYING: Final = ("detail", "message", "title", "error_description", "error", "errors")
"""Where the JSON of an error has its words."""


class RequestRefused(NotRetryable):
    """The server refused the request, or it could not be sent; nothing happened."""

    code = "REQUEST_REFUSED"


class ServerUnwell(Exception):
    """The server did not answer, or is not well; asking again may help."""


class OpenAPI:
    """An HTTP API whose operations are actions: `App(suppliers=[api])`, `Agent(tools=[api.tools["getTicket"]])`.

    document: OpenAPI 3 as JSON, a file or a mapping. url: the base address of every call. operations: operationIds, or
    "METHOD /path". effects, sinks: by operation; GET and HEAD are reads, everything else is irreversible where `effects`
    does not say. untrusted: whether outsiders write what comes back. headers: sent with every call; `${NAME}` stands for an
    environment variable. key_header: takes the idempotency key of a change, if the server honours one. Further options are
    those of `action`. Raises AuthorError naming what does not fit.
    """

    def __init__(
        self, name: str, *, document: str | Path | Mapping[str, Json], url: str, operations: Collection[str],
        effects: Mapping[str, Effect] | None = None, sinks: Mapping[str, Collection[str]] | None = None,
        untrusted: bool = True, headers: Mapping[str, str] | None = None, key_header: str = "", timeout: Duration = "60s",
        **options: Any,
    ) -> None:  # fmt: skip
        self.name, self.url, self.headers, self.key_header = name, _base(name, url), dict(headers or {}), key_header
        self._effects: dict[str, Effect] = dict(effects or {})
        self._sinks = dict(sinks or {})
        self._options: dict[str, Any] = {"untrusted": untrusted, "timeout": timeout, **options}
        self._patience = seconds(timeout)
        if unknown := sorted({*self._effects, *self._sinks} - set(operations)):
            raise AuthorError(
                f"API {name!r}: effects and sinks speak of {', '.join(unknown)}, which operations= does not name"
            )
        kept = [*self.headers, *([key_header] if key_header else [])]
        self.operations = read_operations(read_document(document, name), operations, kept)
        self._client: tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient] | None = None

    @cached_property
    def tools(self) -> Mapping[str, Action[Any]]:
        """The actions by the names of their operations."""
        return Tools(self.name, {name: self._action(operation) for name, operation in self.operations.items()})

    @property
    def actions(self) -> Sequence[Action[Any]]:
        """All of them."""
        return list(self.tools.values())

    async def close(self) -> None:
        """Close its connections; they are opened again when an operation is called."""
        held, self._client = self._client, None
        if held is not None and held[0] is asyncio.get_running_loop():
            await held[1].aclose()

    def _action(self, operation: Operation) -> Action[Any]:
        proposed: Effect = "read" if operation.method in READS else "irreversible"
        effect = self._effects.get(operation.name, proposed)
        key = self.key_header if effect != "read" else ""
        repeatable = effect == "read" or (effect == "write" and bool(key))
        said = self._sinks.get(operation.name)
        sinks = None if said is None else frozenset(said)
        if unknown := sorted((sinks or frozenset()) - set(operation.schema["properties"])):
            raise AuthorError(f"API {self.name!r}: operation {operation.name!r} has no argument {', '.join(unknown)}")

        async def call(**arguments: Any) -> Any:
            sent = {key: str(arguments.pop(key))} if key else {}
            return await self._call(operation, arguments, sent, repeatable)

        call.__doc__ = operation.about
        return SchemaAction(
            fn=call, name=action_name(self.name, operation.name), effect=effect, sinks=sinks, schema=operation.schema,
            key=key or None, **self._options,
        )  # fmt: skip

    async def _call(
        self, operation: Operation, arguments: Mapping[str, Any], key: dict[str, str], repeatable: bool
    ) -> Json:
        """Send one request, and say truly how it went."""
        import httpx2

        request = write(operation, arguments)
        headers = {"Accept": "application/json, */*;q=0.5", **request.headers, **filled(self.headers, self.name), **key}
        url = httpx2.URL(self.url + request.target)
        if (url.scheme, url.host, url.port) != ((base := httpx2.URL(self.url)).scheme, base.host, base.port):
            raise RequestRefused(f"operation {operation.name!r} would go to {url.host!r}; nothing was sent")
        try:
            async with self._connected().stream(
                request.method, url, headers=headers, content=request.content
            ) as response:
                content, whole = await _bounded(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            words = f"API {self.name!r} cannot be reached, and nothing was sent: {error or type(error).__name__}"
            raise (ServerUnwell if repeatable else RequestRefused)(words) from error
        except httpx2.HTTPError as error:
            raise ServerUnwell(
                f"the answer of {self._named(operation)} was lost: {error or type(error).__name__}"
            ) from error
        if not 200 <= response.status_code < 300:
            raise self._refused(operation, response, content, repeatable)
        if not whole:
            raise InvalidInput(f"the answer of {self._named(operation)} is longer than {ANSWER} bytes")
        return _read(response.headers.get("Content-Type", ""), content)

    def _connected(self) -> httpx2.AsyncClient:
        import httpx2

        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            timeout = httpx2.Timeout(self._patience, connect=self._patience / 2, pool=self._patience / 2)
            self._client = loop, httpx2.AsyncClient(timeout=timeout, follow_redirects=False)
        return self._client[1]

    def _refused(self, operation: Operation, response: httpx2.Response, content: bytes, repeatable: bool) -> Exception:
        status = response.status_code
        if 300 <= status < 400:
            where = response.headers.get("Location", "nowhere")[:WORDS]
            return RequestRefused(
                f"{self._named(operation)} is redirected to {where!r}, and redirects are not followed"
            )
        said = f"{self._named(operation)} answered {status}: {_words(content) or response.reason_phrase}"
        well = 400 <= status < 500 and status not in WAIT
        return RequestRefused(said) if well or (status in NOT_BEGUN and not repeatable) else ServerUnwell(said)

    def _named(self, operation: Operation) -> str:
        return f"operation {operation.name!r} of API {self.name!r}"


def _base(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise AuthorError(
            f"API {name!r}: url={url!r} must be the base address alone, as in 'https://api.example.com/v1'"
        )
    return url.rstrip("/")


# --- what came back -------------------------------------------------------------------------------------


async def _bounded(response: httpx2.Response) -> tuple[bytes, bool]:
    """The content, and whether that is all of it; a longer one is not read to its end."""
    content = b""
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > ANSWER:
            return content[:ANSWER], False
    return content, True


def _read(media: str, content: bytes) -> Json:
    """JSON as it is, text as text, nothing as None; anything else by its address, without its bytes."""
    if not content:
        return None
    if is_json(media):
        try:
            return from_json(content, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidInput(f"the answer says that it is JSON, and is not: {error}") from None
    if media.startswith("text/") or not media:
        return content.decode("utf-8", "replace")
    return {"type": media, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _words(content: bytes) -> str:
    """What a server says about its refusal."""
    text = content.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        said = next((found[name] for name in SAYING if found.get(name)), found)
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= WORDS else f"{text[:WORDS]}{CUT}"
