"""Rewrites a condition so that it reports its verdict and the values it looked at, in the order Python looks at them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstay.language.instrument import Instrument

MAX_LEAVES = 12
"""Values one condition reports; a longer one reports the first."""


class Conditions:
    """Each leaf is kept in a variable where it is looked at; leaves that a short circuit may skip are reset before."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument

    def report(self, test: ast.expr, step: str) -> ast.expr:
        """The condition, reporting as `step`; without a step (in methods) only rewritten."""
        kind = self.instrument.steps[step].kind if step else ""
        if not step or isinstance(test, ast.Constant):
            return self._inside(test)
        leaves = list(_leaves(test, False)) if self.instrument.walrus else []
        names = self._names(leaves)
        hidden = frozenset(label for leaf, label, _ in names if self._hides(leaf))
        point = self.instrument.point(
            step,
            kind,
            self.instrument.text(test),
            tuple(dict.fromkeys(label for _, label, _ in names)),
            hidden=hidden,
        )
        variables = {label: self.instrument.temporary() for _, label, _ in names}
        skipped = {variables[label] for _, label, may_skip in names if may_skip}
        replaced = {id(leaf): variables[label] for leaf, label, _ in names}
        rewritten = _Keep(self.instrument, replaced).expr(test)
        return _call(
            "verdict",
            point,
            _reset(sorted(skipped)),
            rewritten,
            *(_load(name) for name in variables.values()),
        )

    def _inside(self, test: ast.expr) -> ast.expr:
        """A condition without a report; `and` and `or` below it report nothing either."""
        return _Keep(self.instrument, {}).expr(test)

    def _names(self, leaves: list[tuple[ast.expr, bool]]) -> list[tuple[ast.expr, str, bool]]:
        seen: dict[str, None] = {}
        found: list[tuple[ast.expr, str, bool]] = []
        for leaf, may_skip in leaves:
            if isinstance(leaf, ast.Name) and self.instrument.kind(leaf.id) not in ("", "constant", "value"):
                continue
            label = self.instrument.text(leaf)
            seen.setdefault(label)
            if len(seen) <= MAX_LEAVES:
                found.append((leaf, label, may_skip))
        return found

    def _hides(self, leaf: ast.expr) -> bool:
        return self.instrument.sealed.hides(self.instrument.item.name, leaf)


class _Keep:
    """Rewrites below a condition: leaves are kept, operators of conditions stay, everything else is instrumented."""

    def __init__(self, instrument: Instrument, kept: dict[int, str]) -> None:
        self.instrument, self.kept = instrument, kept

    def expr(self, node: ast.expr) -> ast.expr:
        name = self.kept.get(id(node))
        if name is not None:
            return ast.NamedExpr(target=ast.Name(id=name, ctx=ast.Store()), value=self.instrument.expr(node))
        match node:
            case ast.BoolOp():
                node.values = [self.expr(value) for value in node.values]
            case ast.UnaryOp():
                node.operand = self.expr(node.operand)
            case ast.Compare():
                return self.instrument.compare(node, self.expr)
            case ast.BinOp():
                node.left, node.right = self.expr(node.left), self.expr(node.right)
                return self.instrument.operate(node)
            case ast.Call():
                return self.instrument.invoke(node, self.expr)
            case _:
                return self.instrument.expr(node)
        return node


def _leaves(node: ast.expr, may_skip: bool) -> Iterator[tuple[ast.expr, bool]]:
    """Names, fields and entries a condition looks at, and whether a short circuit may pass them by."""
    match node:
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Await():
            yield node, may_skip
        case ast.BoolOp(values=values):
            for position, value in enumerate(values):
                yield from _leaves(value, may_skip or position > 0)
        case ast.UnaryOp(operand=operand):
            yield from _leaves(operand, may_skip)
        case ast.Compare(left=left, comparators=comparators):
            yield from _leaves(left, may_skip)
            for position, value in enumerate(comparators):
                yield from _leaves(value, may_skip or position > 0)
        case ast.BinOp(left=left, right=right):
            yield from _leaves(left, may_skip)
            yield from _leaves(right, may_skip)
        case ast.Call():
            yield from _call_leaves(node, may_skip)
        case _:
            return


def _call_leaves(node: ast.Call, may_skip: bool) -> Iterator[tuple[ast.expr, bool]]:
    if isinstance(node.func, ast.Attribute):
        yield from _leaves(node.func.value, may_skip)
    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
        yield from _leaves(argument, may_skip)


def _load(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(func=_load(f"__{name}__"), args=list(args), keywords=[])


def _reset(names: list[str]) -> ast.expr:
    """Set variables to `missing` before the condition runs; None when there are none."""
    missing = [ast.NamedExpr(target=ast.Name(id=name, ctx=ast.Store()), value=_load("__missing__")) for name in names]
    if not missing:
        return ast.Constant(None)
    return missing[0] if len(missing) == 1 else ast.Tuple(elts=[*missing], ctx=ast.Load())
