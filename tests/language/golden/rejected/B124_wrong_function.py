from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
def not_async(total: int) -> Any:
    return total


@rule
async def asynchronous(total: int) -> Any:
    return total
