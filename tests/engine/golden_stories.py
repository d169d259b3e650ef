"""The stories behind the golden journals. `python tests/engine/golden_stories.py` records those that are missing.

A golden journal is never recorded anew: a journal that once replayed must replay for ever. To change what one covers,
add a story of another name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

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
from backstay.testing import Harness, harness

FOLDER = Path(__file__).parent / "golden"
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


app = App("golden", workflows=[sell, check, tour], settings={"limit": 7})
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


STORIES: dict[str, Callable[[Harness], Awaitable[str]]] = {
    "sold": sold,
    "declined": declined,
    "cancelled": cancelled_in_its_sleep,
    "parcel_lost": parcel_lost,
    "toured": toured,
    "still_waiting": still_waiting,
}


async def record(name: str) -> dict[str, object]:
    """Tell a story and write down what a worker would need to go on with its run: definition, events, private values."""
    async with harness(app) as it:
        run = await STORIES[name](it)
        row, payloads, secrets = it.run(run), it.client._runner.payloads, dict[str, str]()
        for stored in it.client.events(run):
            payloads.restore(stored.event, secrets)
        definition = it.client._reader.one("definition", (row.version,))
        assert definition is not None
        return {
            "run": run,
            "version": row.version,
            "definition": definition["text"],
            "status": row.status,
            "summary": row.summary,
            "open": sorted(wait.command for wait in it.waits(run)),
            "private": {token: text for text, token in secrets.items()},
            "events": [
                {"kind": item.kind, "body": item.body, "hash": item.hash.hex()} for item in it.client.events(run)
            ],
        }


def main() -> None:
    for name in STORIES:
        path = FOLDER / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(asyncio.run(record(name)), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
