"""Reads an invoice's lines: finds the table's header, gives each figure to its column, checks the sums. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from examples.accounts_payable.figures import amount, plain
from examples.accounts_payable.models import Line
from examples.accounts_payable.page_layout import Cell, Row, labels, longest
from examples.accounts_payable.vocabulary import COLUMNS, LABELS

_FIGURES = frozenset(("quantity", "price", "amount", "rate", "discount", "position"))
_CENT = Decimal("0.011")


@dataclass(frozen=True)
class Column:
    name: str
    left: float
    right: float

    def distance(self, cell: Cell) -> float:
        """How far a cell is from standing under this header, by whichever edge fits best."""
        middle = abs((cell.left + cell.right) / 2 - (self.left + self.right) / 2)
        return min(abs(cell.left - self.left), abs(cell.right - self.right), middle)


def header(row: Row) -> list[Column]:
    """The columns that this row names, left to right; empty when it is no table header."""
    columns: list[Column] = []
    known = 0
    for cell in row.cells:
        words, at = [plain(word.text) for word in cell.words], 0
        while at < len(words):
            hit = longest(words, at, COLUMNS, limit=3)
            if not hit:
                at += 1
                continue
            first, last = cell.words[at], cell.words[at + hit[0] - 1]
            columns.append(Column(hit[1], first.left, last.right))
            at += hit[0]
            known += hit[0]
    names = {column.name for column in columns}
    figures = any(amount(cell.text, "") is not None for cell in row.cells)
    enough = "amount" in names and bool(names & {"description", "item"})
    spoken_for = known >= 0.6 * sum(len(cell.words) for cell in row.cells)
    return _unique(columns) if enough and spoken_for and not figures else []


def _unique(columns: list[Column]) -> list[Column]:
    """Of two columns that claim to be the amount, the right one is; the left one is then a net price."""
    seen: dict[str, Column] = {}
    for column in columns:
        seen[column.name] = column
    return sorted(seen.values(), key=lambda column: column.left)


def read_lines(all_rows: Sequence[Row], mark: str) -> tuple[list[Line], float]:
    """All lines over all pages, and how sure they are: the share whose quantity times price is the amount."""
    lines: list[Line] = []
    columns: list[Column] = []
    heads = {row.page for row in all_rows if header(row)}
    page, waiting, previous = 0, True, 0.0
    for row in all_rows:
        found = header(row)
        if found:
            columns, waiting, page, previous = found, False, row.page, row.middle
            continue
        if not columns:
            continue
        if row.page != page:
            page, waiting, previous = row.page, row.page in heads, row.middle
        if waiting:
            continue
        kinds = {label.name for label in labels([row], LABELS) if label.cell.left == row.cells[0].left}
        if kinds & {"carried"} and _bare(row, mark):
            continue
        if kinds & {"net", "tax", "total"} and _bare(row, mark):
            break
        line = _line(row, columns, mark)
        if line:
            lines.append(line)
        elif lines and row.middle - previous < 16 and _continues(row, columns):
            lines[-1] = lines[-1].model_copy(update={"description": f"{lines[-1].description} {row.text}"})
        elif lines and row.middle - previous > 40:
            waiting = True
        previous = row.middle
    return lines, _sureness(lines)


def _bare(row: Row, mark: str) -> bool:
    """Whether the row has at most one figure with it: a sum, not a line."""
    return sum(amount(cell.text, mark) is not None for cell in row.cells) <= 1


def _continues(row: Row, columns: Sequence[Column]) -> bool:
    start = next((column.left for column in columns if column.name == "description"), None)
    return len(row.cells) == 1 and start is not None and abs(row.cells[0].left - start) < 4


def _line(row: Row, columns: Sequence[Column], mark: str) -> Line | None:
    """The row as a line; None when nothing stands in the amount column or nothing is described."""
    texts: dict[str, str] = {}
    figures: dict[str, Decimal] = {}
    for cell in row.cells:
        value = amount(cell.text, mark)
        if value is None and cell.text[:1].isdigit() and len(cell.words) > 1:  # a quantity with its unit: 4 pcs
            value = amount(cell.words[0].text, mark)
            near = _nearest(cell, columns, of=_FIGURES)
            value = value if near and near.name == "quantity" and near.distance(cell) < 25 else None
        if value is not None:
            near = _nearest(cell, columns, of=_FIGURES | {"item"})
            if near and near.name in _FIGURES and near.name not in figures:
                figures[near.name] = value
                continue
        near = _nearest(cell, columns, of=frozenset(("item", "description", "unit")))
        if near and near.distance(cell) < 60:
            texts[near.name] = f"{texts[near.name]} {cell.text}" if near.name in texts else cell.text
    if "amount" not in figures:
        return None
    if "description" not in texts and "item" in texts:
        texts["description"] = texts.pop("item")
    if not texts.get("description"):
        return None
    return Line(
        description=texts["description"][:200], amount=figures["amount"], quantity=figures.get("quantity"),
        price=figures.get("price"), item=texts.get("item", "")[:40],
    )  # fmt: skip


def _nearest(cell: Cell, columns: Sequence[Column], of: frozenset[str]) -> Column | None:
    fitting = [column for column in columns if column.name in of]
    return min(fitting, key=lambda column: column.distance(cell), default=None)


def _sureness(lines: Sequence[Line]) -> float:
    if not lines:
        return 0.0
    worth = 0.0
    for line in lines:
        if line.quantity is None or line.price is None:
            worth += 0.7
        elif abs(line.quantity * line.price - line.amount) <= _CENT * max(abs(line.quantity), 1):
            worth += 1.0
        else:
            worth += 0.3
    return worth / len(lines)
