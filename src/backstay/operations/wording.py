"""Words for people: JSON values, conditions, moments and spans as somebody who does not code reads them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, cast

from backstay.types import Json

LONGEST: Final = 240
"""Characters of a value that a line shows."""

_READABLE: Final = (
    (re.compile(r"\bis not None\b"), "is present"),
    (re.compile(r"\bis None\b"), "is missing"),
    (re.compile(r"\s==\s"), " is "),
    (re.compile(r"\s!=\s"), " is not "),
    (re.compile(r">="), "≥"),
    (re.compile(r"<="), "≤"),
    (re.compile(r"\b(?:Decimal|date|UUID)\('([^']*)'\)"), r"\1"),
    (re.compile(r"\s+"), " "),
)
"""What is replaced in a condition's source; the exact text stays in the log's JSON."""

_RECORD: Final = re.compile(r"^[A-Z]\w*\([a-z_]\w*=.*\)$", re.DOTALL)
_QUOTED: Final = re.compile(r"\b([a-z_]\w*)='([^']*)'")
_EMPTY: Final = re.compile(r"\b[a-z_]\w*=(?:''|None)(?:, )?")
_BARE: Final = re.compile(r"\b([a-z_]\w*)=")
_PSEUDONYM: Final = re.compile(r"\b([a-z][\w-]*):([0-9a-f]{8})[0-9a-f]{12}\b")
_VERDICTS: Final = {True: "yes", False: "no", "True": "yes", "False": "no", None: "nothing", "None": "nothing"}


def condition(text: str) -> str:
    """A condition's source, with its operators in words."""
    for pattern, words in _READABLE:
        text = pattern.sub(words, text)
    return text.strip()


def verdict(value: Json) -> str:
    """What a condition or rule came to: yes, no, or the value itself."""
    if isinstance(value, bool | str) or value is None:
        return _VERDICTS.get(value) or plain(value)
    return plain(value)


def plain(value: Json, longest: int = LONGEST) -> str:
    """A JSON value on one line: names without quotes, pseudonyms shortened."""
    text = " ".join(_PSEUDONYM.sub(r"\1:\2", _plain(value)).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return ", ".join(f"{key} {_nested(item)}" for key, item in items if item not in (None, "")) or "–"
    if isinstance(value, list):
        return ", ".join(_nested(item) for item in cast("list[Any]", value)) or "–"
    return _record(value) if isinstance(value, str) and _RECORD.match(value) else str(value)


def _record(text: str) -> str:
    """`Order(number='7', total=Decimal('9'))`, as the trail writes a model: `number 7, total 9`."""
    inner = condition(_EMPTY.sub("", text)).removesuffix(")").partition("(")[2].removesuffix(", ")
    return _BARE.sub(r"\1 ", _QUOTED.sub(r"\1 \2", inner))


def _nested(value: Any) -> str:
    return f"({_plain(value)})" if isinstance(value, dict | list) and value else _plain(value)


def pairs(value: Json) -> list[tuple[str, str]]:
    """A JSON value as labelled lines: one per field of an object, one without a label for anything else."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return [(key, plain(item)) for key, item in items if item not in (None, "", [], {})]
    return [] if value in (None, "") else [("", plain(value))]


def span(begin: str, end: str) -> str:
    """The time between two recorded moments, in at most two units."""
    return lasting((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def lasting(seconds: float) -> str:
    """A number of seconds in at most two units."""
    if seconds < 1:
        return "less than a second"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    rest = int(seconds)
    for size, name in units:
        count, rest = divmod(rest, size)
        if count and len(parts) < 2:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts)


def moment(at: str, *, date: bool = True) -> str:
    """A recorded moment in the reader's own time zone."""
    local = datetime.fromisoformat(at).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
