from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


def outer() -> Any:
    seen = 0

    @rule
    def refused(total: Decimal) -> Any:
        nonlocal seen
        seen = total
        return seen

    return refused


REFUSED = outer()
