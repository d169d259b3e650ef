"""A page to print an invoice on: text by distance from the top left, boxes, and a table that runs over pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Literal

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from examples.accounts_payable.making.catalogue import Case, Item
from examples.accounts_payable.making.words import LABELS, day, figure

WIDTH, HEIGHT = A4
Align = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A table column: which label heads it, where it stands and to which side it is set."""

    label: str
    at: float
    align: Align = "left"


@dataclass(frozen=True, kw_only=True)
class Table:
    """How a layout sets its lines."""

    columns: tuple[Column, ...]
    top: float
    """Where the table begins on the first page, and `again` on the following ones."""
    again: float
    bottom: float
    step: float = 17
    look: Literal["ruled", "zebra", "grid", "bare"] = "ruled"
    size: float = 9


class Sheet:
    """One invoice being printed, in the words and figures of its seller's country."""

    def __init__(self, case: Case, font: str = "Helvetica") -> None:
        self.case, self.seller = case, case.seller
        self.words = {**LABELS[self.seller.language], **self.seller.labels}
        self.plain, self.bold = _fonts(font)
        self.colour = HexColor(self.seller.colour)
        self.page = 1
        self._bytes = BytesIO()
        self.canvas = Canvas(self._bytes, pagesize=A4, invariant=1, pageCompression=1)
        self.canvas.setTitle(f"{self.title} {case.number}")
        self.canvas.setAuthor(self.seller.name)
        if case.script:
            self.canvas.addLiteral("% this invoice brings a script")

    @property
    def title(self) -> str:
        return self.words["credit" if self.case.total < 0 else "title"]

    def text(
        self, x: float, y: float, text: str, size: float = 9, *, bold: bool = False, align: Align = "left",
        colour: object = None,
    ) -> None:  # fmt: skip
        """Print a text with its base line `y` points below the top edge."""
        self.canvas.setFont(self.bold if bold else self.plain, size)
        self.canvas.setFillColor(colour or HexColor("#111111"))
        draw = self.canvas.drawRightString if align == "right" else self.canvas.drawString
        draw(x, HEIGHT - y, text)

    def lines(self, x: float, y: float, texts: Sequence[str], size: float = 9, *, step: float = 12) -> float:
        """Print texts below one another; answers where the next one would stand."""
        for text in texts:
            self.text(x, y, text, size)
            y += step
        return y

    def rule(self, x: float, y: float, to: float, *, width: float = 0.5, colour: object = None) -> None:
        self.canvas.setStrokeColor(colour or HexColor("#777777"))
        self.canvas.setLineWidth(width)
        self.canvas.line(x, HEIGHT - y, to, HEIGHT - y)

    def box(self, x: float, y: float, width: float, height: float, *, fill: object = None, line: bool = True) -> None:
        self.canvas.setStrokeColor(HexColor("#777777"))
        self.canvas.setLineWidth(0.5)
        if fill:
            self.canvas.setFillColor(fill)
        self.canvas.rect(x, HEIGHT - y - height, width, height, stroke=int(line), fill=int(bool(fill)))

    def money(self, value: Decimal, *, currency: bool = False) -> str:
        text = figure(value, self.seller.numbers, self.case.decimals)
        return f"{text} {self.seller.currency}" if currency else text

    def day(self, later: int = 0) -> str:
        issued = self.case.issued
        return day(issued.fromordinal(issued.toordinal() + later), self.seller.dates, self.seller.language)

    def facts(self) -> list[tuple[str, str]]:
        """The header facts with their labels; an invoice without an order has no such row."""
        case, words = self.case, self.words
        rows = [(words["number"], case.number), (words["date"], self.day()), (words["due"], self.day(30))]
        rows.append((words["customer"], f"{sum(map(ord, self.seller.name)) % 90000 + 10000}"))
        return [*rows, (words["po"], case.order)] if case.order else rows

    def sums(self) -> list[tuple[str, str]]:
        """Net, tax and total with their labels; the unclear invoice names none and adds up wrongly."""
        case, words = self.case, self.words
        if case.story == "unclear":
            return [("as agreed", self.money(case.net - Decimal("212.40"))), ("", self.money(case.total))]
        rate = f"{case.seller.tax * 100:.1f}".removesuffix(".0")
        rows = [(words["net"], self.money(case.net))]
        if case.tax:
            rate = rate.replace(".", "," if self.seller.numbers.endswith("comma") else ".")
            rows.append((f"{words['tax']} {rate} %", self.money(case.tax)))
        return [*rows, (words["total"], self.money(case.total, currency=True))]

    def bank(self) -> list[str]:
        """Where to pay, and the tax number."""
        spaced = " ".join(self.seller.iban[at : at + 4] for at in range(0, len(self.seller.iban), 4))
        rows = [f"IBAN: {spaced}"] if spaced else ["Wire transfer: routing and account number on file"]
        return [*rows, f"{self.words['vat_id']}: {self.seller.vat}"] if self.seller.vat else rows

    def table(self, table: Table, every_page: Callable[[Sheet], None]) -> float:
        """Print all lines, over as many pages as they need; answers where the table ends."""
        y, running = self._head(table, table.top), Decimal(0)
        for position, item in enumerate(self.case.items):
            if y > table.bottom:
                self._carry(table, y, "carried", running)
                self.text(WIDTH - 50, HEIGHT - 24, f"{self.words['page']} {self.page}", 8, align="right")
                self.canvas.showPage()
                self.page += 1
                every_page(self)
                y = self._carry(table, self._head(table, table.again), "brought", running)
            if table.look == "zebra" and position % 2 == 0:
                self.box(45, y - table.step + 5, WIDTH - 90, table.step, fill=HexColor("#f1f4f8"), line=False)
            self._line(table, y, position, item)
            running += item.amount
            y += table.step
        if self.page > 1:
            self.text(WIDTH - 50, HEIGHT - 24, f"{self.words['page']} {self.page}", 8, align="right")
        return y

    def _head(self, table: Table, y: float) -> float:
        if table.look == "zebra":
            self.box(45, y - 12, WIDTH - 90, 17, fill=self.colour, line=False)
        for column in table.columns:
            colour = HexColor("#ffffff") if table.look == "zebra" else None
            head = self.words.get(column.label, column.label)
            self.text(column.at, y, head, table.size, bold=True, align=column.align, colour=colour)
        if table.look in ("ruled", "grid"):
            self.rule(45, y + 5, WIDTH - 45, width=0.8)
        return y + table.step + 4

    def _line(self, table: Table, y: float, position: int, item: Item) -> None:
        values = {
            "item": item.code, "description": item.description, "quantity": f"{item.quantity}",
            "price": self.money(item.price), "amount": self.money(item.amount), "#": f"{position + 1}",
        }  # fmt: skip
        for column in table.columns:
            self.text(column.at, y, values[column.label], table.size, align=column.align)
        if table.look == "grid":
            self.rule(45, y + 5, WIDTH - 45, width=0.3)

    def _carry(self, table: Table, y: float, label: str, running: Decimal) -> float:
        self.text(table.columns[1].at, y, self.words[label], table.size, bold=True)
        self.text(table.columns[-1].at, y, self.money(running), table.size, bold=True, align="right")
        return y + table.step

    def finish(self) -> bytes:
        self.canvas.showPage()
        self.canvas.save()
        return self._bytes.getvalue()


def _fonts(name: str) -> tuple[str, str]:
    if name == "Vera":
        for face, file in (("Vera", "Vera.ttf"), ("Vera-Bold", "VeraBd.ttf")):
            if face not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(face, file))
    return {"Times": ("Times-Roman", "Times-Bold")}.get(name, (name, f"{name}-Bold"))
