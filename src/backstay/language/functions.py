"""Checks one function, of a workflow, rule or method, statement by statement against the tables of `subset.py`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from backstay.language.annotations import check_annotation
from backstay.language.closure import CLASS_KINDS, Closure, Item
from backstay.language.codes import CODES
from backstay.language.diagnostics import Diagnostic
from backstay.language.fields import fields_of, outside_fields
from backstay.language.library import LIBRARY, REFUSED_CALLS
from backstay.language.literals import good_format, impure_parts, is_member, is_singleton
from backstay.language.names import Comprehension, parameters, targets, variables
from backstay.language.subset import (
    ALLOWED_EXPRESSIONS,
    ALLOWED_STATEMENTS,
    CONSTANTS,
    DATA_ATTRIBUTES,
    METHODS,
    REFUSED_SYNTAX,
)
from backstay.language.trees import dotted, is_docstring

if TYPE_CHECKING:
    from backstay.language.calls import Calls

VALUE_KINDS: Final = frozenset({"value", "constant", "later"})
CLASS_LIKE: Final = CLASS_KINDS | {"type", "shape", "error", "later"}
COMMAND_KINDS: Final = frozenset({"command", "action", "workflow", "agent", "later"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_function(item: Item, closure: Closure, calls: type[Calls]) -> list[Diagnostic]:
    """Check a workflow or rule."""
    tree = item.tree
    checker = FunctionChecker(closure, item, item.kind, calls)
    if not isinstance(tree, _Function):
        checker.refuse("B124", tree, item.name)
        return checker.found
    if isinstance(tree, ast.AsyncFunctionDef) != (item.kind == "workflow"):
        checker.refuse("B124", tree, item.name)
    for decorator in tree.decorator_list:
        head = decorator.func if isinstance(decorator, ast.Call) else decorator
        if dotted(head).rpartition(".")[2] != item.kind:
            checker.refuse("B111", decorator, ast.unparse(head))
    checker.function(tree, typed=item.kind == "workflow")
    return checker.found


class FunctionChecker:
    """Walks one function. What a node may be depends on where it stands: parents permit their children by identity."""

    def __init__(self, closure: Closure, item: Item, role: str, calls: type[Calls]) -> None:
        self.closure = closure
        self.item = item
        self.role = role
        """ "workflow", "rule" or "method"."""
        self.found: list[Diagnostic] = []
        self.variables: set[str] = set()
        self.permitted: set[int] = set()
        """Nodes that are fine where they stand: views, generators, sets, classes and rules as arguments."""
        self.finally_depth = 0
        self.loops_in_finally = 0
        self.in_generator = 0
        self.own_class = ""
        """In a class method: the name by which it calls its class."""
        self.calls = calls(self)

    def refuse(self, code: str, node: ast.AST, name: str = "", **changes: Any) -> None:
        if self.item.kind != "workflow" and CODES[code].in_rule:
            changes = {"help": CODES[code].in_rule, **changes}
        self.found.append(self.item.place.refuse(code, node, name, **changes))

    def permit(self, *nodes: ast.AST) -> None:
        self.permitted.update(id(node) for node in nodes)

    # --- the function itself -------------------------------------------------------------------------

    def function(self, tree: _Function, typed: bool = False, skip_first: bool = False) -> None:
        self.variables = variables(tree)
        if getattr(tree, "type_params", None):
            self.refuse("B120", tree, "a type parameter")
        for extra in (tree.args.vararg, tree.args.kwarg):
            if extra is not None:
                self.refuse("B121", extra, f"*{extra.arg}" if extra is tree.args.vararg else f"**{extra.arg}")
        for argument in parameters(tree)[1 if skip_first else 0 :]:
            self._parameter(argument, typed)
        for default in (*tree.args.defaults, *(item for item in tree.args.kw_defaults if item is not None)):
            self._default(default)
        if tree.returns is not None:
            check_annotation(tree.returns, self.closure, self.refuse)
        for name in sorted(self.variables):
            if name.startswith("__"):
                self.refuse("B131", _first_mention(tree, name), name)
        self.block(tree.body)

    def _parameter(self, argument: ast.arg, typed: bool) -> None:
        if argument.annotation is not None:
            check_annotation(argument.annotation, self.closure, self.refuse)
        elif typed:
            self.refuse("B123", argument, argument.arg)

    def _default(self, node: ast.expr) -> None:
        mutable = any(isinstance(inner, ast.List | ast.Dict) for inner in ast.walk(node))
        if mutable or impure_parts(node, self.closure):
            self.refuse("B122", node)

    def block(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if not is_docstring(statement):
                self.visit(statement)

    def visit(self, node: ast.AST | None) -> None:
        """Check a node by the table, then its children."""
        if node is None:
            return
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)
        elif type(node) in REFUSED_SYNTAX and id(node) not in self.permitted:
            code, name = REFUSED_SYNTAX[type(node)]
            self.refuse(code, node, name.format(node=node))
        elif isinstance(node, ast.stmt) and type(node) not in ALLOWED_STATEMENTS:
            self.refuse("B120", node, f"the statement `{type(node).__name__}`")
        elif isinstance(node, ast.expr) and type(node) not in ALLOWED_EXPRESSIONS and id(node) not in self.permitted:
            self.refuse("B120", node, f"the expression `{type(node).__name__}`")
        else:
            self.children(node)

    def children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    # --- names ---------------------------------------------------------------------------------------

    def kind(self, name: str) -> str:
        if name and name == self.own_class:
            return self.item.kind
        return "variable" if name in self.variables else self.closure.kind(name)

    def name(self, node: ast.Name) -> None:
        """A name in the place of a value."""
        kind = self.kind(node.id)
        if kind == "variable" or kind in VALUE_KINDS or id(node) in self.permitted:
            return
        if kind in ("refused", ""):
            self.unknown(node, node.id)
        else:
            self.refuse("B211", node, node.id)

    def unknown(self, node: ast.AST, name: str) -> None:
        """A name the closure does not hold: say why, if it is a well-known one."""
        self.refuse(self.closure.refused.get(name) or REFUSED_CALLS.get(name, "B201"), node, name)

    # --- statements ----------------------------------------------------------------------------------

    def assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.target(target, alone=True)

    def annotated(self, node: ast.AnnAssign) -> None:
        check_annotation(node.annotation, self.closure, self.refuse)
        self.visit(node.value)
        self.target(node.target, alone=True)

    def augmented(self, node: ast.AugAssign) -> None:
        self.operator(node, node.op)
        self.visit(node.value)
        self.target(node.target, alone=True)

    def target(self, node: ast.expr, alone: bool = False) -> None:
        match node:
            case ast.Name():
                pass
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    self.target(element)
            case ast.Starred(value=inner):
                self.target(inner)
            case ast.Subscript(slice=ast.Slice()):
                self.refuse("B126", node, f"the slice `{ast.unparse(node)}`")
            case ast.Subscript() if alone:
                self.children(node)
            case ast.Attribute() if alone:
                self.attribute(node)
            case _:
                self.refuse("B126", node, f"`{ast.unparse(node)}`")

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.children(target)
            else:
                self.refuse("B110", target, f"`{ast.unparse(target)}`")

    def expression(self, node: ast.Expr) -> None:
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and self.kind(call.func.id) in COMMAND_KINDS - {"later"}
        ):
            self.refuse("B130", call, call.func.id)
        else:
            self.visit(call)

    def loop(self, node: ast.For) -> None:
        self.permit_iterable(node.iter)
        self.visit(node.iter)
        self.target(node.target)
        self._loop_body(node.body, node.orelse)

    def while_loop(self, node: ast.While) -> None:
        self.visit(node.test)
        self._loop_body(node.body, node.orelse)

    def _loop_body(self, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        self.loops_in_finally += bool(self.finally_depth)
        self.block(body)
        self.loops_in_finally -= bool(self.finally_depth)
        self.block(orelse)

    def leave(self, node: ast.stmt) -> None:
        """return, break and continue."""
        if self.finally_depth and (isinstance(node, ast.Return) or not self.loops_in_finally):
            self.refuse("B115", node, type(node).__name__.lower())
        self.children(node)

    def attempt(self, node: ast.Try) -> None:
        self.block(node.body)
        for handler in node.handlers:
            self._handler(handler)
        self.block(node.orelse)
        self.finally_depth += 1
        outer, self.loops_in_finally = self.loops_in_finally, 0
        self.block(node.finalbody)
        self.finally_depth -= 1
        self.loops_in_finally = outer

    def _handler(self, handler: ast.ExceptHandler) -> None:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            name = dotted(kind) if kind is not None else ""
            if kind is None or name == "BaseException":
                self.refuse("B112", handler if kind is None else kind)
            elif self.closure.outside(name) == "Cancelled":
                self.refuse("B133", kind)
            elif not isinstance(kind, ast.Name) or self.kind(name) not in ("error", "later"):
                self.refuse("B209" if self.kind(name) else "B201", kind, name or ast.unparse(kind))
        self.block(handler.body)

    def throw(self, node: ast.Raise) -> None:
        if self.finally_depth:
            self.refuse("B115", node, "raise")
        if isinstance(node.exc, ast.Name) and self.kind(node.exc.id) == "error":
            self.permit(node.exc)
        self.children(node)

    def choose(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self._pattern(case.pattern)
            self.visit(case.guard)
            self.block(case.body)

    def _pattern(self, pattern: ast.pattern) -> None:
        if isinstance(pattern, ast.MatchClass):
            self._class_pattern(pattern)
        elif isinstance(pattern, ast.MatchValue):
            self.visit(pattern.value)
        elif isinstance(pattern, ast.MatchMapping):
            for key in pattern.keys:
                self.visit(key)
        for child in ast.iter_child_nodes(pattern):
            if isinstance(child, ast.pattern):
                self._pattern(child)

    def _class_pattern(self, pattern: ast.MatchClass) -> None:
        name = dotted(pattern.cls)
        if not isinstance(pattern.cls, ast.Name) or self.kind(name) not in CLASS_LIKE:
            self.refuse("B412" if self.kind(name) else "B201", pattern.cls, name or ast.unparse(pattern.cls))
        known = self._pattern_fields(name)
        for attribute in pattern.kwd_attrs:
            if attribute.startswith("_"):
                self.refuse("B301", pattern, attribute)
            elif attribute not in known and not (self.closure.unresolved and self.kind(name) == "later"):
                self.refuse("B302", pattern, attribute)

    def _pattern_fields(self, name: str) -> frozenset[str]:
        """What a class pattern may look at: the declared fields of its class, as a pattern's reads have no guard."""
        outside = self.closure.outside(name)
        return outside_fields(LIBRARY[outside].value) if outside else fields_of(name, self.closure)

    # --- expressions ---------------------------------------------------------------------------------

    def attribute(self, node: ast.Attribute) -> None:
        """Reading or writing a field."""
        base = node.value
        if node.attr.startswith("_"):
            self.refuse("B301", node, node.attr)
        elif (
            isinstance(base, ast.Name)
            and self.kind(base.id) in ("enum", "refused", "", *CLASS_LIKE)
            and self.kind(base.id) != "later"
        ):
            self._class_attribute(node, base)
            return
        elif not isinstance(node.ctx, ast.Load) and isinstance(base, ast.Name) and self.kind(base.id) == "constant":
            self.refuse("B126", node, f"`{ast.unparse(node)}`")
        else:
            self.field(node, node.attr)
        self.visit(base)

    def _class_attribute(self, node: ast.Attribute, base: ast.Name) -> None:
        kind = self.kind(base.id)
        if kind in ("refused", ""):
            self.unknown(node, base.id)
        elif kind == "enum" and isinstance(node.ctx, ast.Load):
            if not is_member(base.id, node.attr, self.closure):
                self.refuse("B302", node, node.attr)
        else:
            self.refuse("B211", node, ast.unparse(node))

    def field(self, node: ast.AST, name: str) -> None:
        if name.startswith("_"):
            self.refuse("B301", node, name)
        elif name in self.closure.fields or name in DATA_ATTRIBUTES:
            return
        elif name in METHODS or name in self.closure.methods:
            self.refuse("B303", node, name)
        elif not self.closure.unresolved:
            self.refuse("B302", node, name)

    def wait(self, node: ast.Await) -> None:
        if self.role != "workflow":
            self.refuse("B117", node)
        elif self.finally_depth:
            self.refuse("B114", node)
        elif self.in_generator:
            self.refuse("B118", node)
        self._awaited(node.value)
        self.visit(node.value)

    def _awaited(self, value: ast.expr) -> None:
        name = dotted(value.func) if isinstance(value, ast.Call) else ""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            kind = self.kind(name)
            if kind in ("rule", "table", "builtin", "error", *CLASS_LIKE) and kind != "later":
                self.refuse("B129", value, f"`{name}(...)`, a {kind}")
        elif not isinstance(value, ast.Name | ast.Subscript | ast.IfExp | ast.Call | ast.Attribute):
            self.refuse("B129", value, f"`{ast.unparse(value)}`")

    def comprehension(self, node: Comprehension) -> None:
        generator = isinstance(node, ast.GeneratorExp)
        if generator and id(node) not in self.permitted:
            self.refuse("B116", node)
        if isinstance(node, ast.SetComp):
            self.refuse("B109", node)
        outer = self.variables
        self.variables = outer | targets(node)
        for name in sorted(targets(node)):
            if name.startswith("__"):
                self.refuse("B131", node, name)
        self.in_generator += generator
        for clause in node.generators:
            if clause.is_async:
                self.refuse("B107", node)
            self.permit_iterable(clause.iter)
            self.target(clause.target)
        self.children(node)
        self.in_generator -= generator
        self.variables = outer

    def clause(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        for condition in node.ifs:
            self.visit(condition)

    def compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            if isinstance(operator, ast.Is | ast.IsNot) and not (is_singleton(left) or is_singleton(right)):
                self.refuse("B119", node)
            if isinstance(operator, ast.In | ast.NotIn):
                self.permit_iterable(right)
                if isinstance(right, ast.Set):
                    self.permit(right)
        self.children(node)

    def permit_iterable(self, node: ast.expr) -> None:
        """Allow what may be walked over but not kept: dictionary views and enums."""
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)) or (
            isinstance(node, ast.Name) and self.kind(node.id) == "enum"
        ):
            self.permit(node)

    def binary(self, node: ast.BinOp) -> None:
        text = isinstance(node.left, ast.JoinedStr) or (
            isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
        )
        if isinstance(node.op, ast.Mod) and text:
            self.refuse("B128", node)
        self.operator(node, node.op)
        self.visit(node.left)
        self.visit(node.right)

    def operator(self, node: ast.AST, operator: ast.operator) -> None:
        if type(operator) in REFUSED_SYNTAX:
            self.refuse(REFUSED_SYNTAX[type(operator)][0], node, REFUSED_SYNTAX[type(operator)][1])

    def constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, CONSTANTS):
            self.refuse("B120", node, f"the literal `{ast.unparse(node)}`")

    def text(self, node: ast.JoinedStr) -> None:
        """An f-string; Python 3.11 knows the place of the whole only, so its formats are refused there."""
        for value in node.values:
            self.visit(value)
            if isinstance(value, ast.FormattedValue) and value.format_spec is not None:
                self.format(node, value)

    def format(self, whole: ast.JoinedStr, node: ast.FormattedValue) -> None:
        parts = node.format_spec.values if isinstance(node.format_spec, ast.JoinedStr) else []
        spec = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
        if any(not isinstance(part, ast.Constant) for part in parts) or not good_format(spec):
            self.refuse("B125", whole, spec or "{…:{…}}")

    def named(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)

    def subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name) and self.kind(node.value.id) == "enum" and isinstance(node.ctx, ast.Load):
            self.permit(node.value)
        self.children(node)


def _first_mention(tree: ast.AST, name: str) -> ast.AST:
    for node in ast.walk(tree):
        if name in (getattr(node, "id", None), getattr(node, "arg", None), getattr(node, "name", None)):
            return node
    return tree


def _call(checker: FunctionChecker, node: Any) -> None:
    checker.calls.check(node)


_HANDLERS: Final[Mapping[type[ast.AST], Callable[[FunctionChecker, Any], None]]] = {
    ast.AnnAssign: FunctionChecker.annotated,
    ast.Assign: FunctionChecker.assign,
    ast.Attribute: FunctionChecker.attribute,
    ast.AugAssign: FunctionChecker.augmented,
    ast.Await: FunctionChecker.wait,
    ast.BinOp: FunctionChecker.binary,
    ast.Break: FunctionChecker.leave,
    ast.Call: _call,
    ast.Compare: FunctionChecker.compare,
    ast.Constant: FunctionChecker.constant,
    ast.Continue: FunctionChecker.leave,
    ast.Delete: FunctionChecker.delete,
    ast.DictComp: FunctionChecker.comprehension,
    ast.Expr: FunctionChecker.expression,
    ast.For: FunctionChecker.loop,
    ast.GeneratorExp: FunctionChecker.comprehension,
    ast.JoinedStr: FunctionChecker.text,
    ast.ListComp: FunctionChecker.comprehension,
    ast.Match: FunctionChecker.choose,
    ast.Name: FunctionChecker.name,
    ast.NamedExpr: FunctionChecker.named,
    ast.Raise: FunctionChecker.throw,
    ast.Return: FunctionChecker.leave,
    ast.SetComp: FunctionChecker.comprehension,
    ast.Subscript: FunctionChecker.subscript,
    ast.Try: FunctionChecker.attempt,
    ast.While: FunctionChecker.while_loop,
    ast.comprehension: FunctionChecker.clause,
}
"""Node -> how it is checked; what is neither here nor refused is walked through if it is allowed."""
