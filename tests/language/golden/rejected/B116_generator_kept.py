from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    pending = (x for x in lines)
    for x in (y for y in lines):
        pending = x
    return pending
