"""Reads operations out of an OpenAPI document: what each takes, as one closed JSON Schema, and where it goes on the wire.

Versions 3.0, 3.1 and 3.2, as JSON. References stay within the document; what the document does not hold is refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import unquote

from backstay.ai.schema_actions import BY_NAME, closed
from backstay.errors import AuthorError
from backstay.types import Json

Place: TypeAlias = Literal["path", "query", "header", "cookie"]

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options", "query")

DEFINITIONS: Final = 300
"""So many schemas one operation may refer to."""

HOPS: Final = 20
"""So many references may lead to one another."""

STYLES: Final[Mapping[str, str]] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
"""How values are written where the document does not say."""

IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})
"""Parameters that the specification says are none."""

ONE: Final = ("items", "not", "additionalProperties", "contains", "if", "then", "else", "propertyNames")
MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
DROPPED: Final = (
    "example",
    "examples",
    "discriminator",
    "xml",
    "externalDocs",
    "nullable",
    "$id",
    "$schema",
    "$anchor",
)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Where one argument goes."""

    argument: str
    """Its name among the arguments."""
    name: str
    """Its name on the wire."""
    place: Place
    style: str
    explode: bool
    reserved: bool = False
    """Whether reserved characters stay as they are."""
    as_json: bool = False
    """Whether it is written as JSON text."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation as it is called."""

    name: str
    method: str
    path: str
    about: str
    parameters: tuple[Parameter, ...]
    fields: tuple[str, ...] = ()
    """Arguments that are members of the body."""
    body: str = ""
    """The argument that is all of the body."""
    media: str = ""
    """The body's media type."""
    schema: dict[str, Json]


def read_document(given: str | Path | Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """A document, or the JSON file that it stands in; raises AuthorError."""
    if isinstance(given, Mapping):
        found: Any = given
    else:
        try:
            found = json.loads(Path(given).read_text("utf-8"))
        except FileNotFoundError:
            raise AuthorError(f"API {name!r}: there is no document {str(given)!r}") from None
        except ValueError as error:
            raise AuthorError(f"API {name!r}: {str(given)!r} is not JSON ({error}); convert it if it is YAML") from None
    version = str(found.get("openapi", "")) if isinstance(found, Mapping) else ""
    if not version.startswith("3."):
        raise AuthorError(f"API {name!r}: this is no OpenAPI 3 document ('openapi' is {version!r})")
    return cast("Mapping[str, Json]", found)


def read_operations(
    document: Mapping[str, Json], wanted: Collection[str], without: Collection[str]
) -> dict[str, Operation]:
    """The operations that are wanted, by operationId or "METHOD /path"; `without` names headers that are filled elsewhere."""
    reader = _Reader(document, frozenset(name.lower() for name in without))
    known: dict[str, tuple[str, str, Any]] = {}
    for path, item in document.get("paths", {}).items():
        shared = reader.followed(item)
        for method in METHODS:
            if isinstance(operation := shared.get(method), dict):
                both = {**operation, "parameters": [*shared.get("parameters", []), *operation.get("parameters", [])]}
                known[f"{method.upper()} {path}"] = (method, path, both)
                if identity := operation.get("operationId"):
                    known[identity] = (method, path, both)
    if missing := sorted(set(wanted) - set(known)):
        raise AuthorError(f"the document has no operation {', '.join(missing)}; it has {', '.join(sorted(known)[:50])}")
    try:
        return {name: reader.operation(name, *known[name]) for name in wanted}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AuthorError(f"the document is not as OpenAPI wants it: {type(error).__name__}: {error}") from error


class _Reader:
    def __init__(self, document: Mapping[str, Json], without: frozenset[str]) -> None:
        self.document, self.without = document, without | IGNORED_HEADERS
        self.old = str(document["openapi"]).startswith("3.0")

    def operation(self, name: str, method: str, path: str, node: Mapping[str, Json]) -> Operation:
        if not path.startswith("/"):
            raise AuthorError(f"operation {name!r}: path {path!r} does not begin with '/'")
        what, schemas = f"operation {name!r}", _Schemas(self)
        parameters, properties, required = self._parameters(node, schemas)
        fields, body, media, more, needed = self._body(node, schemas, frozenset(properties), what)
        whole = {"type": "object", "properties": {**properties, **more}, "required": [*required, *needed]}
        if schemas.made:
            whole["$defs"] = schemas.made
        about = "\n".join(part for part in (node.get("summary", ""), node.get("description", "")) if part)
        return Operation(
            name=name, method=method.upper(), path=path, about=about, parameters=parameters, fields=fields, body=body,
            media=media, schema=closed(whole, f"the arguments of {what}"),
        )  # fmt: skip

    def _parameters(
        self, node: Mapping[str, Json], schemas: _Schemas
    ) -> tuple[tuple[Parameter, ...], dict[str, Json], list[str]]:
        listed = [self.followed(each) for each in node["parameters"]]
        merged = {(each["in"], each["name"]): each for each in listed}  # an operation's own comes after its path's
        taken = [
            each for (place, name), each in merged.items() if not (place == "header" and name.lower() in self.without)
        ]
        names = [each["name"] for each in taken]
        found: list[Parameter] = []
        properties, required = dict[str, Json](), list[str]()
        for each in taken:
            name, place = each["name"], each["in"]
            argument = name if names.count(name) == 1 else f"{place}_{name}"
            content = next(iter(each.get("content", {}).values()), None)
            style = each.get("style", STYLES[place])
            found.append(Parameter(
                argument=argument, name=name, place=place, style=style, explode=each.get("explode", style == "form"),
                reserved=each.get("allowReserved", False), as_json=content is not None,
            ))  # fmt: skip
            schema = schemas.read((content or each).get("schema", {}))
            about = {"description": each["description"]} if each.get("description") else {}
            properties[argument] = {**about, **schema} if isinstance(schema, dict) else schema
            if each.get("required") or place == "path":
                required.append(argument)
        return tuple(found), properties, required

    def _body(
        self, node: Mapping[str, Json], schemas: _Schemas, taken: Collection[str], what: str
    ) -> tuple[tuple[str, ...], str, str, dict[str, Json], list[str]]:
        """(fields, body, media type, their schemas, which are required)."""
        if "requestBody" not in node:
            return (), "", "", {}, []
        body = self.followed(node["requestBody"])
        content = body.get("content", {})
        media = next((each for each in content if is_json(each)), "") or next(
            (each for each in content if is_form(each)), ""
        )
        if not media:
            raise AuthorError(
                f"{what}: its body is {', '.join(content) or 'nothing'}; only JSON and URL-encoded forms can be sent"
            )
        schema = content[media].get("schema", {})
        flat = self.flat(schema)
        if flat is not None and not set(flat[0]) & set(taken):
            properties = {name: schemas.read(each) for name, each in flat[0].items()}
            return tuple(properties), "", media, properties, [name for name in flat[1] if name in properties]
        name = "body" if "body" not in taken else "request_body"
        return (), name, media, {name: schemas.read(schema)}, [name] if body.get("required") else []

    def flat(self, schema: Json) -> tuple[dict[str, Json], list[str]] | None:
        """(members, names of the required) of a schema that is one plain object, or several that all hold; else None."""
        node = self.followed(schema) if isinstance(schema, dict) else {}
        if any(word in node for word in ("anyOf", "oneOf", "not", "if")) or node.get("type", "object") != "object":
            return None
        members, required = dict(node.get("properties", {})), list(node.get("required", []))
        for part in node.get("allOf", []):
            inner = self.flat(part)
            if inner is None:
                return None
            members, required = {**members, **inner[0]}, [*required, *inner[1]]
        writable = {
            name: each for name, each in members.items() if not (isinstance(each, dict) and each.get("readOnly"))
        }
        return (writable, required) if members else None

    def followed(self, node: Json) -> dict[str, Json]:
        """What a node refers to, or the node itself."""
        for _ in range(HOPS):
            if not isinstance(node, dict):
                raise AuthorError(f"the document has {node!r} where an object is expected")
            if "$ref" not in node:
                return cast("dict[str, Json]", node)
            node = self.at(node["$ref"])
        raise AuthorError(f"the document's reference {node.get('$ref')!r} leads nowhere")

    def at(self, ref: Json) -> Json:
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise AuthorError(f"the document refers to another document: {ref!r}")
        found: Json = self.document
        for part in ref[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise AuthorError(f"the document has nothing at {ref!r}")
        return found


class _Schemas:
    """Schemas of one operation in the words of JSON Schema 2020-12, with what they refer to beside them."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        self.made: dict[str, Json] = {}
        self._names: dict[str, str] = {}

    def read(self, node: Json) -> Json:
        if not isinstance(node, dict):
            return node
        made: dict[str, Json] = {}
        for word, value in node.items():
            if word == "$ref":
                made[word] = f"#/$defs/{self._defined(value)}"
            elif word in BY_NAME and isinstance(value, dict):
                made[word] = {name: self.read(each) for name, each in value.items()}
            elif word in ONE:
                made[word] = self.read(value)
            elif word in MANY:
                made[word] = [self.read(each) for each in value]
            elif word not in DROPPED:
                made[word] = value
        return _modern(made, node) if self.reader.old else made

    def _defined(self, ref: Json) -> str:
        target = self.reader.at(ref)
        if ref not in self._names:
            if len(self._names) >= DEFINITIONS:
                raise AuthorError(f"an operation refers to more than {DEFINITIONS} schemas")
            plain = "".join(sign if sign.isalnum() else "_" for sign in ref.rpartition("/")[2])
            name = plain if plain not in self.made else f"{plain}_{len(self.made)}"
            self._names[ref], self.made[name] = name, {}
            self.made[name] = self.read(target)
        return self._names[ref]


def _modern(made: dict[str, Json], node: Mapping[str, Json]) -> dict[str, Json]:
    """What version 3.0 says in words of its own."""
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if made.get(bound) is True and limit in made:
            made[bound] = made.pop(limit)
        elif isinstance(made.get(bound), bool):
            del made[bound]
    if node.get("nullable") is not True:
        return made
    if isinstance(made.get("type"), str) and "enum" not in made:
        return {**made, "type": [made["type"], "null"]}
    return {"anyOf": [made, {"type": "null"}]}


def is_json(media: str) -> bool:
    """Whether a media type is JSON."""
    plain = media.partition(";")[0].strip().lower()
    return plain == "application/json" or plain.endswith("+json")


def is_form(media: str) -> bool:
    return media.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
