from decimal import Decimal
from typing import Any

import random
from random import randint

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    a = random.random()
    b = randint(1, 6)
    return a + b
