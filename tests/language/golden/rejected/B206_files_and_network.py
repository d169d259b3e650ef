from decimal import Decimal
from typing import Any

import subprocess
from pathlib import Path

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@workflow
async def refused(total: Decimal) -> Any:
    a = open('/etc/passwd')
    b = Path('x').read_text()
    c = subprocess.run(['ls'])
    return a
