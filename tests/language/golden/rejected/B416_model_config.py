from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backstay.language import workflow


class Bill(BaseModel):
    alpha: int = 1
    beta: int = 2


class Probe(BaseModel):
    model_config = ConfigDict(from_attributes=True, regex_engine="python-re")
    alpha: str = Field(pattern="^(a+)+$")


class Other(BaseModel):
    model_config = {"from_attributes": True}
    alpha: int


@workflow
async def refused(bill: Bill) -> list[Any]:
    return [Probe.model_validate(bill), Other.model_validate(bill)]
