from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(seen: list[int] = [], at: Any = abs(1)) -> Any:
    seen.append(1)
    return seen
