"""The actions of accounts payable: everything by which the process reads or changes the world, and how each may
fail.

Writes honour the engine's idempotency key, so a retry and a restart find what the first attempt did. `use` says
where the application's files live.
"""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal
from pathlib import Path

from backstay.actions import Breaker, Retry, action
from backstay.types import IdempotencyKey
from examples.accounts_payable import arrivals, matching, reading
from examples.accounts_payable.erp import Erp, RefusedByErp
from examples.accounts_payable.models import Document, Invoice, Match, Order, Posting, Reading, Seen, Vendor
from examples.accounts_payable.rules import needs_review

BUYER = "Nordkai Trading GmbH"
BUYER_VAT = "DE811907980"
HOME_VARIABLE = "ACCOUNTS_PAYABLE_HOME"

QUICK = Retry(attempts=4, first="100ms", longest="2s")
"""For what is asked of the ERP."""
STUBBORN = Retry(attempts=6, first="200ms", longest="1s")
"""For posting: a short outage is sat out, a long one goes to the manual backlog."""
IN_TURN = Retry(attempts=60, first="200ms", factor=1.3, longest="2s")
"""For the register: earlier invoices are still being read."""


class _Home:
    folder: Path | None = None


def use(home: Path | str) -> None:
    """Say where the ERP's database and the kept documents are: `home` is the folder that `seed` and the inbox use."""
    _Home.folder = Path(home)


def home() -> Path:
    folder = _Home.folder or os.environ.get(HOME_VARIABLE)
    if not folder:
        raise RuntimeError(f"accounts payable does not know its home: call actions.use(home) or set {HOME_VARIABLE}")
    return Path(folder)


def erp() -> Erp:
    return Erp(home() / "erp.db")


# --- reading --------------------------------------------------------------------------------------------


@action(effect="read", timeout="180s", concurrency=4, untrusted=True)
def read_document(document: Document) -> Reading:
    """Type and completeness, then the fields; a file without an invoice in it gives a reading that says why."""
    path = home() / "documents" / document.path
    try:
        return reading.read_document(document, path, buyer=BUYER, buyer_vat=BUYER_VAT)
    except reading.DocumentUnreadable as error:
        return Reading(invoice=Invoice(), confidence=0.0, unreadable=str(error))


@action(effect="read", retry=QUICK)
def find_vendor(invoice: Invoice) -> Vendor | None:
    """The vendor in the master data, by tax number, account or name."""
    return erp().find_vendor(invoice.vendor, invoice.vendor_vat, invoice.vendor_iban)


@action(effect="read", retry=QUICK)
def vendor_by_id(vendor_id: str) -> Vendor | None:
    """The vendor that a person named."""
    return erp().vendor(vendor_id)


@action(effect="read", retry=QUICK)
def find_order(po_number: str, vendor_id: str) -> Order | None:
    """The vendor's purchase order, with what was received and invoiced; None when it has none of that number."""
    return erp().find_order(po_number, vendor_id) if po_number else None


@action(effect="read", retry=QUICK)
def match_invoice(invoice: Invoice, order: Order) -> Match:
    """The three-way match of invoice, order and receipts, and the cost centre of each line."""
    return matching.match_lines(invoice, order, erp().cost_centres())


@action(effect="read", retry=QUICK)
def value_in_euro(total: Decimal, currency: str) -> Decimal:
    """The total at the house rate, for the approval threshold."""
    return erp().in_euro(total, currency)


# --- the register of arrivals ---------------------------------------------------------------------------


@action(effect="write", retry=QUICK)
def enter_arrival(document: Document, reading: Reading, key: IdempotencyKey) -> None:
    """Take the document's place in the register, with the vendor and number if a machine read them for sure."""
    del key  # the register holds each document once, so its digest is the key
    invoice, books = reading.invoice, erp()
    sure = not needs_review(reading)
    vendor = books.find_vendor(invoice.vendor, invoice.vendor_vat, invoice.vendor_iban) if sure else None
    arrivals.enter(books, document, vendor.id if vendor else None, invoice.number)


@action(effect="write", timeout="30s", retry=IN_TURN)
async def claim_number(document: Document, vendor_id: str, number: str, key: IdempotencyKey) -> list[Seen]:
    """Claim a vendor's number; answers with those who had it before, once every earlier arrival has been read."""
    del key
    for _ in range(20):
        try:
            return await asyncio.to_thread(arrivals.claim, erp(), document, vendor_id, number, patient=True)
        except arrivals.EarlierNotRead:
            await asyncio.sleep(0.1)
    return await asyncio.to_thread(arrivals.claim, erp(), document, vendor_id, number)


# --- writing --------------------------------------------------------------------------------------------


@action(effect="write", retry=QUICK)
def cancel_invoice(result: str) -> None:
    """Undo `create_invoice`; `result` is the id that it gave."""
    if result:
        erp().cancel_invoice(result)


def invoice_under(key: str) -> str | None:
    """Probe: whether an invoice was created under a key."""
    return erp().invoice_under(key)


@action(
    effect="write", timeout="5s", retry=STUBBORN, on_failure="raise", probe=invoice_under, compensate=cancel_invoice,
)  # fmt: skip
def create_invoice(posting: Posting, key: IdempotencyKey) -> str:
    """Post the invoice in the ERP and answer with its id."""
    return erp().create_invoice(posting, key)


@action(
    effect="write", timeout="5s", retry=Retry(attempts=1), on_failure="queue", queue="manual-backlog",
    breaker=Breaker(failures=3, cooldown="60s"), compensate=cancel_invoice,
)  # fmt: skip
def create_invoice_from_backlog(posting: Posting, key: IdempotencyKey) -> str:
    """The same after IT was told: one attempt, then it waits in the manual backlog until somebody retries it."""
    try:
        return erp().create_invoice(posting, key)
    except RefusedByErp as refusal:
        raise RuntimeError(str(refusal)) from refusal  # keeps it in the backlog, where a person can mend its cause


@action(effect="write", retry=QUICK)
def alert_it(subject: str, message: str, key: IdempotencyKey) -> str:
    """Tell IT that the ERP does not take postings."""
    return erp().alert("it-service@nordkai.example", subject, message, key)


def payment_under(key: str) -> str | None:
    """Probe: whether a payment was made under a key."""
    return erp().payment_under(key)


@action(effect="irreversible", timeout="20s", approvers="treasury", probe=payment_under)
def submit_payment(invoice_id: str, payee: str, amount: Decimal, currency: str, key: IdempotencyKey) -> str:
    """Pay a posted invoice: the gateway holds this for the treasury, whoever asks."""
    return erp().pay(invoice_id, payee, amount, currency, key)
