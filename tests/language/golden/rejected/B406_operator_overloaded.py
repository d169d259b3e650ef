from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal

    def __add__(self, other: Any) -> Any:
        return open('/etc/passwd')

    def __hash__(self) -> int:
        return id(self)


@rule
def refused(order: Order) -> Any:
    return order + order
