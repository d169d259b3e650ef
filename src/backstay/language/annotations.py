"""Types as the language sees them: which annotations are allowed, and how a type object is written as source."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from backstay.language.closure import CLASS_KINDS, Closure
from backstay.language.fields import bad_alias
from backstay.language.literals import impure_parts
from backstay.language.subset import DEFAULT_FACTORIES
from backstay.types import Outside, Tag

TYPE_KINDS: Final = CLASS_KINDS | {"type", "shape", "annotation", "later", "table"}

_METADATA: Final = frozenset({"Field", "StringConstraints", "Tag", "Outside"})

Refuse = Callable[..., None]
"""Takes code, node, name."""


def check_annotation(node: ast.expr, closure: Closure, refuse: Refuse) -> None:
    """Refuse every part of an annotation that a definition cannot hold."""
    match node:
        case ast.Name(id=name):
            _check_name(node, name, closure, refuse)
        case ast.Constant(value=str(text)):
            _check_text(node, text, closure, refuse)
        case ast.Constant(value=None) | ast.Constant(value=types.EllipsisType()):
            pass
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            check_annotation(left, closure, refuse)
            check_annotation(right, closure, refuse)
        case ast.Subscript(value=ast.Name(id=head) as name, slice=inner):
            _check_subscript(name, head, inner, closure, refuse)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                check_annotation(element, closure, refuse)
        case _:
            refuse("B408", node, ast.unparse(node))


def _check_name(node: ast.expr, name: str, closure: Closure, refuse: Refuse) -> None:
    kind = closure.kind(name)
    if kind in TYPE_KINDS:
        return
    code = "B201" if not kind and name not in ("set", "frozenset", "bytes", "complex") else "B408"
    refuse(closure.refused[name] if closure.refused.get(name) in ("B410", "B411") else code, node, name)


def _check_text(node: ast.expr, text: str, closure: Closure, refuse: Refuse) -> None:
    try:
        inner = ast.parse(text, mode="eval").body
    except SyntaxError:
        refuse("B408", node, text)
        return
    check_annotation(inner, closure, lambda code, _inner, name="": refuse(code, node, name))


def _check_subscript(name: ast.Name, head: str, inner: ast.expr, closure: Closure, refuse: Refuse) -> None:
    _check_name(name, head, closure, refuse)
    outside = closure.outside(head)
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outside == "Literal":
        _check_values(parts, closure, refuse)
        return
    if outside == "Sensitive":
        _check_values(parts[:1], closure, refuse)
        parts = parts[1:]
    if outside == "Annotated":
        for metadata in parts[1:]:
            _check_metadata(metadata, closure, refuse)
        parts = parts[:1]
    for part in parts:
        check_annotation(part, closure, refuse)


def _check_values(nodes: list[ast.expr], closure: Closure, refuse: Refuse) -> None:
    for node in nodes:
        for bad in impure_parts(node, closure):
            refuse("B408", bad, ast.unparse(bad))


def _check_metadata(node: ast.expr, closure: Closure, refuse: Refuse) -> None:
    called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    if not isinstance(node, ast.Call) or (closure.outside(called) not in _METADATA and closure.kind(called) != "later"):
        refuse("B408", node, ast.unparse(node))
    else:
        for alias in filter(bad_alias, node.keywords):
            refuse("B415", alias.value, ast.unparse(alias.value))
        named = [item for item in node.keywords if item.arg != "default_factory"]
        _check_values([*node.args, *(item.value for item in named)], closure, refuse)
        for factory in (item.value for item in node.keywords if item.arg == "default_factory"):
            if not isinstance(factory, ast.Name) or closure.outside(factory.id) not in DEFAULT_FACTORIES:
                refuse("B407", factory, ast.unparse(factory))


def annotation_text(hint: Any) -> tuple[str, dict[str, Any]]:
    """A type object as source text, and the names that the text uses."""
    names: dict[str, Any] = {}
    return _text(hint, names), names


def _text(hint: Any, names: dict[str, Any]) -> str:
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, str):
        raise TypeError(f"the annotation {hint!r} cannot be resolved")
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(_text(arg, names) for arg in args)
    if origin is Literal:
        names["Literal"] = Literal
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is Annotated:
        return _tagged(args, names)
    name = getattr(origin or hint, "__name__", "Any")
    names[name] = origin or hint
    return f"{name}[{', '.join('...' if arg is ... else _text(arg, names) for arg in args)}]" if args else name


def _tagged(args: tuple[Any, ...], names: dict[str, Any]) -> str:
    marks = [item for item in args[1:] if isinstance(item, Tag | Outside)]
    inner = _text(args[0], names)
    for mark in marks:
        names["Annotated"], names[type(mark).__name__] = Annotated, type(mark)
        inner = f"Annotated[{inner}, {mark!r}]"
    return inner
