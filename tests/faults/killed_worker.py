"""A worker that a test kills: `killed_worker.py HOME RUNS KILL_AT`, dead right after commit KILL_AT (0: never).

It starts RUNS runs under keys, answers what they ask, and exits when all have ended. What its actions do to the outside
world goes into a database of its own, where a second effect would show as a second row.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from backstay import (
    App,
    Client,
    IdempotencyKey,
    NotRetryable,
    Retry,
    action,
    approval,
    gather,
    start,
    wait_for,
    workflow,
)
from backstay.errors import Conflict

WORLD = "world.db"
QUICK = Retry(attempts=20, first=0.001, longest=0.002)


def world() -> sqlite3.Connection:
    connection = sqlite3.connect(Path(sys.argv[1]).parent / WORLD, timeout=30)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE IF NOT EXISTS effects (what TEXT, key TEXT)")
    return connection


def happen(what: str, key: str) -> bool:
    """Do it, unless it was done under this key; True when it was done now."""
    with closing(world()) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM effects WHERE key = ?", (key,)).fetchone():
            return False
        connection.execute("INSERT INTO effects VALUES (?, ?)", (what, key))
        return True


@action(effect="write")
def unreserve(case: str, result: str, key: IdempotencyKey) -> None:
    happen(f"unreserve {case}", key)


@action(effect="write", retry=QUICK, compensate=unreserve)
def reserve(case: str, key: IdempotencyKey) -> str:
    if happen(f"reserve {case}", key) and int(case) % 3 == 0:
        raise ConnectionError("the line broke after it was done")
    return f"r{case}"


@action(effect="irreversible")
def pay(case: str, key: IdempotencyKey) -> str:
    happen(f"pay {case}", key)
    return f"p{case}"


@action(effect="read")
async def look(case: str) -> str:
    return case


@action(effect="read")
async def refuse(case: str) -> str:
    raise NotRetryable("no")


@workflow
async def part(case: str) -> str:
    return await reserve(await look(case))


@workflow
async def sell(case: str) -> str:
    seen, reserved, child = await gather(look(case), reserve(case), start(part, case))
    decision = await approval("bosses")
    if not decision.approved:
        return "rejected"
    paid = await pay(case)
    parcel = await wait_for("parcel")
    return f"{seen} {reserved} {child} {paid} {parcel}"


@workflow
async def regret(case: str) -> None:
    await reserve(case)
    await refuse(case)


app = App("killed", workflows=[sell, part, regret])


async def push(client: Client, runs: list[str]) -> None:
    """Answer everything that waits until all runs have ended."""
    while any(not client.run(run).ended for run in runs):
        for wait in client.inbox(limit=1000):
            try:
                if wait.kind == "approval":
                    await client.decide(wait.id, "approved", by="bob")
            except Conflict:
                continue
        for run in runs:
            try:
                if any(wait.kind == "signal" for wait in client.waits_of(run)):
                    await client.signal(run, "parcel", "x", id=f"parcel {run}")
            except Conflict:
                continue
        await asyncio.sleep(0.005)


def killer(at: int) -> Callable[[int], None]:
    commits = [0]

    def on_commit(_: int) -> None:
        commits[0] += 1
        if commits[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_commit


async def main(home: str, number: int, kill_at: int) -> None:
    async with app.open(home, synchronous="OFF", on_commit=killer(kill_at)) as client:
        runs: list[str] = []
        for case in map(str, range(number)):
            name = regret if int(case) % 4 == 3 else sell
            runs.append(await client.start(name, {"case": case}, key=case, by="ann"))
        await push(client, runs)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
