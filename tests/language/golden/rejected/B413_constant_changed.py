from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


RATES = {'a': 1}
RATES.update(a=2)


@workflow
async def refused(total: Decimal) -> Any:
    return RATES['a'] * total
