"""Writes any value that a program can hold as text: bounded, without memory addresses, the same in every process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, get_args, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from backstay.commands import Command
from backstay.errors import BackstayError, ProgramLimit
from backstay.types import Json, Tag

MAX_TEXT: Final = 1_000_000
"""Longest text one step may build, in characters; the same number of entries bounds lists."""
MAX_BITS: Final = 2_126
"""Widest whole number one step may build: 640 digits, which Python writes and reads whatever its settings."""
MAX_SHOWN: Final = 200
"""Longest text of a value in the log."""
MAX_DEPTH: Final = 20
RAISED_HERE: Final = "__backstay_raised__"
"""Attribute of exceptions that the program itself raised: their message is the author's, not Python's."""

_PLAIN: Final = frozenset({bool, int, float, type(None)})


def text(value: Any) -> str:
    """What `str(value)` and `f"{value}"` give in a program."""
    kind = type(value)
    if kind is str:
        return value
    if kind is Decimal or kind in _PLAIN:
        return str(bounded(value))
    if isinstance(value, Enum | date | time | timedelta | str):
        return str(value)
    if isinstance(value, BaseException):
        return error_text(value)
    if isinstance(value, BaseModel):
        return " ".join(f"{name}={written(item)}" for name, item in fields(value, safe=False))
    return written(value)


def written(value: Any) -> str:
    """What `repr(value)` gives in a program."""
    out: list[str] = []
    _write(value, out, [MAX_TEXT], 0, False)
    return "".join(out)


def error_text(error: BaseException) -> str:
    """The message of an error the program or Backstay raised; of any other its class, as Python's wording changes."""
    if isinstance(error, BackstayError) or getattr(error, RAISED_HERE, False):
        return _message(error)
    return type(error).__name__


def _message(error: BaseException) -> str:
    """The arguments of an error as text; never fails, as the engine asks for it when a run has ended."""
    for _ in range(MAX_DEPTH):
        if len(error.args) != 1:
            break
        (only,) = error.args
        if type(only) is str:
            return only
        if not isinstance(only, BaseException):
            return _cut_off(text, only)
        if not (isinstance(only, BackstayError) or getattr(only, RAISED_HERE, False)):
            return type(only).__name__
        error = only
    return _cut_off(written, error.args) if error.args else ""


def _cut_off(writer: Callable[[Any], str], value: Any) -> str:
    try:
        return writer(value)
    except ProgramLimit:
        return f"<{type(value).__name__}>"


def bounded(value: Any) -> Any:
    """Pass a number on, unless writing it out would take more digits than a step may build."""
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise ProgramLimit(f"a whole number of {value.bit_length()} bits; the limit is {MAX_BITS}")
    return value


def shown(value: Any) -> Json:
    """A value for the log: itself if it is short and plain, else bounded text without sealed fields."""
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is str:
        return value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…"
    if kind is int:
        return (
            value
            if -(2**53) < value < 2**53
            else _cut(str(value))
            if value.bit_length() <= MAX_BITS
            else "a huge number"
        )
    if kind is Decimal or kind is float:
        return str(value)
    if isinstance(value, Enum):
        return shown(value.value) if type(value.value) in (str, int) else value.name
    out: list[str] = []
    try:
        _write(value, out, [MAX_SHOWN * 2], 0, True)
    except ProgramLimit:
        return _cut("".join(out) + "…")
    return _cut("".join(out))


def _cut(value: str) -> str:
    return value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 1] + "…"


def _write(value: Any, out: list[str], left: list[int], depth: int, safe: bool) -> None:
    if depth > MAX_DEPTH:
        raise ProgramLimit(f"a value nested deeper than {MAX_DEPTH} cannot be written as text")
    writer = _WRITERS.get(type(value))
    if safe and type(value) is Decimal:
        _put(str(value), out, left)
    elif safe and type(value) is str:
        _put(repr(value[: 2 * MAX_SHOWN]), out, left)
    elif isinstance(value, Enum):
        _put(f"{type(value).__name__}.{value.name}", out, left)
    elif writer is not None:
        _put(writer(value), out, left)
    elif isinstance(value, list | tuple):
        _write_many(value, "[" if isinstance(value, list) else "(", out, left, depth, safe)
    elif isinstance(value, dict):
        _write_pairs(value.items(), ("{", ": ", "}"), True, out, left, depth, safe)
    elif isinstance(value, BaseException):
        _write_error(value, out, left, depth, safe)
    elif isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type | Command)):
        _write_pairs(fields(value, safe), (f"{type(value).__name__}(", "=", ")"), False, out, left, depth, safe)
    else:
        _put(_odd(value), out, left)


def _odd(value: Any) -> str:
    if isinstance(value, Command | range | Enum):
        return repr(value)
    if isinstance(value, str | int | float | date | time):
        return repr(value)
    return f"<{type(value).__name__}>"


def _write_error(error: BaseException, out: list[str], left: list[int], depth: int, safe: bool) -> None:
    """As `error_text` has it; several arguments one by one, so that nested errors stay bounded."""
    _put(f"{type(error).__name__}(", out, left)
    authored = isinstance(error, BackstayError) or getattr(error, RAISED_HERE, False)
    if not authored or (len(error.args) == 1 and type(error.args[0]) is str):
        _put(repr(error_text(error)), out, left)
    else:
        for position, item in enumerate(error.args):
            _put(", " if position else "", out, left)
            _write(item, out, left, depth + 1, safe)
    _put(")", out, left)


def _write_many(items: Any, opening: str, out: list[str], left: list[int], depth: int, safe: bool) -> None:
    _put(opening, out, left)
    for position, item in enumerate(items):
        if position:
            _put(", ", out, left)
        _write(item, out, left, depth + 1, safe)
    _put("]" if opening == "[" else ",)" if len(items) == 1 else ")", out, left)


def _write_pairs(
    pairs: Iterable[tuple[Any, Any]],
    signs: tuple[str, str, str],
    keys_written: bool,
    out: list[str],
    left: list[int],
    depth: int,
    safe: bool,
) -> None:
    opening, middle, closing = signs
    _put(opening, out, left)
    for position, (key, value) in enumerate(pairs):
        if position:
            _put(", ", out, left)
        if keys_written:
            _write(key, out, left, depth + 1, safe)
        else:
            _put(key, out, left)
        _put(middle, out, left)
        _write(value, out, left, depth + 1, safe)
    _put(closing, out, left)


def fields(value: Any, safe: bool) -> list[tuple[str, Any]]:
    """Field names and values of a model or dataclass, when `safe` without those that are sealed."""
    kind: Any = type(value)
    names = (
        list(kind.model_fields) if isinstance(value, BaseModel) else [field.name for field in dataclasses.fields(value)]
    )
    sealed = sealed_fields(kind) if safe else frozenset[str]()
    return [(name, getattr(value, name, None)) for name in names if name not in sealed]


_sealed: Final[WeakKeyDictionary[type, frozenset[str]]] = WeakKeyDictionary()
"""Weak: the classes of a definition go when its program goes."""


def sealed_fields(kind: type) -> frozenset[str]:
    """The fields of a class whose annotation carries a data class, at whatever depth."""
    found = _sealed.get(kind)
    if found is None:
        hints = get_type_hints(kind, include_extras=True)
        found = _sealed[kind] = frozenset(name for name, hint in hints.items() if is_sealed(hint))
    return found


def is_sealed(hint: Any) -> bool:
    """Whether an annotation contains a tag outside the models it mentions."""
    if any(isinstance(item, Tag) for item in getattr(hint, "__metadata__", ())):
        return True
    return any(
        is_sealed(part)
        for part in (*get_args(hint), getattr(hint, "__origin__", None))
        if part is not None and part is not hint and get_args(part)
    )


def _put(piece: str, out: list[str], left: list[int]) -> None:
    room = left[0]
    left[0] -= len(piece)
    if left[0] < 0:
        out.append(piece[:room])
        raise ProgramLimit(f"text longer than {MAX_TEXT} characters")
    out.append(piece)


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: repr,
    bool: repr,
    float: repr,
    type(None): repr,
    int: lambda value: repr(bounded(value)),
    Decimal: lambda value: f"Decimal('{value}')",
    date: date.isoformat,
    datetime: datetime.isoformat,
    time: time.isoformat,
    timedelta: str,
}
