from decimal import Decimal
from typing import Any

from enum import Enum

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Colour(Enum):
    RED = 1


@rule
def refused(total: Decimal) -> Any:
    a = Colour._member_map_
    Colour.RED.value = 3
    Colour.RED = 4
    return Colour.mro()
