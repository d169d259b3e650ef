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
    a = abs
    b = find
    c = [size, Decimal]
    d = f'{find} {size}'
    return str(find)
