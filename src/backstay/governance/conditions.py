"""Conditions of policy rules: a small total language over a call's arguments. No calls, no loops; it always ends.

`amount <= 500 and currency in ["EUR", "USD"]`, `not invoice.urgent`, `payee == "ACME"`. A name is an argument, a dotted one
a field of it. Arguments are compared with constants only, and only numbers have an order; they compare as exact decimals.
What is missing, or no number where one is asked for, makes the condition unanswerable.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from itertools import count, pairwise
from typing import Any, Final, TypeAlias, cast

from backstay.errors import AuthorError
from backstay.types import Json

SYMBOLS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


class Unanswerable(Exception):
    """A fact that the condition asks about is missing, or not of the kind that it is compared with."""


class Asked(dict[str, Any]):
    """A call's arguments as conditions ask for them: "amount" as it is, "#amount" as a number, "?urgent" as a flag.

    Each is looked up once, however many conditions ask for it; what has no answer raises Unanswerable each time.
    """

    def __init__(self, args: Mapping[str, Json]) -> None:
        super().__init__()
        self._args = args

    def __missing__(self, wanted: str) -> Any:
        name = wanted.lstrip("#?")
        found = _fact(self._args, name)
        if wanted[0] == "#":
            try:
                found = _number(found)
            except Unanswerable:  # without the value, which may be private
                raise Unanswerable(f"{name} is no number that can be compared") from None
        elif wanted[0] == "?" and not isinstance(found, bool):
            raise Unanswerable(f"{name} is not true or false")
        self[wanted] = found
        return found


Condition: TypeAlias = Callable[[Asked], bool]
"""Whether it holds for these arguments; raises Unanswerable."""


def compile_condition(text: str, where: str) -> Condition:
    """Check a condition and make it a function; raises AuthorError naming the part that is outside the language."""
    constants = dict[str, Any]()
    return eval(f"lambda asked: {_written(text, where, constants)}", constants)


def compile_table(rows: Sequence[tuple[str, str | None]]) -> Callable[[Asked, str], int]:
    """A function that gives the place of the first row, a checked condition ("" always holds) with the moment of its end,
    that holds at a moment; the number of rows if none does. It is one function for all of them, which lie together in memory.
    """
    constants, lines = dict[str, Any](), ["def first(asked, moment):"]
    for place, (text, end) in enumerate(rows):
        checks = [] if end is None else [f"moment < {end!r}"]
        checks += [_written(text, "", constants)] if text else []
        lines.append(f"    if {' and '.join(checks) or True}: return {place}")
    exec("\n".join([*lines, f"    return {len(rows)}"]), constants)
    return constants["first"]


def _written(text: str, where: str, constants: dict[str, Any]) -> str:
    """A condition as Python of our own: lookups, names of constants, comparisons."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise AuthorError(f"{where}: {text!r} cannot be read: {error.msg}") from None
    return _truth(tree, where, constants)


def _truth(node: ast.expr, where: str, constants: dict[str, Any]) -> str:
    """A condition as Python; `&` and `|` ask all their parts, as what is missing must show."""
    match node:
        case ast.BoolOp(op=op, values=values):
            join = " & " if isinstance(op, ast.And) else " | "
            return f"({join.join(_truth(each, where, constants) for each in values)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"(not {_truth(operand, where, constants)})"
        case ast.Compare():
            return _comparison(node, where, constants)
        case ast.Name() | ast.Attribute():
            return f"asked[{'?' + _path(node, where)!r}]"
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is neither a comparison nor and, or, not")


def _comparison(node: ast.Compare, where: str, constants: dict[str, Any]) -> str:
    sides = [node.left, *node.comparators]
    for one, op, other in zip(sides, node.ops, sides[1:], strict=False):
        wrong = _wrong(one, op, other)
        if wrong:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} {wrong}")
    number = any(_is_number(side) for side in sides)
    values = [_value(side, where, constants, number=number) for side in sides]
    steps = zip(values, node.ops, values[1:], strict=False)
    return f"({' & '.join(f'({one} {SYMBOLS[type(op)]} {other})' for one, op, other in steps)})"


def _wrong(one: ast.expr, op: ast.cmpop, other: ast.expr) -> str:
    """Why two neighbours in a comparison cannot be compared, if so."""
    if type(op) not in SYMBOLS:
        return "compares in a way that conditions do not know"
    if isinstance(op, ast.In | ast.NotIn):
        is_listed = isinstance(other, ast.List | ast.Tuple) and not any(
            isinstance(each, ast.List | ast.Tuple) for each in other.elts
        )
        return (
            ""
            if is_listed and _is_argument(one)
            else 'must ask whether an argument is in a list of constants, such as ["EUR", "USD"]'
        )
    if _is_argument(one) == _is_argument(other):
        return "must compare an argument with a constant; compare two arguments in the workflow"
    constant = other if _is_argument(one) else one
    if isinstance(constant, ast.List | ast.Tuple):
        return "compares with a list: use 'in'"
    if isinstance(op, ast.Eq | ast.NotEq) or _is_number(constant):
        return ""
    return "puts in order what is no number: only numbers come before or after one another"


def _is_argument(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


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


def _value(node: ast.expr, where: str, constants: dict[str, Any], *, number: bool) -> str:
    match node:
        case ast.Name() | ast.Attribute():
            return f"asked[{'#' * number + _path(node, where)!r}]"
        case ast.Constant() | ast.UnaryOp() | ast.List() | ast.Tuple():
            name = f"c{len(constants)}"
            try:
                constants[name] = _constant(node, where, number=number)
            except Unanswerable as why:
                raise AuthorError(f"{where}: {why}") from None
            return name
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no argument, text, number, flag or list of these")


def _constant(node: ast.expr, where: str, *, number: bool) -> Any:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_constant(item, where, number=number) for item in items]
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float | bool):
            return _number(value) if number and isinstance(value, int | float) else value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if isinstance(value, int | float):
            return _number(value).copy_negate()  # minus would round
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no text, number or flag")


def _path(node: ast.expr, where: str) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{_path(inner, where)}.{name}"
        case _:
            raise AuthorError(f"{where}: {ast.unparse(node)!r} is no argument or field of one")


def _fact(args: Mapping[str, Json], path: str) -> Json:
    found: Json = args
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise Unanswerable(f"there is no {path}")
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


class Other(str):
    """Stands for whatever is equal to no constant of a condition and is no number."""

    __slots__ = ()


class Point(str):
    """A number, as text, that stands for a constant of a condition or for all numbers beside it."""

    __slots__ = ()


ABSENT: Final = object()
"""Stands for an argument that is left out, and for one that cannot be compared as a condition does."""

NUMBERS: Final = frozenset({"integer", "number", "string"})
"""JSON types of which a number is; text among them as JSON keeps exact decimals as text."""

TEXT: Final = frozenset({"string"})
FLAG: Final = frozenset({"boolean"})

Types: TypeAlias = Callable[[str], frozenset[str]]
"""JSON types that the argument of a dotted name may have; none when it may be left out or nothing is known of it."""


DIGITS: Final = 10_000
"""Enough to find the number between any two that source code can spell."""


@dataclass(slots=True)
class _Uses:
    """What conditions ask about one argument."""

    numbers: set[Decimal] = field(default_factory=set[Decimal])
    others: dict[tuple[type, Json], Json] = field(default_factory=dict[tuple[type, Json], Json])
    is_flag: bool = False
    """Whether it stands alone, as something that is true or false."""


def situations(texts: Sequence[str], types: Types = lambda _: frozenset()) -> dict[str, list[Json]]:
    """For each argument that conditions ask about, one value from every region that they can tell apart.

    Numbers: below, at, between and above the constants. Anything else: each constant and something else. Flags: both.
    Where an argument may be left out, or be nothing that can be compared, ABSENT as well.
    """
    uses: dict[str, _Uses] = {}
    for text in texts:
        _collect(ast.parse(text.strip(), mode="eval").body, uses)
    found = {path: _regions(asked, types(path)) for path, asked in uses.items()}
    for path, values in found.items():
        if ABSENT not in values and any(each.startswith(f"{path}.") for each in found):
            values.append(ABSENT)  # it is then what its fields make of it
    return found


def _collect(node: ast.expr, uses: dict[str, _Uses]) -> None:
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _collect(value, uses)
        case ast.UnaryOp(operand=operand):
            _collect(operand, uses)
        case ast.Compare():
            sides = [node.left, *node.comparators]
            number = any(_is_number(side) for side in sides)
            constants = [value for side in sides for value in _constants(side, number=number)]
            for side in sides:
                if _is_argument(side):
                    _note(uses.setdefault(ast.unparse(side), _Uses()), constants)
        case _:
            uses.setdefault(ast.unparse(node), _Uses()).is_flag = True


def _constants(node: ast.expr, *, number: bool) -> list[Any]:
    if _is_argument(node):
        return []
    found = _constant(node, "", number=number)
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def _note(asked: _Uses, constants: Sequence[Any]) -> None:
    for value in constants:
        if isinstance(value, Decimal):
            asked.numbers.add(value)
        else:
            asked.others[type(value), value] = value


def _regions(asked: _Uses, types: frozenset[str]) -> list[Json]:
    numbers, others = sorted(asked.numbers), list(asked.others.values())
    with localcontext(prec=DIGITS):
        between = [(one + other) / 2 for one, other in pairwise(numbers)]
        points = sorted([numbers[0] - 1, *numbers, *between, numbers[-1] + 1]) if numbers else []
    written: list[Json] = [Point(f"{point:f}") for point in points]
    written += [f"{point:E}" for point in points if f"{point:f}" in others]  # the same number, and not the same text
    if asked.is_flag or any(isinstance(value, bool) for value in others):
        others = [True, False, *(value for value in others if not isinstance(value, bool))]
    if asked.others and types != FLAG:
        others.append(next(text for text in _other_texts() if text not in others))
    others = [value for value in others if value not in written]
    sure = bool(types) and (not numbers or (types <= NUMBERS and types != TEXT))
    sure = sure and (not asked.is_flag or types == FLAG)
    return [*written, *others, *([] if sure else [ABSENT])]


def _other_texts() -> Iterator[str]:
    return (Other(OTHER + "!" * more) for more in count())


def arguments(chosen: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments that have these values at these dotted names; what has fields is no other value."""
    made: dict[str, Any] = {}
    for name, value in sorted(chosen.items(), key=lambda each: each[0].count(".")):
        if value is ABSENT:
            continue
        *parents, last = name.split(".")
        node: Any = made
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else node
        if isinstance(node, dict):
            node[last] = value
    return made
