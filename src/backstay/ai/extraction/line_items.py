"""Reads tables of goods and services: finds the head, gives each figure to its column; on receipts, rows before the total.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstay.ai.extraction.figures import amount, amounts
from backstay.ai.extraction.layout import Label, Row, Run, Sheet
from backstay.ai.extraction.vocabulary import Phrases, letters

FIGURES: Final = frozenset(("quantity", "price", "amount", "rate", "discount", "position", "gross"))
SUMS: Final = frozenset(("net", "tax", "total", "cash", "change", "rounding", "discount", "other_money"))
_CENT: Final = Decimal("0.011")
_TIMES: Final = re.compile(
    r"(?<![\w.])(\d{1,4}(?:[.,]\d{1,3})?)\s?(?:pcs?|x|X|×|@|\*|st|stk)\s?\.?\s?@?\s?(?:[A-Z]{2,3}|[$€£])?\s?(\d+[.,]\d{2})?(?![\w])"
)


@dataclass(frozen=True)
class Column:
    name: str
    left: float
    right: float

    def distance(self, cell: Run) -> float:
        """How far a cell is from standing under this header, by whichever edge fits best."""
        middle = abs((cell.box[0] + cell.box[2]) / 2 - (self.left + self.right) / 2)
        return min(abs(cell.box[0] - self.left), abs(cell.box[2] - self.right), middle)


@dataclass
class Item:
    """One row of the table."""

    figures: dict[str, Decimal]
    texts: dict[str, str]
    rows: list[int]

    @property
    def amount(self) -> Decimal:
        return self.figures["amount"]

    def holds(self) -> bool | None:
        """Whether quantity times price is the amount; None when it does not say both."""
        quantity, price = self.figures.get("quantity"), self.figures.get("price")
        if quantity is None or price is None:
            return None
        return abs(quantity * price - self.amount) <= _CENT * max(abs(quantity), 1)


@dataclass(frozen=True)
class Items:
    """The lines of a document."""

    rows: Sequence[Item]
    headed: bool
    """They stand in a table with a head."""

    @property
    def sum(self) -> Decimal | None:
        return sum((item.amount for item in self.rows), Decimal(0)) if self.rows else None

    @property
    def sure(self) -> float:
        """From 0 to 1: the share of lines that are right in themselves."""
        worth = {None: 0.7, True: 1.0, False: 0.3}
        return sum(worth[item.holds()] for item in self.rows) / len(self.rows) if self.rows else 0.0


def find_heads(sheet: Sheet, headings: Phrases) -> dict[int, list[Column]]:
    """The rows that head a table, with their columns; they are marked as heads."""
    heads: dict[int, list[Column]] = {}
    for index, row in enumerate(sheet.rows):
        if found := _header(row, headings):
            heads[index], row.header = found, True
    return heads


def read_items(sheet: Sheet, heads: dict[int, list[Column]]) -> Items:
    """All lines over all pages."""
    found = _tabled(sheet, heads) if heads else []
    return Items(found, headed=True) if found else Items(_listed(sheet), headed=False)


def _header(row: Row, headings: Phrases) -> list[Column]:
    """The columns that a row names, left to right; empty when it is no head of a table."""
    columns: list[Column] = []
    known, total = 0, 0
    for cell in row.cells:
        total += len(cell.tokens)
        at = 0
        while at < len(cell.tokens):
            count, name = _longest([token.text for token in cell.tokens[at : at + 4]], headings)
            if count:
                columns.append(Column(name, cell.tokens[at].box[0], cell.tokens[at + count - 1].box[2]))
                known += count
            at += count or 1
    names = {column.name for column in columns}
    if any(amount(cell.text, "") is not None and len(cell.text) > 1 for cell in row.cells):
        return []
    enough = "amount" in names | {"amount" for name in names if name == "gross"} and (
        names & {"description", "item", "quantity", "price"}
    )
    return _unique(columns) if enough and len(columns) > 1 and known >= 0.6 * total else []


def _longest(texts: Sequence[str], headings: Phrases) -> tuple[int, str]:
    for count in range(len(texts), 0, -1):
        if meant := headings.meaning(" ".join(texts[:count])):
            own = next((name for name, _ in meant if name.startswith("=")), meant[0][0])
            return count, own
    return 0, ""


def _unique(columns: list[Column]) -> list[Column]:
    """Of two columns that claim to be the amount, the right one is; the left one is then a price, if none is yet."""
    seen: dict[str, Column] = {}
    for column in columns:
        before = seen.get(column.name)
        if before is not None and column.name == "amount" and "price" not in seen:
            seen["price"] = Column("price", before.left, before.right)
        seen[column.name] = column
    if "amount" not in seen:
        gross = seen.pop("gross")
        seen["amount"] = Column("amount", gross.left, gross.right)
    return sorted(seen.values(), key=lambda column: column.left)


# --- tables with a head ---------------------------------------------------------------------------------


def _tabled(sheet: Sheet, heads: dict[int, list[Column]]) -> list[Item]:
    items: list[Item] = []
    columns: list[Column] = []
    pages = {sheet.rows[index].page for index in heads}
    page, waiting, previous = 0, True, 0.0
    for index, row in enumerate(sheet.rows):
        middle = (row.box[1] + row.box[3]) / 2
        if index in heads:
            columns, waiting, page, previous = heads[index], False, row.page, row.box[3]
            continue
        if not columns:
            continue
        if row.page != page:
            page, waiting, previous = row.page, row.page in pages, row.box[1]
        if waiting:
            continue
        first = row.items[0] if row.items else None
        concepts = {name for name, _ in first.meanings} if isinstance(first, Label) else set[str]()
        if "prepaid" in concepts and _is_bare(row, sheet.mark):
            continue
        if concepts & SUMS and items and _is_bare(row, sheet.mark):
            break
        item = _item(row, index, columns, sheet)
        if item:
            items.append(item)
        elif items and middle - previous < 2.2 * sheet.letter and _continues(row, columns):
            described = items[-1].texts.get("description", "")
            items[-1].texts["description"] = f"{described} {row.text}".strip()
            items[-1].rows.append(index)
        elif items and middle - previous > 5 * sheet.letter:
            waiting = True
        previous = middle
    return items


def _is_bare(row: Row, mark: str) -> bool:
    """Whether the row has at most one amount: a sum, not a line."""
    return sum(amount(cell.text, mark) is not None for cell in row.cells) <= 1


def _continues(row: Row, columns: Sequence[Column]) -> bool:
    start = next((column.left for column in columns if column.name == "description"), None)
    return len(row.cells) == 1 and start is not None and abs(row.cells[0].box[0] - start) < 6


def _item(row: Row, index: int, columns: Sequence[Column], sheet: Sheet) -> Item | None:
    """The row as a line; None when nothing stands in the amount column or nothing is described."""
    texts: dict[str, str] = {}
    figures: dict[str, Decimal] = {}
    for cell in row.cells:
        value = _figure(cell, columns, sheet.mark)
        if value is not None:
            near = _nearest(cell, columns, FIGURES | {"item"})
            if near and near.name in FIGURES and near.name not in figures:
                figures[near.name] = value
                continue
        near = _nearest(cell, columns, frozenset(column.name for column in columns) - FIGURES)
        if near and near.distance(cell) < 90:
            texts[near.name] = f"{texts[near.name]} {cell.text}" if near.name in texts else cell.text
    if "amount" not in figures:
        return None
    if "description" not in texts and "item" in texts:
        texts["description"] = texts.pop("item")
    return Item(figures, texts, [index]) if texts.get("description") else None


def _figure(cell: Run, columns: Sequence[Column], mark: str) -> Decimal | None:
    """The figure that a cell is; `4 pcs` is one where quantities stand, `19 %` where rates do."""
    if (value := amount(cell.text, mark)) is not None:
        return value
    near = _nearest(cell, columns, FIGURES)
    if near is None or near.distance(cell) > 25 or not cell.text[:1].isdigit():
        return None
    if near.name == "rate" and (found := re.fullmatch(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%?", cell.text)):
        return Decimal(found[1].replace(",", "."))
    found = next(amounts(cell.text, mark), None)
    return found.value if found and near.name == "quantity" and found.span[0] == 0 else None


def _nearest(cell: Run, columns: Sequence[Column], of: frozenset[str]) -> Column | None:
    fitting = [column for column in columns if column.name in of]
    return min(fitting, key=lambda column: column.distance(cell), default=None)


# --- lists without a head, as on receipts ---------------------------------------------------------------


def _listed(sheet: Sheet) -> list[Item]:
    """Rows above the first sum that end with an amount; a row before without one says what it is."""
    stop = next((index for index, row in enumerate(sheet.rows) if _is_sum(row, sheet.mark)), len(sheet.rows))
    items: list[Item] = []
    before: str = ""
    for index, row in enumerate(sheet.rows[:stop]):
        figures = list(amounts(row.text, sheet.mark))
        last = figures[-1] if figures else None
        if last is None or last.sure < 1 or len(row.text.rstrip(" *ABCEGSTZ")) > last.span[1]:
            times = _TIMES.search(row.text)
            before = "" if times or not letters(row.text) else row.text
            continue
        text = row.text[: last.span[0]].strip()
        item = Item({"amount": last.value}, {}, [index])
        if (times := _TIMES.search(text)) is not None:
            item.figures["quantity"] = Decimal(times[1].replace(",", "."))
            if times[2]:
                item.figures["price"] = Decimal(times[2].replace(",", "."))
            text = text[: times.start()] + text[times.end() :]
        text = " ".join(text.split()).strip(" -:")
        described = text if sum(sign.isalpha() for sign in text) > 1 else before
        if described and sheet.rows[index].page:
            item.texts["description"] = described
            items.append(item)
        before = ""
    return items


def _is_sum(row: Row, mark: str) -> bool:
    first = row.items[0] if row.items else None
    if not isinstance(first, Label) or not any(name in SUMS and worth >= 0.5 for name, worth in first.meanings):
        return False
    return any(figure.sure >= 0.6 for figure in amounts(row.text, mark))


def values_of(item: Item, names: dict[str, str]) -> dict[str, Any]:
    """A line as the fields of a model; names: column -> field."""
    found: dict[str, Any] = {**item.texts, **item.figures}
    return {field: found[column] for column, field in names.items() if column in found}
