from decimal import Decimal
from typing import Any

from support.other import scaled

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


FACTOR = 2


@workflow
async def refused(total: Decimal) -> Any:
    return FACTOR * scaled(total)
