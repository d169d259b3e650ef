from decimal import Decimal
from typing import Any

import os

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


FACTOR = 1 + 2
NAMES = os.listdir('.')


@rule
def refused(total: Decimal) -> Any:
    return total * FACTOR + len(NAMES)
