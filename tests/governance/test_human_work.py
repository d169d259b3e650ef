"""Human work: queues with members, leases, votes, questions, reminders, escalation, substitutes; and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from backstay import App, Queue, action, approval, task, workflow
from backstay.engine.items import Notice
from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.governance.calendars import Calendar
from backstay.governance.queues import Escalation
from backstay.testing import Harness, crash_everywhere, harness

told: list[Notice] = []
paid: list[str] = []


@action(effect="irreversible", approvers="treasury")
async def pay(invoice: str) -> str:
    paid.append(invoice)
    return f"paid {invoice}"


@workflow
async def asks(queue: str) -> str:
    decision = await approval(queue, show={"what": "a desk"})
    return f"{decision.verdict} by {decision.by}: {decision.code or decision.reason}"


@workflow
async def soon(queue: str) -> str:
    return (await approval(queue, within="8h")).verdict


@workflow
async def by_two(reject: str) -> str:
    if reject == "veto":
        return (await approval("board", quorum=2)).verdict
    return (await approval("board", quorum=2, reject="quorum")).verdict


@workflow
async def works() -> str:
    return (await task("desk", title="tidy up")).comment


@workflow
async def pays(invoice: str) -> str:
    return await pay(invoice)


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})

app = App(
    "human-work",
    workflows=[asks, soon, by_two, works, pays],
    queues=[
        Queue(name="desk", owner="dora", lease="1h", priority=5),
        Queue(name="board", owner="chair", members=("group:board",)),
        Queue(
            name="office", owner="olga", calendar=OFFICE, within="8h", remind=("4h",),
            escalate=(Escalation(after="12h", to="leads"),),
        ),
        Queue(name="leads", owner="lea", priority=9),
        Queue(name="treasury", owner="theo", calendar=OFFICE, after_hours="decline"),
        Queue(name="coded", owner="cora", reasons=("too-dear", "not-needed")),
    ],
    on_notice=[told.append],
)  # fmt: skip

MONDAY_NINE = timedelta(0)
"""The test clock begins on Monday, 2026-01-05, 09:00 UTC."""


async def item(it: Harness, process: Any, **input: Any) -> str:
    run = await it.start(process, by="ann", **input)
    (wait,) = [wait for wait in it.waits(run) if wait.queue]
    return wait.id


async def people(it: Harness) -> None:
    """An installation that knows its people."""
    client = it.client
    await client.register("root", roles=["administrator"], by="root")
    for name, roles, groups in (
        ("ann", ["operator"], []),
        ("bea", ["approver"], ["board"]),
        ("bob", ["approver"], ["board"]),
        ("cid", ["approver"], []),
        ("vic", ["viewer"], ["board"]),
    ):
        await client.register(name, roles=roles, groups=groups, by="root")


# --- claims ---------------------------------------------------------------------------------------------------


async def test_a_claim_lapses_by_itself_and_survives_restarts() -> None:
    async with harness(app) as it:
        thing = await item(it, works)
        await it.client.claim(thing, by="dan")
        with pytest.raises(Conflict, match="claimed by 'dan'"):
            await it.client.claim(thing, by="eve")
        await it.restart()
        await it.advance("61m")
        (wait,) = it.waits(thing.split("/")[0])
        assert (wait.claimed_by, wait.claimed_until) == (None, None)
        assert it.events(wait.run, "item_released")[0].by == ""
        await it.client.claim(thing, by="eve")
        await it.complete(thing, "done", by="eve")
        assert await it.result(wait.run) == "done"


async def test_twenty_people_claim_at_once_and_one_has_it() -> None:
    async with harness(app) as it:
        thing = await item(it, works)
        claims = [it.client.claim(thing, by=f"p{number}") for number in range(20)]
        outcomes = await asyncio.gather(*claims, return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) == 1
        assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not None)
        assert len(it.events(thing.split("/")[0], "item_claimed")) == 1


async def test_twenty_people_decide_at_once_and_one_counts() -> None:
    async with harness(app) as it:
        thing = await item(it, asks, queue="desk")
        outcomes = await asyncio.gather(
            *(
                it.client.decide(thing, "approved" if number % 2 else "rejected", by=f"p{number}")
                for number in range(20)
            ),
            return_exceptions=True,
        )
        assert sum(outcome is None for outcome in outcomes) == 1
        assert len(it.events(thing.split("/")[0], "approval_decided")) == 1


async def test_reassigning_moves_it_or_gives_it_to_one_person() -> None:
    async with harness(app) as it:
        thing = await item(it, asks, queue="desk")
        await it.client.reassign(thing, by="olga", queue="leads", to="lea", reason="she knows")
        (wait,) = it.waits(thing.split("/")[0])
        assert (wait.queue, wait.assigned, wait.priority) == ("leads", "lea", 9)
        with pytest.raises(NotAllowed, match="meant for 'lea'"):
            await it.client.decide(thing, "approved", by="bob")
        with pytest.raises(NotFound, match="no queue 'nowhere'"):
            await it.client.reassign(thing, by="olga", queue="nowhere")
        await it.approve(thing, by="lea")
        assert (await it.result(wait.run)).startswith("approved by lea")


# --- votes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reject", "votes", "verdict"),
    [
        ("veto", ["approved", "approved"], "approved"),
        ("veto", ["approved", "rejected"], "rejected"),
        ("veto", ["rejected"], "rejected"),
        ("quorum", ["rejected", "approved", "approved"], "approved"),
        ("quorum", ["rejected", "approved", "rejected"], "rejected"),
    ],
)
async def test_a_quorum_decides_as_it_says(reject: str, votes: list[Any], verdict: str) -> None:
    async with harness(app) as it:
        thing = await item(it, by_two, reject=reject)
        run = thing.split("/")[0]
        for number, vote in enumerate(votes):
            assert it.status(run) == "waiting"
            await it.client.decide(thing, vote, by=f"member {number}")
            await it.restart()
        assert await it.result(run) == verdict
        (decided,) = it.events(run, "approval_decided")
        assert [cast["verdict"] for cast in decided.votes] == votes


async def test_nobody_votes_twice_however_they_are_called() -> None:
    async with harness(app) as it:
        thing = await item(it, by_two, reject="veto")
        await it.client.decide(thing, "approved", by="Bea")
        with pytest.raises(Conflict, match="voted already"):
            await it.client.decide(thing, "approved", by="ＢＥＡ ")


# --- time -----------------------------------------------------------------------------------------------------


async def test_reminder_escalation_and_due_time_follow_the_calendar() -> None:
    told.clear()
    async with harness(app) as it:
        thing = await item(it, asks, queue="office")
        run = thing.split("/")[0]
        (wait,) = it.waits(run)
        assert wait.due_at == "2026-01-05T17:00:00.000000Z"
        await it.advance("5h")
        assert len(it.events(run, "item_reminded")) == 1
        await it.advance("24h")  # 12 working hours are over on Tuesday at 13:00
        (escalated,) = it.events(run, "item_escalated")
        assert (escalated.queue, escalated.at[:16]) == ("leads", "2026-01-06T13:00")
        assert [notice.kind for notice in told] == ["opened", "reminder", "escalated"]
        assert told[-1].owner == "lea"
        assert it.status(run) == "waiting"
        await it.approve(thing, by="lea")
        assert (await it.result(run)).startswith("approved")


async def test_a_question_stops_the_clock_and_the_answer_starts_it_again() -> None:
    async with harness(app) as it:
        thing = await item(it, soon, queue="office")
        run = thing.split("/")[0]
        await it.advance("1h")
        await it.client.ask(thing, "Which desk?", by="olga")
        await it.advance("72h")  # nothing runs out meanwhile
        with pytest.raises(Conflict, match="waits for an answer"):
            await it.client.decide(thing, "approved", by="olga")
        with pytest.raises(InvalidInput, match="answer is empty"):
            await it.client.answer(thing, " ", by="ann")
        await it.client.answer(thing, "The tall one", by="ann")
        await it.restart()
        (wait,) = it.waits(run)
        assert wait.due_at == "2026-01-08T17:00:00.000000Z"  # asked after 1 of 8 hours, answered Thursday at 10:00
        await it.advance("8h")
        assert await it.result(run) == "expired"


async def test_what_is_asked_for_after_hours_is_declined_at_once_where_the_queue_says_so() -> None:
    paid.clear()
    async with harness(app) as it:
        await it.advance("10h")
        run = await it.start(pays, by="ann", invoice="i1")
        await it.client.fire_timers()
        await it.settle()
        assert it.status(run) == "failed"
        assert "outside working hours" in (it.run(run).summary or "")
    assert paid == []


async def test_an_open_item_never_approves_itself() -> None:
    async with harness(app) as it:
        runs = [
            await it.start(process, by="ann", queue=queue) for process in (asks, soon) for queue in ("office", "desk")
        ]
        await it.advance("60d")
        for run in runs:
            assert not [event for event in it.events(run, "approval_decided") if event.verdict == "approved"]


# --- words, files, batches ------------------------------------------------------------------------------------


async def test_a_rejection_gives_one_of_the_queues_reasons() -> None:
    async with harness(app) as it:
        thing = await item(it, asks, queue="coded")
        with pytest.raises(InvalidInput, match="one of too-dear, not-needed"):
            await it.client.decide(thing, "rejected", by="cora", code="bad mood")
        await it.client.decide(thing, "rejected", by="cora", code="too-dear")
        assert await it.result(thing.split("/")[0]) == "rejected by cora: too-dear"


async def test_a_comment_carries_files_by_their_content() -> None:
    async with harness(app) as it:
        thing = await item(it, asks, queue="desk")
        await it.client.comment(thing, "see the offer", by="dora", files={"offer.txt": b"three desks"})
        (said,) = it.events(thing.split("/")[0], "item_commented")
        assert said.files[0]["name"] == "offer.txt"
        assert it.client._reader.value("blob", (said.files[0]["digest"],)) == b"three desks"


async def test_alike_items_are_decided_together_without_those_that_were_picked_out() -> None:
    async with harness(app) as it:
        things = [await item(it, asks, queue="desk") for _ in range(5)]
        outcomes = await it.client.decide_many(things, "approved", by="bob", without=things[3:])
        assert outcomes == dict.fromkeys(things[:3], "")
        again = await it.client.decide_many(things, "rejected", by="bob")
        assert [why == "" for why in again.values()] == [False, False, False, True, True]


async def test_a_batch_is_about_what_was_looked_at_and_one_that_changed_does_not_stop_it() -> None:
    async with harness(app) as it:
        one, two, coded = [await item(it, asks, queue=queue) for queue in ("desk", "desk", "coded")]
        digests = {thing: it.events(thing.split("/")[0], "approval_requested")[0].shown for thing in (one, two, coded)}
        outcomes = await it.client.decide_many(
            [one, two, coded], "rejected", by="bob", reason="no", shown={**digests, two: "0" * 64}
        )
        assert outcomes[one] == ""
        assert outcomes[two].startswith("CONFLICT: ")
        assert "not what was looked at" in outcomes[two]
        assert (
            outcomes[coded] == "INVALID: a rejection in queue 'coded' needs a reason code, one of too-dear, not-needed"
        )
        assert it.status(coded.split("/")[0]) == "waiting"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({"code": 7}, "code"),
        ({"reason": None}, "reason"),
        ({"shown": {"x/1": ""}}, "shown"),
    ],
)
async def test_what_is_wrong_with_a_whole_batch_is_told_before_anything_is_decided(
    wrong: dict[str, Any], field: str
) -> None:
    async with harness(app) as it:
        things = [await item(it, asks, queue="desk") for _ in range(2)]
        with pytest.raises(InvalidInput) as refused:
            await it.client.decide_many(things, **{"verdict": "approved", "by": "bob", **wrong})
        assert set(refused.value.fields) == {field}
        assert len(it.client.inbox()) == 2


async def test_a_decision_is_about_what_was_looked_at() -> None:
    async with harness(app) as it:
        thing = await item(it, asks, queue="desk")
        (asked,) = it.events(thing.split("/")[0], "approval_requested")
        with pytest.raises(Conflict, match="not what was looked at"):
            await it.client.decide(thing, "approved", by="bob", shown="0" * 64)
        await it.client.decide(thing, "approved", by="bob", shown=asked.shown)


# --- who may --------------------------------------------------------------------------------------------------


async def test_members_roles_and_substitutes() -> None:
    async with harness(app) as it:
        await people(it)
        thing = await item(it, by_two, reject="veto")
        run = thing.split("/")[0]
        for name, why in (("cid", "not among those"), ("vic", "decide"), ("stranger", "stranger"), ("ann", "decide")):
            with pytest.raises(NotAllowed, match=why):
                await it.client.decide(thing, "approved", by=name)
        await asyncio.sleep(0.05)  # nobody waits for the record of a refusal
        assert len(it.client._reader.all("system_events", ("denied",))) == 4
        await it.client.delegate("bea", "cid", until="2026-02-01T00:00:00Z", by="bea")
        await it.client.decide(thing, "approved", by="cid")
        (vote,) = it.events(run, "vote_cast")
        assert (vote.by, vote.behalf) == ("cid", "bea")
        with pytest.raises(Conflict, match="voted already"):
            await it.client.decide(thing, "approved", by="bea")
        await it.client.decide(thing, "approved", by="bob")
        assert await it.result(run) == "approved"


async def test_nobody_decides_their_own_request_through_a_service_or_a_substitute() -> None:
    async with harness(app) as it:
        await it.client.register("root", roles=["administrator"], by="root")
        await it.client.register("bea", roles=["approver"], groups=["board"], by="root")
        await it.client.register("bob", roles=["approver"], groups=["board"], by="root")
        await it.client.register("bot", kind="service", roles=["operator"], acts_for="bea", by="root")
        run = await it.start(by_two, by="bot", reject="veto")
        with pytest.raises(NotAllowed, match="cannot also decide"):
            await it.client.decide(run, "approved", by="bea")
        await it.client.decide(run, "approved", by="bob")
        assert it.status(run) == "waiting"


# --- whatever is killed when ------------------------------------------------------------------------------------


async def again(act: Awaitable[None]) -> None:
    """An act of somebody who does not know whether it counted before the worker died."""
    with suppress(Conflict):
        await act


async def test_an_items_way_ends_the_same_wherever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        run = await it.client.start(soon, {"queue": "office"}, key="1", by="ann")
        await it.settle()
        thing = f"{run}/1"
        await again(it.client.claim(thing, by="olga"))
        if not it.events(run, "item_asked"):
            await again(it.client.ask(thing, "Which desk?", by="olga"))
        await it.advance("24h")
        await again(it.client.answer(thing, "The tall one", by="ann"))
        await it.advance("5h")
        await again(it.client.reassign(thing, by="olga", queue="leads"))
        await it.advance("72h")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == "expired"
        kinds = it.kinds(run.id)
        assert {kind: kinds.count(kind) for kind in ("item_asked", "item_answered", "approval_decided")} == {
            "item_asked": 1, "item_answered": 1, "approval_decided": 1,
        }  # fmt: skip
        assert it.client.inbox() == []

    assert await crash_everywhere(app, story, check) >= 8


async def test_no_vote_is_lost_or_counted_twice_wherever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        run = await it.client.start(by_two, {"reject": "quorum"}, key="1", by="ann")
        await it.settle()
        for name, verdict in (("a", "rejected"), ("b", "approved"), ("c", "approved")):
            await again(it.client.decide(f"{run}/1", verdict, by=name))  # type: ignore[arg-type]
        await it.settle()

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == "approved"
        (decided,) = it.events(run.id, "approval_decided")
        assert [vote["by"] for vote in decided.votes] == ["a", "b", "c"]

    assert await crash_everywhere(app, story, check) >= 4
