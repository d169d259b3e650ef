from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@action(effect="read")
async def find(name: str) -> str: ...


@rule
def size(total: Decimal) -> Decimal:
    return total


@workflow
async def refused(total: Decimal) -> Any:
    await 3
    await size(total)
    await abs(total)
    await (find('a') or find('b'))
