"""Conditions of policy rules: a small total language over a call's arguments. No calls, no loops; it always ends.

`amount <= 500 and currency in ["EUR", "USD"]`, `not invoice.urgent`, `payee == "ACME"`. A name is an argument, a dotted one
a field of it. Numbers compare as exact decimals. What is missing, or of another type, makes the condition unanswerable.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final, TypeAlias, cast

from backstay.errors import AuthorError
from backstay.types import Json

Condition: TypeAlias = Callable[[Mapping[str, Json]], bool]
"""Whether it holds for these arguments; raises Unanswerable."""

_Value: TypeAlias = Callable[[Mapping[str, Json]], Any]

COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
}  # fmt: skip


class Unanswerable(Exception):
    """A fact that the condition asks about is missing, or not of the kind that it is compared with."""


def compile_condition(text: str, where: str) -> Condition:
    """Check and compile a condition; raises AuthorError naming the part that is outside the language."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise AuthorError(f"{where}: {text!r} cannot be read: {error.msg}") from None
    return _truth(tree, where)


def _truth(node: ast.expr, where: str) -> Condition:
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = [_truth(each, where) for each in values]
            join = all if isinstance(op, ast.And) else any
            return lambda args: join(tuple(part(args) for part in parts))  # all are asked: what is missing must show
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _truth(operand, where)
            return lambda args: not inner(args)
        case ast.Compare():
            return _comparison(node, where)
        case ast.Name() | ast.Attribute():
            return _flag(_path(node, where))
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is neither a comparison nor and, or, not")


def _flag(path: tuple[str, ...]) -> Condition:
    def holds(args: Mapping[str, Json]) -> bool:
        found = _fact(args, path)
        if not isinstance(found, bool):
            raise Unanswerable(f"{'.'.join(path)} is not true or false")
        return found

    return holds


def _comparison(node: ast.Compare, where: str) -> Condition:
    sides = [node.left, *node.comparators]
    number = any(_is_number(side) for side in sides)
    values = [_value(side, where, number=number) for side in sides]
    compare = [COMPARISONS.get(type(op)) for op in node.ops]
    if None in compare:
        raise AuthorError(f"{where}: {ast.unparse(node)!r} compares in a way that conditions do not know")
    steps = list(zip(cast("list[Callable[[Any, Any], bool]]", compare), values, values[1:], strict=False))

    def holds(args: Mapping[str, Json]) -> bool:
        try:
            return all(tuple(check(one(args), other(args)) for check, one, other in steps))
        except TypeError as error:
            raise Unanswerable(str(error)) from None

    return holds


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_number(operand)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return bool(items) and all(_is_number(item) for item in items)
        case _:
            return False


def _value(node: ast.expr, where: str, *, number: bool) -> _Value:
    match node:
        case ast.Name() | ast.Attribute():
            path = _path(node, where)
            return (lambda args: _number(_fact(args, path))) if number else (lambda args: _fact(args, path))
        case ast.Constant() | ast.UnaryOp() | ast.List() | ast.Tuple():
            constant = _constant(node, where, number=number)
            return lambda args: constant
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no argument, text, number, flag or list of these")


def _constant(node: ast.expr, where: str, *, number: bool) -> Any:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_constant(item, where, number=number) for item in items]
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float | bool):
            return _number(value) if number and isinstance(value, int | float) else value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if isinstance(value, int | float):
            return -_number(value)
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no text, number or flag")


def _path(node: ast.expr, where: str) -> tuple[str, ...]:
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=inner, attr=name):
            return (*_path(inner, where), name)
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no argument or field of one")


def names(text: str) -> list[str]:
    """The arguments that a condition asks about."""
    tree = ast.parse(text.strip(), mode="eval")
    return sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})


def _fact(args: Mapping[str, Json], path: tuple[str, ...]) -> Json:
    found: Json = args
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            raise Unanswerable(f"there is no {'.'.join(path)}")
        found = cast("Mapping[str, Json]", found)[name]
    return found


def _number(value: Json) -> Decimal:
    """JSON keeps exact decimals as text, so text that is a number counts as one."""
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Unanswerable(f"{value!r} is no number")
        found = Decimal(str(value))
    except InvalidOperation:
        raise Unanswerable(f"{value!r} is no number") from None
    if not found.is_finite():
        raise Unanswerable(f"{value!r} is no number that can be compared")
    return found


OTHER: Final = "something else"
"""Stands for every text that a condition does not name."""


def situations(texts: Sequence[str]) -> dict[str, list[Json]]:
    """For each argument that conditions ask about, one value from every region that they can tell apart.

    Numbers: below, at, between and above the constants. Texts: each constant and another one. Flags: both.
    """
    constants: dict[str, list[Any]] = {}
    for text in texts:
        for node in ast.walk(ast.parse(text.strip(), mode="eval")):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                found = [value for side in sides for value in _constants(side)]
                for path in (_path(side, text) for side in sides if isinstance(side, ast.Name | ast.Attribute)):
                    constants.setdefault(".".join(path), []).extend(found)
        for path in _flags(ast.parse(text.strip(), mode="eval").body):
            constants.setdefault(".".join(path), []).extend((True, False))
    return {path: _regions(found) for path, found in constants.items()}


def _flags(node: ast.expr) -> list[tuple[str, ...]]:
    match node:
        case ast.BoolOp(values=values):
            return [path for value in values for path in _flags(value)]
        case ast.UnaryOp(operand=operand):
            return _flags(operand)
        case ast.Name() | ast.Attribute():
            return [_path(node, "")]
        case _:
            return []


def _constants(node: ast.expr) -> list[Any]:
    if isinstance(node, ast.Name | ast.Attribute):
        return []
    found = _constant(node, "", number=_is_number(node))
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def _regions(constants: Sequence[Any]) -> list[Json]:
    numbers = sorted({value for value in constants if isinstance(value, Decimal)})
    others = list(dict.fromkeys(value for value in constants if not isinstance(value, Decimal)))
    if not numbers and not others:  # two arguments are compared with each other
        return ["1", "2", "3"]
    between = [(one + other) / 2 for one, other in pairwise(numbers)]
    points = [numbers[0] - 1, *numbers, *between, numbers[-1] + 1] if numbers else []
    texts = [OTHER] if any(isinstance(value, str) for value in others) else []
    return [*(f"{point:f}" for point in sorted(points)), *others, *texts]


def arguments(chosen: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments that have these values at these dotted names."""
    made: dict[str, Any] = {}
    for name, value in chosen.items():
        *parents, last = name.split(".")
        node = made
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return made
