"""Plain text and tables of text, in whatever letters they were written. Runs in the child."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from typing import Final

from backstay.ai.documents.found import DocumentLimits, Found
from backstay.ai.documents.model import Table

CELLS: Final = 200_000
"""Cells of all tables of one file."""

GUESSES: Final = ("cp1252", "iso8859-2", "cp1251", "koi8-r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
"""Codes that have no mark of their own, by how often they are met."""

_COMMON: Final = frozenset(
    "的一是不了在人有我他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生谢请发票您收查支持公司付款"
)
"""Chinese signs that hardly a text does without."""


def read(data: bytes, limits: DocumentLimits) -> Found:
    text, doubt = decoded(data)
    return Found(text=text[: limits.characters], problems=_problems(text, doubt, limits))


def read_table(data: bytes, limits: DocumentLimits) -> Found:
    """A table of text, by the mark that its first lines have most evenly."""
    text, doubt = decoded(data)
    lines = text[: limits.characters].splitlines()
    mark = max(";\t,|", key=lambda mark: _evenness(lines[:20], mark))
    rows = list[list[str]]()
    cells = 0
    problems = _problems(text, doubt, limits)
    try:
        for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=mark):
            cells += len(row)
            if cells > CELLS:
                problems.append(f"only the first {len(rows):,} rows of the table were read")
                break
            rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        problems.append(f"the table was read up to row {len(rows)} only: {error}")
    wide = max(map(len, rows), default=0)
    if wide * len(rows) > 2 * CELLS:
        return Found(text="\n".join(lines), problems=[*problems, "its rows have too different lengths for a table"])
    table = Table(rows=[row + [""] * (wide - len(row)) for row in rows])
    return Found(text="\n".join(lines), tables=[table] if rows else [], problems=problems)


def decoded(data: bytes, said: str = "") -> tuple[str, str]:
    """Text, and a doubt where its code had to be guessed. said: the code that it says it has."""
    for mark, code in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return _clean(data.decode(code, "replace")), ""
    if said and (text := _try(data, said)) is not None:
        return _clean(text), ""
    if (text := _try(data, "utf-8")) is not None and "\0" not in text[:200]:
        return _clean(text), ""
    for code, at in (("utf-16-le", 1), ("utf-16-be", 0)):
        part = data[at:400:2]
        if len(part) > 3 and part.count(0) > 0.7 * len(part):
            return _clean(data.decode(code, "replace")), ""
    best = max(GUESSES, key=lambda code: (_sense(data[:20_000], code), -GUESSES.index(code)))
    return _clean(data.decode(best, "replace")), f"its letters were guessed to be {best}"


def _try(data: bytes, code: str) -> str | None:
    try:
        return data.decode(code)
    except (UnicodeError, LookupError, ValueError, OSError):  # a code that is not loaded is looked for in a file
        return None


def _sense(data: bytes, code: str) -> float:
    """How much of a text makes sense in a code, by which letters it has and which stand beside each other."""
    text = data.decode(code, "replace")
    foreign = [sign for sign in text if ord(sign) > 127]
    if not foreign:
        return 0.0
    odd = sum(_is_odd(before, sign) for before, sign in pairwise(text))
    return (sum(_worth(sign, code) for sign in foreign) - 0.8 * odd) / len(foreign)


def _worth(sign: str, code: str) -> float:
    """What speaks for a letter beyond ASCII: how common it is, or what nobody writes."""
    number = ord(sign)
    if sign == "\ufffd" or not sign.isprintable() or 0xFF61 <= number <= 0xFF9F:
        return -3.0
    if 0x4E00 <= number <= 0x9FFF:
        return 0.0 if code == "euc_kr" else 1.0 if sign in _COMMON else 0.6
    if 0x3040 <= number <= 0x30FF or 0xAC00 <= number <= 0xD7A3:
        return 0.9 if code in ("shift_jis", "euc_jp", "euc_kr") else 0.0
    return 1.0 if sign.isalpha() and number < 0x250 else 0.9 if sign.isalpha() else 0.5


def _is_odd(before: str, sign: str) -> bool:
    """Whether two letters do not go together: accents in a row, a capital behind a small letter, two alphabets in a word."""
    if not before.isalpha() or not sign.isalpha() or max(before, sign) < "\x80":
        return False
    if before.islower() and sign.isupper():
        return True
    latin = [ord(letter) < 0x250 for letter in (before, sign)]
    return latin[0] != latin[1] if not all(latin) else min(before, sign) > "\x7f"


def _clean(text: str) -> str:
    """Without what JSON and people cannot take: zero signs, and halves of pairs."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _problems(text: str, doubt: str, limits: DocumentLimits) -> list[str]:
    cut = f"only the first {limits.characters:,} letters were read" if len(text) > limits.characters else ""
    return [problem for problem in (doubt, cut) if problem]


def _evenness(lines: list[str], mark: str) -> float:
    counts = [line.count(mark) for line in lines if line.strip()]
    return 0.0 if not counts or max(counts) == 0 else counts.count(counts[0]) / len(counts) * min(counts[0], 3)
