from decimal import Decimal
from typing import Any

import time
from datetime import date, datetime

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    a = datetime.now()
    b = time.time()
    c = date.today()
    d = datetime.utcnow()
    e = total.now()
    return a
