from pydantic import BaseModel

from backstay.language import workflow


class Bill(BaseModel):
    alpha: int = 1
    beta: int = 2


class Probe(BaseModel):
    names: list[str] = []


@workflow
async def refused(bill: Bill) -> list[str]:
    return Probe.model_validate(bill, from_attributes=True).names
