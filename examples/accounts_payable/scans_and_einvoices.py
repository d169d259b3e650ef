"""Reads what has no text layer or says more than its print: scans, pictures and e-invoices, through the library's door."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from backstay.ai.documents import DocumentUnreadable as Refused
from backstay.ai.documents import EInvoice, Page, Word, read_file
from examples.accounts_payable.figures import ibans, key, masked
from examples.accounts_payable.models import Found, Invoice, Line, Reading

PDF = "application/pdf"
WRITTEN = {"application/xml", "application/pkcs7-mime"}
"""Types that hold an invoice only if they are an e-invoice."""
GAP = 1.1
"""Up to this many heights between recognised words they are one cell: their edges are less exact than those of print."""
READ = {PDF, *WRITTEN, "image/png", "image/jpeg", "image/tiff"}


@dataclass(frozen=True)
class Seen:
    """What the door saw: pages in the form of `pdf_worker.py`, the e-invoice if there is one, and what a person should know."""

    pages: list[dict[str, Any]] = field(default_factory=list)
    einvoice: EInvoice | None = None
    problems: list[str] = field(default_factory=list)


def needs_the_door(answer: dict[str, Any]) -> bool:
    """Whether the worker that reads text layers saw less than there is: a page without words, or an embedded file."""
    pages = answer["pages"]
    blank = [page for page in pages if not page["words"]]
    return answer["files"] > 0 or len(blank) == len(pages) or any(page.get("pictures") for page in blank)


def through_the_door(path: Path, name: str) -> Seen:
    """Read a file in the library's sandbox; raises its DocumentUnreadable."""
    document = read_file(path, name)
    said = EInvoice.model_validate(document.data) if document.data else None
    if said is None and document.media_type in WRITTEN:
        raise Refused(f"{name!r} holds no e-invoice of a known form: ask the sender for a PDF")
    inside = [f"{part.name}: {problem}" for part in document.walk()[1:] for problem in part.problems]
    problems = [_shown(problem) for problem in [*document.problems, *inside]]
    return Seen([_page(page) for page in document.pages], said, problems)


def _page(page: Page) -> dict[str, Any]:
    words = [word for line in page.lines for word in (_closed(line.words) if page.origin == "ocr" else line.words)]
    told = [[word.text, *word.box, word.confidence] for word in words]
    return {"number": page.number, "size": [page.width, page.height], "words": told}


def _closed(words: tuple[Word, ...]) -> list[Word]:
    """Words of a recognised line; one that ends a letter's width too early reaches to the next, as its edge is a guess."""
    made: list[Word] = []
    for word, after in zip(words, [*words[1:], words[-1]], strict=True):
        x0, y0, x1, y1 = word.box
        gap, height = after.box[0] - x1, y1 - y0
        x1 = after.box[0] - 0.3 * height if 0.3 * height < gap < GAP * height else x1
        made.append(word.model_copy(update={"box": (x0, y0, x1, y1)}))
    return made


def _shown(problem: str) -> str:
    """A problem as people and the journal may have it: accounts are masked."""
    for iban in ibans(problem):
        problem = problem.replace(iban, masked(iban))
    return problem


def said_by(said: EInvoice, *, buyer: str, buyer_vat: str) -> Reading:
    """The reading of an e-invoice: its fields are what its sender's program wrote, not what anybody recognised."""
    total = said.payable if said.total is None else said.total
    lines = [_line(line.name, line.net, line.quantity, line.unit_price) for line in said.lines]
    fields: dict[str, Any] = {
        "vendor": said.seller.name, "vendor_vat": said.seller.vat_id.replace(" ", ""), "number": said.number,
        "vendor_iban": said.ibans[0].replace(" ", "") if said.ibans else None, "issued": said.issued,
        "currency": said.currency, "total": total, "net": said.net, "tax": said.tax, "po_number": said.order,
    }  # fmt: skip
    found = {
        name: Found(text=masked(value) if name == "vendor_iban" else str(value), confidence=1.0, why=f"says the {said.syntax} XML")
        for name, value in fields.items() if value not in (None, "")
    }  # fmt: skip
    doubts = [f"{name} is missing" for name in ("vendor", "number", "issued", "total", "currency") if name not in found]
    known = [line for line in lines if line is not None]
    if not known or len(known) < len(lines):
        doubts.append("the e-invoice has lines without an amount" if lines else "the e-invoice has no lines")
    if said.kind == "credit note" or (total is not None and total < 0):
        doubts.append("this is a credit note")
    if len(said.ibans) > 1:
        doubts.append(f"it names {len(said.ibans)} accounts to pay to")
    if said.payable is not None and said.payable != total:
        doubts.append(f"{said.payable} of the total {total} is to be paid")
    if not _is_us(said, buyer, buyer_vat):
        doubts.append(f"it is addressed to {said.buyer.name or said.buyer.vat_id}, and not to us")
    invoice = Invoice(kind=said.kind, lines=known, **fields)
    return Reading(invoice=invoice, confidence=0.0 if len(found) < 5 else 1.0, doubts=doubts, found=found)


def _line(name: str, net: Decimal | None, quantity: Decimal | None, price: Decimal | None) -> Line | None:
    amount = net if net is not None or quantity is None or price is None else quantity * price
    return None if amount is None else Line(description=name, amount=amount, quantity=quantity, price=price)


def _is_us(said: EInvoice, buyer: str, buyer_vat: str) -> bool:
    """Whether the buyer that it names, if any, is us."""
    if said.buyer.vat_id and buyer_vat:
        return key(said.buyer.vat_id) == key(buyer_vat)
    return not said.buyer.name or key(said.buyer.name).startswith(key(buyer))
