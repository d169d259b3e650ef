import asyncio
import time
from time import sleep
from time import sleep as pause

from backstay.commands import note
from backstay.language import rule, workflow


@rule
def large(total: int) -> bool:
    time.sleep(1)
    return total > 1000


@workflow
async def refused(total: int) -> int:
    time.sleep(1)
    sleep(1)
    pause(1)
    await asyncio.sleep(1)
    return total if large(total) else 0
