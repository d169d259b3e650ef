"""A workflow that raises `Cancelled` ends as cancelled: what it confirmed is undone in reverse, once, whatever crashes."""

from __future__ import annotations

import pytest

from backstay import (
    App,
    Cancelled,
    ChildFailed,
    IdempotencyKey,
    ProcessError,
    Sensitive,
    action,
    gather,
    race,
    sleep,
    start,
    wait_for,
    workflow,
)
from backstay.testing import Harness, crash_everywhere, harness

world: list[str] = []
"""What was done and undone, in order; doing the same again changes nothing."""


@pytest.fixture(autouse=True)
def _new_world() -> None:
    world.clear()


def change(entry: str) -> None:
    if entry not in world:
        world.append(entry)


@action(effect="write")
def unbook(seat: str, result: str, key: IdempotencyKey) -> None:
    change(f"unbook {seat} ({result})")


@action(effect="write", compensate=unbook)
def book(seat: str, key: IdempotencyKey) -> str:
    change(f"book {seat}")
    return f"ref-{seat}"


@workflow
async def travel(seats: list[str]) -> str:
    for seat in seats:
        await book(seat)
    first = await race(wait_for("withdraw", type=str), sleep("1d"))
    if first.index == 0:
        raise Cancelled(f"the customer withdrew: {first.value}")
    return "flown"


@workflow
async def catches_all() -> str:
    await book("1A")
    try:
        raise Cancelled("no way out")
    except ProcessError:
        return "caught"
    except Exception:
        return "caught too"
    finally:
        tidied = True
    return f"{tidied}"


@workflow
async def trip(seats: list[str]) -> str:
    try:
        return await travel(seats)
    except ChildFailed as error:
        return error.message


@workflow
async def trips() -> list[str]:
    await book("9Z")
    return await gather(start(travel, ["1A"]), start(travel, ["2B"]))


@workflow
async def names_a_customer(customer: Sensitive["pii"]) -> None:
    await sleep("1h")
    raise Cancelled(f"{customer} withdrew")


app = App("travel", workflows=[travel, catches_all, trip, trips, names_a_customer])
UNDONE = ["book 1A", "book 2B", "unbook 2B (ref-2B)", "unbook 1A (ref-1A)"]


async def test_what_it_confirmed_is_undone_in_reverse_then_it_is_cancelled_with_its_reason() -> None:
    async with harness(app) as it:
        run = await it.start(travel, seats=["1A", "2B"])
        await it.signal(run, "withdraw", "ill", by="ann")
        assert (it.status(run), it.run(run).summary) == ("cancelled", "the customer withdrew: ill")
        (ended,) = it.events(run, "run_cancelled", reason="the customer withdrew: ill")
        assert (ended.by, it.events(run, "cancel_requested"), world) == ("", [], UNDONE)
        assert it.waits(run) == []


async def test_no_handler_on_its_way_takes_it() -> None:
    async with harness(app) as it:
        run = await it.start(catches_all)
        assert (it.status(run), it.run(run).summary) == ("cancelled", "no way out")
        assert world == ["book 1A", "unbook 1A (ref-1A)"]


async def test_a_parent_hears_that_its_child_cancelled_itself_and_why() -> None:
    async with harness(app) as it:
        run = await it.start(trip, seats=["1A"])
        child = next(wait.subject for wait in it.waits(run))
        await it.signal(child, "withdraw", "ill")
        assert await it.result(run) == "the customer withdrew: ill"


async def test_a_child_that_cancels_itself_fails_what_gathers_it_and_its_sibling_is_undone_too() -> None:
    async with harness(app) as it:
        run = await it.start(trips)
        child = next(wait.subject for wait in it.waits(run))
        await it.signal(child, "withdraw", "ill")
        assert it.status(run) == "failed"
        assert sorted(each.status for each in it.client.runs(workflow="travel")) == ["cancelled", "cancelled"]
        assert sorted(entry for entry in world if entry.startswith("unbook")) == [
            "unbook 1A (ref-1A)", "unbook 2B (ref-2B)", "unbook 9Z (ref-9Z)",
        ]  # fmt: skip


async def test_a_private_value_in_the_reason_is_not_recorded() -> None:
    async with harness(app) as it:
        run = await it.start(names_a_customer, customer="Wilhelmina Koch")
        await it.advance("1h")
        assert it.status(run) == "cancelled"
        assert "Wilhelmina" not in str(it.run(run).summary) + "".join(item.body for item in it.client.events(run))


async def test_a_cancel_from_outside_that_comes_while_it_undoes_changes_nothing() -> None:
    async with harness(app) as it:
        run = await it.start(travel, seats=["1A", "2B"])
        await it.client.signal(run, "withdraw", "ill")
        await it.client.cancel(run, by="ops", reason="stop")
        await it.settle()
        assert (it.run(run).summary, world) == ("the customer withdrew: ill", UNDONE)


async def test_killed_after_any_commit_it_goes_on_to_undo_each_once() -> None:
    async def story(it: Harness) -> None:
        if it.commits == 0 and not it.client.runs():
            world.clear()
        run = await it.start(travel, key="T-1", seats=["1A", "2B"])
        if not it.run(run).ended:
            await it.signal(run, "withdraw", "ill", id="W-1")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert (run.status, run.summary, world) == ("cancelled", "the customer withdrew: ill", UNDONE)
        assert len(it.events(run.id, "run_cancelled")) == 1
        assert it.prove() == 1

    assert await crash_everywhere(app, story, check) > 8
