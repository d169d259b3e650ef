"""Checks module-level assignments: constants, type aliases and decision tables."""

from __future__ import annotations

import ast

from backstay.language.annotations import check_annotation
from backstay.language.closure import Closure, Item
from backstay.language.diagnostics import Diagnostic
from backstay.language.literals import impure_parts


def check_constant(item: Item, closure: Closure) -> list[Diagnostic]:
    """Check an assignment by what it defines."""
    found: list[Diagnostic] = []
    value = assigned(item.tree)

    def refuse(code: str, node: ast.AST, name: str = "", **changes: str) -> None:
        found.append(item.place.refuse(code, node, name or item.name, **changes))

    if value is None:
        refuse("B402", item.tree, item.name)
    elif item.kind == "type":
        check_annotation(value, closure, refuse)
    elif item.kind == "table":
        _check_table(value, closure, item, found)
    else:
        found.extend(item.place.refuse("B402", node, item.name) for node in impure_parts(value, closure))
    return found


def assigned(tree: ast.stmt) -> ast.expr | None:
    """The value of `NAME = value` or `NAME: type = value`."""
    match tree:
        case ast.Assign(targets=[ast.Name()], value=value):
            return value
        case ast.AnnAssign(target=ast.Name(), value=value):
            return value
        case _:
            return None


def _check_table(value: ast.expr, closure: Closure, item: Item, found: list[Diagnostic]) -> None:
    if (
        not isinstance(value, ast.Call)
        or not isinstance(value.func, ast.Name)
        or closure.kind(value.func.id) != "table"
    ):
        found.append(
            item.place.refuse("B504", value, item.name, reason="it is not made by a plain call of DecisionTable")
        )
        return
    parts = [*value.args, *(keyword.value for keyword in value.keywords)]
    enums = {
        node.id
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Name) and closure.kind(node.id) == "enum"
    }
    bad = [
        node
        for part in parts
        for node in impure_parts(part, closure)
        if not (isinstance(node, ast.Name) and node.id in enums)
    ]
    found.extend(item.place.refuse("B402", node, item.name) for node in bad)
