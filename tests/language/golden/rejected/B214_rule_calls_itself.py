from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(n: int) -> int:
    return 1 if n < 2 else n * refused(n - 1)


@workflow
async def uses(n: int) -> int:
    return refused(n)
