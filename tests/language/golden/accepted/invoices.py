from __future__ import annotations
from decimal import Decimal
from enum import StrEnum
from pydantic import BaseModel
from backstay.actions import action
from backstay.commands import approval, task, gather, now, sleep, note
from backstay.types import Sensitive, IdempotencyKey
from backstay.errors import ActionFailed
from backstay.language import workflow, rule, DecisionTable

TOLERANCE = Decimal("0.50")
RATES = {"DE": ["a", "b"], "FR": []}

class Status(StrEnum):
    POSTED = "posted"
    REJECTED = "rejected"

class Line(BaseModel):
    text: str
    amount: Decimal

class Invoice(BaseModel):
    vendor: str
    total: Decimal
    iban: Sensitive["pii"] = ""
    items: list[Line] = []
    po_number: str | None = None

    @property
    def gross(self) -> Decimal:
        return sum([line.amount for line in self.items], Decimal(0))

class Order(BaseModel):
    number: str
    total: Decimal

class Outcome(BaseModel):
    status: Status
    reason: str = ""
    @classmethod
    def rejected(cls, reason: str) -> Outcome:
        return cls(status=Status.REJECTED, reason=reason)

@action(effect="read")
async def find_order(po_number: str) -> Order | None: ...

@action(effect="write")
async def create_invoice(invoice: Invoice, key: IdempotencyKey) -> str: ...

@rule
def within_tolerance(order: Order, invoice: Invoice) -> bool:
    """Close enough."""
    return abs(order.total - invoice.total) <= TOLERANCE

queue_for = DecisionTable(
    "queue_for",
    inputs={"amount": "number", "country": ["DE", "FR"]},
    rows=[
        {"amount": "< 1000", "then": "clerks"},
        {"country": "DE", "then": "managers"},
        {"then": "board"},
    ],
)

@rule
def by_amount(line: Line) -> Decimal:
    return line.amount

@workflow(deadline="30d")
async def process_invoice(invoice: Invoice, again: bool = False) -> Outcome:
    """AP intake."""
    if invoice.po_number is None:
        done = await task("missing-po", show=invoice)
        return Outcome.rejected(done.comment)
    order = await find_order(invoice.po_number)
    if order is None or not within_tolerance(order, invoice):
        decision = await approval(queue_for(invoice.total, "DE"), show=invoice, within="48h")
        if not decision.approved:
            return Outcome.rejected(reason=f"by {decision.by}: {decision.reason!r:>10}")
    total = Decimal(0)
    for line in sorted(invoice.items, key=by_amount):
        total += line.amount
    if invoice.iban == "x" and total > 3:
        await note(f"sealed {total:,.2f}")
    orders = await gather(*[find_order(line.text) for line in invoice.items if line.amount > 1])
    try:
        number = await create_invoice(invoice)
    except ActionFailed as error:
        return Outcome.rejected(str(error))
    except Exception as error:
        return Outcome.rejected(str(error))
    match number:
        case "1" | "2":
            return Outcome(status=Status.POSTED)
        case str(x) if x.startswith("3"):
            return Outcome(status=Status.POSTED, reason=x)
    return Outcome.rejected("no number" + str(len(orders)))
