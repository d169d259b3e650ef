"""The nouns of the process: what arrived, what was read from it, what the ERP holds, and how a case can end.

Plain frozen data with pure methods: a workflow builds and reads these while it is replayed.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backstay.types import Sensitive


class Frozen(BaseModel):
    """Base of everything that travels through the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Frozen):
    """A file as it arrived; its content is kept under its digest, whatever happens to the file."""

    digest: str
    """SHA-256 of the content, which is also the key of the case."""
    name: str
    path: str
    """Where the kept copy lies, below the application's home."""
    size: int
    media_type: str
    """By content, never by name."""
    arrival: int = 0
    """Position in the intake's ledger; 0 when it came another way, which counts as last."""


class Place(Frozen):
    """Where on a document something was found, in points from the top left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


class Found(Frozen):
    """One field as it was read: how sure, where, and why."""

    text: str
    confidence: float
    why: str
    place: Place | None = None


class Line(Frozen):
    description: str
    amount: Decimal
    quantity: Decimal | None = None
    price: Decimal | None = None
    item: str = ""


class Invoice(Frozen):
    """What an invoice says. A field that could not be read is empty or None; the bank account is sealed in the journal."""

    kind: Literal["invoice", "credit note"] = "invoice"
    vendor: str = ""
    vendor_vat: str = ""
    vendor_iban: Sensitive["pii"] | None = None
    number: str = ""
    issued: date | None = None
    currency: str = ""
    total: Decimal | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    po_number: str = ""
    lines: list[Line] = Field(default_factory=list)


class Reading(Frozen):
    """An invoice as it was read from a document, with what speaks for and against it."""

    invoice: Invoice
    confidence: float
    """The least sure of vendor, number, date, total and currency."""
    doubts: list[str] = Field(default_factory=list)
    """Why a person should look, in words; empty when nobody needs to."""
    found: dict[str, Found] = Field(default_factory=dict)
    pages: int = 0
    unreadable: str = ""
    """Why no invoice can be read from the file at all; empty when one can."""

    def facts(self, document: Document) -> dict[str, object]:
        """What a person is shown of any case: the gist, the document, what was read from it and on which page."""
        invoice = self.invoice
        return {
            "vendor": invoice.vendor,
            "number": invoice.number,
            "total": "" if invoice.total is None else f"{invoice.total} {invoice.currency}",
            "page": {name: found.place.page for name, found in self.found.items() if found.place is not None},
            "document": document,
            "invoice": invoice,
        }


class Vendor(Frozen):
    id: str
    name: str
    status: Literal["active", "blocked"]
    cost_centre: str
    problem: str = ""
    """What speaks against paying this vendor as the invoice asks; empty when nothing does."""


class OrderLine(Frozen):
    line: int
    item: str
    description: str
    ordered: Decimal
    price: Decimal
    received: Decimal
    invoiced: Decimal
    cost_centre: str


class Order(Frozen):
    """A purchase order of one vendor, with what was received and invoiced so far."""

    number: str
    vendor: str
    currency: str
    lines: list[OrderLine]


class LineMatch(Frozen):
    """One invoice line against the order; `order_line` is None for a line that is not on it."""

    description: str
    amount: Decimal
    quantity: Decimal = Decimal("1")
    order_line: int | None = None
    cost_centre: str = ""
    """Empty when nothing says who pays for it."""
    price_off: Decimal = Decimal("0")
    """Unit price above the order's, as a fraction of it."""
    over_received: Decimal = Decimal("0")
    """Quantity invoiced beyond what was received and not yet invoiced."""


class Match(Frozen):
    """The three-way match of order, receipts and invoice."""

    lines: list[LineMatch]
    net_off: Decimal
    """How far the lines are from the net total that the invoice states."""
    head: list[str] = Field(default_factory=list)
    """What does not agree in the heads of invoice and order, in words."""


class Coded(Frozen):
    """A cost-centre owner's word on one line."""

    description: str
    cost_centre: str


class Seen(Frozen):
    """An invoice of the same vendor and number that came before."""

    number: str
    source: str
    """The file it came from, or "books" for what the ERP held before."""
    total: str = ""


class Booked(Frozen):
    """An invoice in the books."""

    number: str
    issued: date
    total: Decimal
    currency: str
    po_number: str
    status: Literal["posted", "cancelled"]


class Posting(Frozen):
    """Everything that the ERP needs to create the invoice."""

    vendor_id: str
    number: str
    issued: date
    currency: str
    total: Decimal
    po_number: str
    document: str
    """Digest of the document it was posted from."""
    lines: list[LineMatch]
    separate: bool = False
    """A person has said that this is another invoice although its number is taken."""


class Outcome(Frozen):
    """How a case ended."""

    status: Literal["posted", "rejected", "duplicate"]
    invoice_id: str = ""
    reason: str = ""

    @classmethod
    def posted(cls, invoice_id: str) -> Outcome:
        return Outcome(status="posted", invoice_id=invoice_id)

    @classmethod
    def rejected(cls, reason: str) -> Outcome:
        return Outcome(status="rejected", reason=reason)

    @classmethod
    def duplicate(cls, reason: str) -> Outcome:
        return Outcome(status="duplicate", reason=reason)


class Payment(Frozen):
    """How the payment of a posted invoice ended."""

    status: Literal["paid", "not paid"]
    payment_id: str = ""
    reason: str = ""


# --- the forms that people fill in: each begins with a verdict, so that an empty one is refused --------


class Reviewed(Frozen):
    """The fields as a person read them; an empty one keeps what the machine read. Or why there is nothing to read."""

    verdict: Literal["read", "reject"]
    comment: str = ""
    vendor: str = ""
    number: str = ""
    issued: date | None = None
    currency: str = ""
    total: Decimal | None = None
    net: Decimal | None = None
    """Without tax: what the lines must add up to."""
    po_number: str = ""


class VendorFound(Frozen):
    """The vendor's id once it is set up (or its bank details are confirmed), or why it will not be."""

    verdict: Literal["use", "reject"]
    vendor_id: str = ""
    comment: str = ""


class OrderFound(Frozen):
    """The order that the invoice belongs to, or why it is sent back."""

    verdict: Literal["found", "reject"]
    po_number: str = ""
    comment: str = ""


class DuplicateJudged(Frozen):
    """Whether this is the same invoice again."""

    verdict: Literal["duplicate", "separate"]
    comment: str = ""


class LinesCoded(Frozen):
    """A cost centre for each line that had none, or why the invoice is sent back."""

    verdict: Literal["coded", "reject"]
    lines: list[Coded] = Field(default_factory=list)
    comment: str = ""


class MismatchJudged(Frozen):
    """Whether to pay in spite of the differences."""

    verdict: Literal["accept", "reject"]
    comment: str = ""
