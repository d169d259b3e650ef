"""Texts cut into sentences, and words made comparable. Pure; by signs and spaces, so it serves many languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

_END: Final = re.compile(
    r"""[.!?\u2026]+["'\u201d\u2019\u00bb)\]]*(?=\s|$)|[\u3002\uff01\uff1f]|\n[ \t]*\n|\n(?=[ \t]*(?:[-*\u2022]|\d+[.)])[ \t])"""
)
_SHORT: Final = re.compile(
    r"(?:^|[\s(])(?:[^\W_]|\d\d|Dr|Prof|Mr|Mrs|Ms|St|No|Nr|Nos|vs|cf|ca|bzw|bspw|evtl|ggf|inkl|max|min|"
    r"etc|al|e\.g|i\.e|z\.\s?B|d\.\s?h|u\.\s?a|o\.\s?\u00e4|Abs|Art|art|Fig|fig|Eq|eq|Sec|sec|pp?|Inc|Ltd|Co|Corp|M|Mme|Sr|Sra|n\u00b0|approx)\.$"
)  # fmt: skip
"""What ends in a point without ending a sentence."""
_WIDE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
"""Scripts that are written without spaces, or with few."""


class Sentence(NamedTuple):
    """A sentence and where it stands: text[start:end]."""

    start: int
    end: int
    text: str


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text, in order, without the spaces around them. Paragraphs and list items end one too."""
    return list(_cut(text))


def _cut(text: str) -> Iterator[Sentence]:
    start = 0
    for match in _END.finditer(text):
        if match[0][0] == "." and not _ends(text, match, start):
            continue
        yield from _sentence(text, start, match.end())
        start = match.end()
    yield from _sentence(text, start, len(text))


def _ends(text: str, match: re.Match[str], start: int) -> bool:
    """Whether a point ends the sentence that began at `start`."""
    before, after = (
        text[max(start, match.start() - 12) : match.start() + 1],
        text[match.end() : match.end() + 40].lstrip(),
    )
    if _SHORT.search(before):
        return False
    return not after or not after[0].islower()


def _sentence(text: str, start: int, end: int) -> Iterator[Sentence]:
    said = text[start:end]
    kept = said.strip()
    if kept:
        begin = start + len(said) - len(said.lstrip())
        yield Sentence(begin, begin + len(kept), kept)


def folded_words(text: str) -> list[str]:
    """The words of a text without case and accents; of scripts without spaces each two neighbouring signs are one."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    whole = _WIDE.sub(_pairs, unicodedata.normalize("NFC", bare))
    return re.findall(r"[^\W_]+", whole)


def _pairs(match: re.Match[str]) -> str:
    signs = match[0]
    pairs = [signs[at : at + 2] for at in range(len(signs) - 1)] or [signs]
    return f" {' '.join(pairs)} "
