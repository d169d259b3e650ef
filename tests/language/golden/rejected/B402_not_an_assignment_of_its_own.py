from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


for COUNTER in range(3):
    pass

HANDLE, OTHER = object(), {1}


@rule
def refused(total: Decimal) -> Any:
    return total + COUNTER + len(HANDLE)
