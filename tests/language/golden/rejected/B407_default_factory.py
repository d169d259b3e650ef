from decimal import Decimal
from typing import Any

from uuid import uuid4
from pydantic import Field

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    id: Any = Field(default_factory=uuid4)
    sizes: list[int] = Field(default_factory=lambda: [1])
    total: Decimal = Decimal(3) + 1


@rule
def refused(order: Order) -> Any:
    return order.id
