from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(items: list[str]) -> Any:
    async for item in items:
        await note(item)
    return [item async for item in items]
