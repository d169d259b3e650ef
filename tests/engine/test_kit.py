"""The test kit itself: what it says of a run that waits, ids and time on a store that was there, and proof on close."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backstay import App, IdempotencyKey, Queue, Retry, action, approval, gather, new_id, now, sleep, wait_for, workflow
from backstay.errors import Conflict, InvalidInput
from backstay.testing import ManualClock, harness


@action(effect="read", retry=Retry(attempts=2, first="5m", jitter=0))
def look(name: str, key: IdempotencyKey) -> str:
    raise ConnectionError("down")


@workflow
async def waits() -> str:
    await gather(approval("bosses", show={"what": "a desk"}), wait_for("delivered", within="2h"), sleep("1h"))
    return "done"


@workflow
async def draws() -> list[str]:
    return [await new_id(), f"{await now():%Y-%m-%d %H:%M}"]


@workflow
async def looks() -> str:
    return await look("a")


app = App(
    "kit", workflows=[waits, draws, looks], queues=[Queue(name="bosses", owner="bo", reasons=("too-dear", "no-need"))]
)


# --- results ---


async def test_the_result_of_a_run_that_waits_is_a_conflict_that_says_what_for() -> None:
    async with harness(app) as it:
        run = await it.start(waits)
        with pytest.raises(Conflict) as told:
            await it.result(run)
        for part in (
            "approval 'what=a desk' in 'bosses'", "signal 'delivered' at 2026-01-05T11:00", "timer", f"({run}/1.0)",
        ):  # fmt: skip
            assert part in str(told.value)


async def test_the_result_of_a_run_that_tries_again_later_says_when() -> None:
    async with harness(app) as it:
        run = await it.start(looks)
        with pytest.raises(Conflict, match="retry 'down' at 2026-01-05T09:05"):
            await it.result(run)


async def test_a_result_is_settled_first() -> None:
    async with harness(app) as it:
        run = await it.client.start(draws)
        assert len(await it.result(run)) == 2


# --- a store that was there before ---


async def test_a_store_that_is_opened_again_goes_on_at_its_time_with_ids_of_its_own(home: Path) -> None:
    drawn: list[str] = []
    for _ in range(4):  # no time passes in between
        async with harness(app, home) as it:
            run = await it.start(draws)
            drawn += [run, (await it.result(run))[0]]
    assert len(set(drawn)) == 8
    async with harness(app, home) as it:
        await it.start(waits)
        await it.advance("3d")
    async with harness(app, home) as it:
        assert (await it.result(await it.start(draws)))[1] >= "2026-01-05 10:00"
        assert len(it.client.runs()) == 6


async def test_a_new_store_begins_where_it_always_did_with_the_same_ids() -> None:
    seen = set[str]()
    for _ in range(2):
        async with harness(app) as it:
            run = await it.start(draws)
            drawn, moment = await it.result(run)
            seen.add(f"{run} {drawn} {moment}")
    assert len(seen) == 1
    assert seen.pop().endswith("2026-01-05 09:00")


async def test_a_clock_that_is_given_goes_on_as_it_is(home: Path) -> None:
    clock = ManualClock()
    async with harness(app, home, clock=clock) as it:
        await it.advance("3d")
    async with harness(app, home, clock=clock) as it:
        assert (await it.result(await it.start(draws)))[1] == "2026-01-08 09:00"


# --- people ---


async def test_a_rejection_takes_a_code_of_the_queue() -> None:
    async with harness(app) as it:
        run = await it.start(waits)
        with pytest.raises(InvalidInput, match="one of too-dear, no-need"):
            await it.reject(run, by="ann", code="mood")
        await it.reject(run, by="ann", code="too-dear", reason="next year")
        (decided,) = it.events(run, "approval_decided")
        assert (decided.code, decided.reason) == ("too-dear", "next year")
        await it.signal(run, "delivered", by="cleo")
        await it.cancel(run, by="ann", reason="over")
        assert it.status(run) == "cancelled"


# --- proof ---


async def test_every_case_or_those_that_are_named_are_proved() -> None:
    async with harness(app) as it:
        run = await it.start(waits)
        await it.start(draws)
        assert (it.prove(), it.prove(run)) == (2, 1)


async def changes_what_was_recorded(home: Path, prove: bool, then: Exception | None = None) -> None:
    async with harness(app, home, prove=prove) as it:
        await it.start(draws)
        with closing(sqlite3.connect(home / "backstay.db", isolation_level=None)) as store:
            store.execute("UPDATE events SET body = replace(body, '2026-01-05', '2026-01-06') WHERE kind = 'drawn'")
        if then is not None:
            raise then


async def test_a_test_whose_cases_do_not_replay_fails_when_it_ends(home: Path) -> None:
    with pytest.raises(AssertionError, match=r"draws \w{26}, event \d+, .*hash chain"):
        await changes_what_was_recorded(home, prove=True)


async def test_a_test_that_damages_its_store_on_purpose_says_so(home: Path) -> None:
    await changes_what_was_recorded(home, prove=False)


async def test_a_test_that_fails_is_told_as_it_failed_not_as_what_its_store_holds(home: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await changes_what_was_recorded(home, prove=True, then=ZeroDivisionError())
