from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Mixin:
    def total(self) -> int:
        return 1


class Order(Mixin, BaseModel):
    amount: Decimal


@rule
def refused(order: Order) -> Any:
    return order.total
