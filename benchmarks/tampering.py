"""Tampers with a store in every way we can think of, and counts how often the audit sees it.

`python -m benchmarks.tampering` makes 10,000 random changes to a store of a few dozen runs, each on an in-memory copy:
half of them raw, half by somebody who recomputes every hash, position, commit and row behind the change. One checkpoint
over all records is held elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from backstay import App, IdempotencyKey, Sensitive, action, approval, start, workflow
from backstay.errors import StoreUnavailable
from backstay.governance.audit import Report, verify
from backstay.governance.checkpoints import load_signer, make_checkpoint, open_note
from backstay.store.database import Reader
from backstay.store.journal import genesis, link, link_commit
from backstay.testing import harness
from backstay.verify import Checkpoint


class Payment(BaseModel):
    name: str
    iban: Sensitive["pii"]  # noqa: F821 - the tag's name
    amount: int


@action(effect="read")
async def look_up(name: str) -> str:
    return name


@action(effect="write")
async def post(payment: Payment, key: IdempotencyKey) -> str:
    return f"P-{payment.amount}"


@workflow
async def booking(payment: Payment) -> str:
    return await post(payment)


@workflow
async def paying(payment: Payment) -> str:
    found = await look_up(payment.name)
    if payment.amount > 500:
        decision = await approval("desk", show=payment)
        if not decision.approved:
            return "no"
    await start(booking, payment, detached=True)
    return f"{found} {await post(payment)}"


async def make_store(home: Path, runs: int = 36) -> tuple[Checkpoint, str]:
    """A store with finished, waiting and child runs and two recorded checkpoints; gives the held one and its key."""
    app = App("tampering", workflows=[paying, booking])
    for part in range(2):
        async with harness(app, home) as it:
            for number in range(runs // 2):
                payment = {"name": f"n{part}{number}", "iban": f"DE{number:020d}", "amount": 100 * number}
                run = await it.start(paying, payment=payment)
                if number % 3 == 0 and payment["amount"] > 500:
                    await it.client.decide(f"{run}/{it.client.waits_of(run)[0].command}", "approved", by="ann")
                    await it.settle()
            await it.client.checkpoint(by="ann")
    with closing(Reader(home / "backstay.db")) as reader:
        signer = load_signer(home, reader)
        return open_note(make_checkpoint(reader, signer)["note"], signer.public), signer.public


# --- a store in memory -------------------------------------------------------------------------------------


class Memory(Reader):
    """The audit's reader on a connection of ours."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection


def load(path: Path) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    memory.row_factory = sqlite3.Row
    with closing(sqlite3.connect(path)) as disk:
        disk.backup(memory)
    return memory


@contextmanager
def undone(db: sqlite3.Connection) -> Iterator[None]:
    """What is done inside is taken back."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


@dataclass
class Item:
    """An event as the attacker moves it about, with the commit that it came in."""

    position: int
    run: str
    seq: int
    kind: str
    body: str
    hash: bytes
    commit: int


@dataclass
class Store:
    """What the attacker works on."""

    items: list[Item]
    checkpoints: list[list[object]]
    gone: set[str] = field(default_factory=set)


def read_store(db: sqlite3.Connection) -> Store:
    commits = db.execute("SELECT id, last FROM commits ORDER BY id").fetchall()
    items, at = list[Item](), 0
    for row in db.execute("SELECT * FROM events ORDER BY position"):
        while row["position"] > commits[at]["last"]:
            at += 1
        items.append(Item(*row, commits[at]["id"]))
    return Store(items, [list(row) for row in db.execute("SELECT * FROM checkpoints ORDER BY size")])


def covered(store: Store) -> None:
    """Recompute everything that can be recomputed without the signing key."""
    heads: dict[str, tuple[int, bytes]] = {}
    for number, item in enumerate(store.items, 1):
        seq, before = heads.get(item.run) or genesis(item.run)
        item.position, item.seq = number, seq + 1
        item.hash = link(before, item.run, item.seq, item.kind, item.body)
        heads[item.run] = item.seq, item.hash


def write_store(db: sqlite3.Connection, store: Store, *, sly: bool) -> None:
    db.execute("DELETE FROM events")
    rows = [(i.position, i.run, i.seq, i.kind, i.body, i.hash) for i in store.items]
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.execute("DELETE FROM checkpoints")
    db.executemany("INSERT INTO checkpoints VALUES (?, ?, ?)", store.checkpoints)
    if not sly:
        return
    previous = hashlib.sha256(b"backstay").digest()
    db.execute("DELETE FROM commits")
    groups: dict[int, list[Item]] = {}
    for item in store.items:
        groups.setdefault(item.commit, []).append(item)
    for number, group in enumerate(sorted(groups.values(), key=lambda group: group[0].position), 1):
        previous = link_commit(previous, (item.hash for item in group))
        db.execute("INSERT INTO commits VALUES (?, ?, ?)", (number, group[-1].position, previous))
    last = {item.run: item for item in store.items}
    for (run,) in db.execute("SELECT id FROM runs").fetchall():
        item = last.get(run)
        if item is None:
            db.execute("DELETE FROM runs WHERE id = ?", (run,))
            continue
        status = item.kind.removeprefix("run_") if item.kind.startswith(("run_f", "run_c")) else "waiting"
        db.execute("UPDATE runs SET seq = ?, head = ?, status = ? WHERE id = ?", (item.seq, item.hash, status, run))


# --- the ways ------------------------------------------------------------------------------------------------


def edit(store: Store, chance: random.Random) -> None:
    """One figure in one event is another."""
    item = chance.choice(store.items)
    places = [place for place, sign in enumerate(item.body) if sign.isdigit()]
    place = chance.choice(places)
    other = chance.choice([sign for sign in "0123456789" if sign != item.body[place]])
    item.body = item.body[:place] + other + item.body[place + 1 :]


def edit_kind(store: Store, chance: random.Random) -> None:
    item = chance.choice([item for item in store.items if item.kind != "noted"])
    item.kind = "noted"


def edit_hash(store: Store, chance: random.Random) -> None:
    item = chance.choice(store.items)
    item.hash = bytes([item.hash[0] ^ 1 << chance.randrange(8)]) + item.hash[1:]


def insert(store: Store, chance: random.Random) -> None:
    """An event that never happened, before the last one: what comes after a checkpoint is not covered by it."""
    place = chance.randrange(len(store.items) - 1)
    old = store.items[place]
    body = '{"at":"2026-01-05T09:00:00.000000Z","by":"eve","command":"9","verdict":"approved"}'
    forged = link(old.hash, old.run, old.seq + 1, "approval_decided", body)
    for item in store.items[place + 1 :]:
        item.position += 1
        item.seq += item.run == old.run
    new = Item(old.position + 1, old.run, old.seq + 1, "approval_decided", body, forged, old.commit)
    store.items.insert(place + 1, new)


def delete(store: Store, chance: random.Random) -> None:
    del store.items[chance.randrange(len(store.items))]


def reorder(store: Store, chance: random.Random) -> None:
    """Two events change places."""
    one, other = chance.sample(range(len(store.items)), 2)
    a, b = store.items[one], store.items[other]
    a.position, b.position, a.commit, b.commit = b.position, a.position, b.commit, a.commit
    store.items[one], store.items[other] = b, a


def cut_tail(store: Store, chance: random.Random) -> None:
    """The newest events are gone, as in an older copy that was put back."""
    del store.items[-chance.randint(1, len(store.items) - 1) :]
    store.checkpoints = [row for row in store.checkpoints if row[0] < len(store.items)]  # type: ignore[operator]


def rewrite(store: Store, chance: random.Random) -> None:
    """From some event on, every figure 1 is a 7."""
    place = chance.randrange(len(store.items))
    for item in store.items[place:]:
        item.body = item.body.replace("1", "7") if item.run != "system" else item.body
    edit(Store(store.items[place:], []), chance)


def swap_cases(store: Store, chance: random.Random) -> None:
    """Two cases exchange what happened in them."""
    runs = sorted({item.run for item in store.items} - {"system"})
    one, other = chance.sample(runs, 2)
    for item in store.items:
        item.run = other if item.run == one else one if item.run == other else item.run


def roll_back(store: Store, chance: random.Random) -> None:
    """A checkpoint that was given out is gone, from the table, from the chain or from both."""
    told = [item for item in store.items if '"what":"checkpoint"' in item.body]
    which = chance.randrange(len(store.checkpoints))
    how = chance.randrange(3)
    if how != 0:
        store.items.remove(told[which])
    if how != 1:
        del store.checkpoints[which]


def replace_checkpoint(store: Store, chance: random.Random) -> None:
    """An older note stands where a newer one stood."""
    store.checkpoints[-1][1] = store.checkpoints[0][1]


ATTACKS: dict[str, Callable[[Store, random.Random], None]] = {
    "edit a body": edit,
    "edit a kind": edit_kind,
    "edit a hash": edit_hash,
    "insert": insert,
    "delete": delete,
    "reorder": reorder,
    "cut the tail": cut_tail,
    "rewrite from the middle": rewrite,
    "swap two cases": swap_cases,
    "roll back a checkpoint": roll_back,
    "replace a checkpoint": replace_checkpoint,
}
RAW_ONLY = frozenset({"edit a hash", "replace a checkpoint"})
"""Whoever recomputes the hashes has undone these."""


def attack(db: sqlite3.Connection, name: str, chance: random.Random, key: str, held: Checkpoint) -> tuple[bool, bool]:
    """Tamper once; gives whether the audit saw it, and whether it showed against signed checkpoints only."""
    store, sly = read_store(db), name not in RAW_ONLY and chance.random() < 0.5
    before = [(i.position, i.run, i.seq, i.kind, i.body, i.hash) for i in store.items], json.dumps(store.checkpoints)
    ATTACKS[name](store, chance)
    if sly:
        covered(store)
    after = [(i.position, i.run, i.seq, i.kind, i.body, i.hash) for i in store.items], json.dumps(store.checkpoints)
    assert before != after, f"{name!r} changed nothing"
    with undone(db):
        try:
            write_store(db, store, sly=sly)
        except sqlite3.IntegrityError:  # the store itself refuses it
            return True, False
        report = checked(db, key, held)
    alone = all("checkpoint" in finding.subject for finding in report.findings)
    return not report.ok, alone


def checked(db: sqlite3.Connection, key: str, held: Checkpoint) -> Report:
    try:
        return verify(Memory(db), key=key, held={"the held checkpoint": held})
    except StoreUnavailable as error:
        raise AssertionError(f"the audit gave up: {error}") from error


def tamper(db: sqlite3.Connection, times: int, seed: int, key: str, held: Checkpoint) -> dict[str, dict[str, int]]:
    """Each way in turn, so many times in all; gives how often each was tried, seen, and seen by signed checkpoints alone."""
    chance, counts = random.Random(seed), {name: Counter[str]() for name in ATTACKS}
    for number in range(times):
        name = list(ATTACKS)[number % len(ATTACKS)]
        seen, alone = attack(db, name, chance, key, held)
        counts[name].update(tried=1, seen=seen, by_checkpoints_alone=seen and alone)
    return {name: dict(count) for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        held, key = asyncio.run(make_store(Path(home)))
        db = load(Path(home) / "backstay.db")
        assert checked(db, key, held).ok
        began = time.perf_counter()
        counts = tamper(db, given.times, given.seed, key, held)
        seconds = time.perf_counter() - began
    totals = {name: sum(count[name] for count in counts.values()) for name in ("tried", "seen", "by_checkpoints_alone")}
    print(
        json.dumps(
            {"records": held.size, "seed": given.seed, "seconds": round(seconds, 1), **totals, "ways": counts}, indent=2
        )
    )


if __name__ == "__main__":
    main()
