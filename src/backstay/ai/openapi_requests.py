"""Writes arguments into a request as an OpenAPI document says: path, query, headers, cookies, body.

Nothing that a caller passes can leave its place: no value adds a path segment, a parameter or a header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from backstay.ai.openapi_document import Operation, Parameter, is_form
from backstay.errors import NotRetryable
from backstay.types import Json

RESERVED: Final = ":/?@!$'()*,;[]"
"""What stays as it is where a parameter allows reserved characters; never what ends or adds one."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent."""

    method: str
    target: str
    """Path and query."""
    headers: dict[str, str]
    content: bytes | None = None


def write(operation: Operation, arguments: Mapping[str, Json]) -> Request:
    """The request of a call; raises NotRetryable for a value that cannot stand where it is to go."""
    path, query, headers, cookies = operation.path, list[str](), dict[str, str](), list[str]()
    for parameter in operation.parameters:
        value = arguments.get(parameter.argument)
        if value is None:
            continue
        if parameter.as_json:
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if parameter.place == "path":
            path = path.replace("{" + parameter.name + "}", _in_path(parameter, value))
        elif parameter.place == "query":
            query.extend(_in_query(parameter, value))
        elif parameter.place == "header":
            headers[parameter.name] = _in_header(parameter, value)
        else:
            cookies.extend(_in_query(parameter, value))
    if "{" in path or any(segment in (".", "..") for segment in path.split("/")):
        raise NotRetryable(f"operation {operation.name!r}: no path can be made of these arguments; nothing was sent")
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    content = _content(operation, arguments)
    if content is not None:
        headers["Content-Type"] = operation.media
    return Request(
        method=operation.method, target="?".join([path, "&".join(query)] if query else [path]), headers=headers, content=content,
    )  # fmt: skip


def _content(operation: Operation, arguments: Mapping[str, Json]) -> bytes | None:
    fields = {name: arguments[name] for name in operation.fields if name in arguments}
    body: Any = arguments.get(operation.body) if operation.body else fields or None
    if body is None:
        return None
    if not is_form(operation.media):
        return json.dumps(body, ensure_ascii=False).encode()
    if not isinstance(body, dict):
        raise NotRetryable(f"operation {operation.name!r}: a form is made of named values; nothing was sent")
    pairs = [(name, each) for name, value in body.items() for each in (value if isinstance(value, list) else [value])]
    return "&".join(f"{_quoted(name)}={_quoted(_text(value))}" for name, value in pairs).encode()


# --- one value ------------------------------------------------------------------------------------------


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _quoted(text: str, reserved: bool = False) -> str:
    return quote(text, safe=RESERVED if reserved else "")


def _parts(value: Json, write: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """(items, pairs) of a value, each written."""
    if isinstance(value, dict):
        return [], [(write(name), write(_text(item))) for name, item in value.items()]
    return [write(_text(item)) for item in (value if isinstance(value, list) else [value])], []


def _simple(items: list[str], pairs: list[tuple[str, str]], explode: bool, between: str = ",") -> str:
    flat = [f"{name}={item}" for name, item in pairs] if explode else [part for pair in pairs for part in pair]
    return between.join([*items, *flat])


def _in_path(parameter: Parameter, value: Json) -> str:
    items, pairs = _parts(value, _quoted)
    plain = _simple(items, pairs, parameter.explode)
    if not plain:
        raise NotRetryable(f"{parameter.argument}: this is empty, and stands in the path; nothing was sent")
    if parameter.style == "label":
        return "." + _simple(items, pairs, parameter.explode, "." if parameter.explode else ",")
    if parameter.style == "matrix":
        name = _quoted(parameter.name)
        if not parameter.explode:
            return f";{name}={plain}"
        return "".join([*(f";{name}={item}" for item in items), *(f";{key}={item}" for key, item in pairs)])
    return plain


def _in_query(parameter: Parameter, value: Json) -> Iterator[str]:
    name = _quoted(parameter.name)
    items, pairs = _parts(value, lambda text: _quoted(text, parameter.reserved))
    if parameter.style == "deepObject":
        yield from (f"{name}%5B{key}%5D={item}" for key, item in pairs)
    elif parameter.explode and parameter.style == "form":
        yield from (f"{name}={item}" for item in items)
        yield from (f"{key}={item}" for key, item in pairs)
    elif items or pairs:
        between = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}.get(parameter.style, ",")
        yield f"{name}={_simple(items, pairs, False, between)}"


def _in_header(parameter: Parameter, value: Json) -> str:
    items, pairs = _parts(value, str)
    text = _simple(items, pairs, parameter.explode)
    if not text.isascii() or any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise NotRetryable(f"{parameter.argument}: this cannot stand in a header; nothing was sent")
    return text
