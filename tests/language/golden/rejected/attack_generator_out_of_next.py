from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    kept = next((x for x in []), (x for x in lines))
    return sum([], (x for x in lines))
