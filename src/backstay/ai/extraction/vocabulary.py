"""What documents call things, in several languages: phrases of concepts, found in words that a recogniser may have bent.

The phrases lie in labels.toml and columns.toml. They are compared by their letters and digits alone, so that merged and split
words do not matter; confusions such as 0/O and one wrong letter in a longer phrase are forgiven, and noted.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WORTH: Final = {"sure": 1.0, "fair": 0.75, "weak": 0.5}
FORGIVEN: Final = 0.85
"""What a phrase with a bent letter is worth of what it would be."""

_ALIKE: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "!": "l", "5": "s", "8": "b"})
_LONGEST: Final = 40
_FUZZY_FROM: Final = 6


@dataclass(frozen=True, slots=True)
class Concept:
    """Something that business papers state."""

    name: str
    kind: str
    """How its values look."""
    names: frozenset[str]
    """Keys of what models call it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase that was found."""

    start: int
    end: int
    """In letters and digits."""
    meanings: tuple[tuple[str, float], ...]
    """Concepts, each with how much the phrase tells."""
    exact: bool


@lru_cache(maxsize=65536)
def letters(text: str) -> str:
    """Only letters and digits, lower case, without accents; `#` and `%` are words."""
    return "".join(fold(sign) for sign in text)


@lru_cache(maxsize=4096)
def fold(sign: str) -> str:
    """What one character counts as in a comparison; may be nothing, or several letters."""
    match sign:
        case "#" | "№":
            return "no"
        case "%":
            return "pct"
        case "°" | "º":
            return "o"
        case "ł" | "Ł":
            return "l"
        case "ß":
            return "ss"
        case _:
            return "".join(each for each in unicodedata.normalize("NFKD", sign).casefold() if each.isalnum())


class Phrases:
    """Phrases with what they mean."""

    def __init__(self, phrases: Iterable[tuple[str, str, float]]) -> None:
        """phrases: (text, concept, worth)."""
        known: dict[str, dict[str, float]] = {}
        for text, concept, worth in phrases:
            if spelled := letters(text):
                meant = known.setdefault(spelled, {})
                meant[concept] = max(worth, meant.get(concept, 0.0))
        self._known: Mapping[str, tuple[tuple[str, float], ...]] = {
            spelled: tuple(sorted(meant.items(), key=lambda pair: -pair[1])) for spelled, meant in known.items()
        }
        self._bent = {spelled.translate(_ALIKE): spelled for spelled in self._known if len(spelled) >= 4}
        self._without: dict[str, str] = {}
        for bent, spelled in self._bent.items():
            if len(bent) >= _FUZZY_FROM:
                for each in _shorter(bent):
                    self._without.setdefault(each, spelled)

    def meaning(self, text: str) -> tuple[tuple[str, float], ...]:
        """What a whole text means as a phrase."""
        return self._known.get(letters(text), ())

    def at(self, flat: str, start: int, ends: Sequence[int], whole: frozenset[int]) -> Hit | None:
        """The longest phrase that begins at `start` and ends at one of `ends`; a bent one only where words end (`whole`).

        A bent one must be longer by more than two letters than one that is spelled right.
        """
        bent: Hit | None = None
        for end in reversed(ends):
            if not 0 < end - start <= _LONGEST:
                continue
            spelled = flat[start:end]
            if found := self._known.get(spelled):
                exact = Hit(start, end, found, exact=True)
                return bent if bent is not None and bent.end - end > 2 else exact
            if bent is None and end in whole and (near := self._near(spelled)):
                bent = Hit(
                    start, end, tuple((name, worth * FORGIVEN) for name, worth in self._known[near]), exact=False
                )
        return bent

    def _near(self, spelled: str) -> str | None:
        bent = spelled.translate(_ALIKE)
        if found := self._bent.get(bent):
            return found if sum(sign.isdigit() for sign in spelled) * 2 < len(spelled) else None
        if len(bent) < _FUZZY_FROM or any(sign.isdigit() for sign in spelled):
            return None
        if found := self._without.get(bent):
            return found
        return next(
            (found for each in _shorter(bent) if (found := self._bent.get(each) or self._swapped(each, bent))), None
        )

    def _swapped(self, shorter: str, bent: str) -> str | None:
        """A phrase of the same length that lacks one letter where this one does."""
        found = self._without.get(shorter)
        return found if found is not None and len(found) == len(bent) else None


def _shorter(text: str) -> Iterator[str]:
    return (text[:at] + text[at + 1 :] for at in range(len(text)))


@lru_cache(maxsize=1)
def concepts() -> Mapping[str, Concept]:
    """All concepts by name."""
    return {
        name: Concept(name, table["kind"], frozenset(letters(each) for each in table.get("names", ())))
        for name, table in _tables().items()
    }


@lru_cache(maxsize=1)
def labels() -> tuple[tuple[str, str, float], ...]:
    """Every phrase that stands beside a value: (text, concept, worth)."""
    return tuple(
        (phrase, name, worth)
        for name, table in _tables().items()
        for grade, worth in WORTH.items()
        for phrase in _split(table.get(grade, ""))
    )


@lru_cache(maxsize=1)
def columns() -> tuple[tuple[str, str, float], ...]:
    """Every phrase that heads a column of goods and services: (text, column, 1)."""
    found = tomllib.loads(HERE.joinpath("columns.toml").read_text("utf-8"))
    return tuple((phrase, name, 1.0) for name, phrases in found.items() for phrase in _split(phrases))


@lru_cache(maxsize=1)
def _tables() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(HERE.joinpath("labels.toml").read_text("utf-8"))


def _split(phrases: str) -> list[str]:
    return [phrase.strip() for phrase in phrases.split("|") if phrase.strip()]
