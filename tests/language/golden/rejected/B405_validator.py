from decimal import Decimal
from typing import Any

from pydantic import field_validator, computed_field

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal

    @field_validator('total')
    @classmethod
    def check(cls, value: Decimal) -> Decimal:
        return value

    @computed_field
    def double(self) -> Decimal:
        return self.total * 2


@rule
def refused(order: Order) -> Any:
    return order.total
