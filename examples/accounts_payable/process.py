"""Accounts payable as a workflow: from a document that arrived to an invoice posted, sent back or waiting.

Every exception is a task in the queue of those who can settle it; what they fill in decides whether the case
goes on. With a model configured, an agent looks into each exception first, and the person is shown what it found.
Nothing is decided by who is faster: see `arrivals.py` for how "seen before" stays the same whatever is
killed when.
"""

from __future__ import annotations

from decimal import Decimal

from backstay import ActionDenied, ActionFailed, approval, setting, start, task, workflow
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
from examples.accounts_payable.investigation import investigator
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
    advised,
    coded,
    corrected,
    mismatches,
    needs_approval,
    needs_review,
    order_problem,
    posting_of,
    uncoded_lines,
    vendor_problem,
    vendor_unusable,
)  # fmt: skip


@workflow
async def pay_invoice(invoice_id: str, payee: str, amount: Decimal, currency: str) -> Payment:
    """Pay a posted invoice; the payment is irreversible, so the gateway holds it for the treasury."""
    try:
        payment_id = await submit_payment(invoice_id, payee, amount, currency)
        return Payment(status="paid", payment_id=payment_id)
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
        if review.verdict == "reject":
            return Outcome.rejected(review.comment)
        reading = corrected(reading, review)
    invoice, facts = reading.invoice, reading.facts(document)

    vendor, named = await find_vendor(invoice), invoice.vendor
    while vendor_unusable(vendor):
        problem = vendor_problem(vendor, named)
        shown = {**facts, "record": vendor, "problem": problem}
        advice = await investigator(shown) if await setting("investigate") else None
        found = await task("vendor-set-up", show=advised(shown, advice), form=VendorFound)
        if found.verdict == "reject":
            return Outcome.rejected(found.comment)
        vendor, named = await vendor_by_id(found.vendor_id), found.vendor_id

    order, named = await find_order(invoice.po_number, vendor.id), invoice.po_number
    while order is None:
        problem = order_problem(vendor, named)
        shown = {**facts, "record": vendor, "problem": problem}
        advice = await investigator(shown) if await setting("investigate") else None
        answer = await task("missing-po", show=advised(shown, advice), form=OrderFound)
        if answer.verdict == "reject":
            return Outcome.rejected(answer.comment)
        order, named = await find_order(answer.po_number, vendor.id), answer.po_number

    seen = await claim_number(document, vendor.id, invoice.number)
    if seen:
        shown = {**facts, "record": vendor, "seen": seen}
        advice = await investigator(shown) if await setting("investigate") else None
        judged = await task("possible-duplicate", show=advised({**facts, "seen": seen}, advice), form=DuplicateJudged)
        if judged.verdict == "duplicate":
            return Outcome.duplicate(judged.comment)

    match, problem = await match_invoice(invoice, order), "nothing says who pays for these lines"
    while uncoded_lines(match):
        shown = {**facts, "lines": uncoded_lines(match), "problem": problem}
        advice = await investigator(shown) if await setting("investigate") else None
        coding = await task("coding", show=advised(shown, advice), form=LinesCoded)
        if coding.verdict == "reject":
            return Outcome.rejected(coding.comment)
        match, problem = coded(match, coding.lines), "these lines still have no cost centre"
    differences = mismatches(match)
    if differences:
        shown = {**facts, "order": order, "off": differences}
        advice = await investigator(shown) if await setting("investigate") else None
        judgement = await task("mismatch", show=advised(shown, advice), form=MismatchJudged)
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
    await start(
        pay_invoice, invoice_id, vendor.name, posting.total, posting.currency, detached=True, key=f"pay {invoice_id}"
    )
    return Outcome.posted(invoice_id)
