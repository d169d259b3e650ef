"""Forms in words: the fields of a task's JSON Schema, with their types, what they allow and whether they must be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from backstay.types import Json

TYPES: Final[dict[str, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "nothing",
}
FORMATS: Final[dict[str, str]] = {
    "date": "date, YYYY-MM-DD",
    "date-time": "date and time, ISO 8601",
    "time": "time, HH:MM:SS",
    "uuid": "UUID",
    "decimal": "amount",
}
LIMITS: Final[dict[str, str]] = {
    "exclusiveMinimum": "more than {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "less than {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
}
DEPTH: Final = 4
"""Objects within objects whose fields are listed one by one."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that a form asks for."""

    name: str
    """With dots where it lies inside an object."""
    type: str
    required: bool
    allowed: tuple[Json, ...] = ()
    default: Json = None
    about: str = ""
    variant: str = ""
    """Which of several shapes of the form it belongs to."""

    @property
    def words(self) -> str:
        """What may be given, in words."""
        kind = " | ".join(map(written, self.allowed)) or self.type
        default = f", else {written(self.default)}" if self.default not in (None, "", [], {}) else ""
        return f"{kind} ({'required' if self.required else 'optional'}{default})"


def written(value: Json) -> str:
    """A value as somebody types it after `KEY=`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)


def fields_of(form: Json) -> list[Field]:
    """The fields of a form; none for a task without one."""
    if not isinstance(form, dict):
        return []
    root = cast("dict[str, Any]", form)
    shapes = [_resolved(shape, root) for shape in root.get("anyOf") or root.get("oneOf") or [root]]
    if len(shapes) == 1:
        return list(_fields(shapes[0], root, "", required=True, variant=""))
    named = [(str(shape.get("title") or f"shape {number + 1}"), shape) for number, shape in enumerate(shapes)]
    return [field for name, shape in named for field in _fields(shape, root, "", required=True, variant=name)]


def _fields(
    node: Schema, root: Schema, prefix: str, *, required: bool, variant: str, depth: int = 0
) -> Iterator[Field]:
    needed = node.get("required", ())
    for name, raw in cast("dict[str, Any]", node.get("properties", {})).items():
        inner, must = _resolved(raw, root), required and name in needed
        if inner.get("properties") and depth < DEPTH:
            yield from _fields(inner, root, f"{prefix}{name}.", required=must, variant=variant, depth=depth + 1)
            continue
        allowed = tuple(_allowed(inner, root))
        yield Field(
            name=prefix + name, type=_type(inner, root), required=must, allowed=allowed, default=inner.get("default"),
            about=str(inner.get("description", "")), variant=variant,
        )  # fmt: skip


def _resolved(node: Any, root: Schema) -> dict[str, Any]:
    """A node with its reference followed, and without the `null` of something optional."""
    found = cast("dict[str, Any]", node) if isinstance(node, dict) else {}
    seen = 0
    while "$ref" in found and seen < 20:
        rest = {key: value for key, value in found.items() if key != "$ref"}
        found = {**root.get("$defs", {}).get(found["$ref"].rpartition("/")[2], {}), **rest}
        seen += 1
    branches = [branch for branch in found.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        rest = {key: value for key, value in found.items() if key != "anyOf"}
        return {**_resolved(branches[0], root), **rest}
    return found


def _allowed(node: Schema, root: Schema) -> Iterator[Json]:
    if "const" in node:
        yield node["const"]
    yield from node.get("enum", ())


def _type(node: Schema, root: Schema) -> str:
    branches = node.get("anyOf") or node.get("oneOf")
    if branches:
        kinds = [_type(_resolved(branch, root), root) for branch in branches if branch.get("type") != "null"]
        bare = {kind.split(",")[0] for kind in kinds}
        amount = "number" in bare and bare <= {"number", "text", "amount"}  # a Decimal may come as either
        return _limited("amount" if amount else " or ".join(dict.fromkeys(kinds)), branches[0] if amount else {})
    kind = str(node.get("type", "any value"))
    if kind == "array":
        return _limited(f"list of {_type(_resolved(node.get('items', {}), root), root)}", node)
    if node.get("enum"):
        return " | ".join(written(value) for value in node["enum"])
    if kind == "string" and "pattern" in node and "format" not in node:
        return _limited("amount" if "\\d" in node["pattern"] else f"text like {node['pattern']}", node)
    if kind == "object" and node.get("properties"):
        return f"object of {', '.join(node['properties'])}"
    return _limited(FORMATS.get(str(node.get("format")), TYPES.get(kind, kind)), node)


def _limited(kind: str, node: Schema) -> str:
    return ", ".join([kind, *(words.format(node[name]) for name, words in LIMITS.items() if name in node)])
