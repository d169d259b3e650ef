"""Gathers a workflow's closure from the author's objects: this is the only file that looks at them."""

from __future__ import annotations

import ast
import builtins
import copy
import dataclasses
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast

from pydantic import BaseModel, PydanticUserError

from backstay.actions import Action
from backstay.errors import ActionRefusedAtImport, WorkflowRefused
from backstay.language.annotations import annotation_text
from backstay.language.closure import Closure, Interface, Item, ItemKind
from backstay.language.diagnostics import refuse_at
from backstay.language.library import REFUSED_CALLS, REFUSED_MODULES, outside_name
from backstay.language.names import annotation_names, free_names
from backstay.language.sources import assignments, class_source, cut, function_source, home_of, module_tree
from backstay.language.tables import DecisionTable

_NOTHING: Final = object()


@dataclass(frozen=True)
class Scope:
    """Where an item's free names are looked up: the function's own cells and frame first, then its module."""

    module: str
    near: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def find(self, name: str) -> Any:
        if name in self.near:
            return self.near[name]
        module = sys.modules.get(self.module)
        return getattr(module, name, getattr(builtins, name, _NOTHING))


def scope_of(fn: Any, frame: types.FrameType | None = None) -> Scope:
    """The scope of a function, with the variables of the function it is defined in."""
    near: dict[str, Any] = {}
    if frame is not None and frame.f_code.co_name != "<module>":
        near.update(frame.f_locals)
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        if cell != types.CellType():
            near[name] = cell.cell_contents
    return Scope(fn.__module__, near)


def collect(fn: Any, name: str, kind: ItemKind, scope: Scope, deadline: str | None = None) -> Closure:
    """The closure of a workflow or rule."""
    collector = _Collector(Closure(root=name, deadline=deadline))
    collector.function(name, kind, fn, scope)
    return collector.closure


class _Collector:
    def __init__(self, closure: Closure) -> None:
        self.closure = closure
        self.seen: dict[str, Any] = {}
        """Name -> what it stands for, to find two things under one name."""
        self.under_way: set[str] = set()
        """Items that wait for what they need."""

    def function(self, name: str, kind: ItemKind, fn: Any, scope: Scope) -> None:
        try:
            source = function_source(fn)
        except (OSError, SyntaxError):
            code = fn.__code__
            raise WorkflowRefused(
                [refuse_at("B411", code.co_filename, code.co_firstlineno, f"def {name}", name)]
            ) from None
        self.seen[name] = fn
        self.item(Item(name, kind, source), scope)

    def item(self, item: Item, scope: Scope) -> None:
        """Add an item after all it needs."""
        for name in free_names(_without_decorator(item.tree)):
            if name != item.name or item.kind == "workflow":
                self.name(name, scope)
        self.closure.items[item.name] = item

    def name(self, written: str, scope: Scope) -> None:
        """Find out what a free name stands for."""
        found = scope.find(written)
        if found is _NOTHING:
            self.closure.unresolved.add(written)
            return
        earlier = self.seen.setdefault(written, _identity(found))
        if earlier is not _identity(found) and earlier != _identity(found):
            self.closure.refused[written] = "B410"
        elif not self.known(written):
            self.add(written, found, scope)

    def known(self, written: str) -> bool:
        return bool(self.closure.kind(written)) or written in self.under_way

    def add(self, written: str, found: Any, scope: Scope) -> None:
        outside = outside_name(found, written)
        if outside is not None:
            self.closure.library[written] = outside
        elif isinstance(found, types.ModuleType):
            self.closure.refused[written] = REFUSED_MODULES.get(
                found.__name__, REFUSED_CALLS.get(found.__name__, "B212")
            )
        elif isinstance(found, Action):
            self.interface(written, _action_interface(cast("Action[Any]", found), self))
        elif _language_kind(found) == "rule":
            self.under(written, found.name, lambda: self.function(found.name, "rule", found.fn, found.scope))
        elif _language_kind(found):
            self.interface(written, _callee_interface(found, self))
        elif isinstance(found, type):
            self.type(written, cast("type[Any]", found), scope)
        else:
            self.value(written, found, scope)

    def under(self, written: str, name: str, add: Any) -> None:
        """Add an item, and an alias if the module calls it by another name; classes may refer to each other."""
        if written != name:
            self.closure.aliases[written] = name
            if name in self.closure.items or name in self.under_way:
                return
        self.under_way.add(name)
        add()

    def interface(self, written: str, interface: Interface | None) -> None:
        if interface is None:
            self.closure.refused[written] = "B414"
        else:
            self.closure.interfaces[written] = interface

    def type(self, written: str, cls: type[Any], scope: Scope) -> None:
        kind = _class_kind(cls)
        if kind is None:
            self.closure.refused[written] = REFUSED_CALLS.get(written, "B412")
            return
        near = {**dict(scope.near), cls.__name__: cls}
        try:
            source = class_source(cls)
        except (OSError, SyntaxError):
            self.closure.refused[written] = "B411"
            return
        self.seen.setdefault(cls.__name__, cls)
        self.under(
            written,
            cls.__name__,
            lambda: self.item(Item(cls.__name__, kind, source), Scope(cls.__module__, near)),
        )

    def value(self, written: str, found: Any, scope: Scope) -> None:
        if callable(found) and not isinstance(found, DecisionTable) and not _is_typing(found):
            origin = getattr(found, "__module__", "") or ""
            package = origin.partition(".")[0]
            known = (
                REFUSED_CALLS.get(f"{package}.{getattr(found, '__name__', '')}")
                or REFUSED_CALLS.get(written)
                or REFUSED_MODULES.get(origin)
                or REFUSED_CALLS.get(package)
            )
            self.closure.refused[written] = known or ("B216" if isinstance(found, types.FunctionType) else "B209")
            return
        try:
            home = home_of(sys.modules.get(scope.module), written)
        except (OSError, SyntaxError):
            home = None
        if home is None:
            self.closure.refused[written] = REFUSED_CALLS.get(written, "B401")
            return
        self.assignment(written, found, *home)

    def assignment(self, written: str, found: Any, file: str, name: str) -> None:
        tree, lines = module_tree(file)
        places = assignments(tree, name)
        if len(places) != 1:
            self.closure.refused[written] = "B403"
            return
        kind: ItemKind = "table" if isinstance(found, DecisionTable) else "type" if _is_typing(found) else "constant"
        if kind == "constant":
            self.closure.values[name] = found
        item = Item(name, kind, cut(file, places[0], lines))
        module = next(
            (key for key, module in sys.modules.copy().items() if getattr(module, "__file__", None) == file),
            "",
        )
        self.seen.setdefault(name, _identity(found))
        self.under(written, name, lambda: self.item(item, Scope(module)))


def _language_kind(found: Any) -> str:
    """ "rule", "workflow" or "agent" for what can be called besides actions; the class says so itself."""
    return getattr(type(found), "language_kind", "")


def _identity(found: Any) -> Any:
    """What must be the same for two names to be one: the object, or for plain values the value."""
    return getattr(found, "fn", found)


def _without_decorator(tree: ast.stmt) -> ast.stmt:
    """The definition without @workflow and @rule, which are not names of the program."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        tree = copy.copy(tree)
        tree.decorator_list = []
    return tree


def _class_kind(cls: type[Any]) -> ItemKind | None:
    if issubclass(cls, Enum):
        return "enum"
    if issubclass(cls, BaseModel):
        return "model"
    return "dataclass" if dataclasses.is_dataclass(cls) else None


def _is_typing(value: Any) -> bool:
    return isinstance(value, types.UnionType | types.GenericAlias) or getattr(type(value), "__module__", "") == "typing"


def _action_interface(action: Action[Any], collector: _Collector) -> Interface | None:
    try:
        document = action.interface
        returns = _returns(action.fn, collector)
    except (PydanticUserError, ActionRefusedAtImport, TypeError):
        return None
    except NameError as error:
        collector.closure.unresolved.add(str(error.name))
        return Interface(action.name, "action", action.effect, tuple(action.parameters), "", None, None, "")
    return Interface(
        name=action.name,
        kind="action",
        effect=action.effect,
        parameters=tuple(action.parameters),
        digest=action.interface_digest,
        arguments=document["arguments"],
        result=document["result"],
        returns=returns,
    )


def _callee_interface(callee: Any, collector: _Collector) -> Interface | None:
    try:
        document = callee.interface
        digest = callee.interface_digest
        fn = getattr(callee, "fn", None)
        own = fn is not None and _language_kind(callee) != "agent"  # an agent's function is the loop of all agents
        returns = _returns(fn, collector) if own else _annotation(getattr(callee, "returns", Any), collector)
    except (PydanticUserError, TypeError):
        return None
    except NameError as error:
        collector.closure.unresolved.add(str(error.name))
        return Interface(callee.name, "workflow", "", (), "", None, None, "")
    return Interface(
        name=callee.name,
        kind=document.get("kind", "agent"),
        effect=document.get("effect", ""),
        parameters=tuple(document["parameters"]),
        digest=digest,
        arguments=document["arguments"],
        result=document["result"],
        returns=returns,
    )


def _returns(fn: Any, collector: _Collector) -> str:
    """The source text of a function's result annotation; what it names joins the closure."""
    try:
        tree = ast.parse(function_source(fn).text).body[0]
        node = getattr(tree, "returns", None)
    except (OSError, SyntaxError):
        return _annotation(getattr(fn, "__annotations__", {}).get("return", Any), collector)
    if node is None:
        return ""
    scope = scope_of(fn)
    for name in annotation_names(node):
        collector.name(name, scope)
    return ast.unparse(node)


def _annotation(hint: Any, collector: _Collector) -> str:
    """The same for an annotation of which only the object is at hand."""
    text, names = annotation_text(hint)
    for name, value in names.items():
        collector.name(name, Scope("builtins", {name: value}))
    return text
