"""Contract intake as a workflow: from an offer to a contract that was signed, stopped, rejected or has expired."""

from __future__ import annotations

from backstay import ActionDenied, approval, gather, race, sleep, task, workflow
from examples.contract_intake.actions import close_contract, read_text, register_contract, sign_contract
from examples.contract_intake.models import (
    ArchitectureReview,
    Clearance,
    Finding,
    LegalReview,
    NextStep,
    Offer,
    Outcome,
    Reading,
    SecurityReview,
)  # fmt: skip
from examples.contract_intake.rules import APPROVERS, ORDER, REVIEWS, risk_of, stops


@workflow
async def review_contract(review: str, offer: Offer, reading: Reading, before: list[Finding]) -> Finding:
    """One review: a task with the form of its discipline."""
    show, title = {"offer": offer, "clauses": reading.clauses, "before": before}, f"{review}: {offer.title}"
    match review:
        case "legal":
            legal = await task("legal", show=show, form=LegalReview, title=title)
            return legal.finding()
        case "security":
            security = await task("security", show=show, form=SecurityReview, title=title)
            return security.finding()
        case _:
            architecture = await task("architecture", show=show, form=ArchitectureReview, title=title)
            return architecture.finding()


@workflow
async def clear_contract(offer: Offer, reading: Reading) -> Clearance:
    """All reviews, at once or one after the other, then those who approve."""
    risk = risk_of(offer, reading)
    reviews = REVIEWS(kind=offer.kind, personal_data=offer.personal_data)
    findings: list[Finding] = []
    if ORDER(risk=risk) == "at once":
        findings = await gather(*[review_contract(review, offer, reading, []) for review in reviews])
    else:
        for review in reviews:
            findings = [*findings, await review_contract(review, offer, reading, findings)]
            if stops(findings):
                break
    if stops(findings):
        stop = stops(findings)[0]
        return Clearance(status="stopped", code=stop.code, reason=f"{stop.review} says stop", findings=findings)

    approvers = APPROVERS(risk=risk)
    show = {"contract": offer.title, "value": offer.value, "risk": risk, "offer": offer}
    decision = await approval(approvers["queue"], show=show, evidence=findings, quorum=approvers["votes"])
    if not decision.approved:
        return Clearance(status="rejected", code=decision.code, reason=decision.reason, findings=findings)
    return Clearance(status="cleared", findings=findings)


@workflow
async def intake_contract(offer: Offer) -> Outcome:
    """Register an offer, have it cleared, and have it signed before it expires."""
    reading = await read_text(offer.text)
    await register_contract(offer)
    cleared = await race(clear_contract(offer, reading), sleep(until=offer.valid_until))
    if cleared.index == 1:
        await close_contract(offer.reference, "expired")
        return Outcome(status="expired", reason="the offer ended before it was cleared")
    clearance = cleared.value
    if clearance.status != "cleared":
        await close_contract(offer.reference, clearance.status)
        return Outcome(status=clearance.status, code=clearance.code, reason=clearance.reason)

    while True:
        try:
            signing = await race(
                sign_contract(offer.reference, offer.counterparty, offer.value, offer.text),
                sleep(until=offer.valid_until),
            )
            if signing.index == 1:
                await close_contract(offer.reference, "expired")
                return Outcome(status="expired", reason="the offer ended before it was signed")
            return Outcome(status="signed", signature=signing.value)
        except ActionDenied as refusal:
            show = {"offer": offer, "refused": refusal.reason, "code": refusal.reason_code, "by": refusal.by}
            asked = await race(
                task("contract-desk", show=show, form=NextStep, title=f"Not signed: {offer.title}"),
                sleep(until=offer.valid_until),
            )
            if asked.index == 1:
                await close_contract(offer.reference, "expired")
                return Outcome(status="expired", reason="the offer ended before it was signed")
            if asked.value.verdict == "drop":
                await close_contract(offer.reference, "dropped")
                return Outcome(status="dropped", code=refusal.reason_code, reason=asked.value.comment)
