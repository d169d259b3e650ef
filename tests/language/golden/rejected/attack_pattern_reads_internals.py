from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from backstay.language import workflow


class Bill(BaseModel):
    alpha: int = 1
    beta: int = 2


@dataclass
class Trick:
    model_fields_set: list[str]
    args: list[str]
    keys: str


@workflow
async def refused(bill: Bill, given: dict[str, int]) -> list[Any]:
    Trick([], [], "")
    match bill:
        case Bill(model_fields_set=found):
            first, *rest = found
            return [first, *rest]
    match given:
        case dict(keys=method):
            return [str(method)]
    try:
        return [1 / 0]
    except Exception as error:
        match error:
            case Exception(args=found):
                return [found]
    return []
