from typing import Any

from pydantic import BaseModel, ConfigDict

from backstay.language import rule


class Bill(BaseModel):
    alpha: int = 1
    beta: int = 2


class Own(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int


@rule
def refused(own: Own) -> Any:
    return own.model_config
