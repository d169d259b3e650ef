from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


FACTOR = 1
FACTOR = 2


@rule
def refused(total: Decimal) -> Any:
    return total * FACTOR
