from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(lines: list[int]) -> Any:
    leak = [abs for abs in lines]
    return [open for open in lines] + [print for x in lines]
