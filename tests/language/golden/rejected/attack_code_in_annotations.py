from decimal import Decimal
from typing import Any

from typing import Annotated, Literal
from pydantic import Field
from backstay.types import Sensitive

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


def boom(*args: Any, **named: Any) -> Any:
    return 1


class Order(BaseModel):
    total: Annotated[Decimal, Field(gt=boom("a"))]
    kind: Annotated[int, Field(default_factory=boom)]
    mode: "Literal[boom(1)]" = 1
    iban: "Sensitive[boom(2)]" = ""


@rule
def refused(order: Order) -> Any:
    return order.total
