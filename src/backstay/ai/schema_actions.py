"""Actions that somebody else's JSON Schema describes, as MCP servers and OpenAPI documents do, not a Python signature.

The schema is closed, whatever its author left open, and never fetches another document: what is checked is what is here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json

from backstay.actions import Action, without_prose
from backstay.canonical import digest
from backstay.errors import AuthorError, InvalidInput
from backstay.types import Json

LONGEST_NAME: Final = 64
"""Characters that providers of models allow in the name of a tool."""

PROBLEMS: Final = 10
"""So many problems of one value are told."""

BY_NAME: Final = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose members are schemas by name."""

MIXING: Final = ("allOf", "not", "if", "dependentSchemas")
"""Keywords that look at one value with several schemas: to close one of these changes what the others mean."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SchemaAction(Action[Any]):
    """An action whose arguments a JSON Schema describes. Its function takes them by name, as JSON."""

    schema: Mapping[str, Json]
    """The closed schema of the arguments, as `closed` made it."""
    answer: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """JSON Schema of the result; what is empty takes anything."""
    key: str | None = None
    """The name under which the function takes the idempotency key."""

    @property
    def told_schema(self) -> dict[str, Json]:
        return dict(self.schema)

    @cached_property
    def result_schema(self) -> dict[str, Json]:
        return without_prose(dict(self.answer))

    @cached_property
    def arguments(self) -> type[BaseModel]:
        raise TypeError(f"action {self.name!r} is described by a JSON Schema, see told_schema; it has no model")

    @cached_property
    def key_parameter(self) -> str | None:
        return self.key

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.schema["properties"])

    def read_arguments(self, text: str | bytes) -> dict[str, Any]:
        try:
            given = from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidInput(f"arguments of action {self.name!r} are not JSON: {error}") from None
        _check(self._reader, given, f"arguments of action {self.name!r} do not fit")
        return given

    def write_result(self, value: Any) -> Json:
        written = super().write_result(value)
        _check(self._writer, written, f"result of action {self.name!r} does not fit")
        return written

    @cached_property
    def _reader(self) -> Any:
        return validator(self.schema, f"arguments of action {self.name!r}")

    @cached_property
    def _writer(self) -> Any:
        return validator(self.answer, f"result of action {self.name!r}")


class Tools(dict[str, Action[Any]]):
    """The actions of one server by the names that it gives its tools; raises AuthorError where two would have one name."""

    def __init__(
        self, server: str, actions: Mapping[str, Action[Any]], refused: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(actions)
        self._server, self._refused = server, refused or {}
        if len({action.name for action in actions.values()}) < len(actions):
            raise AuthorError(f"{server!r}: two of its tools would be actions of one name")

    def __missing__(self, name: str) -> Action[Any]:
        if name in self._refused:
            raise AuthorError(f"tool {name!r} of {self._server!r} cannot be used: {self._refused[name]}")
        raise AuthorError(f"{self._server!r} has no tool {name!r}; it has {', '.join(sorted(self)) or 'none'}")


def validator(schema: Mapping[str, Json], what: str) -> Any:
    """What checks a value against a schema without repeating it in words; raises AuthorError where there is no such schema."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema), mask="this value", offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise AuthorError(f"{what}: this JSON Schema cannot be used: {str(error).splitlines()[0]}") from None


def _check(check: Any, value: Json, what: str) -> None:
    """Raises InvalidInput naming each field that does not fit, without the values."""
    fields: dict[str, str] = {}
    for error in check.iter_errors(value):
        for place, wrong in _told(error):
            fields.setdefault(".".join(map(str, place)) or "(whole value)", wrong[:200])
        if len(fields) >= PROBLEMS:
            break
    if fields:
        raise InvalidInput(f"{what}: {'; '.join(f'{name}: {wrong}' for name, wrong in fields.items())}", fields)


def _told(error: Any) -> Iterator[tuple[list[str | int], str]]:
    """(where, what is wrong); a member that is missing or too much is named by its own place."""
    place, said = list(error.instance_path), error.kind.as_dict()
    if error.kind.name == "required":
        yield [*place, said["property"]], "is missing"
    elif error.kind.name == "additionalProperties":
        yield from (([*place, str(name)[:100]], "there is no such field") for name in said["unexpected"][:PROBLEMS])
    else:
        yield place, str(error.message)


def action_name(server: str, tool: str) -> str:
    """The name of a server's tool as an action, in the letters that providers of models allow."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}")
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}_{digest(tool)[:8]}"


# --- closing a schema -----------------------------------------------------------------------------------


def closed(schema: Mapping[str, Json], what: str) -> dict[str, Json]:
    """The schema with no room for what it does not name.

    Objects within are closed too where they stand alone: not if the schema says that they are open, nor where several
    schemas look at one value. Raises AuthorError for arguments that are no plain object, a schema that is none, and one that
    is kept in another document.
    """
    whole = _rooted(dict(schema))
    if not isinstance(whole.get("properties", {}), dict) or whole.get("type", "object") != "object":
        raise AuthorError(f"{what} are no object with named members")
    if "properties" not in whole and any(word in whole for word in ("anyOf", "oneOf", "allOf", "$ref")):
        raise AuthorError(f"{what} are one of several objects, and none of them is named")
    if outside := next((ref for node in _nodes(whole) for ref in _references(node) if not ref.startswith("#")), None):
        raise AuthorError(f"{what} refer to another document: {outside!r}")
    inner = whole if any(_mixes(node) for node in _nodes(whole)) else _closed(whole)
    made = {**inner, "type": "object", "properties": inner.get("properties", {}), "additionalProperties": False}
    validator(made, what)
    return made


def _rooted(schema: dict[str, Json]) -> dict[str, Json]:
    """The schema with its members at the top, where it only refers to one of its own definitions."""
    ref = schema.get("$ref")
    table, _, name = (
        ref.removeprefix("#/").partition("/") if isinstance(ref, str) and ref.startswith("#/") else ("", "", "")
    )
    found = schema.get(table, {}).get(name) if isinstance(schema.get(table), dict) else None
    if not isinstance(found, dict) or "properties" in schema:
        return schema
    return {**found, **{word: value for word, value in schema.items() if word != "$ref"}}


def _references(node: dict[str, Json]) -> Iterator[str]:
    for word in ("$ref", "$dynamicRef", "$recursiveRef", "$schema"):
        value = node.get(word)
        known = word == "$schema" and re.match(r"https?://json-schema\.org/", str(value))
        if isinstance(value, str) and not known:
            yield value


def _nodes(node: Json) -> Iterator[dict[str, Json]]:
    """All schemas within a schema, itself included."""
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, dict):
        yield node
        for word, value in node.items():
            if word in BY_NAME and isinstance(value, dict):
                for item in value.values():
                    yield from _nodes(item)
            elif word not in ("default", "const", "enum", "examples", "example"):
                yield from _nodes(value)


def _mixes(node: dict[str, Json]) -> bool:
    beside = "properties" in node and any(word in node for word in ("anyOf", "oneOf", "$ref"))
    return beside or any(word in node for word in MIXING)


def _closed(node: Json) -> Json:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {
        word: {name: _closed(item) for name, item in value.items()}
        if word in BY_NAME and isinstance(value, dict)
        else value
        if word in ("default", "const", "enum", "examples", "example")
        else _closed(value)
        for word, value in node.items()
    }
    if "properties" in node and "additionalProperties" not in node and "patternProperties" not in node:
        made["additionalProperties"] = False
    return made


def size(value: Json) -> int:
    """Bytes of a value as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
