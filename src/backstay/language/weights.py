"""Charges for work that one operation hides: comparing, searching and copying large values.

The price depends on the values alone, so every machine reaches a limit at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

from backstay.commands import Call, Command
from backstay.errors import ProgramLimit
from backstay.language.tracker import current_tracker

MAX_NODES: Final = 1_000_000
"""Values that one comparison or one command may hold, counting a shared one each time it occurs."""
MAX_DEEP: Final = 100
_ENTRY: Final = 8
"""What an entry of a list costs, in characters of text."""
_FREE: Final = 1_024
"""Values up to this length cost nothing besides the step they are used in."""
_LIGHT: Final = frozenset({bool, int, float, type(None), Decimal, date, datetime, time, timedelta})
_FLAT: Final = _LIGHT | {str}


def built(value: Any) -> None:
    """Count a text or list that was made."""
    size = len(value)
    if size > _FREE:
        current_tracker.get().build(size if type(value) is str else size * _ENTRY)


def weigh(value: Any) -> Any:
    """Pass on what is about to be compared, after counting all that it holds."""
    kind = type(value)
    if kind in _LIGHT:
        return value
    if kind is str:
        if len(value) > _FREE:
            current_tracker.get().spend(len(value) >> 8)
        return value
    if not isinstance(value, Enum):
        measure(value)
    return value


def within(value: Any) -> Any:
    """Pass on what is about to be searched; dicts and ranges find without a search."""
    return value if isinstance(value, dict | range | type) else weigh(value)


def heavy(value: Any) -> Any:
    """Pass on the value of a method that reads or copies all of it."""
    if isinstance(value, str | list | tuple | dict) and len(value) > _FREE:
        tracker = current_tracker.get()
        tracker.spend(len(value) >> 8)
        tracker.build(len(value) * (1 if isinstance(value, str) else _ENTRY))
    return value


def weighty(value: Any) -> Any:
    """Pass on the value of a method that compares or copies all that it holds."""
    return weigh(heavy(value))


def measure(value: Any) -> None:
    """Count what a value holds; raises ProgramLimit if it is too much or nested too deep."""
    if type(value) in _FLAT:
        return
    count = depth = 0
    if type(value) is Call:  # what else a call holds is the program's own
        value, count, depth = value.args, 4, 1
    if type(value) is dict and len(value) <= 60 and _FLAT.issuperset(map(type, (*value, *value.values()))):
        return
    level: list[Any] = [value]
    while level:
        deeper: list[Any] = []
        for item in level:
            parts = _parts(item)
            count += len(parts)
            if count > MAX_NODES:
                break
            if not _FLAT.issuperset(map(type, parts)):
                deeper += [part for part in parts if type(part) not in _FLAT]
        depth += 1
        if count > MAX_NODES or depth > MAX_DEEP:
            current_tracker.get().spend(count >> 6)
            raise ProgramLimit(f"a value of more than {MAX_NODES} parts, or nested deeper than {MAX_DEEP}")
        level = deeper
    if count > 64:
        current_tracker.get().spend(count >> 6)


def _parts(value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict):
        keys = [key for key in value if type(key) not in _FLAT]
        return [*keys, *value.values()]
    if isinstance(value, BaseModel):
        return [*value.__dict__.values(), *(value.__pydantic_extra__ or {}).values()]
    if isinstance(value, BaseException):
        return value.args
    if isinstance(value, Command):
        return list(vars(value).values())
    if not isinstance(value, type | Enum) and (names := getattr(type(value), "__dataclass_fields__", None)) is not None:
        return [getattr(value, name, None) for name in names]
    return ()
