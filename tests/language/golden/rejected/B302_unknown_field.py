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
    return order.totl + order.f_back.cr_frame
