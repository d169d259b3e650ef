"""Reads an invoice's fields from words with places: every field has candidates, each is scored, the best wins.

What a candidate is worth comes from its label, from where it stands to that label, from its form (check digits,
dates) and from arithmetic: net and tax make the total, the lines make the net. Nothing is known about any
vendor or file. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from examples.accounts_payable.figures import (
    CURRENCIES,
    amount,
    currency,
    decimal_mark,
    first_date,
    ibans,
    key,
    masked,
    plain,
    vat_numbers,
)  # fmt: skip
from examples.accounts_payable.line_items import read_lines
from examples.accounts_payable.models import Found, Invoice, Line, Place, Reading
from examples.accounts_payable.page_layout import Cell, Label, Row, Word, below, labels, rows
from examples.accounts_payable.vocabulary import CREDIT, LABELS, LEGAL_FORMS

_NUMBER = re.compile(
    r"[A-Z]{1,4} \d{3,12}(?![.,\d])|(?=[^\s]*\d)[A-Za-z0-9][A-Za-z0-9/\-_.#]{1,29}(?: \d{2,8}(?![.,\d]))?"
)
CLEAR = 0.95
"""From here on a word in a picture counts as read: below, one of its signs may be another."""
_NAME = re.compile(rf"^(?P<name>[^\W\d_].{{1,60}}?[\s,](?:{LEGAL_FORMS}))(?=$|[\s,·|–-])", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A value that a field may have, how sure it is, and why."""

    value: Any
    score: float
    why: str
    cell: Cell | None

    def recognised(self) -> Candidate:
        """The same, as unsure as the picture that it was recognised in."""
        sure = self.cell.sure if self.cell else 1.0
        if sure >= CLEAR:
            return self
        return Candidate(self.value, self.score * sure**4, f"{self.why}; hard to recognise", self.cell)

    def found(self) -> Found:
        place: Place | None = self.cell.place if self.cell else None
        return Found(text=str(self.value), confidence=round(min(self.score, 1.0), 3), why=self.why, place=place)


@dataclass(frozen=True)
class Sheet:
    """A document prepared for reading."""

    rows: list[Row]
    labels: list[Label]
    mark: str
    """The decimal mark that this document uses."""
    height: float

    def named(self, *names: str) -> Iterator[Label]:
        return (label for label in self.labels if label.name in names)

    def values(self, label: Label) -> Iterator[tuple[Cell, float, str]]:
        """Where a label's value may stand: behind it, in the next cell, below; each with how likely that is."""
        if label.rest:
            yield label.rest, 1.0, "behind its label"
        starts = [other.cell.left for other in self.labels if other.row == label.row]
        next_cells = self.rows[label.row].cells[label.follows : label.follows + 1]
        if not label.rest and next_cells and next_cells[0].left not in starts:
            yield next_cells[0], 0.98, "to the right of its label"
        under = below(label, self.rows)
        if under and not label.rest:
            yield under, 0.95 if not next_cells or next_cells[0].left in starts else 0.7, "below its label"


def read_invoice(pages: Sequence[dict[str, Any]], *, buyer: str, buyer_vat: str = "") -> Reading:
    """Read the invoice from the worker's pages; `buyer` is who we are, and so never the vendor."""
    laid = rows([(page["number"], [Word(*word) for word in page["words"]]) for page in pages])
    words = [word.text for row in laid for cell in row.cells for word in cell.words]
    height = pages[0].get("size", [595, 842])[1] if pages else 842
    sheet = Sheet(laid, labels(laid, LABELS), decimal_mark(words), height)
    lines, lines_sure = read_lines(laid, sheet.mark)
    best = {
        "vendor": _vendor(sheet, buyer),
        "vendor_vat": _identifier(sheet, vat_numbers, 0.9, without=buyer_vat),
        "vendor_iban": _identifier(sheet, ibans, 0.98),
        "number": _number(sheet, "number"),
        "po_number": _number(sheet, "po_number"),
        "issued": _issued(sheet),
        **_amounts(sheet, lines),
    }
    best["currency"] = _currency(sheet, best["total"])
    best = {name: candidate and candidate.recognised() for name, candidate in best.items()}
    return _reading(sheet, best, lines, lines_sure, len(pages))


def _reading(
    sheet: Sheet, best: dict[str, Candidate | None], lines: list[Line], lines_sure: float, pages: int
) -> Reading:
    values = {name: candidate.value for name, candidate in best.items() if candidate}
    credit = values.get("total", Decimal(0)) < 0 or _is_credit(sheet)
    invoice = Invoice(kind="credit note" if credit else "invoice", lines=lines, **values)
    needed = {
        name: best[name].score if best[name] else 0.0 for name in ("vendor", "number", "issued", "total", "currency")
    }  # type: ignore[union-attr]
    doubts = [f"{name} is {'missing' if not sure else 'unsure'}" for name, sure in needed.items() if sure < 0.6]
    if lines_sure < 0.6:
        doubts.append("the lines could not be read reliably" if lines else "no lines were found")
    if credit:
        doubts.append("this is a credit note")
    found = {name: candidate.found() for name, candidate in best.items() if candidate}
    if "vendor_iban" in found:
        found["vendor_iban"] = found["vendor_iban"].model_copy(update={"text": masked(values["vendor_iban"])})
    if lines:
        found["lines"] = Found(
            text=f"{len(lines)} lines", confidence=round(lines_sure, 3), why="quantity x price = amount"
        )
    confidence = round(min([*needed.values(), 1.0]), 3)
    return Reading(invoice=invoice, confidence=confidence, doubts=doubts, found=found, pages=pages)


# --- numbers and dates ----------------------------------------------------------------------------------


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The best candidate; one that others agree with gains, one that an equal contradicts loses."""
    if not candidates:
        return None
    top = max(candidates, key=lambda candidate: candidate.score)
    same = sum(candidate.value == top.value for candidate in candidates)
    rivals = [other for other in candidates if other.value != top.value and other.score > top.score - 0.1]
    score = min(top.score + 0.03 * (same - 1), 0.99) - (0.15 if rivals else 0)
    return Candidate(top.value, score, top.why + (f", found {same} times" if same > 1 else ""), top.cell)


def _number(sheet: Sheet, field: str) -> Candidate | None:
    candidates: list[Candidate] = []
    for label in sheet.named(field):
        for cell, likely, where in sheet.values(label):
            found = _NUMBER.match(cell.text)
            if not found or first_date(cell.text) or _is_money(cell.text, sheet.mark):
                continue
            text = found[0].rstrip(".-/")
            grouped = " " in text and not text.split()[0].isdigit()
            text = text if grouped or text.replace(" ", "").isdigit() else text.split()[0]
            whole = 1.0 if len(found[0]) >= len(cell.text) - 1 else 0.93
            candidates.append(Candidate(text, label.worth * likely * whole * 0.97, where, cell))
    return _best(candidates)


def _is_money(text: str, mark: str) -> bool:
    return bool(currency(text)) or (amount(text, mark) is not None and bool(re.search(r"[.,]\d{2}$", text)))


def _issued(sheet: Sheet) -> Candidate | None:
    american = any("USD" in row.text or "$" in row.text for row in sheet.rows)
    candidates: list[Candidate] = []
    for label in sheet.named("issued"):
        for cell, likely, where in sheet.values(label):
            read = first_date(cell.text, month_first=american)
            if read:
                candidates.append(Candidate(read[0], label.worth * likely * read[1] * 0.97, where, cell))
    return _best(candidates) or _only_date(sheet, american)


def _only_date(sheet: Sheet, american: bool) -> Candidate | None:
    """Without a label, the earliest date near the top: payment is due later than an invoice is issued."""
    taken = {label.row for label in sheet.named("due", "other date")}
    dates: list[tuple[date, Cell]] = []
    for index, row in enumerate(sheet.rows):
        if index in taken or row.top > sheet.height / 2 or row.page > 1:
            continue
        for cell in row.cells:
            for at in range(len(cell.words)):
                read = first_date(Cell(cell.words[at:], cell.page).text, month_first=american)
                if read:
                    dates.append((read[0], cell))
    if not dates:
        return None
    value, cell = min(dates, key=lambda pair: pair[0])
    return Candidate(
        value, 0.65 if len({day for day, _ in dates}) == 1 else 0.45, "the earliest date in the head", cell
    )


def _identifier(sheet: Sheet, find: Callable[[str], list[str]], score: float, without: str = "") -> Candidate | None:
    """A number with check digits or a fixed form: the first that is not ours."""
    bought = {label.row for label in sheet.named("buyer")}
    candidates: list[Candidate] = []
    for index, row in enumerate(sheet.rows):
        for cell in row.cells:
            near = any(0 < index - place < 3 for place in bought)
            for text in find(cell.text):
                if text != without:
                    candidates.append(
                        Candidate(text, score - (0.1 if near else 0), "by its form and check digits", cell)
                    )
    return _best(candidates)


# --- amounts --------------------------------------------------------------------------------------------


def _labelled_amounts(sheet: Sheet, field: str) -> list[Candidate]:
    candidates: list[Candidate] = []
    for label in sheet.named(field):
        row = sheet.rows[label.row]
        right = [
            (cell, value)
            for cell in row.cells
            if (value := amount(cell.text, sheet.mark)) is not None and cell.left > label.cell.left
        ]
        if label.rest and (value := _tail(label.rest, sheet.mark)) is not None:
            right.append((label.rest, value))
        if right:
            cell, value = right[-1]
            candidates.append(Candidate(value, label.worth, "in the row of its label", cell))
            continue
        under = below(label, sheet.rows)
        value = amount(under.text, sheet.mark) if under else None
        if value is not None:
            candidates.append(Candidate(value, label.worth * 0.9, "below its label", under))
    return candidates


def _tail(cell: Cell, mark: str) -> Decimal | None:
    """The amount at the end of a cell: `19 % 465,40` is 465.40, while `19 %` is none."""
    for at in range(len(cell.words)):
        text = Cell(cell.words[at:], cell.page).text
        value = amount(text, mark)
        if value is not None and (mark == "" or mark in text or currency(text)):
            return value
    return None


def _amounts(sheet: Sheet, lines: Sequence[Line]) -> dict[str, Candidate | None]:
    """Choose net, tax and total together, such that they add up if any choice does."""
    totals, nets, taxes = (_labelled_amounts(sheet, field) for field in ("total", "net", "tax"))
    summed = sum((line.amount for line in lines), Decimal(0))
    taxes = _with_sum(taxes)
    choices: list[tuple[float, Candidate, Candidate | None, Candidate | None, str]] = []
    for total in totals or _unlabelled(sheet):
        for net in [*nets, None]:
            for tax in [*taxes, None]:
                bonus, why = _adds_up(total.value, net, tax, summed if lines else None)
                worth = total.score + (net.score * 0.1 if net else 0) + (tax.score * 0.1 if tax else 0) + bonus
                choices.append((worth, total, net, tax, why))
    if not choices:
        return {"total": None, "net": None, "tax": None}
    _, total, net, tax, why = max(choices, key=lambda choice: choice[0])
    bonus, _ = _adds_up(total.value, net, tax, summed if lines else None)
    sure = min(0.99, total.score * (0.82 if bonus == 0 else 0.6 if bonus < 0 else 1) + (0.25 if bonus > 0 else 0))
    total = Candidate(total.value, sure, f"{total.why}; {why}", total.cell)
    return {"total": total, "net": net or _implied(total, tax), "tax": tax}


def _implied(total: Candidate, tax: Candidate | None) -> Candidate | None:
    if tax is None:
        return Candidate(total.value, total.score * 0.8, "no tax is shown", total.cell)
    return Candidate(total.value - tax.value, 0.7, "total less tax", None)


def _with_sum(taxes: list[Candidate]) -> list[Candidate]:
    """Several tax rows may each be a rate of one invoice: their sum is a candidate too."""
    rates = list({candidate.value: candidate for candidate in taxes}.values())
    if len(rates) < 2:
        return rates
    together = sum((candidate.value for candidate in rates), Decimal(0))
    return [*rates, Candidate(together, min(rate.score for rate in rates), "sum of the tax rows", None)]


def _adds_up(total: Decimal, net: Candidate | None, tax: Candidate | None, summed: Decimal | None) -> tuple[float, str]:
    """A bonus for sums that are right, a malus for sums that are wrong, and which."""
    near = Decimal("0.02") if total == total.to_integral_value() else Decimal("0.021")
    base = net.value if net else summed
    if base is None:
        return 0.0, "nothing to add up"
    parts = base + (tax.value if tax else 0)
    if abs(parts - total) > near:
        return -0.4, "does not add up"
    if net and tax:
        right = summed is not None and abs(summed - net.value) <= near
        return (1.0, "lines make the net, net and tax make the total") if right else (0.7, "net and tax make the total")
    if net and summed is not None and abs(summed - net.value) > near:
        return -0.2, "the lines do not make the total"
    return 0.5, "lines and tax make the total"


def _unlabelled(sheet: Sheet) -> list[Candidate]:
    """Without a label: the largest amounts, worth little."""
    amounts = [
        (value, cell) for row in sheet.rows for cell in row.cells
        if (value := amount(cell.text, sheet.mark)) is not None and (_is_money(cell.text, sheet.mark))
    ]  # fmt: skip
    largest = sorted(amounts, key=lambda pair: -pair[0])[:3]
    return [
        Candidate(value, 0.3 - 0.1 * place, "one of the largest amounts", cell)
        for place, (value, cell) in enumerate(largest)
    ]


def _currency(sheet: Sheet, total: Candidate | None) -> Candidate | None:
    if total and total.cell:
        row = next(
            row
            for row in sheet.rows
            if total.cell.page == row.page and abs(row.middle - (total.cell.top + total.cell.bottom) / 2) < 6
        )
        code = currency(total.cell.text) or currency(row.text)
        if code:
            return Candidate(code, 0.98, "beside the total", total.cell)
    counted: Counter[str] = Counter()
    for row in sheet.rows:
        code = currency(row.text)
        if code in CURRENCIES:
            counted[code] += 1
    if not counted:
        return None
    code, _ = counted.most_common(1)[0]
    return Candidate(code, 0.85 if len(counted) == 1 else 0.5, "named elsewhere on the document", None)


# --- who sent it ----------------------------------------------------------------------------------------


def _vendor(sheet: Sheet, buyer: str) -> Candidate | None:
    """The sender's name: a legal form, large, at the top or in the foot, named again; never us."""
    candidates: list[Candidate] = []
    shown = Counter(key(name) for row in sheet.rows for cell in row.cells if (name := _name_in(cell)))
    tallest = max((cell.height for row in sheet.rows[:12] for cell in row.cells), default=1.0)
    for index, row in enumerate(sheet.rows):
        for cell in row.cells:
            if row.page > 1 or (row.top > sheet.height * 0.45 and row.top < sheet.height * 0.8):
                continue
            name = _name_in(cell)
            text = name or cell.text
            if key(text).startswith(key(buyer)) or _is_figure_or_label(sheet, index, cell, bool(name)):
                continue
            score, why = (0.55, ["legal form"]) if name else (0.1, [])
            if row.top < sheet.height * 0.25:
                score, why = score + 0.2, [*why, "at the top"]
            if cell.height > 0.8 * tallest or cell.height > 14:
                score, why = score + 0.15, [*why, "in large letters"]
            if name and shown[key(name)] > 1:
                score, why = score + 0.1, [*why, "named again"]
            if _under_buyer(sheet, cell):
                score, why = score - 0.5, [*why, "in the address of the recipient"]
            if _under_seller(sheet, cell):
                score, why = score + 0.15, [*why, "under the label of the sender"]
            candidates.append(Candidate(text, min(score, 0.97), ", ".join(why), cell))
    best = max(candidates, key=lambda candidate: candidate.score, default=None)
    return best if best and best.score >= 0.3 else None


def _name_in(cell: Cell) -> str:
    found = _NAME.match(cell.text)
    return found["name"].strip() if found else ""


def _is_figure_or_label(sheet: Sheet, row: int, cell: Cell, named: bool) -> bool:
    """A cell that is a figure or, unless it holds a company's name, begins with a label."""
    if amount(cell.text, sheet.mark) is not None or first_date(cell.text):
        return True
    return not named and any(label.row == row and label.cell.left == cell.left for label in sheet.labels)


def _under(sheet: Sheet, cell: Cell, name: str) -> bool:
    return any(
        label.cell.page == cell.page and abs(label.cell.left - cell.left) < 8 and 0 < cell.top - label.cell.top < 26
        for label in sheet.named(name)
    )


def _under_buyer(sheet: Sheet, cell: Cell) -> bool:
    return _under(sheet, cell, "buyer")


def _under_seller(sheet: Sheet, cell: Cell) -> bool:
    return _under(sheet, cell, "seller")


def _is_credit(sheet: Sheet) -> bool:
    """Whether the document calls itself a credit note, in its title and not in passing."""
    for row in sheet.rows[:20]:
        for cell in row.cells:
            words = [plain(word.text) for word in cell.words]
            if any(" ".join(words[:count]) in CREDIT for count in (1, 2, 3)):
                return True
    return False
