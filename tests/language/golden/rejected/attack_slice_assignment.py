from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    lines[0:0] = lines
    lines[:], rest = lines, 1
    return lines
