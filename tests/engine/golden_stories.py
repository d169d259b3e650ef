"""The stories behind the first golden journals: sales, effects that are undone, races. `golden_people.py` has more.

`python tests/engine/golden_stories.py` records those that are missing. A golden journal is never recorded anew, as it
must replay for ever. To cover more, add a story of another name.

A journal names the line of the workflow where an error came from, so these workflows stay on the lines that they were
recorded on.
"""

from __future__ import annotations

from decimal import Decimal

from golden_records import Story, record_missing
from pydantic import BaseModel

from backstay import (
    ActionFailed,
    App,
    IdempotencyKey,
    NotRetryable,
    Retry,
    Sensitive,
    TimedOut,
    action,
    approval,
    gather,
    new_id,
    note,
    now,
    race,
    rule,
    setting,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import ActionDenied, Cancelled, OutcomeUnknown
from backstay.testing import Harness

LIMIT = Decimal(1000)
down = {"times": 0}


class Line(BaseModel):
    article: str
    count: int
    price: Decimal


class Order(BaseModel):
    number: str
    customer: Sensitive["pii"]
    lines: list[Line]


class Checked(BaseModel):
    fine: bool
    remark: str = ""


@action(effect="read")
async def stock(article: str) -> int:
    return len(article)


@action(effect="write")
def unreserve(order: Order, result: str, key: IdempotencyKey) -> None:
    return None


@action(effect="write", compensate=unreserve, retry=Retry(attempts=3, first="1s", jitter=0))
def reserve(order: Order, key: IdempotencyKey) -> str:
    if down["times"]:
        down["times"] -= 1
        raise ConnectionError("warehouse is closed")
    return f"reserved {order.number}"


@action(effect="irreversible")
def charge(customer: str, amount: Decimal, key: IdempotencyKey) -> str:
    return f"charged {amount}"


@action(effect="read")
async def refuse(why: str) -> str:
    raise NotRetryable(why)


@rule
def total(order: Order) -> Decimal:
    return sum((line.count * line.price for line in order.lines), Decimal(0))


@rule
def large(order: Order) -> bool:
    return total(order) > LIMIT


@workflow
async def sell(order: Order) -> str:
    """Reserve, ask when it is large, charge, wait for the parcel."""
    counts = await gather(*[stock(line.article) for line in order.lines])
    if min(counts) == 0:
        return "out of stock"
    reference = await reserve(order)
    if large(order):
        decision = await approval("sales", show=order, within="2d")
        if not decision.approved:
            raise ValueError(f"declined: {decision.reason}")
    receipt = await charge(order.customer, total(order))
    await sleep("1d")
    try:
        parcel = await wait_for("parcel", within="3d")
    except TimedOut:
        parcel = "lost"
    await note(f"parcel {parcel}", {"receipt": receipt})
    return f"{reference}, {receipt}, {parcel}"


@workflow
async def check(number: str) -> bool:
    checked = await task("clerks", form=Checked, title=f"Check {number}")
    return checked.fine


@workflow
async def tour(numbers: list[str]) -> list[str]:
    """A bit of everything that `sell` has not."""
    begun, name, limit = await now(), await new_id(), await setting("limit")
    found: list[str] = []
    for number in numbers:
        try:
            await refuse(number)
        except ActionFailed as error:
            found.append(f"{number}: {error.message}")
    winner = await race(wait_for("left"), gather(start(check, "1"), wait_for("right")), sleep("1h"))
    found.append(f"{winner.index}")
    if begun.year > 2000 and len(name) == 26 and limit == 7:
        found.append("drawn")
    return found


trouble: list[Exception] = []
"""What `dispatch` raises next."""


@action(effect="write", compensate=unreserve, retry=Retry(attempts=2, first="1s", jitter=0))
def pack(order: Order, key: IdempotencyKey) -> str:
    return f"packed {order.number}"


@action(effect="write", retry=Retry(attempts=2, first="1s", jitter=0))
def dispatch(number: str, key: IdempotencyKey) -> str:
    if trouble:
        raise trouble.pop(0)
    return f"dispatched {number}"


@workflow
async def ship(order: Order) -> str:
    """Two effects that can be undone, one that may go wrong, and a decision that nobody may take in time."""
    reference = await reserve(order)
    await pack(order)
    number = await dispatch(order.number)
    decision = await approval("sales", show=order.number, within="1h")
    if not decision.approved:
        raise ValueError(f"{number} is called back: {decision.verdict}")
    return reference


@workflow
async def sell_or_not(order: Order) -> str:
    """A call that a person may forbid, a child that nobody waits for, and a signal that may be late."""
    child = await start(check, order.number, detached=True)
    try:
        receipt = await charge(order.customer, total(order))
    except ActionDenied as refusal:
        receipt = f"not charged: {refusal.reason}"
    first = await race(dispatch(order.number), sleep("2h"))
    try:
        await wait_for("parcel", within="1h")
    except TimedOut:
        await note("no parcel", {"child": len(child)})
    return f"{receipt}, {first.index}"


@workflow
async def withdraw(order: Order) -> str:
    """Reserve; the seller may withdraw, and who rejects the charge says by which code whether that is the end."""
    reference = await reserve(order)
    first = await race(wait_for("withdrawn", type=Checked, details=True), sleep("1d"))
    if first.index == 0 and first.value.by == "ann":
        raise Cancelled(f"{order.customer} withdrew: {first.value.value.remark}")
    try:
        return await charge(order.customer, total(order))
    except ActionDenied as denied:
        if denied.reason_code == "fraud":
            raise Cancelled(f"{denied.by} suspects fraud") from denied
        return f"{reference}, not charged: {denied.reason}"


app = App("golden", workflows=[sell, check, tour, ship, sell_or_not, withdraw], settings={"limit": 7})
ORDER = {"number": "A-1", "customer": "Wilhelmina", "lines": [{"article": "bolt", "count": 3, "price": "400.50"}]}
SMALL = {"number": "A-2", "customer": "Konrad", "lines": [{"article": "nut", "count": 1, "price": "0.05"}]}


async def sold(it: Harness) -> str:
    down["times"] = 1
    run = await it.start(sell, order=ORDER, by="ann")
    await it.advance("1s")
    await it.client.signal(run, "parcel", "P-7")
    await it.approve(run, by="bob", reason="good customer")
    await it.approve(run, by="cleo")
    await it.restart()
    await it.advance("2d")
    return run


async def declined(it: Harness) -> str:
    run = await it.start(sell, order=ORDER, by="ann")
    await it.reject(run, by="bob", reason="Wilhelmina never pays")
    return run


async def cancelled_in_its_sleep(it: Harness) -> str:
    run = await it.start(sell, order=SMALL, by="ann")
    await it.approve(run, by="bob")
    await it.client.cancel(run, by="ann", reason="changed their mind")
    await it.settle()
    return run


async def parcel_lost(it: Harness) -> str:
    run = await it.start(sell, order=SMALL, by="ann")
    await it.approve(run, by="bob")
    await it.advance("5d")
    return run


async def toured(it: Harness) -> str:
    run = await it.start(tour, numbers=["1", "2"], by="ann")
    child = next(wait.subject for wait in it.waits(run) if wait.kind == "child")
    await it.complete(child, {"fine": True}, by="ben")
    await it.client.signal(run, "right", {"a": [1, 2.5, None]})
    await it.settle()
    return run


async def still_waiting(it: Harness) -> str:
    return await it.start(tour, numbers=[], by="ann")


async def undone(it: Harness) -> str:
    run = await it.start(ship, order=ORDER, by="ann")
    await it.advance("2h")
    return run


async def found_out(it: Harness) -> str:
    trouble[:] = [OutcomeUnknown("the line broke"), OutcomeUnknown("again")]
    run = await it.start(ship, order=SMALL, by="ann")
    await it.client.settle(run, "not-happened", by="ben", reason="the carrier has nothing")
    await it.settle()
    await it.client.settle(run, "happened", by="ben", result="dispatched by phone")
    await it.settle()
    await it.approve(run, by="cleo")
    return run


async def given_up(it: Harness) -> str:
    trouble[:] = [ConnectionError("no answer")] * 4
    run = await it.start(ship, order=SMALL, by="ann")
    await it.advance("1s")
    await it.client.retry(run, by="ben", reason="the carrier is back")
    await it.settle()
    await it.advance("1s")
    await it.client.settle(run, "give-up", by="ben", reason="the carrier is bankrupt")
    await it.settle()
    return run


async def forbidden(it: Harness) -> str:
    run = await it.start(sell_or_not, order=SMALL, by="ann")
    await it.reject(run, by="bob", reason="Konrad has paid")
    await it.advance("3h")
    return run


async def still_held(it: Harness) -> str:
    return await it.start(sell_or_not, order=SMALL, by="ann")


async def lost_race_is_learnt(it: Harness) -> str:
    trouble[:] = [OutcomeUnknown("the line broke")]
    run = await it.start(sell_or_not, order=SMALL, by="ann")
    await it.approve(run, by="bob")
    await it.advance("4h")
    await it.client.settle(run, "happened", by="ben", result="dispatched late")
    await it.settle()
    return run


async def withdrawn(it: Harness) -> str:
    run = await it.start(withdraw, order=SMALL, by="ann")
    await it.client.signal(run, "withdrawn", {"fine": True, "remark": "too late"}, by="ann")
    await it.settle()
    return run


async def fraud(it: Harness) -> str:
    run = await it.start(withdraw, order=SMALL, by="ann")
    await it.client.signal(run, "withdrawn", {"fine": True}, by="mallory")
    await it.settle()
    await it.reject(run, by="bob", code="fraud", reason="an unknown card")
    return run


STORIES: dict[str, Story] = {
    "sold": sold,
    "declined": declined,
    "cancelled": cancelled_in_its_sleep,
    "parcel_lost": parcel_lost,
    "toured": toured,
    "still_waiting": still_waiting,
    "undone": undone,
    "found_out": found_out,
    "given_up": given_up,
    "forbidden": forbidden,
    "still_held": still_held,
    "lost_race_is_learnt": lost_race_is_learnt,
    "withdrawn": withdrawn,
    "fraud": fraud,
}


if __name__ == "__main__":
    record_missing(app, STORIES)
