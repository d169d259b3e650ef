"""A replay proves a case equal, and names the event and line where a changed journal differs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    App,
    Calendar,
    IdempotencyKey,
    Queue,
    Sensitive,
    action,
    approval,
    gather,
    note,
    race,
    rule,
    sleep,
    workflow,
)
from backstay.errors import NotFound, OutcomeUnknown
from backstay.operations.proof import Proof, prove
from backstay.store.database import Reader
from backstay.store.journal import genesis, link
from backstay.store.payloads import OFFLOAD_BYTES, Payloads
from backstay.testing import harness


@rule
def large(amount: int) -> bool:
    return amount > 10


@action(effect="read")
async def price(item: str) -> int:
    return len(item)


@action(effect="write")
async def deliver(item: str, amount: int, key: IdempotencyKey) -> str:
    return f"{item} {amount}"


@workflow
async def ordering(item: str, amount: int) -> str:
    each = await price(item)
    if large(amount * each):
        decision = await approval("desk", show={"item": item})
        if not decision.approved:
            raise ValueError("rejected")
    await note(f"ordering {item}")
    return await deliver(item, amount)


@workflow
async def waiting() -> str:
    await sleep("1h")
    return "done"


class Guest(BaseModel):
    name: Sensitive["pii"]


@workflow
async def greeting(guest: Guest) -> str:
    return await deliver(guest.name, 1)


@action(effect="read", derived=True)
async def wonder(what: str) -> str:
    return "why?"


@workflow
async def wondering(what: str) -> str:
    return await wonder(what)


@workflow
async def welcoming(guest: Guest) -> str:
    return await wonder(guest.name)


@action(effect="write")
async def forget(name: Sensitive["pii"], key: IdempotencyKey) -> None:
    return None


@action(effect="write", compensate=forget)
async def enter(name: Sensitive["pii"], room: int, key: IdempotencyKey) -> str:
    return f"{room}"


@workflow
async def failing(guest: Guest) -> str:
    await enter(guest.name, 7)
    raise ValueError("the house is full")


@action(effect="write")
async def hang(item: str, key: IdempotencyKey) -> str:
    raise OutcomeUnknown("no answer")


@workflow
async def racing() -> int:
    return (await race(sleep("1h"), hang("x"))).index


@workflow
async def in_days() -> str:
    return (await approval("desk", within="2bd")).verdict


@workflow
async def whenever() -> str:
    return (await approval("desk")).verdict


@action(effect="irreversible")
async def pay(amount: int, key: IdempotencyKey) -> str:
    return f"paid {amount}"


@workflow
async def paying() -> str:
    await gather(approval("desk", action=pay(7)), approval("desk", action=pay(8)))
    await pay(7)
    return await pay(8)


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
APP = App("shop", workflows=[ordering, waiting, greeting, wondering, welcoming, failing, racing, paying])


def proof(home: Path, run: str) -> Proof:
    with closing(Reader(home / "backstay.db")) as reader:
        return prove(reader, Payloads(home, reader), run)


def tamper(home: Path, run: str, seq: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an event's body and chain everything anew, so that only the replay can notice."""
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        previous = genesis(run)[1]
        for number, kind, body in db.execute(
            "SELECT seq, kind, body FROM events WHERE run = ? ORDER BY seq", (run,)
        ).fetchall():
            if number == seq:
                content = json.loads(body)
                change(content)
                body = json.dumps(content, separators=(",", ":"))
            previous = link(previous, run, number, kind, body)
            db.execute("UPDATE events SET body = ?, hash = ? WHERE run = ? AND seq = ?", (body, previous, run, number))


def event_of(home: Path, run: str, seq: int) -> dict[str, Any]:
    with closing(sqlite3.connect(home / "backstay.db")) as db:
        row = db.execute("SELECT body FROM events WHERE run = ? AND seq = ?", (run, seq)).fetchone()
    return json.loads(row[0]) if row else {}


async def finished(home: Path) -> str:
    async with harness(APP, home) as it:
        run = await it.start(ordering, item="desk", amount=5)
        await it.approve(run, by="dana")
    return run


async def test_a_finished_case_is_equal(home: Path) -> None:
    run = await finished(home)
    proven = proof(home, run)
    assert proven.equal, proven.mismatch
    assert (proven.events, proven.commands, proven.effects) == (8, 4, 1)
    assert proven.branches >= 3


async def test_a_failed_and_a_waiting_case_are_equal(home: Path) -> None:
    async with harness(APP, home) as it:
        failed = await it.start(ordering, item="desk", amount=5)
        await it.reject(failed, by="dana")
        parked = await it.start(ordering, item="desk", amount=5)
        asleep = await it.start(waiting)
    assert [proof(home, run).status for run in (failed, parked, asleep)] == ["failed", "waiting", "waiting"]
    assert [proof(home, run).mismatch for run in (failed, parked, asleep)] == ["", "", ""]


async def test_a_live_case_can_be_proved(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, item="desk", amount=5)
        assert proof(home, run[-8:]).equal


async def test_there_is_no_proof_of_a_run_that_does_not_exist(home: Path) -> None:
    await finished(home)
    with pytest.raises(NotFound):
        proof(home, "nothing-like-it")


def set_in(*path: Any) -> Callable[[dict[str, Any]], None]:
    *parents, last, value = path

    def change(content: dict[str, Any]) -> None:
        node: Any = content
        for key in parents:
            node = node[key]
        node[last] = value

    return change


@pytest.mark.parametrize(
    ("seq", "change", "words"),
    [
        (1, set_in("input", "amount", 1), "event 3"),
        (2, set_in("result", 1), "event 3"),
        (2, set_in("args", "item", "chair"), "other arguments"),
        (2, set_in("action", "deliver"), "it calls 'deliver'"),
        (2, set_in("site", "elsewhere"), "belongs to step 'elsewhere'"),
        (3, set_in("queue", "friends"), "queue 'friends'"),
        (3, set_in("show", {"item": "chair"}), "recorded show"),
        (3, set_in("path", -1, "verdict", False), "but replay decided"),
        (4, set_in("verdict", "rejected"), "event 5"),
        (5, set_in("text", "something else"), "recorded text"),
        (6, set_in("key", "0" * 40), "recorded key"),
        (6, set_in("key", ""), "recorded key"),
        (2, set_in("args", {"keyed": ""}), "recorded arguments"),
        (7, set_in("result", "chair 9"), "event 8 recorded the result"),
        (8, set_in("result", "chair 9"), "event 8 recorded the result"),
    ],
)
async def test_a_changed_event_is_not_equal_and_is_named(
    home: Path, seq: int, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    run = await finished(home)
    tamper(home, run, seq, change)
    differs = proof(home, run)
    assert not differs.equal
    assert words in differs.mismatch


async def test_the_key_of_private_arguments_is_proved_too(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(greeting, guest={"name": "Wilhelmina"})
    assert proof(home, run).equal, proof(home, run).mismatch
    tamper(home, run, 2, set_in("key", "0" * 40))
    assert "recorded key" in proof(home, run).mismatch


async def test_large_arguments_are_compared_where_they_lie(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, item="x" * OFFLOAD_BYTES, amount=0)
    assert proof(home, run).equal, proof(home, run).mismatch
    tamper(home, run, 2, set_in("refs", {}))
    assert "recorded arguments None" in proof(home, run).mismatch


@pytest.mark.parametrize("private", [False, True])
async def test_a_keyed_digest_stands_for_arguments_that_are_derived(home: Path, private: bool) -> None:
    async with harness(APP, home) as it:
        run = await (
            it.start(welcoming, guest={"name": "Wilhelmina"}) if private else it.start(wondering, what="a desk")
        )
    assert list(event_of(home, run, 2)["args"]) == ["keyed"]
    assert proof(home, run).equal, proof(home, run).mismatch
    tamper(home, run, 2, set_in("args", "keyed", "0" * 64))
    assert proof(home, run).event == 2


async def test_an_effect_that_is_undone_with_private_values_is_proved(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(failing, guest={"name": "Wilhelmina"})
    assert proof(home, run).equal, proof(home, run).mismatch
    undo = next(n for n in range(2, 9) if event_of(home, run, n).get("command") == "c1")
    tamper(home, run, undo, set_in("refs", {}))
    assert proof(home, run).event == undo


@pytest.mark.parametrize("undo", [None, "deliver"])
async def test_which_action_undoes_an_effect_is_proved_where_it_did(home: Path, undo: str | None) -> None:
    async with harness(APP, home) as it:
        run = await it.start(failing, guest={"name": "Wilhelmina"})
    tamper(home, run, 2, set_in("compensate", undo))
    assert not proof(home, run).equal


async def test_events_about_one_who_lost_a_race_are_theirs(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(racing)
        await it.advance("2h")
        lost = next(n for n in range(2, 9) if event_of(home, run, n).get("command") == "1.1")
        await it.client.settle(run, "happened", by="ann", result="late")
        await it.settle()
    assert proof(home, run).equal, proof(home, run).mismatch
    tamper(home, run, lost, set_in("args", {"item": "y"}))
    assert proof(home, run).event == lost


async def test_only_a_time_that_the_command_gives_is_proved(home: Path) -> None:
    app = App(
        "asked", workflows=[in_days, whenever], queues=[Queue(name="desk", owner="d", calendar=OFFICE, within="9h")]
    )
    async with harness(app, home) as it:
        named, open_ = await it.start(in_days), await it.start(whenever)
    for run, equal in ((named, False), (open_, True)):
        assert proof(home, run).equal, proof(home, run).mismatch
        tamper(home, run, 2, set_in("due", "2026-01-12T12:00:00.000000Z"))
        assert proof(home, run).equal == equal


async def test_an_approval_is_consumed_by_the_call_that_it_was_given_for(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(paying)
        await it.approve(f"{run}/1.0", by="dana")
        await it.approve(f"{run}/1.1", by="dana")
    assert proof(home, run).equal, proof(home, run).mismatch
    paid = [n for n in range(2, 12) if "key" in event_of(home, run, n)]
    assert [event_of(home, run, n)["approval"] for n in paid] == ["1.0", "1.1"]
    tamper(home, run, paid[0], set_in("approval", "1.1"))
    assert proof(home, run).event == paid[0]


async def test_the_line_is_named(home: Path) -> None:
    run = await finished(home)
    tamper(home, run, 3, set_in("queue", "friends"))
    line = proof(home, run).line
    assert line is not None
    assert "approval(" in Path(__file__).read_text("utf-8").splitlines()[line - 1]


async def test_a_broken_chain_is_not_equal(home: Path) -> None:
    run = await finished(home)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE events SET body = replace(body, 'dana', 'eve') WHERE run = ? AND seq = 4", (run,))
    differs = proof(home, run)
    assert (differs.equal, differs.event) == (False, 4)
    assert "hash chain" in differs.mismatch


async def test_a_cut_tail_is_not_equal(home: Path) -> None:
    run = await finished(home)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("DELETE FROM events WHERE run = ? AND seq >= 7", (run,))
    assert "tail was cut off" in proof(home, run).mismatch


async def test_a_wait_that_nobody_asked_for_is_not_equal(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, item="desk", amount=5)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE waits SET command = '9' WHERE run = ?", (run,))
    assert "which the program does not ask for" in proof(home, run).mismatch
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("DELETE FROM waits")
    assert "the store does not list that" in proof(home, run).mismatch


async def test_a_missing_definition_is_told(home: Path) -> None:
    run = await finished(home)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("DELETE FROM definitions")
    assert "is not in the store" in proof(home, run).mismatch
