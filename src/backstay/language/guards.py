"""The helpers that checked programs call instead of the bare operators and built-ins.

Each does what Python does, the same on every version and machine, and raises ProgramLimit before a value explodes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel

from backstay.canonical import json_text
from backstay.commands import Command
from backstay.errors import ProgramLimit
from backstay.language.fields import OUTSIDE_FIELDS, outside_fields
from backstay.language.subset import METHODS
from backstay.language.text import MAX_BITS, MAX_TEXT, RAISED_HERE, bounded, text, written
from backstay.language.tracker import current_tracker
from backstay.language.weights import built, measure, weigh

MAX_RANGE: Final = 1_000_000
_DIGITS: Final = 640
_SIZED: Final = (str, list, tuple)


# --- operators ---------------------------------------------------------------------------------------


def checked(value: Any) -> Any:
    """Pass a result on unless it is bigger than one step may build."""
    kind = type(value)
    if kind is int:
        return bounded(value)
    if kind in _SIZED:
        if len(value) > MAX_TEXT:
            raise ProgramLimit(f"a {kind.__name__} of {len(value)} entries; the limit is {MAX_TEXT}")
        built(value)
    return value


def add(left: Any, right: Any) -> Any:
    return checked(left + right)


def iadd(left: Any, right: Any) -> Any:
    if type(left) is not list:
        return checked(operator.iadd(left, right))
    extended(left, right)
    return left


def multiply(left: Any, right: Any) -> Any:
    _repeatable(left, right)
    return checked(left * right)


def imultiply(left: Any, right: Any) -> Any:
    _repeatable(left, right)
    return checked(operator.imul(left, right))


def _repeatable(left: Any, right: Any) -> None:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, _SIZED) and isinstance(times, int) and len(sequence) * times > MAX_TEXT:
            raise ProgramLimit(f"repeating {len(sequence)} entries {times} times; the limit is {MAX_TEXT}")


def modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        raise TypeError("% does not format text here; use an f-string")
    return left % right


def power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent < 0:
            return power(float(base), exponent)
        if base.bit_length() * exponent > 2 * MAX_BITS:
            raise ProgramLimit(f"a power of {base.bit_length() * exponent} bits; the limit is {MAX_BITS}")
        return bounded(base**exponent)
    if isinstance(base, float) and isinstance(exponent, int):
        return _float_power(base, exponent)
    if isinstance(base, float) or isinstance(exponent, float):
        raise TypeError("a power with a fraction differs between machines; use Decimal")
    return base**exponent


def _float_power(base: float, exponent: int) -> float:
    """Square and multiply: the C library's pow may differ in the last digit between machines."""
    result, factor, left = 1.0, base, abs(exponent)
    if left > MAX_BITS:
        raise ProgramLimit(f"an exponent of {exponent}; the limit is {MAX_BITS}")
    while left:
        if left & 1:
            result *= factor
        factor *= factor
        left >>= 1
    return 1.0 / result if exponent < 0 else result


def shift(left: Any, right: Any) -> Any:
    if isinstance(right, int) and right > MAX_BITS:
        raise ProgramLimit(f"a shift by {right} bits; the limit is {MAX_BITS}")
    return checked(left << right)


OPERATORS: Final[Mapping[str, str]] = {
    "Add": "add",
    "Mult": "multiply",
    "Mod": "modulo",
    "Pow": "power",
    "LShift": "shift",
}
IN_PLACE: Final[Mapping[str, str]] = {**OPERATORS, "Add": "iadd", "Mult": "imultiply"}


# --- built-ins ---------------------------------------------------------------------------------------


def each(items: Any) -> Any:
    """What a comprehension or built-in walks over: counted before it starts, lists as they were then."""
    if isinstance(items, set | frozenset):
        raise TypeError("a set has no order here; use a list")
    if isinstance(items, list) or not hasattr(items, "__len__"):
        items = tuple(items)
    current_tracker.get().spend(len(items))
    return items


def walk(items: Any) -> Any:
    """What a `for` statement walks over; its rounds are counted one by one."""
    if isinstance(items, set | frozenset):
        raise TypeError("a set has no order here; use a list")
    return items


def total(items: Iterable[Any], /, start: Any = 0) -> Any:
    """`sum` by plain addition from the left: Python 3.12 sums floats another way than 3.11."""
    if isinstance(start, str):
        raise TypeError('use "".join(items) for text')
    for item in each(items):
        start = checked(start + item)
    return start


def whole(value: Any = 0, /) -> int:
    if isinstance(value, str) and len(value) > _DIGITS:
        raise ProgramLimit(f"a number of {len(value)} digits; the limit is {_DIGITS}")
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() >= _DIGITS - 1:
        raise ProgramLimit(f"a number of {value.adjusted()} digits; the limit is {_DIGITS}")
    return int(value)


def fraction(value: Any = 0.0, /) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def rounded(number: Any, ndigits: int | None = None) -> Any:
    if ndigits is None and isinstance(number, Decimal):
        whole(number)
    return round(number, ndigits) if ndigits is None or abs(ndigits) <= 400 else number


def numbers(*bounds: int) -> range:
    result = range(*bounds)
    if len(result) > MAX_RANGE:
        raise ProgramLimit(f"a range of {len(result)} numbers; the limit is {MAX_RANGE}")
    return result


def numbered(items: Any, /, start: int = 0) -> list[tuple[int, Any]]:
    return list(enumerate(each(items), start))


def zipped(*lists: Any, strict: bool = False) -> list[tuple[Any, ...]]:
    walked = [each(items) for items in lists]
    if len(walked) * min(map(len, walked), default=0) > MAX_TEXT:
        raise ProgramLimit(f"zip of {len(walked)} lists; the limit is {MAX_TEXT} entries in all")
    return list(zip(*walked, strict=strict))


def backwards(items: Any, /) -> list[Any]:
    return list(reversed(tuple(each(items))))


def first(items: Iterable[Any], default: Any, /) -> Any:
    return next(iter(items), default)


def consumer(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Guard for a built-in that takes all of its first argument: no sets, and large values cost what they are."""

    def consume(*args: Any, **named: Any) -> Any:
        if len(args) == 1:
            items = walk(args[0])
            return checked(fn(weigh(items) if isinstance(items, list | tuple) else items, **named))
        return checked(fn(*args, **named))

    return consume


# --- text --------------------------------------------------------------------------------------------


def formatted(value: Any, spec: str) -> str:
    """`f"{value:spec}"` for numbers, text and dates; the checker has bounded the spec."""
    if isinstance(value, date | time):
        return moment_text(value, spec)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) > _DIGITS:
        raise ProgramLimit(f"a number of {abs(value.adjusted())} digits; the limit is {_DIGITS}")
    if isinstance(value, bool | int | float | Decimal) and not isinstance(value, str):
        return format(bounded(value), spec)
    return checked(format(text(value), spec))


_DIRECTIVES: Final[Mapping[str, Callable[[Any], str]]] = {
    "Y": lambda moment: f"{moment.year:04d}",
    "y": lambda moment: f"{moment.year % 100:02d}",
    "m": lambda moment: f"{moment.month:02d}",
    "d": lambda moment: f"{moment.day:02d}",
    "j": lambda moment: f"{moment.timetuple().tm_yday:03d}",
    "H": lambda moment: f"{getattr(moment, 'hour', 0):02d}",
    "M": lambda moment: f"{getattr(moment, 'minute', 0):02d}",
    "S": lambda moment: f"{getattr(moment, 'second', 0):02d}",
    "f": lambda moment: f"{getattr(moment, 'microsecond', 0):06d}",
    "%": lambda moment: "%",
}


def moment_text(moment: Any, spec: str) -> str:
    """strftime without the C library, whose answers depend on platform and locale."""
    parts = spec.split("%")
    out, position = [parts[0]], 1
    while position < len(parts):
        part = parts[position]
        directive = part[:1] or "%"
        if directive not in _DIRECTIVES:
            raise ValueError(f"%{directive} depends on the locale; use %Y %m %d %H %M %S %f %j")
        out.append(_DIRECTIVES[directive](moment))
        if part:
            out.append(part[1:])
        elif position + 1 < len(parts):
            position += 1
            out.append(parts[position])
        position += 1
    return "".join(out) if spec else text(moment)


def joined(separator: Any, items: Any) -> str:
    parts = list(items)
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_TEXT:
        raise ProgramLimit(f"text longer than {MAX_TEXT} characters")
    return checked(separator.join(parts))


def replaced(value: Any, *args: Any, **named: Any) -> Any:
    if not isinstance(value, str):
        return value.replace(*args, **named)
    old, new, *rest = args
    if len(new) > len(old) and value.count(old) * (len(new) - len(old)) + len(value) > MAX_TEXT:
        raise ProgramLimit(f"text longer than {MAX_TEXT} characters")
    return checked(value.replace(old, new, *rest))


def padded(name: str) -> Callable[..., str]:
    """Guard for ljust, rjust, center and zfill."""

    def pad(value: Any, width: int, *fill: str) -> str:
        if width > MAX_TEXT:
            raise ProgramLimit(f"text {width} wide; the limit is {MAX_TEXT}")
        return checked(getattr(value, name)(width, *fill))

    return pad


def in_zone(moment: Any, *zone: Any) -> Any:
    if moment.tzinfo is None or len(zone) != 1 or zone[0] is None:
        raise ValueError("astimezone() needs a moment with a time zone, and the zone to go to: moment.astimezone(UTC)")
    return moment.astimezone(zone[0])


def week_of(day: Any) -> tuple[int, int, int]:
    return tuple(day.isocalendar())  # pyright: ignore[reportReturnType] - the named tuple has three entries


def extended(items: Any, more: Any) -> None:
    more = list(walk(more))
    if len(items) + len(more) > MAX_TEXT:
        raise ProgramLimit(f"a list of {len(items) + len(more)} entries; the limit is {MAX_TEXT}")
    built(more)
    items.extend(more)


GUARDED: Final[Mapping[str, Callable[..., Any]]] = {
    "astimezone": in_zone,
    "center": padded("center"),
    "extend": extended,
    "isocalendar": week_of,
    "join": joined,
    "ljust": padded("ljust"),
    "replace": replaced,
    "rjust": padded("rjust"),
    "strftime": moment_text,
    "zfill": padded("zfill"),
}
"""Method -> what runs instead when the value is not an instance of a stored class."""

STORED_FILE: Final = "<backstay "
"""How the file names of compiled definitions begin."""
READABLE: Final = "__backstay_fields__"
"""Attribute of stored classes: the names that programs may read from their instances."""


def is_stored(value: Any) -> bool:
    """Whether a value is an instance of a class whose fields are data: a model, or a dataclass that is no command."""
    return isinstance(value, BaseModel) or (
        hasattr(type(value), "__dataclass_fields__") and not isinstance(value, Command)
    )


def field_names(kind: Any) -> Any:
    return kind.model_fields if issubclass(kind, BaseModel) else getattr(kind, "__dataclass_fields__", ())


def read(value: Any, name: str) -> Any:
    """`value.name`: a declared field or property of a stored class, or what the table has of a class from outside."""
    kind: Any = type(value)
    names = OUTSIDE_FIELDS.get(kind) or getattr(kind, READABLE, None) or outside_fields(kind)
    if name in names:
        return getattr(value, name)
    raise AttributeError(f"{kind.__name__} has no field {name!r}")


def write(value: Any, name: str, new: Any) -> None:
    """`value.name = new`: only fields of models and dataclasses can be assigned."""
    if not is_stored(value) or name not in field_names(type(value)):
        raise TypeError(f"cannot assign the field {name!r} of {type(value).__name__}")
    setattr(value, name, new)


def method(value: Any, name: str, *args: Any, **named: Any) -> Any:
    """`value.name(...)` where the name needs a guard, or is a method of both stored classes and built-in values."""
    if is_pure(getattr(type(value), name, None)):
        return getattr(value, name)(*args, **named)
    if name not in METHODS or not isinstance(value, _FOREIGN_VALUES):
        raise AttributeError(f"{type(value).__name__} has no method {name!r}")
    guard = GUARDED.get(name)
    return getattr(value, name)(*args, **named) if guard is None else guard(value, *args, **named)


_FOREIGN_VALUES: Final = (str, int, float, list, dict, tuple, range, Decimal, date, time, timedelta, BaseModel)


def is_pure(candidate: Any) -> bool:
    """Whether a class attribute is a method that was compiled from a stored definition."""
    code = getattr(candidate, "__code__", getattr(getattr(candidate, "__func__", None), "__code__", None))
    return code is not None and code.co_filename.startswith(STORED_FILE)


# --- errors and commands -----------------------------------------------------------------------------


def raised(error: Any) -> Any:
    """Mark an error as the author's own, so that its message is part of the program."""
    error = error() if isinstance(error, type) else error
    setattr(error, RAISED_HERE, True)
    return error


def at(site: str, command: Any) -> Command[Any]:
    """Give an awaited command its step."""
    if not isinstance(command, Command):
        raise TypeError(f"step {site!r} awaits a value of type {type(command).__name__}, which is not a command")
    measure(command)
    command.site = site
    return command


def answered(value: Any) -> Any:
    """Pass on the result of a workflow, which must be small enough to be written."""
    measure(value)
    return value


def json_written(value: Any) -> str:
    """Canonical JSON of a value."""
    return checked(json_text(weigh(value)))


RUNTIME: Final[Mapping[str, Callable[..., Any]]] = {
    "str": text,
    "repr": written,
    "int": whole,
    "float": fraction,
    "sum": total,
    "round": rounded,
    "range": numbers,
    "enumerate": numbered,
    "zip": zipped,
    "reversed": backwards,
    "next": first,
    "json_text": json_written,
    **{fn.__name__: consumer(fn) for fn in (list, tuple, sorted, min, max, any, all)},
}
"""Built-in -> what a call of it runs."""
