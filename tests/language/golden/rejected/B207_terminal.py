from decimal import Decimal
from typing import Any

import logging

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    print(total)
    name = input()
    logging.info(total)
    return name
