from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


NAMES: dict[str, Any] = {"rule": rule}
exec("def made(x):\n    return x\n", NAMES)
refused = rule(NAMES["made"])
