"""Checks module-level assignments: constants, type aliases and decision tables."""

from __future__ import annotations

import ast
from typing import Any

from backstay.actions import Action
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
        help_ = _named_actions(item.name, closure)
        found.extend(item.place.refuse("B402", node, item.name, **help_) for node in impure_parts(value, closure))
    return found


def _named_actions(name: str, closure: Closure) -> dict[str, str]:
    """What helps where the value is an object with actions, such as an AI step, and one of those is used."""
    value = closure.values.get(name)
    if not getattr(value, "actions", None):
        return {}
    nodes = (node for item in closure.items.values() for node in ast.walk(item.tree))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name}
    brought: dict[str, Any] = getattr(value, "__dict__", {})
    found = [f"`{one.name} = {name}.{each}`" for each in sorted(used) if isinstance(one := brought.get(each), Action)]
    return {"help": f"give the action a name at module level and await that name: {', '.join(found)}"} if found else {}


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
