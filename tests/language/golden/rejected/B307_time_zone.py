from decimal import Decimal
from typing import Any

from datetime import datetime

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(due: datetime) -> Any:
    a = due.timestamp()
    b = datetime.fromtimestamp(0)
    c = datetime.strptime('1 May', '%d %b')
    return due.ctime()
