"""The stored form of a workflow: a closed JSON document, and the version that names it.

The version is the SHA-256 of everything but the document's `sources`, which holds text for people and tracebacks;
each item is hashed by its tree, so comments, layout, docstrings and line numbers do not make a new version.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Final, cast

from backstay.canonical import canonical, digest
from backstay.errors import DefinitionMissing
from backstay.language.closure import Closure, Interface, Item
from backstay.language.library import LIBRARY
from backstay.language.sources import Source
from backstay.language.trees import tree_digest
from backstay.types import Json

LANGUAGE: Final = 1
"""Version of the language; a change of meaning makes a new one, and old definitions keep theirs."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A workflow as it is stored: `text` is all that a worker needs to run it."""

    name: str
    version: str
    """64 hexadecimal characters."""
    text: str


def define(closure: Closure) -> Definition:
    """Write a checked closure as a definition."""
    document = write_document(closure)
    return Definition(name=closure.agent or closure.root, version=version_of(document), text=canonical(document))


def version_of(document: Json) -> str:
    """The version of a document: the digest of all that changes what it does."""
    return digest({key: value for key, value in document.items() if key != "sources"})


def write_document(closure: Closure) -> Json:
    """The JSON document of a closure."""
    return {
        "language": LANGUAGE,
        "workflow": closure.root,
        **({"agent": closure.agent} if closure.agent else {}),
        "deadline": closure.deadline,
        "items": [
            {"name": item.name, "kind": item.kind, "tree": tree_digest(item.tree)} for item in closure.items.values()
        ],
        "library": closure.library,
        "aliases": closure.aliases,
        "interfaces": {name: _interface_json(interface) for name, interface in closure.interfaces.items()},
        "sources": {item.name: _source_json(item.source) for item in closure.items.values()},
    }


def _interface_json(interface: Interface) -> Json:
    return {**asdict(interface), "parameters": list(interface.parameters)}


def _source_json(source: Source) -> Json:
    return {
        "text": source.text,
        "file": PurePath(source.file).name,
        "line": source.line,
        "indent": source.indent,
    }


def read_document(text: str, version: str | None = None) -> tuple[Closure, str]:
    """The closure of a stored text and its version; raises DefinitionMissing when the text is not what it claims."""
    document = _load(text)
    actual = version_of(document)
    if version is not None and actual != version:
        raise DefinitionMissing(f"the stored definition has version {actual[:12]}, not {version[:12]} as asked")
    if document["language"] != LANGUAGE:
        raise DefinitionMissing(
            f"the definition is written in language {document['language']}; this worker knows {LANGUAGE}"
        )
    try:
        return _read_closure(document), actual
    except (AttributeError, KeyError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise DefinitionMissing(f"the stored definition cannot be read: {type(error).__name__}: {error}") from None


def _read_closure(document: Json) -> Closure:
    closure = Closure(root=document["workflow"], deadline=document["deadline"], agent=document.get("agent", ""))
    for entry in document["items"]:
        closure.items[entry["name"]] = _read_item(entry, document["sources"])
    closure.library.update(document["library"])
    closure.aliases.update(document["aliases"])
    closure.interfaces.update({name: _read_interface(entry) for name, entry in document["interfaces"].items()})
    missing = [name for name in closure.library.values() if name not in LIBRARY]
    if missing or closure.root not in closure.items:
        raise KeyError(missing[0] if missing else closure.root)
    return closure


def _load(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DefinitionMissing(f"the stored definition is not JSON: {error}") from None
    wanted = {"language", "workflow", "deadline", "items", "library", "aliases", "interfaces", "sources"}
    if not isinstance(document, dict) or wanted - cast("dict[str, Any]", document).keys():
        raise DefinitionMissing(f"the stored definition lacks some of {', '.join(sorted(wanted))}")
    return cast("dict[str, Any]", document)


def _read_item(entry: Json, sources: Json) -> Item:
    stored = sources.get(entry["name"])
    if stored is None:
        raise DefinitionMissing(f"the stored definition lacks the source of {entry['name']!r}")
    item = Item(entry["name"], entry["kind"], Source(stored["text"], stored["file"], stored["line"], stored["indent"]))
    if tree_digest(item.tree) != entry["tree"]:
        raise DefinitionMissing(f"the stored source of {entry['name']!r} is not the one its version was made from")
    return item


def _read_interface(entry: Json) -> Interface:
    fields: dict[str, Any] = {**entry, "parameters": tuple(entry["parameters"])}
    return Interface(**fields)
