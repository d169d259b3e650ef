"""What may have happened is never told as failed; what is written can always be read again; nobody shares a value."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    App,
    Happened,
    IdempotencyKey,
    Retry,
    Sensitive,
    action,
    approval,
    note,
    setting,
    wait_for,
    workflow,
)
from backstay.errors import ActionRefusedAtImport, InvalidInput
from backstay.testing import harness

made: list[Any] = []
gate: dict[str, asyncio.Event] = {}
ONCE = Retry(attempts=1)


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    made.clear()


class Receipt(BaseModel):
    iban: Sensitive["pii"]


class A(BaseModel):
    a: int


class B(BaseModel):
    b: int


@action(effect="write", concurrency=1)
async def send(n: int, key: IdempotencyKey) -> int:
    made.append(n)
    await gate["open"].wait()
    return n


@action(effect="write", on_failure="raise", retry=ONCE, timeout=0.05)
async def book(what: str, key: IdempotencyKey) -> str:
    made.append(what)
    await asyncio.sleep(5)
    return "id"


async def under(key: str) -> str | None:
    return made[0] if made else None


@action(effect="write", on_failure="raise", retry=ONCE, probe=under)
async def asked(what: str, keep: bool) -> str:
    if keep:
        made.append(what)
    raise ConnectionError("no answer")


async def sent(key: str) -> Happened | None:
    return Happened() if made else None


@action(effect="write", probe=sent, retry=Retry(attempts=2, first="1s", jitter=0))
async def letter(to: str) -> None:
    made.append(to)
    raise ConnectionError("no answer")


@action(effect="irreversible", approvers="desk")
async def pay(n: int) -> Receipt:
    raise RuntimeError("boom")


@workflow
async def sends(n: int) -> int:
    return await send(n)


@workflow
async def books() -> str:
    return await book("seat")


@workflow
async def asks(keep: bool) -> str:
    return await asked("seat", keep)


@workflow
async def writes() -> str:
    await letter("ann")
    return "sent"


@workflow
async def pays() -> str:
    await pay(1)
    return "paid"


@workflow
async def notes(count: int) -> str:
    await note(count)  # type: ignore[arg-type] - what is tested
    return "noted"


@workflow
async def counts() -> int:
    limits = await setting("limits")
    limits["n"] += 1
    await approval("desk")
    return limits["n"]


@workflow
async def takes() -> int:
    await approval("desk")
    first = await wait_for("x", type=A)
    second = await wait_for("x", type=B)
    return first.a + second.b


app = App("sound", workflows=[sends, books, asks, writes, pays, notes, counts, takes], settings={"limits": {"n": 0}})


async def test_the_switch_stops_what_still_waits_for_its_turn() -> None:
    gate["open"] = asyncio.Event()
    async with harness(app) as it:
        runs = [await it.client.start(sends, {"n": n}) for n in range(3)]
        while not made:
            await asyncio.sleep(0.01)
        await it.client.switch("all", off=True, by="ann", reason="incident")
        gate["open"].set()
        await it.settle()
        assert len(made) == 1
        assert sorted(it.status(run) for run in runs) == ["finished", "waiting", "waiting"]
        await it.client.switch("all", off=False, by="ann", reason="over")
        await it.settle()
        assert sorted(made) == [0, 1, 2]


async def test_a_write_that_may_have_happened_is_a_question_and_not_a_failure() -> None:
    async with harness(app) as it:
        run = await it.start(books)
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]
        await it.client.settle(run, "happened", by="ann", result="id 7")
        assert await it.result(run) == "id 7"


@pytest.mark.parametrize("keep", [True, False])
async def test_the_target_is_asked_before_the_workflow_hears_of_a_failure(keep: bool) -> None:
    async with harness(app) as it:
        run = await it.start(asks, keep=keep)
        assert it.kinds(run)[-2:] == (["call_returned", "run_finished"] if keep else ["call_failed", "run_failed"])


async def test_a_settled_answer_is_checked_and_sealed_without_the_application(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        run = await it.start(pays)
        await it.approve(run, by="ann")
    async with App("backstay", workflows=()).open(tmp_path, resume=False) as client:
        with pytest.raises(InvalidInput, match="does not fit"):
            await client.settle(run, "happened", by="ann", result="paid, I think")
        await client.settle(run, "happened", by="ann", result={"iban": "DE02120300000000202051"})
        assert "DE0212" not in repr(client.events(run))
    async with harness(app, tmp_path) as it:
        await it.settle()
        assert it.status(run) == "finished"


async def test_a_remark_that_is_no_text_is_the_workflows_error() -> None:
    async with harness(app) as it:
        run = await it.start(notes, count=5)
        assert it.run(run).summary == "TypeError: Note: text must be text, not int"


async def test_every_run_has_its_own_copy_of_a_setting() -> None:
    async with harness(app) as it:
        runs = [await it.start(counts) for _ in range(3)]
        await it.restart()
        for run in runs:
            await it.approve(run, by="ann")
        assert [await it.result(run) for run in runs] == [1, 1, 1]


async def test_an_early_signal_is_kept_for_the_wait_that_it_fits() -> None:
    async with harness(app) as it:
        run = await it.start(takes)
        await it.client.signal(run, "x", {"b": 2})
        await it.client.signal(run, "x", {"a": 1})
        await it.approve(run, by="ann")
        assert await it.result(run) == 3


async def test_a_probe_says_that_what_returns_nothing_happened() -> None:
    async with harness(app) as it:
        run = await it.start(writes)
        await it.advance("10s")
        assert (made, it.status(run)) == (["ann"], "finished")


def test_a_probe_that_cannot_say_so_is_refused() -> None:
    async def silent(key: str) -> None:
        return None

    @action(effect="write", probe=silent)
    async def post(to: str) -> None:
        return None

    with pytest.raises(ActionRefusedAtImport, match="Happened"):
        App("silent", workflows=[], actions=[post])
