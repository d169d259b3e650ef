"""What stands in the way of an invoice, found out by an agent before a person looks.

It reads the books and the house rules, changes nothing, and comes back with a recommendation whose claims quote what it
read. The person decides as before. Without a model, or when it cannot find out, the person starts from zero.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from backstay import Agent, AgentLimits, action
from examples.accounts_payable.actions import QUICK, erp
from examples.accounts_payable.models import Booked, Frozen, Order, Vendor

HOUSE_RULES = """\
Tolerance: unit prices up to 2 % above the order are paid; more needs the buyer.
Partial deliveries: only what was received is paid; the rest of the invoice waits or is credited.
Freight and packing: paid only where the order names them.
Bank details: a new account is confirmed by telephone under a number that we knew before, never one from the invoice.
No order: rent, utilities, insurance and postage need none; everything else is sent back to be ordered.
Same number twice: the same total means a copy; another total may be a correction, and the vendor is asked.
Unknown vendor: purchasing sets it up; needed are the tax number, the bank details and who ordered."""


class Advice(Frozen):
    """What a person is told before they decide."""

    recommendation: Literal["go on", "send back", "ask the vendor", "ask the buyer", "set up the vendor"]
    why: str
    missing: list[str] = []
    """What must be asked for."""
    proposal: dict[str, str] = {}
    """How the form could be filled in, by its fields."""


@action(effect="read", retry=QUICK)
def orders_of_vendor(vendor_id: str) -> list[Order]:
    """All purchase orders of a vendor, with what was ordered, received and invoiced on each line."""
    return erp().orders_of(vendor_id)


@action(effect="read", retry=QUICK)
def past_invoices(vendor_id: str) -> list[Booked]:
    """What the books hold of a vendor: number, date, total, order and document of each invoice, newest first."""
    return erp().invoices_of(vendor_id)


@action(effect="read", retry=QUICK)
def vendors_like(name: str) -> list[Vendor]:
    """Vendors in the master data of which a name has a word in common with this one."""
    return erp().vendors_like(name)


@action(effect="read")
def house_rules() -> str:
    """The rules of the house for invoices that do not pass by themselves."""
    return HOUSE_RULES


investigator = Agent(
    "invoice-investigator",
    goal="Find out why this invoice cannot be posted by itself, and recommend what the person in charge should do.",
    tools=[orders_of_vendor, past_invoices, vendors_like, house_rules],
    output=Advice,
    evidence=[house_rules],
    confidence=0.6,
    autonomy="recommend",
    limits=AgentLimits(steps=10, tool_calls=15, usd=Decimal("0.25"), minutes=5),
)
