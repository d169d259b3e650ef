from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Thing:
    pass


@action(effect='read')
async def refuse(number: int) -> Thing: ...


@workflow
async def refused(total: Decimal) -> Any:
    return await refuse(1)
