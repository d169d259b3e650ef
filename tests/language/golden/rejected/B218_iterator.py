from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    a = map(abs, lines)
    b = iter(lines)
    c = next(lines)
    return filter(None, lines)
