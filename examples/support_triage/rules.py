"""The rules of support, each small enough to be read aloud. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from backstay import DecisionTable, rule
from backstay.types import Finding
from examples.support_triage.models import Assessment, Customer, Mail, MailRead, Order, Record

TIERS = ["standard", "business", "enterprise"]
INTENTS = ["refund", "billing", "bug", "feature request", "cancellation", "other"]
WINDOW = timedelta(days=30)
"""So long after an order the policy refunds without exception."""
CENT = Decimal("0.01")

PRIORITY = DecisionTable(
    "priority", inputs={"tier": TIERS}, rows=[{"tier": "enterprise", "then": "high"}, {"then": "normal"}]
)
ANSWER_WITHIN = DecisionTable(
    "answer_within",
    inputs={"tier": TIERS},
    rows=[{"tier": "enterprise", "then": 4}, {"tier": "business", "then": 8}, {"then": 24}],
)
"""Hours until somebody must have answered."""
QUEUE = DecisionTable(
    "queue",
    inputs={"intent": INTENTS},
    rows=[{"intent": ["refund", "billing"], "then": "billing"}, {"then": "support"}],
)

WHICH_ORDER = """\
Thank you for your mail. To look into it we need the number of your order; it begins with ORD- and stands in the
confirmation that we sent you. Please answer this mail and leave the subject as it is.

Your support team"""


@rule
def problem_of(mail: Mail) -> str:
    """Why a person must read the mail first; empty when nothing is missing."""
    if mail.problem:
        return mail.problem
    missing = [
        name for name, value in {"sender": mail.sender, "text": " ".join(mail.lines)}.items() if not value.strip()
    ]
    return f"it has no {' and no '.join(missing)}" if missing else ""


@rule
def read_by_person(mail: Mail, read: MailRead) -> Mail:
    """The mail with what a person read from it."""
    return Mail(
        digest=mail.digest, sender=read.sender or mail.sender, subject=read.subject or mail.subject,
        lines=read.text.splitlines() or mail.lines, attachments=mail.attachments,
    )  # fmt: skip


@rule
def said_in(mail: Mail) -> str:
    """Subject and text."""
    return f"{mail.subject} {' '.join(mail.lines)}"


@rule
def lacks_order(mail: Mail, named: list[str]) -> bool:
    """Whether somebody wants money back and does not say for what."""
    said = said_in(mail).casefold()
    return ("refund" in said or "money back" in said) and len(named) == 0


@rule
def due_at(customer: Customer, opened: datetime) -> datetime:
    """When somebody must have answered."""
    return opened + timedelta(hours=ANSWER_WITHIN(tier=customer.tier))


@rule
def cannot_refund(order: Order | None, amount: Decimal) -> str:
    """Why no policy and no person can refund this; empty when it is possible."""
    if order is None:
        return "the customer of this ticket has no such order"
    if order.payment != "paid":
        return f"the order was not paid: {order.payment}"
    if amount <= 0:
        return "the amount must be more than 0"
    if amount > order.total - order.refunded:
        return f"{amount} is more than the {order.total - order.refunded} that can still be given back"
    return ""


@rule
def within_policy(order: Order, moment: datetime) -> bool:
    """Whether the policy refunds it without exception."""
    return moment.date() <= order.ordered + WINDOW


@rule
def in_cents(amount: Decimal) -> Decimal:
    """The amount as records write it."""
    return amount.quantize(CENT)


@rule
def unsettled(finding: Finding[Assessment] | None, record: Record) -> str:
    """Why a person must settle the ticket; empty when the agent did. What was done counts, not what it says."""
    if finding is None or finding.output is None:
        return "nobody has looked into it" if finding is None else f"the agent stopped: {finding.why or finding.reason}"
    if finding.reason != "goal-met":
        return f"the agent is not sure: {finding.why or finding.reason}"
    if finding.output.decision == "escalate":
        return finding.output.conflict or "the agent asks a person to decide"
    if finding.output.decision == "refunded" and record.refunded == 0:
        return "the agent speaks of a refund, and there is none"
    return "" if record.draft else "the agent drafted no reply"


@rule
def packet(
    ticket: str, customer: Customer, mail: Mail, named: list[str], orders: list[Order], policy: str, record: Record,
    finding: Finding[Assessment] | None, why: str,
) -> dict[str, Any]:  # fmt: skip
    """What a person needs to decide: customer, order, policy, timeline, draft, and what the agent found if one looked."""
    excerpt = [claim.quote for claim in finding.evidence if claim.quote in policy] if finding is not None else []
    return {
        "why": why, "ticket": ticket, "customer": customer, "mail": mail,
        "order": [order for order in orders if order.number in named] or orders,
        "policy": excerpt or policy.splitlines(), "timeline": record.timeline, "draft": record.draft,
        "assessment": None if finding is None else finding.output,
        "evidence": [] if finding is None else finding.evidence,
    }  # fmt: skip
