"""Checks a closure: every item against the subset, every name against what the closure holds. Pure; collects all."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from backstay.language.annotations import check_annotation
from backstay.language.calls import Calls
from backstay.language.classes import check_class
from backstay.language.closure import CLASS_KINDS, Closure, Interface, Item
from backstay.language.constants import check_constant
from backstay.language.diagnostics import Diagnostic, Place
from backstay.language.functions import check_function
from backstay.language.names import free_names


def check(closure: Closure, complete: bool = False) -> list[Diagnostic]:
    """Everything in a closure that is outside the language; `complete`: no name may be undefined any more."""
    if complete:
        closure.unresolved.clear()
    found: list[Diagnostic] = []
    for item in closure.items.values():
        found.extend(_CHECKS[item.kind](item, closure))
    found.extend(_cycles(closure))
    found.extend(_names(closure))
    for name, interface in closure.interfaces.items():
        found.extend(_result(name, interface, closure))
    return list(dict.fromkeys(sorted(found, key=lambda one: (one.file, one.line, one.col))))


def _function(item: Item, closure: Closure) -> list[Diagnostic]:
    return check_function(item, closure, Calls)


_CHECKS: Final[Mapping[str, Callable[[Item, Closure], list[Diagnostic]]]] = {
    "workflow": _function,
    "rule": _function,
    "model": check_class,
    "enum": check_class,
    "dataclass": check_class,
    "constant": check_constant,
    "type": check_constant,
    "table": check_constant,
}


def _names(closure: Closure) -> Iterator[Diagnostic]:
    """One name, one meaning; none that instrumentation uses. A text from outside may claim anything."""
    for name, item in closure.items.items():
        if getattr(item.tree, "name", name) != name or name in closure.library or name in closure.aliases:
            yield item.place.refuse("B410", item.tree, name)
        if name in closure.interfaces and name != closure.root:
            yield item.place.refuse("B410", item.tree, name)
    root = closure.items[closure.root]
    for name in (*closure.items, *closure.library, *closure.aliases, *closure.interfaces):
        if name.startswith("__") or not name.isidentifier():
            yield root.place.refuse("B131", root.tree, name)


def _result(name: str, interface: Interface, closure: Closure) -> list[Diagnostic]:
    """The result annotation of an action, agent or workflow is evaluated by the worker, so it is checked too."""
    found: list[Diagnostic] = []
    place, caller = _caller(name, closure)

    def refuse(code: str, _node: ast.AST, part: str = "") -> None:
        found.append(place.refuse(code, caller, f"{part}` in the result of `{name}"))

    try:
        tree = ast.parse(interface.returns or "None", mode="eval").body
    except SyntaxError:
        refuse("B408", caller, interface.returns)
    else:
        check_annotation(tree, closure, refuse)
    return found


def _caller(name: str, closure: Closure) -> tuple[Place, ast.AST]:
    """Where a definition first mentions a callee."""
    for item in closure.items.values():
        for node in ast.walk(item.tree):
            if isinstance(node, ast.Name) and node.id == name:
                return item.place, node
    root = closure.items[closure.root]
    return root.place, root.tree


def _cycles(closure: Closure) -> list[Diagnostic]:
    """Rules that end up calling themselves."""
    calls = {
        name: _needs(item, closure)
        for name, item in closure.items.items()
        if item.kind == "rule" or item.kind in CLASS_KINDS
    }
    found: list[Diagnostic] = []
    for name, item in closure.items.items():
        if item.kind == "rule" and _reaches(name, name, calls, set()):
            found.append(item.place.refuse("B214", item.tree, name))
    return found


def _needs(item: Item, closure: Closure) -> list[str]:
    names = (closure.aliases.get(name, name) for name in free_names(item.tree))
    return [name for name in names if closure.kind(name) == "rule" and (name != item.name or _mentions(item))]


def _mentions(item: Item) -> bool:
    body = getattr(item.tree, "body", [])
    return any(
        isinstance(node, ast.Name) and node.id == item.name for statement in body for node in ast.walk(statement)
    )


def _reaches(start: str, goal: str, calls: Mapping[str, list[str]], seen: set[str]) -> bool:
    for name in calls.get(start, ()):
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            if _reaches(name, goal, calls, seen):
                return True
    return False
