"""A refund, whoever starts it: facts from the books, rules, and a person where the policy of the gateway says so."""

from __future__ import annotations

from decimal import Decimal

from backstay import ActionDenied, ActionFailed, now, workflow
from examples.support_triage.actions import issue_refund, order_of
from examples.support_triage.models import Refund
from examples.support_triage.rules import cannot_refund, in_cents, within_policy


@workflow
async def refund_order(ticket: str, order: str, amount: Decimal) -> Refund:
    """Give back what the customer of a ticket paid for one of their orders, or a part of it, to where it came from.

    A small refund within the policy is made at once; any other waits until finance has approved it.
    """
    try:
        found = await order_of(ticket, order)
        problem = cannot_refund(found, amount)
        if problem:
            return Refund(status="not refunded", reason=problem)
        regular = within_policy(found, await now())
        refund_id = await issue_refund(ticket, order, in_cents(amount), found.currency, regular)
        return Refund(status="refunded", refund_id=refund_id, amount=in_cents(amount))
    except (ActionDenied, ActionFailed) as refusal:
        return Refund(status="not refunded", reason=str(refusal))
