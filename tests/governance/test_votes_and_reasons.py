"""Deciding to the letter: who is told what, what stands in the row and in the record after a vote or a decision."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import App, Queue, approval, task, workflow
from backstay.errors import Conflict, InvalidInput, NotAllowed
from backstay.governance.calendars import Calendar
from backstay.testing import Harness, harness

NINE, TEN = "2026-01-05T09:00:00.000000Z", "2026-01-05T10:00:00.000000Z"


@workflow
async def asks(queue: str) -> str:
    decision = await approval(queue, show={"what": "a desk"}, within="2d")
    return f"{decision.verdict} {decision.by} {decision.reason} {decision.code} {decision.at.isoformat()}"


@workflow
async def by_two() -> str:
    return (await approval("board", quorum=2)).verdict


@workflow
async def by_three() -> str:
    return (await approval("board", quorum=3, reject="quorum")).verdict


@workflow
async def works() -> str:
    return (await task("desk")).comment


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
app = App(
    "votes",
    workflows=[asks, by_two, by_three, works],
    queues=[
        Queue(name="desk", owner="dora"),
        Queue(name="board", owner="chair", lease="1h", remind=("4h",)),
        Queue(name="coded", owner="cora", reasons=("too-dear", "not-needed")),
        Queue(name="members", owner="meg", members=("group:team", "mia")),
    ],
)


async def opened(it: Harness, process: Any, **input: Any) -> str:
    run = await it.start(process, by="ann", **input)
    return it.waits(run)[0].id


async def test_the_workflow_hears_who_decided_when_and_why() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="coded")
        await it.advance("1h")
        await it.client.decide(thing, "rejected", by="cora", reason="it is gold", code="too-dear")
        assert await it.result(thing.split("/")[0]) == "rejected cora it is gold too-dear 2026-01-05T10:00:00+00:00"


async def test_a_decision_carries_what_it_was_about() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="desk")
        run = thing.split("/")[0]
        await it.approve(thing, by="bob", reason="fine")
        (asked,), (decided,) = it.events(run, "approval_requested"), it.events(run, "approval_decided")
        assert (decided.by, decided.at, decided.verdict, decided.reason) == ("bob", NINE, "approved", "fine")
        assert (decided.shown, decided.digest, decided.behalf) == (asked.shown, asked.digest, "")
        assert len(asked.shown) == 64
        assert decided.votes is None
        assert it.waits(run) == []


async def test_a_vote_frees_the_item_for_the_others_and_wakes_it_for_its_next_step() -> None:
    async with harness(app) as it:
        thing = await opened(it, by_two)
        run = thing.split("/")[0]
        await it.client.claim(thing, by="bea")
        await it.advance("30m")
        await it.client.decide(thing, "approved", by="bea", reason="we need it")
        (wait,) = it.waits(run)
        assert (wait.claimed_by, wait.claimed_until, wait.wake_at) == (None, None, "2026-01-05T13:00:00.000000Z")
        await it.client.claim(thing, by="bob")
        await it.client.decide(thing, "approved", by="bob")
        (decided,) = it.events(run, "approval_decided")
        assert decided.votes == [
            {"by": "bea", "verdict": "approved", "reason": "we need it", "at": "2026-01-05T09:30:00.000000Z"},
            {"by": "bob", "verdict": "approved", "reason": "", "at": "2026-01-05T09:30:00.000000Z"},
        ]


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        (["approved", "approved", "approved"], "approved"),
        (["approved", "rejected", "approved", "rejected", "approved"], "approved"),
        (["rejected", "approved", "rejected", "approved", "rejected"], "rejected"),
    ],
)
async def test_as_many_must_reject_as_must_approve_and_not_one_less(votes: list[Any], verdict: str) -> None:
    async with harness(app) as it:
        thing = await opened(it, by_three)
        run = thing.split("/")[0]
        for number, vote in enumerate(votes):
            assert it.status(run) == "waiting"
            await it.client.decide(thing, vote, by=f"member {number}")
        assert await it.result(run) == verdict


# --- what is refused -------------------------------------------------------------------------------------------


async def test_at_its_very_end_an_item_has_expired() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="desk")
        it.clock.move("2d")
        with pytest.raises(Conflict, match="expired at 2026-01-07T09:00:00.000000Z; it does not count any more"):
            await it.client.decide(thing, "approved", by="bob")


async def test_until_just_before_its_end_it_counts() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="desk")
        it.clock.move(2 * 24 * 3600 - 1)
        await it.client.decide(thing, "approved", by="bob")
        assert (await it.result(thing.split("/")[0])).startswith("approved bob")


async def test_what_does_not_fit_is_named_by_its_field() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="coded")
        for verdict, code, field in (("yes", "", "verdict"), ("rejected", "", "code"), ("rejected", "mood", "code")):
            with pytest.raises(InvalidInput) as refused:
                await it.client.decide(thing, verdict, by="cora", code=code)  # type: ignore[arg-type]
            assert refused.value.fields == {field: "unknown"}
        await it.client.decide(thing, "approved", by="cora")  # an approval needs no code


async def test_an_item_that_is_meant_for_one_person_is_theirs_however_they_are_typed() -> None:
    async with harness(app) as it:
        thing = await opened(it, asks, queue="desk")
        await it.client.reassign(thing, by="dora", to="Lea")
        with pytest.raises(NotAllowed, match="meant for 'Lea'; whoever may reassign can give it to 'bob'"):
            await it.client.decide(thing, "approved", by="bob")
        await it.client.decide(thing, "approved", by=" lea ")


async def test_only_members_work_on_a_queues_items_and_the_others_hear_who_does() -> None:
    async with harness(app) as it:
        await it.client.register("root", roles=["administrator"], by="root")
        await it.client.register("ann", roles=["operator"], by="root")
        for name in ("mia", "bob"):
            await it.client.register(name, roles=["approver"], by="root")
        thing = await opened(it, asks, queue="members")
        with pytest.raises(NotAllowed, match="'bob' is not among those who work on queue 'members': group:team, mia"):
            await it.client.decide(thing, "approved", by="bob")
        await it.client.decide(thing, "approved", by="MIA")
        (decided,) = it.events(thing.split("/")[0], "approval_decided")
        assert decided.behalf == ""


async def test_a_task_is_no_approval() -> None:
    async with harness(app) as it:
        thing = await opened(it, works)
        with pytest.raises(Conflict, match="is of kind 'task', not approval"):
            await it.client.decide(thing, "approved", by="bob")


async def test_a_substitute_decides_neither_for_the_requester_nor_what_the_substituted_asked_for() -> None:
    async with harness(app) as it:
        await it.client.register("root", roles=["administrator"], by="root")
        for name in ("ann", "bob", "cid"):
            await it.client.register(name, roles=["operator", "approver"], groups=["team"], by="root")
        thing = await opened(it, asks, queue="members")
        await it.client.delegate("ann", "bob", until="2026-02-01T00:00:00Z", by="ann")
        with pytest.raises(NotAllowed, match="'ann' asked for this|cannot also decide"):
            await it.client.decide(thing, "approved", by="ann")
        await it.client.decide(thing, "approved", by="bob")  # a member in their own right


# --- many at once -------------------------------------------------------------------------------------------------


async def test_a_batch_gives_each_item_its_reason_and_code() -> None:
    async with harness(app) as it:
        things = [await opened(it, asks, queue="coded") for _ in range(3)]
        gone = await opened(it, asks, queue="coded")
        await it.approve(gone, by="bob")
        outcomes = await it.client.decide_many(
            [*things, gone], "rejected", by="cora", reason="no money", code="too-dear", without=[things[1]]
        )
        assert list(outcomes) == [things[0], things[2], gone]
        assert [outcomes[thing] for thing in (things[0], things[2])] == ["", ""]
        assert "has finished" in outcomes[gone]
        for thing in (things[0], things[2]):
            (decided,) = it.events(thing.split("/")[0], "approval_decided")
            assert (decided.by, decided.verdict, decided.reason, decided.code) == (
                "cora", "rejected", "no money", "too-dear",
            )  # fmt: skip
        assert it.status(things[1].split("/")[0]) == "waiting"
