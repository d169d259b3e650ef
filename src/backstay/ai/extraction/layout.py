"""A document as rows of labels and pieces, and which label a piece stands to. Pure; knows no field.

Words become rows, rows break into cells where there is a gap, cells into labels and what follows them. Text without pages is
laid out by its lines, as a typewriter would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

from backstay.ai.documents.model import Box, Document
from backstay.ai.extraction.figures import decimal_mark, mended
from backstay.ai.extraction.vocabulary import Phrases, fold
from backstay.judged import Source

GAP = 1.0
"""Words of one cell stand closer than so many times their height."""
BELOW = 2.8
"""A value stands within so many heights under its label."""
SHORT = 5
"""Letters that a label in the middle of a cell must have, unless a colon follows."""
MOST_ROWS = 3000
"""Rows that are looked at: a longer document is no paper with fields."""
LONGEST = 120
"""Signs of a word that is looked at: no value is longer, and patterns take long over what never ends."""
IN_A_ROW = 200
"""Words of a row that are looked at."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or the part of one that a label left over."""

    text: str
    box: Box
    sure: float = 1.0
    start: int = -1
    """Its first character in the document's text, where there are no pages."""

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2

    def cut(self, at: int) -> tuple[Token, Token]:
        """Both sides of a character."""
        edge = self.box[0] + (self.box[2] - self.box[0]) * at / max(len(self.text), 1)
        left, right = (self.box[0], self.box[1], edge, self.box[3]), (edge, self.box[1], self.box[2], self.box[3])
        after = self.start + at if self.start >= 0 else -1
        return Token(self.text[:at], left, self.sure, self.start), Token(self.text[at:], right, self.sure, after)


@dataclass(eq=False)
class Run:
    """Words of one cell."""

    tokens: tuple[Token, ...]
    page: int
    row: int
    cell: int

    @cached_property
    def text(self) -> str:
        return " ".join(token.text for token in self.tokens)

    @cached_property
    def box(self) -> Box:
        lefts, tops, rights, bottoms = zip(*(token.box for token in self.tokens), strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    @cached_property
    def height(self) -> float:
        return max(token.height for token in self.tokens)

    @cached_property
    def sure(self) -> float:
        return min(token.sure for token in self.tokens)

    def part(self, span: tuple[int, int]) -> Run:
        """The words that a span of its text touches."""
        at, kept = 0, list[Token]()
        for token in self.tokens:
            if at < span[1] and at + len(token.text) > span[0]:
                kept.append(token)
            at += len(token.text) + 1
        return Run(tuple(kept or self.tokens), self.page, self.row, self.cell)

    def source(self, document: str) -> Source:
        """Where it stands, for a reviewer."""
        start = self.tokens[0].start
        if start >= 0:
            last = self.tokens[-1]
            return Source(document=document, start=start, end=last.start + len(last.text), quote=self.text)
        x0, y0, x1, y1 = (round(edge, 1) for edge in self.box)
        return Source(document=document, page=self.page, box=(x0, y0, x1, y1), quote=self.text)


@dataclass(eq=False)
class Label(Run):
    """A phrase that names what stands beside it."""

    meanings: tuple[tuple[str, float], ...] = ()
    """Concepts, each with how much the phrase tells."""
    taken: bool = False
    """Something that follows in its row is its value, so that what stands below hardly is."""


@dataclass(eq=False)
class Piece(Run):
    """What a cell holds besides labels."""

    @cached_property
    def links(self) -> list[tuple[Label, str, float]]:
        return []


@dataclass(eq=False)
class Row:
    """Words side by side on a page."""

    page: int
    cells: list[Run]
    items: list[Label | Piece] = field(default_factory=list[Label | Piece])
    header: bool = False
    """It heads a table: what stands in it names columns."""

    @cached_property
    def text(self) -> str:
        return "  ".join(cell.text for cell in self.cells)

    @cached_property
    def box(self) -> Box:
        lefts, tops, rights, bottoms = zip(*(cell.box for cell in self.cells), strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


@dataclass(eq=False)
class Sheet:
    """A document prepared for reading."""

    name: str
    rows: list[Row]
    mark: str
    """The decimal mark that it uses; empty for none."""
    recognised: bool
    """Its words come from a picture."""
    heights: dict[int, float]
    """Page -> its height."""

    @cached_property
    def pieces(self) -> list[Piece]:
        return [item for row in self.rows for item in row.items if isinstance(item, Piece)]

    @cached_property
    def letter(self) -> float:
        """The usual height of its words."""
        return median([token.height for row in self.rows for cell in row.cells for token in cell.tokens] or [10.0])

    def depth(self, run: Run) -> float:
        """How far down the document something stands, from 0 to 1."""
        return run.row / max(len(self.rows) - 1, 1)


def sheet(document: Document, phrases: Phrases) -> Sheet:
    """Lay out a document: its own pages or text, or the first part's that has any."""
    read = next((each for each in document.walk() if each.pages and any(page.words for page in each.pages)), document)
    recognised = any(page.origin == "ocr" for page in read.pages)
    placed: list[tuple[int, list[Token]]] = []
    if read.pages:
        placed = [
            (page.number, [t for word in page.words for t in _tokens(word.text, word.box, word.confidence)])
            for page in read.pages
        ]
        heights = {page.number: page.height for page in read.pages}
    else:
        typed = list(_typed(read.text))
        placed, heights = [(1, typed)], {1: max((token.box[3] for token in typed), default=1.0)}
    if recognised:
        placed = [
            (number, [Token(_mended(t.text), t.box, t.sure, t.start) for t in tokens]) for number, tokens in placed
        ]
    placed = [(number, [token for token in tokens if len(token.text) <= LONGEST]) for number, tokens in placed]
    mark = decimal_mark(token.text for _, tokens in placed for token in tokens)
    rows = [row for number, tokens in placed for row in _rows(number, tokens)][:MOST_ROWS]
    for index, row in enumerate(rows):
        for position, cell in enumerate(row.cells):
            cell.row, cell.cell = index, position
            row.items += _items(cell, phrases)
    return Sheet(read.name, rows, mark, recognised, heights)


def link(whole: Sheet) -> None:
    """Give every piece the labels that it may belong to; labels in the head of a table are none."""
    for row in whole.rows:
        if not row.header:
            _link_row(row)
    for index, row in enumerate(whole.rows):
        for piece in row.items:
            if isinstance(piece, Piece):
                piece.links.extend(_above(piece, index, whole.rows))


def _mended(text: str) -> str:
    return ":".join(mended(part) for part in text.split(":"))


# --- words, rows, cells ---------------------------------------------------------------------------------


def _tokens(text: str, box: Box, sure: float) -> Iterator[Token]:
    whole, start = Token(text, box, sure), 0
    for found in re.finditer(r"\S+", text):
        start = found.start()
        yield whole.cut(start)[1].cut(found.end() - start)[0]


def _typed(text: str) -> Iterator[Token]:
    """Words of a text without pages, as if it were typed: 6 points a sign, 12 a line."""
    at = 0
    for number, line in enumerate(text.splitlines(keepends=True)):
        wide = line.expandtabs(8) if "\t" in line else line
        for found in re.finditer(r"\S+", wide):
            box = (6.0 * found.start(), 12.0 * number, 6.0 * found.end(), 12.0 * number + 9)
            yield Token(found[0], box, 1.0, text.find(found[0], at))
        at += len(line)


def _rows(number: int, tokens: Sequence[Token]) -> Iterator[Row]:
    group: list[Token] = []
    for token in sorted(tokens, key=lambda token: (token.middle, token.box[0])):
        if group and token.middle - _middle(group) > 0.45 * min(token.height, group[0].height):
            yield _row(number, group)
            group = []
        if len(group) < IN_A_ROW:
            group.append(token)
    if group:
        yield _row(number, group)


def _middle(group: Sequence[Token]) -> float:
    return sum(token.middle for token in group[-8:]) / len(group[-8:])


def _row(number: int, group: list[Token]) -> Row:
    cells: list[list[Token]] = []
    for token in sorted(group, key=lambda token: token.box[0]):
        if cells and token.box[0] - cells[-1][-1].box[2] <= GAP * max(min(token.height, cells[-1][-1].height), 1):
            cells[-1].append(token)
        else:
            cells.append([token])
    return Row(number, [Run(tuple(cell), number, 0, 0) for cell in cells])


# --- labels ---------------------------------------------------------------------------------------------


def _items(cell: Run, phrases: Phrases) -> Iterator[Label | Piece]:
    """The cell as labels and what stands between them."""
    flat, places, starts, ends, whole = _flattened(cell.tokens)
    at, done = 0, 0
    while at < len(flat):
        found = phrases.at(flat, at, [end for end in ends if end > at], whole) if at in starts else None
        short = found is not None and found.end - at < (SHORT if at else 3)
        if found is None or (short and not _stands_alone(cell, places, at, found.end)):
            at += 1
            continue
        if at > done:
            yield from _piece(cell, places, done, at)
        taken = _slice(cell.tokens, places, at, found.end)
        meanings = (
            found.meanings if done == 0 and at == 0 else tuple((name, worth * 0.8) for name, worth in found.meanings)
        )
        yield Label(taken, cell.page, cell.row, cell.cell, meanings)
        at = done = found.end
    if done < len(flat):
        yield from _piece(cell, places, done, len(flat))


def _stands_alone(cell: Run, places: Sequence[tuple[int, int]], at: int, end: int) -> bool:
    """Whether a short label is all of its cell, or ends with a colon."""
    token, sign = places[end - 1]
    after = cell.tokens[token].text[sign + 1 :]
    return after.startswith((":", ".:", " :")) or (at == 0 and end == len(places))


def _flattened(
    tokens: Sequence[Token],
) -> tuple[str, list[tuple[int, int]], frozenset[int], list[int], frozenset[int]]:
    """Letters and digits of a cell, where each comes from, where phrases may start and end, and where words end."""
    flat: list[str] = []
    places: list[tuple[int, int]] = []
    starts, ends, whole = set[int](), set[int](), set[int]()
    for number, token in enumerate(tokens):
        fresh, last = True, ""
        for index, sign in enumerate(token.text):
            folded = fold(sign)
            if not folded:
                if flat and last:
                    ends.add(len(flat))
                    whole.add(len(flat))
                fresh, last = True, ""
                continue
            if last and (last.isdigit() != sign.isdigit() or (last.islower() and sign.isupper()) or sign == "#"):
                ends.add(len(flat))
            if fresh or sign == "#":
                starts.add(len(flat))
            fresh, last = False, sign
            flat += folded
            places += [(number, index)] * len(folded)
        ends.add(len(flat))
        whole.add(len(flat))
    return "".join(flat), places, frozenset(starts), sorted(ends), frozenset(whole)


def _slice(tokens: Sequence[Token], places: Sequence[tuple[int, int]], start: int, end: int) -> tuple[Token, ...]:
    """The words between two letters; a word that a boundary cuts is divided."""
    first, from_ = places[start]
    last, to = places[end - 1]
    kept = list(tokens[first : last + 1])
    if end < len(places) and places[end][0] == last:
        kept[-1] = kept[-1].cut(to + 1)[0]
    if start > 0 and places[start - 1][0] == first:
        kept[0] = kept[0].cut(from_)[1]
    return tuple(kept)


def _piece(cell: Run, places: Sequence[tuple[int, int]], start: int, end: int) -> Iterator[Piece]:
    """What stands there, from the sign after what came before: a minus or a currency's sign belongs to it."""
    tokens = list(_slice(cell.tokens, places, start, end))
    if start > 0:
        number, sign = places[start - 1]
        same = places[start][0] == number
        if same:
            tokens[0] = cell.tokens[number].cut(sign + 1)[1] if len(tokens) > 1 or end == len(places) else tokens[0]
        else:
            tokens[:0] = cell.tokens[number + 1 : places[start][0]]
    else:
        tokens[:0] = cell.tokens[: places[start][0]]
    if end == len(places):
        tokens += cell.tokens[places[-1][0] + 1 :]
    while tokens and not any(sign.isalnum() or sign in "-€£$¥#(" for sign in tokens[0].text):
        tokens.pop(0)
    if tokens:
        head = tokens[0]
        skip = len(head.text) - len(head.text.lstrip(":;.,=*_|/ "))
        tokens[0] = head.cut(skip)[1] if 0 < skip < len(head.text) else head
        yield Piece(tuple(tokens), cell.page, cell.row, cell.cell)


# --- which label a piece belongs to ---------------------------------------------------------------------


def _link_row(row: Row) -> None:
    """Labels to the left of a piece in its row: in its own cell, or in a cell before."""
    for at, piece in enumerate(row.items):
        if not isinstance(piece, Piece):
            continue
        between, labels = 0, 0
        for other in reversed(row.items[:at]):
            if isinstance(other, Piece):
                between += 1
                continue
            own = other.cell == piece.cell and between == 0 and labels == 0
            weight = 0.97 * 0.6**between * 0.35**labels if not own else 1.0
            piece.links.append((other, "inline" if own else "right", weight))
            other.taken = other.taken or (between == 0 and labels == 0)
            labels += 1
            if weight < 0.1:
                break


def _above(piece: Piece, index: int, rows: Sequence[Row]) -> Iterator[tuple[Label, str, float]]:
    """Labels above a piece in its column, with how likely it stands under one of them."""
    between = 0
    for row in reversed(rows[max(0, index - 5) : index]):
        if row.page != piece.page or row.header:
            return
        for item in row.items:
            if not aligned(item.box, piece.box):
                continue
            if piece.box[1] - item.box[3] > BELOW * max(min(item.height, piece.height), 1) * (1 + between):
                return
            if isinstance(item, Label):
                yield item, "below", (0.4 if item.taken else 0.95) * 0.6**between
            else:
                between += 1
                break


def aligned(one: Box, other: Box) -> bool:
    """Whether two boxes stand in one column: left, right or middle agree, or one covers most of the other."""
    near = 0.7 * min(one[3] - one[1], other[3] - other[1])
    if abs(one[0] - other[0]) < near or abs(one[2] - other[2]) < near:
        return True
    shared = min(one[2], other[2]) - max(one[0], other[0])
    return shared > 0.5 * min(one[2] - one[0], other[2] - other[0])
