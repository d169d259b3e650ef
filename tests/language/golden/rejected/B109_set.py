from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(total: Decimal) -> Any:
    seen = {1, 2, 3}
    for item in {total, 2}:
        seen = {x for x in [item]}
    unique = set([1])
    return frozenset(unique)
