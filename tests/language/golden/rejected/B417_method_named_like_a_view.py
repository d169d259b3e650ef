from pydantic import BaseModel

from backstay.language import workflow


class Bag(BaseModel):
    a: int

    def keys(self) -> int:
        return self.a


@workflow
async def refused(bag: Bag, one: dict[str, int], other: dict[str, int]) -> list[str]:
    common = one.keys() & other.keys()
    first, *rest = common
    return [first, *rest, str(bag.keys())]
