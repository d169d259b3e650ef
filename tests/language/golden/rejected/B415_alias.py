from pydantic import BaseModel, Field

from backstay.language import workflow


class Bill(BaseModel):
    alpha: int = 1
    beta: int = 2


class Probe(BaseModel):
    module: str = Field(alias="__module__")
    names: list[str] = Field(validation_alias="model_fields_set")


@workflow
async def refused(bill: Bill) -> list[str]:
    return Probe.model_validate(bill).names
