from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Box:
    def __init__(self, total: Decimal) -> None:
        self.total = total


@rule
def refused(total: Decimal) -> Any:
    return Box(total)
