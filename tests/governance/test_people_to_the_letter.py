"""People to the letter: the hours of a question, a substitute's second vote, who may answer, what a refusal says."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import App, Queue, approval, task, workflow
from backstay.errors import Conflict, InvalidInput, NotAllowed
from backstay.governance.calendars import Calendar
from backstay.testing import Harness, harness


@workflow
async def decides_soon(exclude: list[str]) -> str:
    decision = await approval("office", within="8h", exclude=exclude)
    return f"{decision.verdict} by {decision.by!r}, {decision.voters}"


@workflow
async def works_soon() -> str:
    return (await task("office", title="tidy up", within="8h")).comment


@workflow
async def by_two() -> str:
    return (await approval("board", quorum=2)).verdict


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
app = App(
    "people",
    workflows=[decides_soon, works_soon, by_two],
    queues=[
        Queue(name="office", owner="olga", calendar=OFFICE),
        Queue(name="board", owner="chair", members=("group:board",)),
    ],
)


async def people(it: Harness) -> None:
    """ann may ask for things and see them; bea and bob decide; cid may stand in; vic only looks; dan gives work to others."""
    await it.client.register("root", roles=["administrator"], by="root")
    await it.client.register("ann", roles=["author"], by="root")
    for name in ("bea", "bob"):
        await it.client.register(name, roles=["approver"], groups=["board"], by="root")
    await it.client.register("cid", roles=["approver"], by="root")
    await it.client.register("dan", roles=["operator"], by="root")
    await it.client.register("vic", roles=["viewer"], by="root")


# --- time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("process", "input"), [(decides_soon, {"exclude": []}), (works_soon, {})])
async def test_what_is_left_after_a_question_is_counted_in_working_hours(process: Any, input: dict[str, Any]) -> None:
    async with harness(app) as it:
        run = await it.start(process, by="ann", **input)
        await it.advance("1h")
        await it.client.ask(run, "Which desk?", by="olga")
        await it.advance("75h")  # Thursday, 13:00
        await it.restart()
        await it.client.answer(run, "The tall one", by="ann")
        (wait,) = it.waits(run)
        assert wait.due_at == "2026-01-09T12:00:00.000000Z"  # four of seven hours on Thursday, three on Friday


async def test_nobody_decided_what_ran_out() -> None:
    async with harness(app) as it:
        run = await it.start(decides_soon, by="ann", exclude=[])
        await it.advance("8h")
        assert await it.result(run) == "expired by '', []"


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("report", "comment"), [(None, ""), ("done", "done"), ({"comment": "ok"}, "ok"), ({}, "")])
async def test_a_report_without_a_remark_has_an_empty_one(report: Any, comment: str) -> None:
    async with harness(app) as it:
        run = await it.start(works_soon, by="ann")
        await it.complete(run, report, by="dan")
        assert await it.result(run) == comment


async def test_a_rejection_without_words_is_recorded_without_words() -> None:
    async with harness(app) as it:
        one, other = [await it.start(decides_soon, by="ann", exclude=[]) for _ in range(2)]
        assert await it.client.decide_many([f"{one}/1"], "rejected", by="bob") == {f"{one}/1": ""}
        await it.client.decide(other, "rejected", by="bob")
        for run in (one, other):
            (decided,) = it.events(run, "approval_decided")
            assert (decided.verdict, decided.reason, decided.code) == ("rejected", "", "")


async def test_a_batch_that_shows_something_else_is_refused_in_these_words() -> None:
    async with harness(app) as it:
        run = await it.start(decides_soon, by="ann", exclude=[])
        with pytest.raises(InvalidInput) as refused:
            await it.client.decide_many([f"{run}/1"], "approved", by="bob", shown={"x/1": ""})
        assert str(refused.value).startswith("shown names 'x/1', which is not among the items")
        assert refused.value.fields == {"shown": "not an item"}


async def test_whoever_is_excluded_is_told_so_in_these_words() -> None:
    async with harness(app) as it:
        run = await it.start(decides_soon, by="ann", exclude=["bob"])
        with pytest.raises(NotAllowed) as refused:
            await it.client.decide(run, "approved", by="bob")
        assert str(refused.value) == (
            f"{run}/1 is not for 'bob' to decide: its workflow excludes the person who answers for that; somebody else must"
        )


# --- who may ----------------------------------------------------------------------------------------------------


async def test_a_substitute_does_not_vote_for_somebody_who_has_voted() -> None:
    async with harness(app) as it:
        await people(it)
        run = await it.start(by_two, by="ann")
        await it.client.decide(run, "approved", by="bea")
        await it.client.delegate("bea", "cid", until="2026-02-01T00:00:00Z", by="bea")
        with pytest.raises(Conflict, match="'bea' has voted already; a quorum needs different people"):
            await it.client.decide(run, "approved", by="cid")
        await it.client.decide(run, "approved", by="bob")
        assert await it.result(run) == "approved"


async def test_whoever_asked_answers_and_nobody_else_who_may_not_give_work_to_others() -> None:
    async with harness(app) as it:
        await people(it)
        run = await it.start(decides_soon, by="ann", exclude=[])
        for answerer in ("ann", "dan"):
            await it.client.ask(run, "Which desk?", by="bob")
            for name in ("bob", "vic"):
                with pytest.raises(NotAllowed, match=f"{name!r} .*may not 'reassign'"):
                    await it.client.answer(run, "The tall one", by=name)
            await it.client.answer(run, "The tall one", by=answerer)
        assert [event.by for event in it.events(run, "item_answered")] == ["ann", "dan"]


async def test_whoever_asked_remarks_on_it_though_they_may_not_work_on_it() -> None:
    async with harness(app) as it:
        await people(it)
        run = await it.start(by_two, by="ann")
        await it.client.comment(run, "it is urgent", by="ann")
        for name in ("vic", "cid"):
            with pytest.raises(NotAllowed):
                await it.client.comment(run, "no, it is not", by=name)
        assert [event.text for event in it.events(run, "item_commented")] == ["it is urgent"]


async def test_whoever_may_not_decide_does_not_learn_what_was_decided() -> None:
    async with harness(app) as it:
        await people(it)
        run = await it.start(by_two, by="ann")
        await it.client.decide(run, "rejected", by="bea")
        for name in ("vic", "dan"):
            with pytest.raises(NotAllowed, match="may not 'decide'"):
                await it.client.decide(run, "approved", by=name)
