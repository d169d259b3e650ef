from decimal import Decimal
from typing import Any

import decimal
import math

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(total: Decimal) -> Any:
    a = decimal
    return decimal.Decimal(1) + math.floor(total)
