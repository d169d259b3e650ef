from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    a = [str(__str__) for __str__ in lines]
    return __verdict__(1) + __builtins__['open']
