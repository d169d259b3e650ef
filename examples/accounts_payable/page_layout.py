"""Turns words with places into rows and cells, and finds labels in them. Pure; knows nothing of invoices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from examples.accounts_payable.figures import plain
from examples.accounts_payable.models import Place

Vocabulary = Mapping[tuple[str, ...], tuple[str, float]]


@dataclass(frozen=True)
class Word:
    text: str
    left: float
    top: float
    right: float
    bottom: float
    sure: float = 1.0
    """Of whoever recognised it in a picture; 1 where the file says what stands there."""

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Cell:
    """Words of one row that stand close together."""

    words: tuple[Word, ...]
    page: int

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def left(self) -> float:
        return self.words[0].left

    @property
    def right(self) -> float:
        return self.words[-1].right

    @cached_property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @cached_property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @cached_property
    def height(self) -> float:
        return max(word.height for word in self.words)

    @property
    def sure(self) -> float:
        return min(word.sure for word in self.words)

    @property
    def place(self) -> Place:
        edges = (round(edge, 1) for edge in (self.left, self.top, self.right, self.bottom))
        return Place(page=self.page, **dict(zip(("left", "top", "right", "bottom"), edges, strict=True)))

    def after(self, count: int) -> Cell | None:
        """What is left of the cell behind its first `count` words, without leading dots and colons."""
        rest = list(self.words[count:])
        while rest and not any(sign.isalnum() or sign in "-€£$¥#" for sign in rest[0].text):
            rest.pop(0)
        return Cell(tuple(rest), self.page) if rest else None


@dataclass(frozen=True)
class Row:
    cells: tuple[Cell, ...]
    page: int

    @cached_property
    def text(self) -> str:
        return "  ".join(cell.text for cell in self.cells)

    @cached_property
    def top(self) -> float:
        return min(cell.top for cell in self.cells)

    @cached_property
    def middle(self) -> float:
        words = [word for cell in self.cells for word in cell.words]
        return sum(word.middle for word in words) / len(words)


@dataclass(frozen=True)
class Label:
    """A known phrase in a cell."""

    name: str
    worth: float
    cell: Cell
    """Only the words of the label."""
    rest: Cell | None
    """What follows in the same cell."""
    row: int
    """Index of its row."""
    follows: int
    """Index, in its row, of the first cell behind the label's."""


def rows(pages: Sequence[tuple[int, Sequence[Word]]]) -> list[Row]:
    """Group words into rows, page by page and top to bottom."""
    made: list[Row] = []
    for number, words in pages:
        group: list[Word] = []
        for word in sorted(words, key=lambda word: (word.middle, word.left)):
            if group and word.middle - _middle(group) > 0.4 * min(word.height, group[0].height):
                made.append(Row(tuple(_cells(group, number)), number))
                group = []
            group.append(word)
        if group:
            made.append(Row(tuple(_cells(group, number)), number))
    return made


def _middle(group: Sequence[Word]) -> float:
    return sum(word.middle for word in group[-8:]) / len(group[-8:])


def _cells(group: list[Word], page: int) -> Iterator[Cell]:
    current: list[Word] = []
    for word in sorted(group, key=lambda word: word.left):
        if current and word.left - current[-1].right > 0.75 * max(word.height, 1):
            yield Cell(tuple(current), page)
            current = []
        current.append(word)
    if current:
        yield Cell(tuple(current), page)


def longest(words: Sequence[str], at: int, vocabulary: Vocabulary, limit: int = 5) -> tuple[int, str, float] | None:
    """The longest phrase of the vocabulary that starts at word `at`: how many words, its name, its worth."""
    for count in range(min(limit, len(words) - at), 0, -1):
        hit = vocabulary.get(tuple(words[at : at + count]))
        if hit:
            return count, hit[0], hit[1]
    return None


def labels(all_rows: Sequence[Row], vocabulary: Vocabulary) -> list[Label]:
    """Every label in the document: cells that begin with a phrase, and phrases later in a cell behind other text."""
    found: list[Label] = []
    for index, row in enumerate(all_rows):
        for position, cell in enumerate(row.cells):
            words, at = [plain(word.text) for word in cell.words], 0
            while at < len(words):
                hit = longest(words, at, vocabulary)
                if not hit:
                    at += 1
                    continue
                count, name, worth = hit
                inside = Cell(cell.words[at : at + count], cell.page)
                worth = worth if at == 0 else worth * 0.8
                found.append(Label(name, worth, inside, cell.after(at + count), index, position + 1))
                at += count
    return found


def below(label: Label, all_rows: Sequence[Row], reach: float = 2.6) -> Cell | None:
    """The cell that stands under a label, within `reach` times its height."""
    for row in all_rows[label.row + 1 : label.row + 5]:
        if row.page != label.cell.page or row.top - label.cell.bottom > reach * label.cell.height:
            return None
        for cell in row.cells:
            aligned = abs(cell.left - label.cell.left) < 6 or abs(cell.right - label.cell.right) < 6
            if aligned and cell.top >= label.cell.bottom - 3:
                return cell
    return None
