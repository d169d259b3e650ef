from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(name: str) -> Any:
    a = name.encode()
    b = name.translate({})
    c = Decimal.from_thing(name)
    return name.expandtabs(10**9)
