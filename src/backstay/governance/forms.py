"""The forms in which one value is written: what a text is compared by, however spaced, spelled or cut it came."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from backstay.types import Json

PIECE: Final = re.compile(r"[^\W_]{2,}")
HOST: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?z?)?")
DIGITS: Final = 8
"""So many digits are an account, a card or a number of telephone, not an amount."""
BLOB: Final = 16
"""A word of so many characters, digits among them, is a code."""


def folded(value: str | float) -> str:
    """A scalar as text: one spelling of letters and digits, small letters, single blanks; 250.0 is 250."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split())


def words(text: str) -> list[str]:
    """The runs of letters and digits in a text, single characters aside."""
    return PIECE.findall(text)


def bare(text: str) -> str:
    """Letters and digits only."""
    return text if text.isalnum() else "".join(filter(str.isalnum, text))


def hosts(text: str) -> list[str]:
    """What looks like the name of a host; numbers with points in them do not."""
    return [part for part in HOST.findall(text) if not part.replace(".", "").isdecimal()]


def identifier(text: str) -> bool:
    """Whether a text is an address, a link, a long number or a code: nobody comes upon one by chance."""
    if "@" in text or "://" in text:
        return True
    rest = DATE.sub(" ", text)
    return sum(map(str.isdigit, rest)) >= DIGITS or any(
        len(part) >= BLOB and any(map(str.isdigit, part)) for part in rest.split()
    )


# --- JSON ---------------------------------------------------------------------------------------------


def members(value: Json, pointer: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Pointer, name (None in a list) and value of each member."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", key, item
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield f"{pointer}/{place}", None, item


def leaves(value: Json, pointer: str = "") -> Iterator[tuple[str, str]]:
    """All scalar leaves as folded text, with their JSON pointers; flags, nulls and empty texts say nothing."""
    if isinstance(value, dict | list):
        for at, _, item in members(value, pointer):
            yield from leaves(item, at)
    elif value is not None and not isinstance(value, bool) and (text := folded(value)):
        yield pointer, text


def names(value: Json, pointer: str = "") -> Iterator[tuple[str, str]]:
    """The names of members, folded, at the pointers of what they name."""
    for at, key, item in members(value, pointer):
        yield from leaves(key, at)
        yield from names(item, at)


def records(value: Json, pointer: str = "") -> Iterator[list[dict[str, Json]]]:
    """What a result speaks of, each as its parts by pointer, those of one kind together.

    That is each item of an outermost list or of an object of objects, and else an object without such lists in it.
    """
    if not isinstance(value, dict | list):
        yield [{pointer: value}]
        return
    inner = {at: item for at, _, item in members(value, pointer)}
    if _several(value):
        yield [{at: item} for at, item in inner.items()]
        return
    beside = {at: item for at, item in inner.items() if not _holds_several(item)}
    if beside:
        yield [beside]
    for at in inner.keys() - beside.keys():
        yield from records(inner[at], at)


def _several(value: Json) -> bool:
    if isinstance(value, list):
        return True
    return isinstance(value, dict) and bool(value) and all(isinstance(item, dict) for item in value.values())


def _holds_several(value: Json) -> bool:
    """Whether objects of one kind stand in a value; a list of texts is a part of what it stands in."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return _several(value) or (isinstance(value, dict) and any(map(_holds_several, value.values())))
