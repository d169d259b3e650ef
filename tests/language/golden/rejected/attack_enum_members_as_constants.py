from decimal import Decimal
from typing import Any

from enum import Enum

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


class Colour(Enum):
    RED = 1


LEAK = {'a': Colour._member_map_, 'b': Colour.mro}


@rule
def refused(total: Decimal) -> Any:
    return str(LEAK)
