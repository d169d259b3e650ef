"""What people type as input: JSON, @file, or key=value pairs; a mistake names the part that is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from backstay.errors import InvalidInput, NotFound

Check = Callable[[Any], None]
"""Raises InvalidInput naming what in a value does not fit; knows the declared types."""


def read_input(parts: list[str], option: str, *, any_value: bool = False, check: Check | None = None) -> Any:
    """The value of one or more parts: JSON, @FILE with JSON, or KEY=VALUE where dots lead into objects.

    check: a VALUE that does not fit as JSON is taken as the text that was typed, if that fits: `number=7` for a `str`.
    """
    whole: Any = {}
    for part in parts:
        value = _part(part, option, any_value)
        if not isinstance(value, dict):
            if any_value and len(parts) == 1:
                return value
            raise InvalidInput(
                f"{option}: {part!r} is not an object", {option: "give a JSON object or key=value pairs"}
            )
        _merge(whole, value)
    unquoted = dict(_unquoted(parts)) if check is not None else {}
    return as_declared(whole, unquoted, check) if check is not None and unquoted else whole


def _unquoted(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Dotted names and texts of the values that were read as JSON, though nothing marks them as that."""
    for part in parts:
        key, equals, value = part.partition("=")
        if (
            key
            and equals
            and not part.lstrip().startswith(("@", "{", "[", '"'))
            and not isinstance(_value(value, ""), str)
        ):
            yield key, value


def as_declared(value: Any, typed: dict[str, str], check: Check) -> Any:
    """The value with the texts that were typed, by dotted name, where only they fit."""
    for name in (name for name in typed if _is_wrong(name, value, check)):
        changed = copy.deepcopy(value)
        _merge(changed, _nested(name.split("."), typed[name]))
        if not _is_wrong(name, changed, check):
            value = changed
    return value


def _is_wrong(name: str, value: Any, check: Check) -> bool:
    """Whether what a value has at a dotted name does not fit; a union names its branches behind that."""
    try:
        check(value)
    except InvalidInput as error:
        return any(field == name or field.startswith(f"{name}.") for field in error.fields)
    return False


def _part(part: str, option: str, any_value: bool) -> Any:
    if part.startswith("@"):
        return _json(_text(Path(part[1:]), option), f"{option} {part}")
    if part.lstrip().startswith(("{", "[", '"')):
        return _json(part, option)
    key, equals, value = part.partition("=")
    if equals and key:
        return _nested(key.split("."), _value(value, option))
    if any_value:
        return _value(part, option)
    raise InvalidInput(f"{option}: {part!r} is neither JSON, nor @FILE, nor key=value", {option: "not understood"})


def _text(path: Path, option: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{option}: cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{option}: {str(path)!r} is not UTF-8 text", {option: "not text"}) from None


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{option} is not valid JSON: {error}", {option: str(error)}) from None


def _value(text: str, option: str) -> Any:
    """JSON where it is JSON, otherwise the text itself: `total=12.50` keeps its digits as text."""
    if text in ("true", "false", "null") or text.lstrip().startswith(("{", "[", '"')):
        return _json(text, option)
    return int(text) if text.lstrip("-").isdigit() and not text.lstrip("-").startswith("0") else text


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: value if len(keys) == 1 else _nested(keys[1:], value)}


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)  # pyright: ignore[reportUnknownArgumentType] - JSON
        else:
            into[key] = value


def differing(given: Any, kept: Any, name: str = "") -> Iterator[str]:
    """Dotted names where what is given differs from what was recorded; what is not given took its default."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from differing(value, kept.get(key, given), f"{name}.{key}" if name else str(key))  # pyright: ignore
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from differing(one, other, f"{name}.{number}")
    elif given != kept and not _same_number(given, kept):
        yield name or "(whole input)"


def _same_number(one: Any, other: Any) -> bool:
    """250, 250.0 and "250.00" are one amount."""
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    try:
        return Decimal(str(one)) == Decimal(str(other))
    except InvalidOperation:
        return False
