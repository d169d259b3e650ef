from decimal import Decimal

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import approval, note, sleep, task
from backstay.errors import ActionFailed
from backstay.language import workflow


class Invoice(BaseModel):
    vendor: str
    total: Decimal


@action(effect="irreversible")
async def pay(number: str, amount: Decimal) -> str: ...

@workflow
async def chase(invoices: list[Invoice], tries: int = 3) -> str:
    for invoice in invoices:
        for attempt in range(tries):
            try:
                done = await pay(invoice.vendor, invoice.total)
                if done == "ok":
                    break
            except ActionFailed as error:
                await note(f"{error}")
                await sleep("1h")
                continue
        else:
            await task("treasury", show=invoice)
    while True:
        verdict = await approval("close")
        if verdict.approved:
            return "closed"
        if verdict.verdict == "expired":
            raise ValueError("nobody decided")
        await sleep("1d")
