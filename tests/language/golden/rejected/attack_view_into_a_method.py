from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal

    def update(self, other: Any) -> Any:
        return other


@rule
def refused(order: Order, a: dict[str, int]) -> Any:
    return order.update(a.keys())
