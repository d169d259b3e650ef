"""Prove every case of a large store with one process and with several: `python -m benchmarks.replay_all [--runs N]`.

Prints one JSON object: for each measurement, in the order in which they were made, its time and its processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

from backstay import App, IdempotencyKey, action, rule, workflow
from backstay.language import Definition
from backstay.operations.sweep import Batch, Chosen, Impact, choose, processors, sweep
from backstay.store.database import Reader

LIMIT = Decimal("1000")
LOWER = Decimal("500")
WAVE = 500


@action(effect="read")
async def price(article: int) -> Decimal:
    return Decimal(article % 1500)


@action(effect="write")
async def reserve(article: int, key: IdempotencyKey) -> str:
    return f"R-{article}"


@action(effect="write")
async def ship(reference: str, express: bool, key: IdempotencyKey) -> str:
    return f"{reference} {express}"


@rule
def dear(amount: Decimal) -> bool:
    return amount > LIMIT


@rule
def dearer(amount: Decimal) -> bool:
    return amount > LOWER


@workflow
async def order(article: int) -> str:
    amount = await price(article)
    reference = await reserve(article)
    return await ship(reference, express=bool(dear(amount)))


@workflow
async def changed(article: int) -> str:
    amount = await price(article)
    reference = await reserve(article)
    return await ship(reference, express=bool(dearer(amount)))


async def fill(home: Path, runs: int) -> None:
    """A store with that many finished runs."""
    async with App("orders", workflows=[order]).open(home, synchronous="OFF") as client:
        for first in range(0, runs, WAVE):
            started = [client.start(order, {"article": number}) for number in range(first, min(first + WAVE, runs))]
            await asyncio.gather(*started)
            await client.quiet()


def measure(home: Path, chosen: list[Chosen], jobs: int, impact: Impact | None) -> dict[str, Any]:
    total, begun, spent = Batch(), perf_counter(), cpu()
    for batch in sweep(home, chosen, jobs, impact):
        total.add(batch)
    taken = perf_counter() - begun
    assert not total.failures, total.failures[0]
    return {"jobs": jobs, "cases": total.cases, "events": total.events, "different": len(total.affected),
            "seconds": round(taken, 2), "cpu_seconds": round(cpu() - spent, 2), "events_per_second": round(total.events / taken)}  # fmt: skip


def cpu() -> float:
    """Processor time of this process and of those that it waited for: what a busy machine changes least."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay_all", description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
        home = Path(folder)
        asyncio.run(fill(home, options.runs))
        reader = Reader(home / "backstay.db")
        chosen = choose(reader)
        reader.close()
        new: Definition = changed.definition
        impact = Impact(definitions={order.definition.version: new}, assume={})
        several = max(2, processors())
        found = [
            {"what": what, "round": round_, **measure(home, chosen, jobs, given)}
            for round_ in range(options.rounds)
            for what, given in (("proof", None), ("impact of a change", impact))
            for jobs in (1, several)
        ]
    print(json.dumps({"runs": options.runs, "processors": processors(), "measured": found}, indent=2))


if __name__ == "__main__":
    main()
