from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@action(effect="read")
async def tags(name: str) -> set[str]: ...


@workflow
async def refused(total: Decimal) -> Any:
    for tag in await tags('a'):
        return tag
