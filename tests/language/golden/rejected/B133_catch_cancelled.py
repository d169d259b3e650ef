from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.errors import ActionFailed, Cancelled
from backstay.language import rule, workflow


@action(effect="read")
async def find(name: str) -> str: ...

@workflow
async def refused(total: Decimal) -> Any:
    try:
        await find('a')
        raise Cancelled('nobody wants it')
    except (ActionFailed, Cancelled):
        pass
    try:
        raise Cancelled('nobody wants it')
    except Cancelled as ended:
        await note(ended.reason)
