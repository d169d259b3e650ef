"""Reads source into trees, and digests a tree by what it means: comments, layout and docstrings do not count."""

from __future__ import annotations
import __future__

import ast
import hashlib
import json
from functools import lru_cache
from typing import Any

FLAGS = __future__.annotations.compiler_flag
"""Stored source is compiled with deferred annotations, so that classes may refer to later ones."""

_UNHASHED = frozenset({"type_comment", "type_ignores", "kind", "ctx", "type_params"})

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parse_item(source: str) -> ast.stmt:
    """The one statement that an item's source consists of."""
    body = ast.parse(source).body
    if len(body) != 1:
        raise SyntaxError(f"an item is one statement; here are {len(body)}")
    return body[0]


def tree_digest(node: ast.AST) -> str:
    """SHA-256 of a tree, the same for every layout and every Python version."""
    return hashlib.sha256(json.dumps(_plain(node), separators=(",", ":")).encode()).hexdigest()


def _plain(node: Any) -> Any:
    if isinstance(node, ast.AST):
        values = [_plain(value) for name, value in _hashed_fields(node) if name not in _UNHASHED]
        return [type(node).__name__, *values]
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if isinstance(node, str | bool | int) or node is None:
        return {type(node).__name__: str(node)}
    return {type(node).__name__: repr(node)}


def _hashed_fields(node: ast.AST) -> list[tuple[str, Any]]:
    fields = list(ast.iter_fields(node))
    if isinstance(node, Definition):
        return [(name, without_docstring(value) if name == "body" else value) for name, value in fields]
    return fields


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that do something."""
    return [statement for statement in body if not is_docstring(statement)]


def is_docstring(statement: ast.stmt) -> bool:
    """A string that stands alone, at the head of a function or under a field."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def docstring(node: ast.AST) -> str:
    """The docstring of a function or class, cleaned."""
    return ast.get_docstring(node) or "" if isinstance(node, Definition) else ""


def one_line(source: str, node: ast.AST, limit: int = 120) -> str:
    """The source text of a node with its white space collapsed."""
    text = " ".join((_segment(source, node) or ast.unparse(node)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


@lru_cache(maxsize=256)
def _encoded_lines(source: str) -> list[bytes]:
    return [line.encode() for line in source.split("\n")]


def _segment(source: str, node: ast.AST) -> str:
    """What ast.get_source_segment gives, without splitting the whole source each time."""
    end: int | None = getattr(node, "end_lineno", None)
    if end is None:
        return ""
    first, column, end_column = node.lineno, node.col_offset, node.end_col_offset  # pyright: ignore[reportAttributeAccessIssue]
    lines = _encoded_lines(source)[first - 1 : end]
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    return b"\n".join(lines).decode()


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names, or ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""
