"""Gives every place that waits or decides a step id, made from what it does rather than from where it stands.

So an id survives edits elsewhere in the function: `find_order`, `find_order.2`, `if.3fa2c1`, `within_tolerance/if.09bd`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from backstay.language.closure import Closure, Item
from backstay.language.names import variables
from backstay.language.trees import one_line, tree_digest

_ROLES = {"where": "_backstay_condition", "guard": "_backstay_condition"}
_STEP = "_backstay_step"
"""Where a tree's node keeps its step id; a filter or guard may be a rule call too, so it keeps a second one."""


@dataclass(frozen=True)
class Step:
    """One place of a program."""

    id: str
    kind: str
    """The command ("call", "approval", "sleep" ...) or the branch ("if", "for", "match", "rule" ...)."""
    line: int
    """Line of the author's file."""
    text: str
    """Its source, on one line."""
    item: str
    """The workflow or rule it belongs to."""


_BRANCHES: Final[Mapping[type[ast.AST], str]] = {
    ast.If: "if",
    ast.While: "while",
    ast.For: "for",
    ast.Match: "match",
    ast.IfExp: "choice",
    ast.Assert: "assert",
}
_LABELLED = {
    "if": "test",
    "while": "test",
    "choice": "test",
    "assert": "test",
    "for": "iter",
    "match": "subject",
}
_CALL_KINDS = {"action": "call", "workflow": "start", "agent": "ask"}


def number_steps(item: Item, closure: Closure) -> dict[str, Step]:
    """Number one function: its tree's nodes get ids, the steps come back by id in the order of the source."""
    tree = item.tree
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        return {}
    prefix = "" if item.kind == "workflow" else f"{item.name}/"
    steps: dict[str, Step] = {}
    used: Counter[str] = Counter()
    local = variables(tree)
    for node, kind, base, shown in _places(tree.body, closure, local):
        used[base] += 1
        step = f"{prefix}{base}" + (f".{used[base]}" if used[base] > 1 else "")
        setattr(node, _ROLES.get(kind, _STEP), step)
        line = item.source.line + getattr(node, "lineno", 1) - 1
        steps[step] = Step(step, kind, line, one_line(item.source.text, shown), item.name)
    return steps


def step_of(node: ast.AST) -> str:
    """The id that a node was given, or ""."""
    return getattr(node, _STEP, "")


def condition_of(node: ast.AST) -> str:
    """The id that an expression was given as the filter of a comprehension or the guard of a case, or ""."""
    return getattr(node, _ROLES["where"], "")


_Place = tuple[ast.AST, str, str, ast.AST]
"""Node, kind of step, base of its id, node whose text is shown."""


def _places(nodes: list[ast.stmt], closure: Closure, local: set[str]) -> Iterator[_Place]:
    for node in nodes:
        yield from _walk(node, closure, local, False)


def _walk(node: ast.AST, closure: Closure, local: set[str], in_test: bool) -> Iterator[_Place]:
    yield from _own(node, closure, local, in_test)
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        tested = name == "test" or (in_test and isinstance(node, ast.BoolOp | ast.UnaryOp)) or (name == "ifs")
        for child in children:
            if isinstance(child, ast.AST):
                if name in ("ifs", "guard"):
                    kind = "where" if name == "ifs" else "guard"
                    yield child, kind, f"{kind}.{tree_digest(child)[:6]}", child
                yield from _walk(child, closure, local, tested or name == "guard")


def _own(node: ast.AST, closure: Closure, local: set[str], in_test: bool) -> Iterator[_Place]:
    kind = _BRANCHES.get(type(node))
    if kind is not None:
        decisive = getattr(node, _LABELLED[kind])
        yield node, kind, f"{kind}.{tree_digest(decisive)[:6]}", decisive
    elif isinstance(node, ast.BoolOp) and not in_test:
        kind = "and" if isinstance(node.op, ast.And) else "or"
        yield node, kind, f"{kind}.{tree_digest(node)[:6]}", node
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Compare):
        yield node, "return", f"return.{tree_digest(node.value)[:6]}", node.value
    elif isinstance(node, ast.Await):
        yield node, *_awaited(node.value, closure, local), node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in local:
        called = closure.kind(node.func.id)
        if called in ("rule", "table"):
            yield node, called, f"{called}.{node.func.id}", node


def _awaited(value: ast.expr, closure: Closure, local: set[str]) -> tuple[str, str]:
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.func.id in local:
        return "await", "await"
    name = value.func.id
    kind = closure.kind(name)
    return _CALL_KINDS.get(kind) or closure.outside(name) or name, name
