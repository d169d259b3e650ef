"""Seven ways to set an invoice, from a typewriter's to a design studio's."""

from __future__ import annotations

from collections.abc import Callable

from reportlab.lib.colors import HexColor

from examples.accounts_payable.making.catalogue import Case
from examples.accounts_payable.making.sellers import BUYER, BUYER_VAT
from examples.accounts_payable.making.sheet import HEIGHT, WIDTH, Column, Sheet, Table

_RIGHT = WIDTH - 50


def _columns(description: float = 95, *, first: str = "item") -> tuple[Column, ...]:
    return (
        Column(label=first, at=50),
        Column(label="description", at=description),
        Column(label="quantity", at=370, align="right"),
        Column(label="price", at=455, align="right"),
        Column(label="amount", at=_RIGHT, align="right"),
    )


def _totals(sheet: Sheet, y: float, *, label_at: float, boxed: bool = False, size: float = 9.5) -> float:
    """Print the sums flush right, on a new page if this one is full."""
    if y > HEIGHT - 190:
        sheet.canvas.showPage()
        sheet.page += 1
        y = 90
    rows = sheet.sums()
    if boxed:
        sheet.box(label_at - 10, y - 4, _RIGHT - label_at + 18, 18 * len(rows) + 8, fill=HexColor("#f4f4f2"))
    for place, (label, amount) in enumerate(rows):
        last = place == len(rows) - 1
        sheet.text(label_at, y + 12, label, size, bold=last)
        sheet.text(_RIGHT, y + 12, amount, size, bold=last, align="right")
        y += 18
    return y + 20


def left(case: Case) -> bytes:
    """Letterhead on the left, facts as label and value on the right, ruled table, totals in a box."""
    sheet, seller = Sheet(case), case.seller
    sheet.box(50, 40, 30, 30, fill=sheet.colour, line=False)
    sheet.text(90, 55, seller.name, 16, bold=True, colour=sheet.colour)
    sheet.text(90, 69, f"{seller.street} · {seller.town}", 8.5)
    sheet.text(_RIGHT, 112, sheet.title.upper(), 20, bold=True, align="right")
    y = 140.0
    for label, value in sheet.facts():
        sheet.text(350, y, f"{label}:", 9, bold=True)
        sheet.text(_RIGHT, y, value, 9, align="right")
        y += 15
    sheet.text(50, 140, sheet.words["bill_to"], 8.5, bold=True)
    sheet.lines(50, 154, BUYER, 9.5)
    table = Table(columns=_columns(), top=250, again=110, bottom=HEIGHT - 110)
    y = sheet.table(table, lambda page: page.text(50, 60, page.seller.name, 10, bold=True))
    sheet.rule(45, y - 6, WIDTH - 45)
    y = _totals(sheet, y + 4, label_at=360, boxed=True)
    y = sheet.lines(50, y + 12, sheet.bank(), 8.5)
    sheet.text(50, y + 8, sheet.words["thanks"], 8)
    return sheet.finish()


def band(case: Case) -> bytes:
    """A band of colour, letterhead on the right, zebra table without rules."""
    sheet, seller = Sheet(case), case.seller

    def head(page: Sheet) -> None:
        page.box(0, 0, WIDTH, 26, fill=page.colour, line=False)
        page.text(_RIGHT, 52, seller.name, 14, bold=True, align="right", colour=page.colour)

    head(sheet)
    sheet.text(_RIGHT, 66, seller.street, 8.5, align="right")
    sheet.text(_RIGHT, 78, seller.town, 8.5, align="right")
    sheet.text(50, 112, f"{sheet.title} {case.number}", 15, bold=True)
    y = 140.0
    for label, value in sheet.facts():
        sheet.text(50, y, label, 9)
        sheet.text(180, y, value, 9, bold=True)
        y += 14
    sheet.text(340, 140, f"{sheet.words['bill_to']}:", 9)
    sheet.lines(340, 154, [*BUYER, f"{sheet.words['vat_id']}: {BUYER_VAT}"], 9)
    y = sheet.table(Table(columns=_columns(), top=250, again=90, bottom=HEIGHT - 110, look="zebra"), head)
    y = _totals(sheet, y + 8, label_at=350)
    sheet.text(50, y, sheet.words["bank"], 9, bold=True)
    y = sheet.lines(50, y + 13, sheet.bank(), 8.5)
    sheet.text(50, y + 8, sheet.words["thanks"], 8)
    return sheet.finish()


def window(case: Case) -> bytes:
    """A German business letter: address window, block of facts, three-column footer."""
    sheet, seller = Sheet(case, "Times"), case.seller

    def foot(page: Sheet) -> None:
        page.rule(50, HEIGHT - 78, _RIGHT)
        page.lines(50, HEIGHT - 66, [seller.name, seller.street, seller.town], 7.5, step=9)
        page.lines(230, HEIGHT - 66, [page.words["bank"], page.bank()[0]], 7.5, step=9)
        page.lines(440, HEIGHT - 66, [f"{page.words['vat_id']} {seller.vat}", "Steuernr. 99015/28465"], 7.5, step=9)

    foot(sheet)
    sheet.text(_RIGHT, 62, seller.name, 17, bold=True, align="right")
    sheet.text(50, 128, f"{seller.name} · {seller.street} · {seller.town}", 6.5)
    sheet.lines(50, 146, BUYER, 11, step=14)
    y = 146.0
    for label, value in sheet.facts():
        sheet.text(360, y, label, 9)
        sheet.text(455, y, value, 9)
        y += 13
    sheet.text(50, 240, f"{sheet.title} Nr. {case.number}", 13, bold=True)
    sheet.text(50, 260, "Sehr geehrte Damen und Herren, wir berechnen Ihnen wie folgt:", 9.5)
    table = Table(columns=_columns(85, first="#"), top=288, again=80, bottom=HEIGHT - 130, step=15)
    y = sheet.table(table, foot)
    sheet.rule(45, y - 6, WIDTH - 45)
    y = _totals(sheet, y, label_at=330)
    sheet.text(50, y, sheet.words["thanks"], 9)
    return sheet.finish()


def grid(case: Case) -> bytes:
    """Seller and buyer side by side in boxes, facts in one line below, lines in a grid."""
    sheet, seller = Sheet(case), case.seller
    sheet.text(WIDTH / 2 - 40, 50, sheet.title, 18, bold=True)
    for x, label, texts in (
        (50, "from", [seller.name, seller.street, seller.town, *sheet.bank()]),
        (305, "bill_to", [*BUYER, f"{sheet.words['vat_id']}: {BUYER_VAT}"]),
    ):
        sheet.box(x, 70, 240, 92)
        sheet.text(x + 8, 84, sheet.words[label], 8, bold=True, colour=sheet.colour)
        sheet.lines(x + 8, 99, texts, 9)
    facts = sheet.facts()
    for place, (label, value) in enumerate(facts):
        x = 50 + 165 * (place % 3)
        y = 186 + 18 * (place // 3)
        sheet.text(x, y, f"{label}: {value}", 8.5)
    table = Table(columns=_columns(100), top=245, again=80, bottom=HEIGHT - 110, look="grid")
    y = sheet.table(table, lambda page: page.text(50, 50, f"{page.title} {case.number}", 10, bold=True))
    y = _totals(sheet, y + 6, label_at=370, boxed=True)
    sheet.text(50, y + 6, sheet.words["thanks"], 8)
    return sheet.finish()


def plain(case: Case) -> bytes:
    """A typewriter's invoice: one font, no rules, dotted leaders."""
    sheet, seller = Sheet(case, "Courier"), case.seller
    sheet.lines(50, 60, [seller.name.upper(), seller.street, seller.town, *sheet.bank()], 9)
    sheet.text(50, 136, sheet.title.upper(), 12, bold=True)
    y = 156.0
    for label, value in sheet.facts():
        sheet.text(50, y, f"{label} {'.' * (26 - len(label))}: {value}", 9)
        y += 13
    sheet.lines(360, 156, BUYER, 9)
    columns = (_columns()[0], Column(label="description", at=105), *_columns()[2:])
    table = Table(columns=columns, top=248, again=80, bottom=HEIGHT - 100, look="bare", step=14)
    y = sheet.table(table, lambda page: page.text(50, 55, f"{seller.name.upper()}  {case.number}", 9))
    y = _totals(sheet, y, label_at=330, size=9)
    sheet.text(50, y + 6, sheet.words["thanks"], 8)
    return sheet.finish()


def modern(case: Case) -> bytes:
    """A side bar, the amount to pay large at the top, wide spacing, no rules."""
    sheet, seller = Sheet(case, "Vera"), case.seller

    def bar(page: Sheet) -> None:
        page.box(0, 0, 16, HEIGHT, fill=page.colour, line=False)

    bar(sheet)
    sheet.text(50, 62, seller.name, 13, bold=True, colour=sheet.colour)
    sheet.text(50, 77, f"{seller.street}, {seller.town}", 7.5)
    sheet.text(_RIGHT, 58, sheet.words["total"], 8, align="right")
    sheet.text(_RIGHT, 80, sheet.money(case.total, currency=True), 17, bold=True, align="right", colour=sheet.colour)
    sheet.text(50, 118, sheet.words["bill_to"], 7.5, colour=sheet.colour)
    sheet.lines(50, 132, BUYER, 8.5)
    y = 118.0
    for label, value in sheet.facts():
        sheet.text(330, y, label, 7.5, colour=HexColor("#666666"))
        sheet.text(440, y, value, 8.5)
        y += 15
    table = Table(columns=_columns(100), top=230, again=80, bottom=HEIGHT - 110, look="bare", step=20, size=8)
    y = sheet.table(table, bar)
    sheet.rule(330, y - 8, _RIGHT, width=1.2, colour=sheet.colour)
    y = _totals(sheet, y + 4, label_at=330, size=9)
    y = sheet.lines(50, y + 20, sheet.bank(), 7.5)
    sheet.text(50, y + 4, sheet.words["thanks"], 7)
    return sheet.finish()


def strip(case: Case) -> bytes:
    """Facts as a strip of small labels above their values; letterhead in the middle."""
    sheet, seller = Sheet(case, "Vera"), case.seller
    width = sheet.canvas.stringWidth(seller.name, "Vera-Bold", 15)
    sheet.text((WIDTH - width) / 2, 54, seller.name, 15, bold=True, colour=sheet.colour)
    address = f"{seller.street} – {seller.town}"
    sheet.text((WIDTH - sheet.canvas.stringWidth(address, "Vera", 8)) / 2, 68, address, 8)
    sheet.rule(50, 78, _RIGHT, width=1, colour=sheet.colour)
    sheet.text(50, 108, sheet.title, 16, bold=True)
    sheet.lines(360, 104, BUYER, 8.5)
    for place, (label, value) in enumerate(sheet.facts()):
        sheet.text(50 + 101 * place, 172, label, 6.5, colour=HexColor("#555555"))
        sheet.text(50 + 101 * place, 186, value, 8.5, bold=True)
    sheet.rule(50, 196, _RIGHT)
    table = Table(columns=_columns(100), top=222, again=80, bottom=HEIGHT - 110, size=8)
    y = sheet.table(table, lambda page: page.text(50, 55, page.seller.name, 9, bold=True))
    sheet.rule(45, y - 6, WIDTH - 45)
    y = _totals(sheet, y + 4, label_at=340, size=9)
    y = sheet.lines(50, y + 10, sheet.bank(), 7.5)
    sheet.text(50, y + 4, sheet.words["thanks"], 7)
    return sheet.finish()


LAYOUTS: dict[str, Callable[[Case], bytes]] = {
    "left": left, "band": band, "window": window, "grid": grid, "plain": plain, "modern": modern, "strip": strip,
}  # fmt: skip


def print_invoice(case: Case) -> bytes:
    """The invoice as the bytes of a PDF file."""
    return LAYOUTS[case.layout](case)
