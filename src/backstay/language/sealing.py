"""Finds which values of a program are made from tagged fields, so that the trail never shows them.

By name and conservative: a variable that is ever assigned from something sealed counts as sealed throughout.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backstay.language.closure import Closure
from backstay.language.names import annotation_names, parameters

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_MARKS = frozenset({"Sensitive", "Tag"})


class Sealed:
    """The sealed names of a closure."""

    def __init__(self, closure: Closure) -> None:
        self.closure = closure
        self.aliases = {name for name, item in closure.items.items() if item.kind == "type" and self._marked(item.tree)}
        self.fields = frozenset(self._fields())
        """Fields of models whose type carries a tag."""
        self.variables: dict[str, set[str]] = {name: self._tagged_parameters(tree) for name, tree in self._functions()}
        """Function -> its sealed variables."""
        while self._spread():
            pass

    def hides(self, function: str, node: ast.AST) -> bool:
        """Whether the value of an expression may be sealed."""
        local = self.variables.get(function, set())
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and inner.attr in self.fields:
                return True
            if isinstance(inner, ast.Name) and (inner.id in local or self._returns_sealed(inner.id)):
                return True
        return False

    def _returns_sealed(self, name: str) -> bool:
        interface = self.closure.interfaces.get(name)
        return interface is not None and any(mark in interface.returns for mark in (*_MARKS, *self.aliases))

    def _marked(self, node: ast.AST | None) -> bool:
        if node is None:
            return False
        names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        texts = {name for inner in ast.walk(node) if isinstance(inner, ast.expr) for name in annotation_names(inner)}
        return any(
            self.closure.outside(name) in _MARKS or name in getattr(self, "aliases", ()) for name in names | texts
        )

    def _fields(self) -> Iterator[str]:
        for tree in self.closure.classes.values():
            for statement in tree.body:
                if isinstance(statement, ast.AnnAssign) and self._marked(statement.annotation):
                    yield ast.unparse(statement.target)

    def _functions(self) -> Iterator[tuple[str, _Function]]:
        for name, item in self.closure.items.items():
            if isinstance(item.tree, _Function):
                yield name, item.tree

    def _tagged_parameters(self, tree: _Function) -> set[str]:
        return {argument.arg for argument in parameters(tree) if self._marked(argument.annotation)}

    def _spread(self) -> bool:
        """One round over all functions; whether it found more."""
        before = sum(map(len, self.variables.values()))
        for name, tree in self._functions():
            for node in ast.walk(tree):
                self._flow(name, node)
        return sum(map(len, self.variables.values())) > before

    def _flow(self, function: str, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value) if self.hides(function, value):
                self._seal(function, *targets)
            case (
                ast.AugAssign(target=target, value=ast.expr() as value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                if self.hides(function, value):
                    self._seal(function, target)
            case ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source):
                if self.hides(function, source):
                    self._seal(function, target)
            case ast.Match(subject=subject, cases=cases):
                for case in cases:
                    self._flow_pattern(function, case.pattern, self.hides(function, subject))
            case ast.Call(func=ast.Name(id=name)) if self.closure.aliases.get(name, name) in self.variables:
                self._flow_call(function, self.closure.aliases.get(name, name), node)
            case ast.Call(func=ast.Attribute(value=ast.Name() as target), args=args) if any(
                self.hides(function, arg) for arg in args
            ):
                self._seal(function, target)
            case _:
                pass

    def _seal(self, function: str, *targets: ast.AST) -> None:
        for target in targets:
            self.variables[function].update(inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))

    def _flow_pattern(self, function: str, pattern: ast.AST, sealed: bool) -> None:
        """Captures of sealed subjects, or below a sealed field, are sealed."""
        inside = sealed or (isinstance(pattern, ast.MatchClass) and bool(self.fields.intersection(pattern.kwd_attrs)))
        for child in ast.iter_child_nodes(pattern):
            self._flow_pattern(function, child, inside)
        name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
        if inside and isinstance(name, str):
            self.variables[function].add(name)

    def _flow_call(self, function: str, called: str, node: ast.Call) -> None:
        tree = self.closure.items[called].tree
        if not isinstance(tree, _Function):
            return
        names = [argument.arg for argument in parameters(tree)]
        for position, argument in enumerate(node.args):
            if self.hides(function, argument):
                self.variables[called].update(
                    names if isinstance(argument, ast.Starred) else names[position : position + 1]
                )
        for keyword in node.keywords:
            if self.hides(function, keyword.value):
                self.variables[called].update([keyword.arg] if keyword.arg else names)
