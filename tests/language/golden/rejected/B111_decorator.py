from decimal import Decimal
from typing import Any

from functools import cache

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
@cache
def refused(total: Decimal) -> Any:
    return total
