from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


LIMITS = (1, 2)


@rule
def refused(box: list[int]) -> Any:
    for box[0] in [1, 2]:
        pass
    box[0], rest = 1, 2
    LIMITS.a = 3
    return box
