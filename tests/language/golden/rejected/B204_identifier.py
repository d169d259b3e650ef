from decimal import Decimal
from typing import Any

import uuid
from uuid import uuid4

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    a = uuid4()
    b = uuid.uuid1()
    return a
