from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(total: Decimal) -> Any:
    a = eval('1')
    exec('a = 2')
    b = getattr(total, 'real')
    c = globals()
    d = locals()
    return vars(total)
