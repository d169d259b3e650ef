"""Checks stored classes: pydantic models, enums and dataclasses, made of fields and pure methods."""

from __future__ import annotations

import ast
from typing import Final

from backstay.language.annotations import check_annotation
from backstay.language.calls import Calls
from backstay.language.closure import Closure, Item
from backstay.language.diagnostics import Diagnostic
from backstay.language.fields import bad_alias, bad_settings
from backstay.language.functions import FunctionChecker
from backstay.language.literals import impure_parts
from backstay.language.subset import CLASS_DECORATORS, DEFAULT_FACTORIES, METHOD_DECORATORS, VIEWS
from backstay.language.trees import dotted, is_docstring

FIELD_MAKERS: Final = frozenset({"Field", "field"})
VALUE_MAKERS: Final = frozenset({"ConfigDict", "auto"})


def check_class(item: Item, closure: Closure) -> list[Diagnostic]:
    """Check a class that a definition stores."""
    checker = _ClassChecker(item, closure)
    if isinstance(item.tree, ast.ClassDef):
        checker.run(item.tree)
    else:
        checker.refuse("B412", item.tree, item.name)
    return checker.found


class _ClassChecker:
    def __init__(self, item: Item, closure: Closure) -> None:
        self.item, self.closure = item, closure
        self.found: list[Diagnostic] = []
        self.earlier: set[str] = set()
        """Members so far: an enum may build on them."""

    def refuse(self, code: str, node: ast.AST, name: str = "", **changes: str) -> None:
        self.found.append(self.item.place.refuse(code, node, name, **changes))

    def run(self, tree: ast.ClassDef) -> None:
        if getattr(tree, "type_params", None):
            self.refuse("B120", tree, "a type parameter")
        for base in tree.bases:
            self.base(base)
        for keyword in tree.keywords:
            if keyword.arg not in ("frozen", "extra") or not isinstance(keyword.value, ast.Constant):
                self.refuse("B409", keyword.value, f"`{keyword.arg}=`")
        for decorator in tree.decorator_list:
            self.decorator(decorator)
        for statement in tree.body:
            if not is_docstring(statement) and not isinstance(statement, ast.Pass):
                self.member(statement)

    def base(self, node: ast.expr) -> None:
        name = dotted(node)
        kind = self.closure.kind(name)
        mixin = self.item.kind == "enum" and self.closure.outside(name) in ("str", "int")
        if not isinstance(node, ast.Name) or not (kind in ("base", "later") or kind == self.item.kind or mixin):
            self.refuse("B404", node, name or ast.unparse(node))

    def decorator(self, node: ast.expr) -> None:
        head = node.func if isinstance(node, ast.Call) else node
        name = dotted(head)
        if not isinstance(head, ast.Name) or self.closure.outside(name) not in CLASS_DECORATORS:
            self.refuse("B405", node, name or ast.unparse(node))
        for keyword in node.keywords if isinstance(node, ast.Call) else []:
            if not isinstance(keyword.value, ast.Constant):
                self.refuse("B405", keyword.value, f"{name}({keyword.arg}=...)")

    def member(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef():
                self.method(node)
            case ast.AnnAssign(target=ast.Name(id=name)):
                self.field(node, name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self.assigned(node, name)
            case _:
                self.refuse("B409", node, f"`{type(node).__name__}`")

    def field(self, node: ast.AnnAssign, name: str) -> None:
        if name.startswith("_"):
            self.refuse("B301", node.target, name)
        check_annotation(node.annotation, self.closure, self.refuse)
        if name == "model_config":
            self.settings(node, node.value or node.annotation)
        elif node.value is not None:
            self.default(node.value, name)

    def assigned(self, node: ast.Assign, name: str) -> None:
        if self.item.kind == "enum":
            if name.startswith("_"):
                self.refuse("B409", node, f"`{name}`")
            self.default(node.value, name)
            self.earlier.add(name)
        elif name == "model_config":
            self.settings(node, node.value)
        else:
            self.refuse("B409", node, f"`{name}` without a type")

    def settings(self, node: ast.AST, value: ast.expr) -> None:
        if self.item.kind != "model":
            self.refuse("B409", node, "`model_config`")
        for bad, name in bad_settings(value, self.closure):
            self.refuse("B416", bad, name)
        self.default(value, "model_config")

    def default(self, node: ast.expr, name: str) -> None:
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        outside = self.closure.outside(called)
        if isinstance(node, ast.Call) and outside in FIELD_MAKERS:
            self.field_call(node, name)
        elif isinstance(node, ast.Call) and outside in VALUE_MAKERS:
            self.values([*node.args, *(keyword.value for keyword in node.keywords)], name)
        else:
            self.values([node], name)

    def field_call(self, node: ast.Call, name: str) -> None:
        for keyword in node.keywords:
            if keyword.arg == "default_factory":
                if (
                    not isinstance(keyword.value, ast.Name)
                    or self.closure.outside(keyword.value.id) not in DEFAULT_FACTORIES
                ):
                    self.refuse("B407", keyword.value, name)
            elif keyword.arg is None:
                self.refuse("B127", node, "Field")
            elif bad_alias(keyword):
                self.refuse("B415", keyword.value, ast.unparse(keyword.value))
            else:
                self.values([keyword.value], name)
        self.values([arg for arg in node.args if not (isinstance(arg, ast.Constant) and arg.value is ...)], name)

    def values(self, nodes: list[ast.expr], name: str) -> None:
        for node in nodes:
            for bad in impure_parts(node, self.closure):
                if not (isinstance(bad, ast.Name) and bad.id in self.earlier):
                    self.refuse("B407", bad, name)

    def method(self, node: ast.FunctionDef) -> None:
        if node.name.startswith("__"):
            self.refuse("B406", node, node.name)
        elif node.name.startswith("_"):
            self.refuse("B301", node, node.name)
        elif node.name in VIEWS:
            self.refuse("B417", node, node.name)
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Name) or self.closure.outside(decorator.id) not in METHOD_DECORATORS:
                self.refuse("B405", decorator, ast.unparse(decorator))
        decorators = [dotted(decorator) for decorator in node.decorator_list]
        checker = FunctionChecker(self.closure, self.item, "method", Calls)
        if "classmethod" in decorators and node.args.args:
            checker.own_class = node.args.args[0].arg
        checker.function(node, skip_first="staticmethod" not in decorators)
        self.found.extend(checker.found)
