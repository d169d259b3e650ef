from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal


@workflow
async def refused(total: Decimal) -> Any:
    Order.total = 1
    Order.model_fields['total'] = 2
    order = Order
    return order
