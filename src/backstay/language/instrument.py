"""Rewrites a checked tree so that it reports what it decides, counts its loops and cannot explode.

The meaning stays Python's. Helpers come from `guards.py` and `tracker.py` under names that no program can write.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, cast

from backstay.language.closure import CLASS_KINDS, Closure, Item
from backstay.language.conditions import Conditions
from backstay.language.guards import GUARDED, IN_PLACE, OPERATORS, RUNTIME
from backstay.language.names import Comprehension, parameters, targets, variables
from backstay.language.sealing import Sealed
from backstay.language.steps import Step, condition_of, step_of
from backstay.language.subset import STR_METHODS
from backstay.language.tracker import Point
from backstay.language.trees import one_line

_Function = ast.FunctionDef | ast.AsyncFunctionDef


COMPARING = frozenset({"count", "index", "model_copy", "model_dump", "remove", "sort"})
"""Methods that look through all that a value holds."""
HEAVY = (STR_METHODS | COMPARING | {"copy", "insert", "reverse", "update"}) - {"join"}
"""Methods whose work grows with the value they are called on."""


def helper(name: str) -> str:
    """The name under which instrumented code finds a helper; ending in underscores, classes do not mangle it."""
    return f"__{name}__"


def load(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def store(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Store())


def call(name: str, *args: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.Call:
    return ast.Call(func=load(helper(name)), args=list(args), keywords=keywords or [])


class Instrument(ast.NodeTransformer):
    """Rewrites one item. `points` collects what the conditions report under."""

    def __init__(
        self, item: Item, closure: Closure, steps: Mapping[str, Step], sealed: Sealed, points: list[Point]
    ) -> None:
        self.item, self.closure, self.steps, self.sealed, self.points = item, closure, steps, sealed, points
        self.local: set[str] = set()
        self.temporaries = 0
        self.walrus = True
        """Whether an assignment expression may stand here: not in the iterable of a comprehension."""
        self.conditions = Conditions(self)

    # --- support -------------------------------------------------------------------------------------

    def kind(self, name: str) -> str:
        return "" if name in self.local else self.closure.kind(name)

    def text(self, node: ast.AST) -> str:
        return one_line(self.item.source.text, node)

    def temporary(self) -> str:
        self.temporaries += 1
        return f"__t{self.temporaries}__"

    def point(
        self,
        step: str,
        kind: str,
        text: str,
        labels: tuple[str, ...],
        name: str = "",
        hidden: frozenset[str] = frozenset(),
    ) -> ast.Name:
        """A new place that reports; gives the name it has in the compiled program."""
        self.points.append(Point(step, kind, text, labels, name, hidden))
        return load(f"__p{len(self.points) - 1}__")

    def expr(self, node: ast.expr) -> ast.expr:
        return cast("ast.expr", self.visit(node))

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for statement in body:
            result = self.visit(statement)
            out.extend(cast("list[ast.stmt]", result) if isinstance(result, list) else [result])
        return out

    # --- definitions ---------------------------------------------------------------------------------

    def function(self, node: _Function, pure: bool) -> None:
        """Rewrite a function in place; `pure` ones count their nesting."""
        self.local = variables(node)
        self.temporaries = 0
        body: list[ast.stmt] = self.block(node.body)
        if pure:
            leave = ast.parse("__tracker__.depth -= 1").body
            enter = ast.Assign(targets=[store("__tracker__")], value=call("enter"))
            body = [enter, ast.Try(body=body, handlers=[], orelse=[], finalbody=leave)]
        node.body = body
        self.local = set()

    def whole(self) -> ast.stmt:
        """Rewrite the item's tree, which is its own from here on."""
        tree = self.item.tree
        if isinstance(tree, _Function):
            tree.decorator_list = []
            self.function(tree, pure=self.item.kind == "rule")
        elif isinstance(tree, ast.ClassDef):
            self.class_body(tree)
        elif isinstance(tree, ast.Assign | ast.AnnAssign):
            return self.constant(tree)
        return tree

    def class_body(self, tree: ast.ClassDef) -> None:
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef):
                self.function(statement, pure=True)
            elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value and self.shared(statement):
                statement.value = call("freeze", statement.value)

    def shared(self, statement: ast.Assign | ast.AnnAssign) -> bool:
        """Whether all instances share the value; pydantic copies the defaults of fields itself."""
        if self.item.kind != "model":
            return True
        marked = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else ""
        return "ClassVar" in marked

    def constant(self, tree: ast.Assign | ast.AnnAssign) -> ast.stmt:
        value = tree.value or ast.Constant(None)
        frozen = call("freeze", value) if self.item.kind == "constant" else value
        return ast.Assign(targets=[store(self.item.name)], value=frozen)

    # --- waiting and deciding ------------------------------------------------------------------------

    def visit_Await(self, node: ast.Await) -> Any:
        node.value = call("at", ast.Constant(step_of(node)), self.expr(node.value))
        return node

    def visit_If(self, node: ast.If) -> Any:
        node.test = self.conditions.report(node.test, step_of(node))
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        node.test = self.conditions.report(node.test, step_of(node))
        node.body, node.orelse = self.expr(node.body), self.expr(node.orelse)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        return self.conditions.report(node, step_of(node))

    def visit_Assert(self, node: ast.Assert) -> Any:
        error = ast.Call(
            func=load(helper("AssertionError")), args=[self.expr(node.msg)] if node.msg else [], keywords=[]
        )
        test = ast.UnaryOp(op=ast.Not(), operand=self.conditions.report(node.test, step_of(node)))
        return ast.If(test=test, body=[ast.Raise(exc=call("raised", error), cause=None)], orelse=[])

    def visit_Return(self, node: ast.Return) -> Any:
        """A comparison that a rule returns is its verdict: what it compared is reported."""
        if node.value is not None:
            step = step_of(node)
            node.value = self.conditions.report(node.value, step) if step else self.expr(node.value)
            if self.item.kind == "workflow" and not isinstance(node.value, ast.Constant):
                node.value = call("answered", node.value)
        return node

    def visit_While(self, node: ast.While) -> Any:
        node.test = self.conditions.report(node.test, step_of(node))
        node.body = [ast.Expr(call("tick")), *self.block(node.body)]
        node.orelse = self.block(node.orelse)
        return node

    def visit_For(self, node: ast.For) -> Any:
        node.iter = call("walk", self.expr(node.iter))
        node.body = [ast.Expr(call("tick")), *self.block(node.body)]
        node.orelse = self.block(node.orelse)
        return node

    def visit_Match(self, node: ast.Match) -> Any:
        subject, label = self.temporary(), self.text(node.subject)
        hidden = frozenset([label]) if self.sealed.hides(self.item.name, node.subject) else frozenset[str]()
        node.subject = ast.NamedExpr(target=store(subject), value=self.expr(node.subject))
        for case in node.cases:
            if case.guard is not None:
                case.guard = self.conditions.report(case.guard, condition_of(case.guard))
            body = self.block(case.body)
            report = self._case(step_of(node), f"case {self.text(case.pattern)}", label, subject, hidden, True)
            case.body = [*report, *body]
        if not _takes_all(node.cases[-1]):
            report = self._case(step_of(node), "no case", label, subject, hidden, False)
            rest = ast.match_case(pattern=ast.MatchAs(pattern=None, name=None), guard=None, body=report or [ast.Pass()])
            node.cases.append(rest)
        return node

    def _case(
        self, step: str, text: str, label: str, subject: str, hidden: frozenset[str], hit: bool
    ) -> list[ast.stmt]:
        if not step:
            return []
        point = self.point(step, "match", text, (label,), hidden=hidden)
        return [ast.Expr(call("verdict", point, ast.Constant(None), ast.Constant(hit), load(subject)))]

    def comprehension(self, node: Comprehension) -> Any:
        outer = self.local
        self.local = outer | targets(node)
        for clause in node.generators:
            walrus, self.walrus = self.walrus, False
            clause.iter = call("each", self.expr(clause.iter))
            self.walrus = walrus
            clause.ifs = [self.conditions.report(condition, condition_of(condition)) for condition in clause.ifs]
        for name in ("key", "value", "elt"):
            if hasattr(node, name):
                setattr(node, name, self.expr(getattr(node, name)))
        self.local = outer
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension

    def visit_Compare(self, node: ast.Compare) -> Any:
        return self.compare(node, self.expr)

    def compare(self, node: ast.Compare, expr: Callable[[ast.expr], ast.expr]) -> ast.expr:
        """Rewrite a comparison, with `expr` for its operands; what may be large is weighed before it is looked through."""
        small = [self._small(operand) for operand in (node.left, *node.comparators)]
        node.left = expr(node.left)
        for place, (operator, operand) in enumerate(zip(node.ops, node.comparators, strict=True)):
            rewritten = expr(operand)
            if isinstance(operator, ast.In | ast.NotIn):
                rewritten = rewritten if small[place + 1] else call("within", rewritten)
            elif not (isinstance(operator, ast.Is | ast.IsNot) or small[place] or small[place + 1]):
                rewritten = call("weigh", rewritten)
            node.comparators[place] = rewritten
        return node

    def _small(self, node: ast.expr) -> bool:
        """Whether the program spells an operand out, so that it cannot grow."""
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return self.kind(name) in ("constant", "value", "enum")
            case ast.Attribute(value=ast.Name(id=name)):
                return self.kind(name) == "enum"
            case ast.UnaryOp(operand=operand):
                return self._small(operand)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return all(self._small(part) for part in parts)
            case _:
                return False

    def visit_Starred(self, node: ast.Starred) -> Any:
        """`[*items]` walks over its items, so it takes no set."""
        value = self.expr(node.value)
        node.value = call("walk", value) if isinstance(node.ctx, ast.Load) else value
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        copies = isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Slice)
        return call("checked", node) if copies else node

    def visit_List(self, node: ast.List | ast.Tuple) -> Any:
        """`[*a, *b]` can double a list like `a + b`, so its size is checked too."""
        self.generic_visit(node)
        spread = isinstance(node.ctx, ast.Load) and any(isinstance(item, ast.Starred) for item in node.elts)
        return call("checked", node) if spread else node

    visit_Tuple = visit_List

    # --- operators and text --------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        node.left, node.right = self.expr(node.left), self.expr(node.right)
        return self.operate(node)

    def operate(self, node: ast.BinOp) -> ast.expr:
        """An operator whose operands are rewritten already."""
        guard = OPERATORS.get(type(node.op).__name__)
        return node if guard is None else call(guard, node.left, node.right)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        node.values = [self._piece(value) for value in node.values]
        return call("checked", node)

    def _piece(self, node: ast.expr) -> ast.expr:
        if not isinstance(node, ast.FormattedValue):
            return node
        value = self.expr(node.value)
        if node.conversion in (ord("r"), ord("a")):
            value = call("repr", value)
        spec = node.format_spec
        piece = call("str", value) if spec is None else call("formatted", value, spec)
        return ast.FormattedValue(value=piece, conversion=-1, format_spec=None)

    # --- assignments ---------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> Any:
        spread = any(isinstance(target, ast.Tuple | ast.List) for target in node.targets)
        value = self.expr(node.value)
        if spread and not isinstance(node.value, ast.Tuple | ast.List):
            value = call("walk", value)
        if not any(isinstance(target, ast.Attribute) for target in node.targets):
            return ast.Assign(targets=[self.expr(target) for target in node.targets], value=value)
        kept = self.temporary()
        first = ast.Assign(targets=[store(kept)], value=value)
        return [first, *(self._put(target, load(kept)) for target in node.targets)]

    def _put(self, target: ast.expr, value: ast.expr) -> ast.stmt:
        if isinstance(target, ast.Attribute):
            return ast.Expr(call("write", self.expr(target.value), ast.Constant(target.attr), value))
        return ast.Assign(targets=[self.expr(target)], value=value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self._put(node.target, self.expr(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """`a[k] += v` looks a and k up once, as Python does."""
        if isinstance(node.target, ast.Name):
            return ast.Assign(targets=[node.target], value=self._combine(load(node.target.id), node))
        holder = self.temporary()
        before: list[ast.stmt] = [ast.Assign(targets=[store(holder)], value=self.expr(node.target.value))]
        if isinstance(node.target, ast.Attribute):
            old = self._read(load(holder), node.target.attr)
            new = self._combine(old, node)
            return [*before, ast.Expr(call("write", load(holder), ast.Constant(node.target.attr), new))]
        key = self.temporary()
        before.append(ast.Assign(targets=[store(key)], value=self.expr(node.target.slice)))
        old = ast.Subscript(value=load(holder), slice=load(key), ctx=ast.Load())
        place = ast.Subscript(value=load(holder), slice=load(key), ctx=ast.Store())
        return [*before, ast.Assign(targets=[place], value=self._combine(old, node))]

    def _combine(self, old: ast.expr, node: ast.AugAssign) -> ast.expr:
        guard = IN_PLACE.get(type(node.op).__name__)
        value = self.expr(node.value)
        return ast.BinOp(left=old, op=node.op, right=value) if guard is None else call(guard, old, value)

    # --- fields and calls ----------------------------------------------------------------------------

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name) and self.kind(node.value.id) in (*CLASS_KINDS, "type", "shape"):
            return node
        return self._read(self.expr(node.value), node.attr)

    def _read(self, value: ast.expr, name: str) -> ast.expr:
        return call("read", value, ast.Constant(name))

    def visit_Call(self, node: ast.Call) -> Any:
        return self.invoke(node, self.expr)

    def invoke(self, node: ast.Call, expr: Callable[[ast.expr], ast.expr]) -> ast.expr:
        """Rewrite a call, with `expr` for the values below it."""
        decision = self._decision(node) if step_of(node) else None
        base = expr(node.func.value) if isinstance(node.func, ast.Attribute) else None
        args = [expr(argument) for argument in node.args]
        keywords = [ast.keyword(arg=item.arg, value=expr(item.value)) for item in node.keywords]
        if isinstance(node.func, ast.Attribute) and base is not None:
            return self._method(node.func, base, args, keywords)
        if isinstance(node.func, ast.Name):
            return self._named(decision, node.func, args, keywords)
        return ast.Call(func=expr(node.func), args=args, keywords=keywords)

    def _method(
        self, func: ast.Attribute, base: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> ast.expr:
        name = func.attr
        on_class = isinstance(base, ast.Name) and self.kind(base.id) in (*CLASS_KINDS, "type", "shape")
        if not on_class and name in HEAVY:
            base = call("weighty" if name in COMPARING else "heavy", base)
        if not on_class and (name in GUARDED or name in self.closure.methods):
            return call("method", base, ast.Constant(name), *args, keywords=keywords)
        return ast.Call(func=ast.Attribute(value=base, attr=name, ctx=ast.Load()), args=args, keywords=keywords)

    def _named(
        self, decision: ast.expr | None, func: ast.Name, args: list[ast.expr], keywords: list[ast.keyword]
    ) -> ast.expr:
        kind = self.kind(func.id)
        outside = self.closure.outside(func.id)
        if kind in ("builtin", "type") and outside in RUNTIME:
            return call(outside, *args, keywords=keywords)
        if decision is not None:
            return call(f"ask_{kind}", decision, func, *args, keywords=keywords)
        return ast.Call(func=func, args=args, keywords=keywords)

    def _decision(self, node: ast.Call) -> ast.Name:
        """What a call of a rule or table reports: its arguments under the names of the parameters."""
        name = cast("ast.Name", node.func).id
        item = self.closure.items[self.closure.aliases.get(name, name)]
        names = (
            [argument.arg for argument in parameters(item.tree)]
            if isinstance(item.tree, _Function)
            else _inputs(item.tree)
        )
        positional = names[: len(node.args)]
        labels = (*positional, *(keyword.arg or "**" for keyword in node.keywords))
        given = zip(labels, (*node.args, *(keyword.value for keyword in node.keywords)), strict=False)
        hidden = {label for label, value in given if self.sealed.hides(self.item.name, value)}
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            labels, hidden = tuple(names), set(names) if hidden else set[str]()
        return self.point(step_of(node), item.kind, "", labels, item.name, frozenset({*hidden, ""} if hidden else ()))

    # --- errors --------------------------------------------------------------------------------------

    def visit_Raise(self, node: ast.Raise) -> Any:
        if node.exc is not None:
            node.exc = call("raised", self.expr(node.exc))
        if node.cause is not None:
            node.cause = self.expr(node.cause)
        return node

    def visit_Try(self, node: ast.Try) -> Any:
        """Whoever catches Exception must not catch what depends on the machine: memory and stack running out."""
        for part in ("body", "orelse", "finalbody"):
            setattr(node, part, self.block(getattr(node, part)))
        broad = False
        for handler in node.handlers:
            handler.body = self.block(handler.body)
            broad = broad or any(
                isinstance(inner, ast.Name) and self.closure.outside(inner.id) == "Exception"
                for inner in ast.walk(handler.type or handler)
            )
        if broad:
            kinds = ast.Tuple(elts=[load(helper("MemoryError")), load(helper("RecursionError"))], ctx=ast.Load())
            node.handlers.insert(0, ast.ExceptHandler(type=kinds, name=None, body=[ast.Raise(exc=None, cause=None)]))
        return node


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def _inputs(tree: ast.stmt) -> list[str]:
    """The input names of a decision table, from its source."""
    value = getattr(tree, "value", None)
    for keyword in value.keywords if isinstance(value, ast.Call) else []:
        if keyword.arg == "inputs" and isinstance(keyword.value, ast.Dict):
            return [str(key.value) for key in keyword.value.keys if isinstance(key, ast.Constant)]
    return []
