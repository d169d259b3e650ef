"""Checks one call: who is called, and what may stand among the arguments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from backstay.language.closure import CLASS_KINDS
from backstay.language.library import CLOCKS, LIBRARY, REFUSED_CALLS, TYPE_METHODS
from backstay.language.subset import (
    CLASS_ARGUMENTS,
    GENERATOR_CONSUMERS,
    KEYWORDS,
    METHODS,
    MODEL_CLASS_METHODS,
    VIEW_CONSUMERS,
    VIEWS,
)
from backstay.language.trees import dotted

if TYPE_CHECKING:
    from backstay.language.functions import FunctionChecker

CLASS_LIKE: Final = CLASS_KINDS | {"type", "shape", "error"}


class Calls:
    """Checks the calls of one function."""

    def __init__(self, checker: FunctionChecker) -> None:
        self.checker = checker

    def check(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name():
                self.by_name(node, node.func)
            case ast.Attribute():
                self.by_attribute(node, node.func)
            case _:
                self.checker.refuse("B210", node)
                self.checker.visit(node.func)
        self.arguments(node)

    def arguments(self, node: ast.Call) -> None:
        for argument in node.args:
            self.checker.visit(argument)
        for keyword in node.keywords:
            self.checker.visit(keyword.value)

    # --- f(...) --------------------------------------------------------------------------------------

    def by_name(self, node: ast.Call, func: ast.Name) -> None:
        kind = self.checker.kind(func.id)
        if kind in ("refused", ""):
            self.checker.unknown(node, func.id)
        elif kind == "variable":
            known = self.checker.closure.kind(func.id) or func.id in LIBRARY
            self.checker.refuse("B219" if known else "B210", node, func.id)
        else:
            _BY_KIND.get(kind, Calls.refused)(self, node, func)

    def refused(self, node: ast.Call, func: ast.Name) -> None:
        self.checker.refuse("B209", node, func.id)

    def plain(self, node: ast.Call, func: ast.Name) -> None:
        """Actions, rules, models: any values."""

    def builtin(self, node: ast.Call, func: ast.Name) -> None:
        name = self.checker.closure.outside(func.id)
        self.keywords(node, name, KEYWORDS.get(name, frozenset()))
        self.consumes(node, name)
        if name == "isinstance" and len(node.args) == 2:
            self.permit_classes(node.args[1])
        if name == "next" and len(node.args) != 2:
            self.checker.refuse("B218", node, name)
        if name == "next" and node.args and not isinstance(node.args[0], ast.GeneratorExp):
            self.checker.refuse("B218", node, name)

    def type(self, node: ast.Call, func: ast.Name) -> None:
        name = self.checker.closure.outside(func.id)
        self.consumes(node, name)
        if any(keyword.arg is None for keyword in node.keywords):
            self.checker.refuse("B127", node, func.id)

    def command(self, node: ast.Call, func: ast.Name) -> None:
        name = self.checker.closure.outside(func.id)
        if any(keyword.arg is None for keyword in node.keywords):
            self.checker.refuse("B127", node, func.id)
        for keyword in node.keywords:
            if keyword.arg in CLASS_ARGUMENTS.get(name, frozenset()):
                self.permit_classes(keyword.value)
        started = node.args[0] if name == "start" and node.args else None
        if isinstance(started, ast.Name) and self.checker.kind(started.id) in ("workflow", "agent", "later"):
            self.checker.permit(started)

    def consumes(self, node: ast.Call, name: str) -> None:
        """Allow views, generators and enums as arguments of functions that use them up."""
        consumed = node.args if name == "zip" else node.args[:1]
        if name in ("min", "max") and len(node.args) > 1:
            return  # these give one of their arguments back
        for argument in consumed:
            if name in VIEW_CONSUMERS:
                self.checker.permit_iterable(argument)
            if name in GENERATOR_CONSUMERS and isinstance(argument, ast.GeneratorExp):
                self.checker.permit(argument)

    def keywords(self, node: ast.Call, name: str, allowed: frozenset[str]) -> None:
        for keyword in node.keywords:
            if keyword.arg is None:
                self.checker.refuse("B127", node, name)
            elif keyword.arg not in allowed:
                self.checker.refuse("B217", keyword, keyword.arg)
            elif keyword.arg == "key":
                self.key(keyword.value)

    def key(self, value: ast.expr) -> None:
        if isinstance(value, ast.Lambda):
            return
        name = value.id if isinstance(value, ast.Name) else ""
        if self.checker.kind(name) in ("rule", "later") or (
            self.checker.kind(name) == "builtin" and name in ("len", "abs")
        ):
            self.checker.permit(value)
        elif not (isinstance(value, ast.Constant) and value.value is None):
            self.checker.refuse("B213", value)
            self.checker.permit(value)

    def permit_classes(self, node: ast.expr) -> None:
        """Allow classes where a command or isinstance takes them."""
        match node:
            case ast.Tuple(elts=parts):
                for part in parts:
                    self.permit_classes(part)
            case ast.BinOp(op=ast.BitOr()):
                self.permit_classes(node.left)
                self.permit_classes(node.right)
            case ast.Subscript(value=ast.Name(id=name)) if self.checker.kind(name) == "type":
                self.checker.permit(node.value)
                self.permit_classes(node.slice)
            case ast.Name(id=name) if self.checker.kind(name) in (*CLASS_LIKE, "later"):
                self.checker.permit(node)
            case _:
                pass

    # --- x.f(...) ------------------------------------------------------------------------------------

    def by_attribute(self, node: ast.Call, func: ast.Attribute) -> None:
        base, name = func.value, func.attr
        if name.startswith("_"):
            self.checker.refuse("B301", func, name)
            self.checker.visit(base)
        elif isinstance(base, ast.Name) and self.checker.kind(base.id) in CLASS_LIKE:
            self.on_class(node, base, name)
        elif self.is_outside(base):
            self.on_module(node, dotted(func))
        else:
            self.on_value(node, func)
            self.checker.visit(base)

    def is_outside(self, base: ast.expr) -> bool:
        head = dotted(base).partition(".")[0]
        return bool(head) and self.checker.kind(head) in ("refused", "")

    def on_module(self, node: ast.Call, name: str) -> None:
        head, _, last = name.partition(".")
        code = REFUSED_CALLS.get(name) or self.checker.closure.refused.get(head) or REFUSED_CALLS.get(head)
        if code in ("B212", "B401", None) and last.rpartition(".")[2] in CLOCKS:
            code = "B202"
        self.checker.refuse(code or "B201", node, head if code in ("B212", None) else name)

    def on_class(self, node: ast.Call, base: ast.Name, name: str) -> None:
        outside = self.checker.closure.outside(base.id)
        tree = self.checker.closure.classes.get(self.checker.closure.aliases.get(base.id, base.id))
        own = (
            {item.name for item in tree.body if isinstance(item, ast.FunctionDef) and item.decorator_list}
            if tree
            else set[str]()
        )
        allowed = (
            TYPE_METHODS.get(outside, frozenset())
            | own
            | (MODEL_CLASS_METHODS if self.checker.kind(base.id) in ("model", "shape") else set())
        )
        if name in CLOCKS and name not in own:
            self.checker.refuse("B202", node, f"{base.id}.{name}")
        elif name in ("fromtimestamp", "strptime", "ctime"):
            self.checker.refuse("B307", node, f"{base.id}.{name}")
        elif name not in allowed:
            self.checker.refuse("B305", node, name)
        elif name in MODEL_CLASS_METHODS and name not in own:
            self.keywords(node, name, KEYWORDS[name])

    def on_value(self, node: ast.Call, func: ast.Attribute) -> None:
        name = func.attr
        if name in VIEWS:
            if id(node) not in self.checker.permitted:
                self.checker.refuse("B304", func, name)
        elif name in ("format", "format_map") and name not in self.checker.closure.methods:
            self.checker.refuse("B306", func, name)
        elif name in ("timestamp", "ctime", "strptime", "fromtimestamp", "now", "today", "utcnow"):
            self.checker.refuse("B202" if name in CLOCKS else "B307", func, name)
        elif name not in METHODS and name not in self.checker.closure.methods:
            if not self.checker.closure.unresolved:
                self.checker.refuse("B305", func, name)
        elif name == "sort":
            self.keywords(node, name, KEYWORDS["sort"])
        self._join(node, name)

    def _join(self, node: ast.Call, name: str) -> None:
        own = name in self.checker.closure.methods
        for argument in node.args[:1] if name in ("join", "extend", "update") and not own else ():
            self.checker.permit_iterable(argument)
            if isinstance(argument, ast.GeneratorExp):
                self.checker.permit(argument)


_BY_KIND: Final[Mapping[str, Callable[[Calls, ast.Call, ast.Name], None]]] = {
    **dict.fromkeys(("action", "workflow", "agent", "rule", "table", "shape", "error", "later"), Calls.plain),
    **dict.fromkeys(CLASS_KINDS, Calls.plain),
    "builtin": Calls.builtin,
    "type": Calls.type,
    "command": Calls.command,
}
