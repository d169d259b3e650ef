from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal

    class Inner(BaseModel):
        x: int

    if True:
        y: int = 1


@rule
def refused(order: Order) -> Any:
    return order.total
