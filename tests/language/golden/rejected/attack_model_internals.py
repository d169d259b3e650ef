from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    total: Decimal


@rule
def refused(order: Order) -> Any:
    a = order.model_fields_set
    b = order.model_config
    c = order.copy
    return order.dict()
