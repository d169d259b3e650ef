from decimal import Decimal
from typing import Any

import os
import sys
from os import getenv

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    a = os.environ['HOME']
    b = getenv('HOME')
    c = sys.argv
    return a
