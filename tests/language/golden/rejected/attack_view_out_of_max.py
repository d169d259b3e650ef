from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(a: dict[str, int], b: dict[str, int]) -> Any:
    view = max(a.keys(), b.keys())
    kept = sum([], a.items())
    return [view, kept]
