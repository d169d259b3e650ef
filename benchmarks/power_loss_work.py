"""A worker whose every write is recorded, for `benchmarks.power_loss`: `python -m benchmarks.power_loss_work ROOT SEED CASES DIE_AT`.

It starts cases, answers what they ask for, and writes down each acknowledgement when it has it, into a file below the
same folder, so that the records know before which moment it was given. DIE_AT: the commit after which it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from backstay import (
    App,
    Client,
    IdempotencyKey,
    NotRetryable,
    Queue,
    action,
    approval,
    gather,
    task,
    wait_for,
    workflow,
)
from backstay.engine.control import serve
from backstay.errors import Conflict, NotAllowed
from backstay.types import Sensitive

HEARD: Final = "heard.jsonl"
WORLD: Final = "world.db"
LARGE: Final = 80_000
"""Characters of a value that is too large for an event."""


class _Root:
    folder: Path = Path()


def use(root: Path) -> None:
    """Say where home and world are, and make the world."""
    _Root.folder = root
    with closing(_world()) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE IF NOT EXISTS effects (what TEXT, key TEXT)")


def _world() -> sqlite3.Connection:
    return sqlite3.connect(_Root.folder / WORLD, timeout=30, isolation_level=None)


def happen(what: str, key: str) -> None:
    """Do it, unless it was done under this key."""
    with closing(_world()) as db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT 1 FROM effects WHERE key = ?", (key,)).fetchone() is None:
            db.execute("INSERT INTO effects VALUES (?, ?)", (what, key))
        db.execute("COMMIT")


class Buyer(BaseModel):
    name: Sensitive["subject"]  # noqa: F821 - the name of a class of data
    email: Sensitive["pii"]  # noqa: F821


@action(effect="write")
def unreserve(case: str, result: str, key: IdempotencyKey) -> None:
    happen(f"unreserve {case}", key)


@action(effect="write", compensate=unreserve)
def reserve(case: str, key: IdempotencyKey) -> str:
    happen(f"reserve {case}", key)
    return f"r{case}"


@action(effect="irreversible")
def pay(case: str, buyer: Buyer, key: IdempotencyKey) -> str:
    happen(f"pay {case}", key)
    return f"p{case}"


@action(effect="read")
async def look(case: str) -> str:
    return case * (LARGE // len(case)) if case.endswith("5") else case


@action(effect="read")
async def refuse(case: str) -> str:
    raise NotRetryable("no")


@workflow
async def sell(case: str, buyer: Buyer) -> str:
    seen, reserved = await gather(look(case), reserve(case))
    decision = await approval("bosses", quorum=2)
    if not decision.approved:
        return "rejected"
    packed = await task("packers", show={"seen": len(seen)})
    paid = await pay(case, buyer)
    parcel = await wait_for("parcel")
    return f"{reserved} {paid} {packed.comment} {parcel}"


@workflow
async def regret(case: str) -> None:
    await reserve(case)
    await refuse(case)


app = App("power", workflows=[sell, regret], queues=[Queue(name="bosses", owner="bob", lease="1h")])


def given(case: int) -> tuple[str, dict[str, Any]]:
    """The workflow of a case, and its input."""
    if case % 5 == 4:
        return "regret", {"case": str(case)}
    return "sell", {"case": str(case), "buyer": {"name": f"buyer {case % 7}", "email": f"b{case % 7}@buyers.example"}}


def expected(cases: list[int]) -> list[str]:
    """What must have happened, once each, when these cases have ended."""
    sold = [f"{what} {case}" for case in cases if case % 5 != 4 for what in ("reserve", "pay")]
    return sorted([*sold, *(f"{what} {case}" for case in cases if case % 5 == 4 for what in ("reserve", "unreserve"))])


Hear = Callable[..., None]


async def push(client: Client, hear: Hear, dice: random.Random) -> bool:
    """Answer some of what waits; says whether anything did."""
    waits = [wait for run in client.runs(status="waiting", limit=10_000) for wait in client.waits_of(run.id)]
    dice.shuffle(waits)
    for wait in waits[:8]:
        by = dice.choice(("bob", "carol"))
        word = f"w{dice.randrange(10**12)}"
        try:
            if wait.kind == "signal":
                await client.signal(wait.run, "parcel", word, id=word)
                hear(word=word)
            elif dice.random() < 0.2 and wait.queue:
                await client.comment(wait.id, word, by=by, files={"a.bin": dice.randbytes(dice.choice((10, 9000)))})
                hear(word=word)
            elif wait.kind == "approval":
                await client.decide(wait.id, "approved", by=by, reason=word)
                hear(word=word)
            elif wait.kind == "task":
                await client.complete(wait.id, {"comment": word}, by=by)
                hear(word=word)
        except (Conflict, NotAllowed):
            continue
    return bool(waits)


async def main(root: Path, seed: str, cases: int, die_at: int) -> None:
    dice, commits = random.Random(seed), iter(range(1, 10**9))
    descriptor = os.open(root / HEARD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hear(**line: Any) -> None:
        os.write(descriptor, json.dumps(line).encode() + b"\n")

    def on_commit(_: int) -> None:
        if next(commits) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async with app.open(root / "home", on_commit=on_commit) as client, serve(client, root / "home"):
        for case in range(cases):
            name, input_ = given(case)
            run = await client.start(name, input_, key=str(case), by="ann")
            hear(key=str(case), run=run)
            if case % 3 == 0:
                await push(client, hear, dice)
        while await push(client, hear, dice) or any(not run.ended for run in client.runs(limit=10_000)):
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    use(Path(sys.argv[1]))
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
