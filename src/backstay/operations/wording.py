"""Words for people: JSON values, conditions, moments and spans as somebody who does not code reads them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, cast

from backstay.types import Json

LONGEST: Final = 150
"""Characters of a value that a line shows; the log's JSON has the whole."""

Replacements = tuple[tuple[re.Pattern[str], str], ...]

_CONDITION: Final[Replacements] = (
    (re.compile(r"\blen\(([^()]+)\) (?:> 0|>= 1|!= 0)"), r"\1 has entries"),
    (re.compile(r"\blen\(([^()]+)\) == 0"), r"\1 has no entries"),
    (re.compile(r"\s==\s(?:\"\"|'')"), " is empty"),
    (re.compile(r"\s!=\s(?:\"\"|'')"), " is not empty"),
    (re.compile(r"\bis not None\b"), "is present"),
    (re.compile(r"\bis None\b"), "is missing"),
    (re.compile(r"\s==\s"), " is "),
    (re.compile(r"\s!=\s"), " is not "),
    (re.compile(r">="), "≥"),
    (re.compile(r"<="), "≤"),
    (re.compile(r"\s+"), " "),
)
"""What is replaced in a condition's source; the exact text stays in the log's JSON."""

_RECORD: Final[Replacements] = (
    (re.compile(r"\b[a-z_]\w*=(?:''|None|\[\])(?:, )?"), ""),
    (re.compile(r"\b(?:Decimal|UUID)\('([^']*)'\)"), r"\1"),
    (re.compile(r"\bdatetime\.date\((\d+), (\d)(?=,)"), r"datetime.date(\1, 0\2"),
    (re.compile(r"\bdatetime\.date\((\d+), (\d+), (\d)\)"), r"datetime.date(\1, \2, 0\3)"),
    (re.compile(r"\bdatetime\.date\((\d+), (\d+), (\d+)\)"), r"\1-\2-\3"),
    (re.compile(r"=True\b"), "=yes"),
    (re.compile(r"=False\b"), "=no"),
    (re.compile(r"\b([a-z_]\w*)="), r"\1 "),
    (re.compile(r"\b[A-Z]\w*\("), "("),
    (re.compile(r"'([^']*)'"), r"\1"),
    (re.compile(r"(^|[\s(\[])'"), r"\1"),
    (re.compile(r", \)"), ")"),
)
"""What is replaced in a value as the trail writes it: `Order(number='7', total=Decimal('9'))` -> `(number 7, total 9)`."""

_SHORTENED: Final[Replacements] = (
    (re.compile(r"\b([a-z][\w-]*):([0-9a-f]{8})[0-9a-f]{12}\b"), r"\1:\2"),
    (re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b"), r"\1…"),
    (re.compile(r"…+"), "…"),
)
"""Pseudonyms and digests: their first eight characters tell them apart."""

_WRITTEN: Final = re.compile(r"^(?:[A-Z][\w.]*\(|datetime\.|\[)")
_VERDICTS: Final = {True: "yes", False: "no", "True": "yes", "False": "no", None: "nothing", "None": "nothing"}
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def counted(number: int, noun: str, several: str = "") -> str:
    """A number with its noun: 1 run, 2 runs."""
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def _replaced(text: str, replacements: Replacements) -> str:
    for pattern, words in replacements:
        text = pattern.sub(words, text)
    return text.strip()


def condition(text: str) -> str:
    """A condition's source, with its operators in words."""
    return _replaced(text, _CONDITION)


def verdict(value: Json) -> str:
    """What a condition or rule came to: yes, no, or the value itself."""
    if isinstance(value, bool | str) or value is None:
        return _VERDICTS.get(value) or plain(value)
    return plain(value)


def plain(value: Json, longest: int = LONGEST) -> str:
    """A JSON value on one line: names without quotes, pseudonyms and digests shortened."""
    text = " ".join(_replaced(_plain(value), _SHORTENED).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip(" ,(…") + "…"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return ", ".join(f"{key} {_nested(item)}" for key, item in items if item not in (None, "", [], {})) or "–"
    if isinstance(value, list):
        return ", ".join(_nested(item) for item in cast("list[Any]", value)) or "none"
    return _written(value) if isinstance(value, str) and _WRITTEN.match(value) else str(value)


def _nested(value: Any) -> str:
    return f"({_plain(value)})" if isinstance(value, dict | list) and value else _plain(value)


def _written(text: str) -> str:
    """A value as the trail wrote it, perhaps cut off: without class names, quotes and empty fields."""
    text = _replaced(text, _RECORD)
    for opening, closing in (("(", ")"), ("[", "]")):
        if text.startswith(opening):
            text = text[1:].removesuffix(closing).removesuffix(", ")
            break
    return text or "none"


def pairs(value: Json) -> list[tuple[str, str]]:
    """A JSON value as labelled lines: one per field of an object, one without a label for anything else."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return [(key, plain(item)) for key, item in items if item not in (None, "", [], {})]
    return [] if value in (None, "") else [("", plain(value))]


def span(begin: str, end: str) -> str:
    """The time between two recorded moments, in at most two units."""
    return lasting((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def lasting(seconds: float, most: int = 2) -> str:
    """A number of seconds in at most so many units."""
    if seconds < 1:
        return "less than a second"
    parts: list[str] = []
    rest = int(seconds)
    for size, name in _UNITS:
        count, rest = divmod(rest, size)
        if count and len(parts) < most:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts)


def moment(at: str, *, date: bool = True) -> str:
    """A recorded moment in the reader's own time zone."""
    local = datetime.fromisoformat(at).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
