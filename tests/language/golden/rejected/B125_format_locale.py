from decimal import Decimal
from typing import Any

from datetime import date

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(due: date, total: int) -> Any:
    return f'{due:%A %c}' + f'{total:n}' + format(total, '>10')
