"""Accounts payable as a workflow: from a document that arrived to an invoice posted, sent back or waiting.

Every exception is a task in the queue of those who can settle it; what they fill in decides whether the case
goes on. Nothing is decided by who is faster: see `arrivals.py` for how "seen before" stays the same whatever is
killed when.
"""

from __future__ import annotations

from decimal import Decimal

from backstay import ActionDenied, ActionFailed, approval, start, task, workflow
from examples.accounts_payable.actions import (
    alert_it,
    claim_number,
    create_invoice,
    create_invoice_from_backlog,
    enter_arrival,
    find_order,
    find_vendor,
    match_invoice,
    read_document,
    submit_payment,
    value_in_euro,
    vendor_by_id,
)  # fmt: skip
from examples.accounts_payable.models import (
    Document,
    DuplicateJudged,
    LinesCoded,
    MismatchJudged,
    OrderFound,
    Outcome,
    Payment,
    Reviewed,
    VendorFound,
)  # fmt: skip
from examples.accounts_payable.rules import (
    coded,
    corrected,
    mismatches,
    needs_approval,
    needs_review,
    posting_of,
    uncoded_lines,
    vendor_unusable,
)  # fmt: skip


@workflow
async def pay_invoice(invoice_id: str, amount: Decimal, currency: str) -> Payment:
    """Pay a posted invoice; the payment is irreversible, so the gateway holds it for the treasury."""
    try:
        return Payment(status="paid", payment_id=await submit_payment(invoice_id, amount, currency))
    except (ActionDenied, ActionFailed) as refusal:
        return Payment(status="not paid", reason=str(refusal))


@workflow
async def process_invoice(document: Document) -> Outcome:
    """Read, check, match, approve and post one incoming invoice."""
    reading = await read_document(document)
    await enter_arrival(document, reading)
    while needs_review(reading):
        queue = "unreadable" if reading.unreadable else "invoice-review"
        doubts = reading.unreadable or reading.doubts
        review = await task(queue, show={**reading.facts(document), "doubts": doubts}, form=Reviewed)
        if review.reject:
            return Outcome.rejected(review.reject)
        reading = corrected(reading, review)
    invoice, facts = reading.invoice, reading.facts(document)

    vendor = await find_vendor(invoice)
    while vendor_unusable(vendor):
        found = await task("vendor-set-up", show={**facts, "record": vendor}, form=VendorFound)
        if found.reject:
            return Outcome.rejected(found.reject)
        vendor = await vendor_by_id(found.vendor_id)

    order = await find_order(invoice.po_number, vendor.id)
    while order is None:
        answer = await task("missing-po", show={**facts, "record": vendor}, form=OrderFound)
        if answer.reject:
            return Outcome.rejected(answer.reject)
        order = await find_order(answer.po_number, vendor.id)

    seen = await claim_number(document, vendor.id, invoice.number)
    if seen:
        judged = await task("possible-duplicate", show={**facts, "seen": seen}, form=DuplicateJudged)
        if judged.verdict == "duplicate":
            return Outcome.duplicate(judged.comment)

    match = await match_invoice(invoice, order)
    while uncoded_lines(match):
        coding = await task("coding", show={**facts, "lines": uncoded_lines(match)}, form=LinesCoded)
        if coding.reject:
            return Outcome.rejected(coding.reject)
        match = coded(match, coding.lines)
    differences = mismatches(match)
    if differences:
        judgement = await task("mismatch", show={**facts, "order": order, "off": differences}, form=MismatchJudged)
        if judgement.verdict == "reject":
            return Outcome.rejected(judgement.comment)

    euro = await value_in_euro(invoice.total, invoice.currency)
    if needs_approval(euro):
        decision = await approval("ap-approvers", show={**facts, "euro": euro}, evidence=match)
        if not decision.approved:
            return Outcome.rejected(decision.reason)

    posting = posting_of(document, invoice, vendor, order, match, separate=len(seen) > 0)
    try:
        invoice_id = await create_invoice(posting)
    except ActionFailed as failure:
        await alert_it(f"invoice {invoice.number} of {vendor.name} cannot be posted", failure.message)
        invoice_id = await create_invoice_from_backlog(posting)
    await start(pay_invoice, invoice_id, posting.total, posting.currency, detached=True, key=f"pay {invoice_id}")
    return Outcome.posted(invoice_id)
