"""The business rules of accounts payable, each small enough to be read aloud. Pure."""

from __future__ import annotations

from decimal import Decimal

from backstay import DecisionTable, rule
from examples.accounts_payable.models import (
    Coded,
    Invoice,
    LineMatch,
    Match,
    Posting,
    Reading,
    Reviewed,
    Seen,
    Vendor,
)  # fmt: skip

SURE = 0.7
"""Below this confidence a person reads the invoice."""
APPROVAL_FROM = Decimal("10000")
"""Totals above this, in euro, need an approver."""
ROUNDING = Decimal("0.05")

PRICE_TOLERANCE = DecisionTable(
    "price_tolerance",
    inputs={"line_amount": "number"},
    rows=[
        {"line_amount": "<= 100", "then": 500},
        {"line_amount": "<= 1000", "then": 300},
        {"then": 200},
    ],
)
"""How many basis points a unit price may be above the order's, by the line's amount."""


@rule
def needs_review(reading: Reading) -> bool:
    """A person must read what the machine is not sure of."""
    return reading.confidence < SURE or len(reading.doubts) > 0


@rule
def vendor_unusable(vendor: Vendor | None) -> bool:
    """Unknown, blocked, or with bank details that nobody has confirmed."""
    return vendor is None or vendor.problem != ""


@rule
def was_seen_before(seen: list[Seen]) -> bool:
    return len(seen) > 0


@rule
def uncoded_lines(match: Match) -> list[LineMatch]:
    """Lines of which nothing says which cost centre pays."""
    return [line for line in match.lines if line.cost_centre == ""]


@rule
def price_is_off(line: LineMatch) -> bool:
    return line.order_line is not None and line.price_off > Decimal(PRICE_TOLERANCE(line.amount)) / 10000


@rule
def mismatches(match: Match) -> list[str]:
    """What does not agree beyond tolerance, in words."""
    found = match.head + [
        f"{line.description}: unit price {line.price_off * 100:.1f} % above the order"
        for line in match.lines
        if price_is_off(line)
    ]
    for line in match.lines:
        if line.over_received > 0:
            found.append(f"{line.description}: {line.over_received} more than was received")
    if abs(match.net_off) > ROUNDING:
        found.append(f"the lines are {match.net_off} away from the net total")
    return found


@rule
def needs_approval(euro: Decimal) -> bool:
    return euro > APPROVAL_FROM


@rule
def coded(match: Match, words: list[Coded]) -> list[LineMatch]:
    """The lines with the cost centres that their owner gave."""
    lines: list[LineMatch] = []
    for line in match.lines:
        given = [word.cost_centre for word in words if word.description == line.description]
        centre = given[0] if line.cost_centre == "" and len(given) > 0 else line.cost_centre
        lines.append(
            LineMatch(
                description=line.description, amount=line.amount, quantity=line.quantity, order_line=line.order_line,
                cost_centre=centre, price_off=line.price_off, over_received=line.over_received,
            )
        )  # fmt: skip
    return lines


@rule
def corrected(invoice: Invoice, review: Reviewed) -> Invoice:
    """The invoice with the fields that a person filled in; an empty field keeps what was read."""
    return Invoice(
        kind=invoice.kind, vendor=review.vendor or invoice.vendor, vendor_vat=invoice.vendor_vat,
        vendor_iban=invoice.vendor_iban, number=review.number or invoice.number,
        issued=review.issued or invoice.issued,
        currency=review.currency or invoice.currency, total=invoice.total if review.total is None else review.total,
        net=invoice.net if review.total is None else None, tax=invoice.tax if review.total is None else None,
        po_number=review.po_number or invoice.po_number, lines=invoice.lines,
    )  # fmt: skip


@rule
def incomplete(invoice: Invoice) -> bool:
    """Whether a field is missing without which nothing can be posted."""
    return (
        invoice.vendor == ""
        or invoice.number == ""
        or invoice.issued is None
        or invoice.total is None
        or invoice.currency == ""
    )


@rule
def posting_of(
    invoice: Invoice, vendor: Vendor, po_number: str, document: str, lines: list[LineMatch], separate: bool
) -> Posting:
    """What the ERP is asked to create."""
    return Posting(
        vendor_id=vendor.id, number=invoice.number, issued=invoice.issued, currency=invoice.currency,
        total=invoice.total, po_number=po_number, document=document, lines=lines, separate=separate,
    )  # fmt: skip
