"""Finds the source of functions, classes and module-level assignments. One parse per file."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from backstay.language.trees import Definition


@dataclass(frozen=True)
class Source:
    """The text of one item and where it stands."""

    text: str
    file: str
    line: int
    """Line of the file on which the text begins, decorators included."""
    indent: int = 0


@lru_cache(maxsize=256)
def _parse(file: str, lines: tuple[str, ...]) -> ast.Module:
    return ast.parse("".join(lines), file)


def module_tree(file: str) -> tuple[ast.Module, tuple[str, ...]]:
    """The tree and lines of a file; raises OSError when there is no source."""
    linecache.checkcache(file)
    lines = tuple(linecache.getlines(file))
    if not lines:
        raise OSError(f"no source for {file}")
    return _parse(file, lines), lines


def cut(file: str, node: ast.stmt, lines: tuple[str, ...]) -> Source:
    """The source of one statement of a file, with its decorators, moved to the left margin."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    taken = [line.rstrip("\n") for line in lines[first - 1 : node.end_lineno]]
    indent = len(taken[0]) - len(taken[0].lstrip())
    return Source("\n".join(_dedent(taken, indent)) + "\n", file, first, indent)


def _dedent(lines: list[str], indent: int) -> list[str]:
    if not indent:
        return lines
    return textwrap.dedent("\n".join(lines)).split("\n")


def function_source(fn: Any) -> Source:
    """The source of a function; raises OSError when it has none."""
    code = inspect.unwrap(fn).__code__
    tree, lines = module_tree(code.co_filename)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if code.co_firstlineno in (first, node.lineno):
                return cut(code.co_filename, node, lines)
    raise OSError(f"no function {code.co_name!r} in {code.co_filename}")


def class_source(cls: type) -> Source:
    """The source of a class; raises OSError when it has none."""
    file = module_file(cls.__module__)
    tree, lines = module_tree(file)
    path = [part for part in cls.__qualname__.split(".") if part != "<locals>"]
    found = _find_class(tree, path)
    if found is None:
        raise OSError(f"no class {cls.__qualname__!r} in {file}")
    return cut(file, found, lines)


def _find_class(tree: ast.AST, path: list[str]) -> ast.stmt | None:
    """The last definition of that qualified name, as later ones replace earlier ones."""
    matches = [node for node in _inside(tree) if node.name == path[0]]
    for node in reversed(matches):
        found = node if len(path) == 1 else _find_class(node, path[1:])
        if found is not None and (len(path) > 1 or isinstance(node, ast.ClassDef)):
            return found
    return None


def _inside(tree: ast.AST) -> list[Definition]:
    """Definitions in a scope, those in `if` and `try` blocks included."""
    found: list[Definition] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Definition):
            found.append(child)
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            found.extend(_inside(child))
    return found


def module_file(module: str) -> str:
    """The file of an imported module."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        raise OSError(f"module {module!r} has no file")
    return file


def assignments(tree: ast.AST, name: str) -> list[ast.stmt]:
    """Every statement of a scope, outside functions and classes, that binds a name by assignment."""
    found: list[ast.stmt] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Definition):
            continue
        if isinstance(child, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.Delete) and name in _names(
            child
        ):
            found.append(child)
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            found.extend(assignments(child, name))
    return found


def _names(node: ast.stmt) -> set[str]:
    heads = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]  # pyright: ignore[reportAttributeAccessIssue] - the others have one target
    return {
        inner.id
        for head in heads
        for inner in ast.walk(head)
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load)
    }


def home_of(module: ModuleType | None, name: str) -> tuple[str, str] | None:
    """The file and name under which a constant was assigned, following `from x import y`; None if it was not."""
    for _ in range(10):
        file = getattr(module, "__file__", None)
        if module is None or not file:
            return None
        tree, _lines = module_tree(file)
        if assignments(tree, name):
            return file, name
        found = _imported(tree, name)
        if found is None:
            return None
        source, name = found
        package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
        module = sys.modules.get(_absolute(source, package))
    return None


def _imported(tree: ast.Module, name: str) -> tuple[ast.ImportFrom, str] | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node, alias.name
    return None


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])
