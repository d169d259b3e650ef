from decimal import Decimal
from typing import Any

import re

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Order(BaseModel):
    tags: set[str]
    pattern: re.Pattern[str]
    more: list[frozenset[int]] = []


@rule
def refused(order: Order, seen: set[str], raw: bytes) -> Any:
    return order.tags
