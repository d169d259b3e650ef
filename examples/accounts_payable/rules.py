"""The business rules of accounts payable, each small enough to be read aloud. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backstay import DecisionTable, rule
from backstay.types import Finding
from examples.accounts_payable.models import (
    Coded,
    Document,
    Invoice,
    LineMatch,
    Match,
    Order,
    Posting,
    Reading,
    Reviewed,
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
def missing(invoice: Invoice) -> list[str]:
    """The fields without which nothing can be posted."""
    needed = {
        "vendor": invoice.vendor, "number": invoice.number, "issued": invoice.issued, "total": invoice.total,
        "currency": invoice.currency,
    }  # fmt: skip
    return [name for name, value in needed.items() if value is None or value == ""]


@rule
def needs_review(reading: Reading) -> bool:
    """A person must read what the machine is not sure of."""
    return reading.confidence < SURE or len(reading.doubts) > 0 or len(missing(reading.invoice)) > 0


@rule
def corrected(reading: Reading, review: Reviewed) -> Reading:
    """The reading with the fields that a person filled in; an empty field keeps what was read."""
    old = reading.invoice
    fields = {
        "vendor": review.vendor or old.vendor, "number": review.number or old.number,
        "issued": review.issued or old.issued, "currency": review.currency or old.currency,
        "po_number": review.po_number or old.po_number,
    }  # fmt: skip
    if review.total is not None:
        fields = {**fields, "total": review.total, "net": review.net, "tax": None}
    invoice = old.model_copy(update=fields)
    doubts = [f"{name} is missing" for name in missing(invoice)]
    return Reading(invoice=invoice, confidence=1.0, doubts=doubts, found=reading.found, pages=reading.pages)


@rule
def vendor_unusable(vendor: Vendor | None) -> bool:
    """Unknown, blocked, or with bank details that nobody has confirmed."""
    return vendor is None or vendor.problem != ""


@rule
def vendor_problem(vendor: Vendor | None, named: str) -> str:
    """Why the vendor that the invoice or a person named cannot be used, in words."""
    if vendor is not None:
        return vendor.problem
    return f"the master data do not know {named}" if named != "" else "no vendor was named"


@rule
def order_problem(vendor: Vendor, named: str) -> str:
    """Why there is no order to match with, in words."""
    return f"{vendor.name} has no order {named}" if named != "" else "no order was named"


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
def advised(shown: dict[str, Any], finding: Finding[Any] | None) -> dict[str, Any]:
    """What a person is shown, with what the agent found out; where it was not asked, or did not get there, without."""
    if finding is None or finding.reason != "goal-met":
        return shown
    return {**shown, "advice": finding.output, "evidence": finding.evidence}


@rule
def needs_approval(euro: Decimal) -> bool:
    return euro > APPROVAL_FROM


@rule
def coded(match: Match, words: list[Coded]) -> Match:
    """The match with the cost centres that their owner gave; a line that was not named stays without one."""
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
    return Match(lines=lines, net_off=match.net_off, head=match.head)


@rule
def posting_of(
    document: Document, invoice: Invoice, vendor: Vendor, order: Order, match: Match, separate: bool
) -> Posting:
    """What the ERP is asked to create."""
    return Posting(
        vendor_id=vendor.id, number=invoice.number, issued=invoice.issued, currency=invoice.currency,
        total=invoice.total, po_number=order.number, document=document.digest, lines=match.lines, separate=separate,
    )  # fmt: skip
