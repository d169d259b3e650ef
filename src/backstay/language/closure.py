"""Everything one workflow needs to run, as text: its items in dependency order, and the interfaces it calls.

The checker and the compiler see a closure only, never the author's objects, so a stored text is as good as a module.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from backstay.language.diagnostics import Place
from backstay.language.library import LIBRARY
from backstay.language.sources import Source
from backstay.language.trees import parse_item
from backstay.types import Json

ItemKind = Literal["workflow", "rule", "table", "constant", "type", "model", "enum", "dataclass"]
"""type: an alias such as `Amount = Annotated[Decimal, Field(gt=0)]`."""

CLASS_KINDS: Final = frozenset({"model", "enum", "dataclass"})


@dataclass(frozen=True)
class Item:
    """One definition that is stored as source."""

    name: str
    kind: ItemKind
    source: Source

    @cached_property
    def tree(self) -> ast.stmt:
        return parse_item(self.source.text)

    @cached_property
    def place(self) -> Place:
        lines = tuple(self.source.text.split("\n"))
        return Place(self.source.file, self.source.line, self.source.indent, lines)


@dataclass(frozen=True)
class Interface:
    """What a definition knows of an action, agent or workflow that it calls."""

    name: str
    kind: Literal["action", "workflow", "agent"]
    effect: str
    parameters: tuple[str, ...]
    digest: str
    arguments: Json
    result: Json
    returns: str
    """Source text of the result's annotation; "" leaves JSON as it is."""


@dataclass
class Closure:
    """A workflow and all it uses."""

    root: str
    deadline: str | None = None
    agent: str = ""
    """The agent whose definition this is; "" for a workflow of its own."""
    items: dict[str, Item] = field(default_factory=dict[str, Item])
    """By name, what is needed first comes first."""
    library: dict[str, str] = field(default_factory=dict[str, str])
    """Name as written -> name in the library's table."""
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    """Name as written -> name of the item."""
    interfaces: dict[str, Interface] = field(default_factory=dict[str, Interface])
    """By name as written."""
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Name as written -> code: what cannot be stored."""
    unresolved: set[str] = field(default_factory=set[str])
    """Names that are not defined yet."""
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    """Constants as the author's module has them now, to compare with what their source says; not stored."""

    def kind(self, name: str) -> str:
        """What a name stands for: an item's, interface's or library kind, "refused", "later", or "" if nothing."""
        name = self.aliases.get(name, name)
        if name in self.refused:
            return "refused"
        if name in self.items:
            return self.items[name].kind
        if name in self.interfaces:
            return self.interfaces[name].kind
        if name in self.library:
            return LIBRARY[self.library[name]].kind
        return "later" if name in self.unresolved else ""

    def outside(self, name: str) -> str:
        """The library's name of something that comes from there, else ""."""
        taken = name in self.items or name in self.interfaces or name in self.aliases
        return "" if taken else self.library.get(name, "")

    @cached_property
    def classes(self) -> Mapping[str, ast.ClassDef]:
        found = {name: item.tree for name, item in self.items.items() if item.kind in CLASS_KINDS}
        return {name: tree for name, tree in found.items() if isinstance(tree, ast.ClassDef)}

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of all fields, properties and enum members of the classes in the closure."""
        return frozenset(name for tree in self.classes.values() for name in class_fields(tree))

    @cached_property
    def methods(self) -> frozenset[str]:
        """Names of all methods of the classes in the closure."""
        return frozenset(name for tree in self.classes.values() for name in class_methods(tree))


def class_fields(tree: ast.ClassDef, members: bool = True) -> list[str]:
    """Fields, members and properties that a class spells out."""
    found: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) if name != "model_config":
                found.append(name)
            case ast.Assign(targets=targets) if members:
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                found.extend(name for name in names if name != "model_config")
            case ast.FunctionDef(name=name) if _decorated(statement, "property"):
                found.append(name)
            case _:
                pass
    return found


def class_methods(tree: ast.ClassDef) -> list[str]:
    """Methods that a class spells out; properties are read, not called."""
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not _decorated(node, "property")]


def _decorated(node: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == name for decorator in node.decorator_list)
