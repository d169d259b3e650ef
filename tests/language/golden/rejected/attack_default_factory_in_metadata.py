from decimal import Decimal
from typing import Any

from typing import Annotated

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


@rule
def refused(x: "Annotated[list[int], open('/etc/passwd')]") -> Any:
    return 1
