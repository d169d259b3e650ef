"""One program that uses all of the language."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field

from backstay.actions import action
from backstay.commands import gather, new_id, now, note, race, random, setting, sleep, start, wait_for
from backstay.errors import ChildFailed, ProcessError, TimedOut
from backstay.language import DecisionTable, rule, workflow
from backstay.types import Sensitive

Amount = Annotated[D, Field(ge=0)]
CENT = D("0.01")
DUE = timedelta(days=30)
EPOCH = date(2026, 1, 1)
WEIGHTS: dict[str, list[int]] = {"a": [1, 2], "b": []}
ORDER = ("b", "a", -1, None, True, 1.5)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Channel(str, Enum):
    MAIL = "mail"
    POST = "post"


@dataclass(frozen=True)
class Address:
    street: str
    tags: list[str] = field(default_factory=list)
    country: Literal["DE", "FR"] = "DE"


class Party(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, description="As registered")
    iban: Optional[Sensitive["pii"]] = None
    address: "Address | None" = None
    count: int = 0

    def label(self) -> str:
        return self.name if self.address is None else f"{self.name}, {self.address.street}"


class Bill(BaseModel):
    party: Party
    amounts: list[Amount] = Field(default_factory=list)
    level: Level = Level.LOW
    channel: Channel = Channel.MAIL
    items: dict[str, int] = {}
    due: date | None = None

    @property
    def total(self) -> D:
        return sum(self.amounts, D(0))

    @classmethod
    def empty(cls, name: str) -> "Bill":
        return cls(party=Party(name=name))

    @staticmethod
    def rounded(value: D) -> D:
        return value.quantize(CENT, rounding=ROUND_HALF_UP)


desk = DecisionTable("desk", inputs={"level": Level, "late": "bool"}, rows=[{"late": True, "then": "chasers"}, {"then": "clerks"}])


@action(effect="read")
async def fetch(name: str, since: datetime | None = None) -> Bill | None: ...


@action(effect="write")
async def send(bill: Bill, by: Channel = Channel.MAIL) -> dict[str, Any]: ...


@rule
def by_total(bill: Bill) -> D:
    return bill.total


@rule
def is_late(bill: Bill, today: date) -> bool:
    """A bill without a date is never late."""
    assert today >= EPOCH, "before our time"
    return bill.due is not None and today - bill.due > DUE


@workflow
async def child(bill: Bill, depth: int = 0) -> int:
    if depth < 2 and bill.total > 0:
        return await child(bill, depth + 1)
    return depth


@workflow(deadline="90d")
async def everything(names: list[str], limit: Amount = D("10"), channel: Channel = Channel.POST) -> list[Any]:
    moment = await now()
    today: date = moment.astimezone(UTC).date()
    found = [bill for bill in await gather(*[fetch(name, since=moment) for name in names]) if bill is not None]
    first, *rest = sorted(found, key=by_total, reverse=True) or [Bill.empty("nobody")]
    counts: dict[str, int] = {}
    for number, bill in enumerate(found, start=1):
        counts[bill.party.name] = counts.get(bill.party.name, 0) + number
        counts["all"] = counts.setdefault("all", 0)
        counts["all"] += 1
    total = sum(bill.total for bill in found)
    late = {bill.party.name: desk(bill.level, is_late(bill, today)) for bill in found if bill.total >= limit}
    text = ", ".join(f"{name!r:>10}: {desk_name:<8}" for name, desk_name in late.items())
    await note(f"{total:,.2f} due {today:%Y-%m-%d} {text}", data={"keys": list(counts.keys())})
    identifier = await new_id()
    luck = await random()
    colour = await setting("colour")
    winner = await race(wait_for("paid", type=Bill, within="2d"), sleep("3d"))
    if winner.index == 0 and (paid := winner.value) is not None:
        counts["paid"] = len(paid.amounts)
    try:
        answer = await wait_for("answer", within="1d")
        depth = await child(first)
        background = await start(child, first, detached=True, key=f"{identifier}")
    except TimedOut:
        answer, depth, background = None, 0, ""
    except (ChildFailed, ProcessError) as error:
        answer, depth, background = str(error), -1, error.message if isinstance(error, ChildFailed) else ""
    else:
        depth += 1
    finally:
        counts.pop("all", None)
    match answer:
        case {"bill": {"level": 1 | 2 as level}, **others} if others:
            counts["level"] = level
        case Bill(party=Party(name=name, address=Address(street=street))) | [name, street]:
            counts[name] = len(street)
        case Level.HIGH | "high" | None:
            pass
        case str(word) if word in {"a", "b"}:
            counts[word] = sum(WEIGHTS[word])
        case _:
            raise ValueError(f"an answer of {answer}") from None
    while rest and luck < 0.5:
        bill = rest.pop()
        if bill.channel == channel or bill.items.get("stamps"):
            continue
        sent = await send(bill.model_copy(update={"level": Level.HIGH}), by=Channel.POST)
        if "error" in sent:
            break
    else:
        del counts["nobody"]
    quarters = [(quarter, quarter * 2 ** (quarter % 3)) for quarter in range(1, 5) if quarter not in ORDER]
    biggest = max(quarters, default=(0, 0))[1]
    firsts = next((name for name in names if name.lower().startswith("a")), None)
    unique = list(dict.fromkeys([*names, *late]))
    return [identifier, colour, depth, background, counts, quarters[-1:], biggest, firsts, unique, first.party.count, first.items, Bill.rounded(total)]
