"""What human work costs with very many items: `python -m benchmarks.people [--items 100000] [--json]`.

- `inbox_p95_ms`, `claim_p95_ms`: a page of 50 items, and claiming one, while 100,000 items are open.
- `deciders_s`: 200 people deciding 10,000 items at once, each trying items that others also try; `doubled` counts
  decisions that counted twice, `lost` items that nobody got.
- `timers_s`: 100,000 timers that come due in the same minute, until the last has fired; `missing` of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from backstay import App, Client, Queue, approval, sleep, workflow
from backstay.errors import Conflict, NotAllowed
from backstay.testing import ManualClock
from benchmarks.sides.measures import percentile

AT_ONCE = 200
DECIDERS = 200


@workflow
async def asked(number: int) -> str:
    """Wait for one decision."""
    return (await approval("desk", show=number, within="30d")).verdict


@workflow
async def rests(number: int) -> int:
    """Wait for a minute that all share."""
    await sleep("1h")
    return number


app = App("people-benchmark", workflows=[asked, rests], queues=[Queue(name="desk", owner="dora", priority=1)])


async def in_parallel(items: Iterable[Any], once: Callable[[Any], Awaitable[Any]], width: int = AT_ONCE) -> None:
    left = iter(items)

    async def work() -> None:
        for item in left:
            await once(item)

    await asyncio.gather(*(work() for _ in range(width)))


async def desk(items: int, decided: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        async with app.open(Path(folder)) as client:
            await in_parallel(range(items), lambda number: client.start(asked, {"number": number}, by="ann"))
            await client.quiet()
            lists = [_timed(lambda: client.inbox(queue="desk", limit=50)) for _ in range(300)]
            everywhere = [_timed(lambda: client.inbox(limit=50)) for _ in range(300)]
            found = [wait.id for wait in client.inbox(queue="desk", limit=decided + 500)]
            claims = [await _claimed(client, item) for item in found[decided:]]
            return {
                "inbox_p95_ms": percentile(lists, 95),
                "inbox_all_queues_p95_ms": percentile(everywhere, 95),
                "claim_p95_ms": percentile(claims, 95),
                **await _deciders(client, found[:decided]),
            }


def _timed(look: Callable[[], object]) -> float:
    before = time.perf_counter()
    look()
    return (time.perf_counter() - before) * 1000


async def _claimed(client: Client, item: str) -> float:
    before = time.perf_counter()
    await client.claim(item, by="bob")
    return (time.perf_counter() - before) * 1000


async def _deciders(client: Client, items: list[str]) -> dict[str, float]:
    """Everybody has an own order, so that most items are tried by several people at nearly the same time."""
    won: dict[str, list[str]] = {item: [] for item in items}

    async def person(number: int) -> None:
        name, chance = f"person {number}", random.Random(number)
        for item in chance.sample(items, len(items) * 3 // DECIDERS):
            await _try(name, item)

    async def _try(name: str, item: str) -> None:
        try:
            await client.claim(item, by=name)
            await client.decide(item, "approved", by=name)
        except (Conflict, NotAllowed):
            return
        won[item].append(name)

    before = time.perf_counter()
    await asyncio.gather(*(person(number) for number in range(DECIDERS)))
    await in_parallel([item for item in items if not won[item]], lambda item: _try("the last one", item))
    taken = time.perf_counter() - before
    await client.quiet()
    counted = [client.run(item.partition("/")[0]).status for item in items]
    return {
        "deciders_s": taken,
        "doubled": sum(len(names) > 1 for names in won.values()),
        "lost": sum(status != "finished" for status in counted),
    }


async def timers(items: int) -> dict[str, float]:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        async with app.open(Path(folder), clock=clock) as client:
            await in_parallel(range(items), lambda number: client.start(rests, {"number": number}))
            await client.quiet()
            clock.move(3700)
            before = time.perf_counter()
            while (due := client.next_timer()) is not None and due <= clock.timestamp():
                await client.fire_timers()
            await client.quiet()
            taken = time.perf_counter() - before
            return {"timers_s": taken, "missing": items - client.counts()["rests"].get("finished", 0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--decided", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured = asyncio.run(desk(options.items, options.decided)) | asyncio.run(timers(options.items))
    if options.json:
        print(json.dumps(measured))
        return
    for name, value in measured.items():
        print(f"{name:26} {value:,.2f}")


if __name__ == "__main__":
    main()
