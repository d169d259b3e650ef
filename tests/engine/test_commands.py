"""Every command a workflow can await: what it asks for, what answers it, and that a restart changes nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field

from backstay import (
    App,
    ChildFailed,
    IdempotencyKey,
    Retry,
    TimedOut,
    action,
    approval,
    gather,
    new_id,
    note,
    now,
    race,
    random,
    setting,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import Conflict, InvalidInput, NotAllowed, NotFound
from backstay.testing import ManualClock, harness

performed: list[str] = []
release = {"event": asyncio.Event()}


@pytest.fixture(autouse=True)
def _new_world() -> None:
    performed.clear()
    release["event"] = asyncio.Event()


class Goods(BaseModel):
    article: str
    count: int = Field(gt=0)


class Report(BaseModel):
    amount: Decimal
    reviewed: bool = False


@action(effect="read")
async def price(article: str) -> Decimal:
    return Decimal("12.50")


@action(effect="write")
def ship(article: str, key: IdempotencyKey) -> str:
    performed.append(article)
    return f"parcel {article}"


@action(effect="read")
async def never(what: str) -> str:
    await asyncio.Event().wait()
    return "never"


@action(effect="write", timeout=5)
async def slow_ship(article: str, key: IdempotencyKey) -> str:
    await release["event"].wait()
    performed.append(article)
    return f"slow parcel {article}"


@action(effect="read", retry=Retry(attempts=1), on_failure="raise")
async def breaks(what: str) -> str:
    raise ConnectionError(what)


@workflow
async def prices(article: str) -> Decimal:
    return await price(article) * 2


@workflow
async def ships(article: str) -> str:
    return await ship(article)


@workflow
async def fails(reason: str) -> str:
    raise ValueError(reason)


@workflow
async def waits(name: str) -> str:
    await wait_for(name)
    return f"{name} came"


@workflow
async def parent(article: str) -> str:
    return "child said " + await start(ships, article)


@workflow
async def parent_of_failure() -> str:
    try:
        return await start(fails, "bad luck")
    except ChildFailed as error:
        return f"{error.workflow}: {error.message}"


@workflow
async def parent_of_waiting() -> str:
    try:
        return await start(waits, "go")
    except ChildFailed as error:
        return error.message


@workflow
async def parent_detached() -> str:
    child = await start(waits, "go", detached=True)
    return child


@workflow
async def parent_keyed(name: str) -> str:
    return await start(ships, "a", key=name)


@workflow
async def family() -> list[str]:
    return await gather(start(ships, "a"), start(ships, "b"), start(parent, "c"))


@workflow
async def parent_of_bad_input() -> str:
    try:
        await start(orders, "x", 0)
    except ChildFailed as error:
        return error.message
    return "?"


@workflow
async def orders(article: str, count: int) -> Goods:
    return Goods(article=article, count=count)


@workflow
async def reports() -> Decimal:
    report = await task("clerks", form=Report, title="Check the amount", show={"bill": 7}, within="2d")
    return report.amount


@workflow
async def confirms() -> str:
    done = await task("clerks")
    return f"{done.by}: {done.comment}"


@workflow
async def receives() -> str:
    goods = await wait_for("goods", type=Goods, within="2d")
    return f"{goods.count} {goods.article}"


@workflow
async def receives_late() -> str:
    await sleep("1h")
    goods = await wait_for("goods", type=Goods)
    return f"{goods.count} {goods.article}"


@workflow
async def receives_two() -> list[Any]:
    first = await wait_for("goods")
    second = await wait_for("goods")
    return [first, second]


@workflow
async def gives_up_waiting() -> str:
    try:
        await wait_for("goods", within="2d")
    except TimedOut as error:
        return error.what
    return "?"


@workflow
async def draws() -> dict[str, Any]:
    first, again = await now(), await now()
    return {
        "now": first,
        "same": first == again,
        "random": await random(),
        "id": await new_id(),
        "setting": await setting("limit"),
        "nothing": await setting("nothing"),
    }


@workflow
async def compares() -> bool:
    pair = await setting("pair")
    return pair == [1, 2]


@workflow
async def sleeps_until(moment: datetime) -> str:
    await sleep(until=moment)
    return "awake"


@workflow
async def sleeps_nonsense(text: str) -> str:
    await gather(note("before"), sleep(text))
    return "?"


@workflow
async def remarks() -> str:
    await note("about to think", {"step": 1})
    return "thought"


@workflow
async def all_of_them() -> list[Any]:
    return await gather(price("a"), ship("b"), now(), setting("limit"), note("both"))


@workflow
async def nothing_at_all() -> list[Any]:
    return await gather()


@workflow
async def no_race() -> str:
    await race()
    return "?"


@workflow
async def one_breaks() -> str:
    await gather(breaks("a"), approval("bosses"), sleep("1h"), never("b"))
    return "?"


@workflow
async def first_wins() -> str:
    winner = await race(wait_for("left"), wait_for("right"), sleep("1h"))
    return f"{winner.index} {winner.value}"


@workflow
async def slow_loser() -> str:
    winner = await race(slow_ship("a"), wait_for("stop"))
    return f"{winner.index}"


@workflow
async def nested() -> list[Any]:
    return await gather(
        race(wait_for("a"), wait_for("b")),
        gather(wait_for("c"), race(sleep("1h"), gather(wait_for("d"), wait_for("e")))),
    )


@workflow(deadline="1d")
async def has_a_deadline() -> str:
    await approval("bosses")
    return "approved"


app = App(
    "commands",
    workflows=[
        prices, ships, fails, waits, parent, parent_of_failure, parent_of_waiting, parent_detached, parent_keyed, family,
        parent_of_bad_input, orders, reports, confirms, receives, receives_late, receives_two, gives_up_waiting, draws, compares,
        sleeps_until, sleeps_nonsense, remarks, all_of_them, nothing_at_all, no_race, one_breaks, first_wins, slow_loser,
        nested, has_a_deadline,
    ],
    settings={"limit": Decimal("99.90"), "pair": (1, 2)},
)  # fmt: skip


# --- call ------------------------------------------------------------------------------------------------


async def test_a_call_answers_in_the_types_of_its_action() -> None:
    async with harness(app) as it:
        assert await it.result(await it.start(prices, article="a")) == "25.00"


async def test_a_read_is_one_event_and_a_write_is_two() -> None:
    async with harness(app) as it:
        assert it.kinds(await it.start(prices, article="a")) == ["run_started", "call_returned", "run_finished"]
        assert it.kinds(await it.start(ships, article="a")) == [
            "run_started", "call_intended", "call_returned", "run_finished",
        ]  # fmt: skip


# --- start -------------------------------------------------------------------------------------------------


async def test_a_child_answers_its_parent() -> None:
    async with harness(app) as it:
        assert await it.result(await it.start(parent, article="a")) == "child said parcel a"


async def test_a_childs_failure_reaches_its_parent() -> None:
    async with harness(app) as it:
        assert await it.result(await it.start(parent_of_failure)) == "fails: ValueError: bad luck"


async def test_a_cancelled_child_fails_its_parents_await() -> None:
    async with harness(app) as it:
        run = await it.start(parent_of_waiting)
        child = it.waits(run)[0].subject
        await it.client.cancel(child, by="ann", reason="not needed")
        assert await it.result(run) == "not needed"


async def test_a_detached_child_answers_with_its_id_and_lives_on() -> None:
    async with harness(app) as it:
        child = await it.result(await it.start(parent_detached))
        assert it.status(child) == "waiting"
        await it.client.signal(child, "go")
        assert await it.result(child) == "go came"


async def test_a_keyed_child_is_one_child_for_several_parents() -> None:
    async with harness(app) as it:
        one = await it.start(parent_keyed, name="k")
        assert await it.result(one) == "parcel a"
        assert performed == ["a"]


async def test_two_parents_of_one_keyed_child_both_hear_of_its_end() -> None:
    async with harness(app) as it:
        runs = await asyncio.gather(*(it.client.start(parent_keyed, {"name": "k"}) for _ in range(3)))
        assert [await it.result(run) for run in runs] == ["parcel a"] * 3
        assert performed == ["a"]
        assert it.client.counts() == {"parent_keyed": {"finished": 3}, "ships": {"finished": 1}}


async def test_a_parent_of_a_keyed_child_that_has_long_ended_hears_of_it() -> None:
    async with harness(app) as it:
        await it.start(parent_keyed, name="k")
        late = await it.start(parent_keyed, name="k")
        assert it.status(late) == "finished"
        assert performed == ["a"]


async def test_a_child_with_bad_input_fails_the_await_and_names_the_field() -> None:
    async with harness(app) as it:
        result = await it.result(await it.start(parent_of_bad_input))
        assert "count" in result
        assert "greater than 0" in result


async def test_a_family_of_runs_answers_in_order() -> None:
    async with harness(app) as it:
        run = await it.start(family)
        assert await it.result(run) == ["parcel a", "parcel b", "child said parcel c"]


async def test_starting_twice_under_one_key_is_one_run() -> None:
    async with harness(app) as it:
        runs = await asyncio.gather(*(it.client.start(ships, {"article": "a"}, key="order 7") for _ in range(5)))
        await it.settle()
        assert len(set(runs)) == 1
        await it.restart()
        assert await it.client.start(ships, {"article": "a"}, key="order 7") == runs[0]
        assert performed == ["a"]


async def test_input_that_does_not_fit_names_the_field_and_starts_nothing() -> None:
    async with harness(app) as it:
        with pytest.raises(InvalidInput, match="count") as caught:
            await it.client.start(orders, {"article": "a", "count": "many"})
        assert list(caught.value.fields) == ["count"]
        with pytest.raises(InvalidInput, match="colour"):
            await it.client.start(orders, {"article": "a", "count": 1, "colour": "red"})
        with pytest.raises(NotFound, match="no workflow 'order'"):
            await it.client.start("order", {})
        assert it.client.runs() == []


@pytest.mark.parametrize("key", [5, "half \ud800"], ids=["number", "surrogate"])
async def test_a_key_that_is_no_text_is_refused_and_the_next_start_works(key: Any) -> None:
    async with harness(app) as it:
        with pytest.raises(Exception, match=r"cannot be recorded|surrogates"):
            await it.client.start(ships, {"article": "a"}, key=key)
        run = await it.start(ships, article="b")
        assert it.status(run) == "finished"


# --- approval and task: more of it in tests/governance ----------------------------------------------------------


async def test_a_task_takes_a_filled_in_form() -> None:
    async with harness(app) as it:
        run = await it.start(reports)
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue, wait.title, wait.due_at) == (
            "task", "clerks", "Check the amount", "2026-01-07T09:00:00.000000Z",
        )  # fmt: skip
        await it.complete(run, {"amount": "10.20"}, by="ann")
        assert await it.result(run) == "10.20"


async def test_an_invalid_form_names_the_field_and_the_task_stays() -> None:
    async with harness(app) as it:
        run = await it.start(reports)
        with pytest.raises(InvalidInput, match="amount: ") as caught:
            await it.complete(run, {"amount": "ten", "reviewed": True}, by="ann")
        assert list(caught.value.fields) == ["amount"]
        assert [wait.kind for wait in it.waits(run)] == ["task"]
        await it.complete(run, {"amount": 1}, by="ann")
        assert it.status(run) == "finished"


async def test_a_task_without_a_form_is_reported_done_with_a_comment() -> None:
    async with harness(app) as it:
        run = await it.start(confirms)
        await it.complete(run, "looks fine", by="ann")
        assert await it.result(run) == "ann: looks fine"


async def test_somebody_elses_task_cannot_be_completed() -> None:
    async with harness(app) as it:
        run = await it.start(confirms)
        await it.client.claim(run, by="ann")
        with pytest.raises(NotAllowed, match="'ann' has claimed"):
            await it.complete(run, by="ben")
        await it.client.release(run, by="ann")
        await it.complete(run, by="ben")
        assert await it.result(run) == "ben: "


async def test_a_task_that_is_overdue_goes_on_waiting() -> None:
    async with harness(app) as it:
        run = await it.start(reports)
        await it.advance("10d")
        assert it.client.queues()[0].overdue == 1
        await it.complete(run, {"amount": 1}, by="ann")
        assert it.status(run) == "finished"


# --- signals --------------------------------------------------------------------------------------------------


async def test_a_signal_wakes_the_run_that_waits_for_it() -> None:
    async with harness(app) as it:
        run = await it.start(receives)
        await it.client.signal(run, "goods", {"article": "bolts", "count": 3})
        assert await it.result(run) == "3 bolts"


async def test_an_early_signal_is_kept() -> None:
    async with harness(app) as it:
        run = await it.start(receives_late)
        await it.client.signal(run, "goods", {"article": "bolts", "count": 3})
        await it.restart()
        await it.advance("1h")
        assert await it.result(run) == "3 bolts"


async def test_an_early_signal_that_does_not_fit_is_passed_over() -> None:
    async with harness(app) as it:
        run = await it.start(receives_late)
        await it.client.signal(run, "goods", {"article": "bolts", "count": "many"})
        await it.client.signal(run, "goods", {"article": "nuts", "count": 2})
        await it.advance("1h")
        assert await it.result(run) == "2 nuts"


async def test_signals_of_one_name_are_taken_in_their_order() -> None:
    async with harness(app) as it:
        run = await it.start(receives_two)
        await asyncio.gather(*(it.client.signal(run, "goods", number) for number in range(3)))
        assert await it.result(run) == [0, 1]


async def test_the_same_signal_id_counts_once_even_at_once() -> None:
    async with harness(app) as it:
        run = await it.start(receives_two)
        await asyncio.gather(*(it.client.signal(run, "goods", 1, id="mail-7") for _ in range(3)))
        await it.settle()
        assert it.status(run) == "waiting"
        await it.restart()
        await it.client.signal(run, "goods", 1, id="mail-7")
        await it.client.signal(run, "goods", 2, id="mail-8")
        assert await it.result(run) == [1, 2]


async def test_a_signal_that_does_not_fit_is_refused_and_the_run_goes_on_waiting() -> None:
    async with harness(app) as it:
        run = await it.start(receives)
        with pytest.raises(InvalidInput, match="payload of signal 'goods' does not fit: count: "):
            await it.client.signal(run, "goods", {"article": "bolts", "count": 0})
        await it.client.signal(run, "goods", {"article": "bolts", "count": 1})
        assert await it.result(run) == "1 bolts"


async def test_a_payload_reads_the_same_after_a_restart() -> None:
    async with harness(app) as it:
        run = await it.start(receives_two)
        await it.client.signal(run, "goods", {1: (Decimal("1.50"), Goods(article="a", count=1))})
        await it.settle()
        live = it.client.run(run).head
        await it.restart()
        assert it.client.run(run).head == live
        await it.client.signal(run, "goods", None)
        assert await it.result(run) == [{"1": ["1.50", {"article": "a", "count": 1}]}, None]


async def test_a_wait_times_out_at_its_time_and_not_before() -> None:
    async with harness(app) as it:
        run = await it.start(gives_up_waiting)
        await it.advance("47h")
        assert it.status(run) == "waiting"
        await it.advance("1h")
        assert await it.result(run) == "signal 'goods'"


async def test_a_run_that_has_ended_takes_no_signal() -> None:
    async with harness(app) as it:
        run = await it.start(remarks)
        with pytest.raises(Conflict, match="has ended"):
            await it.client.signal(run, "goods")


# --- time and values ---------------------------------------------------------------------------------------------


async def test_drawn_values_are_the_stores_and_are_remembered() -> None:
    async with harness(app, clock=ManualClock(seed=7)) as it:
        drawn = await it.result(await it.start(draws))
        assert drawn["now"] == "2026-01-05T09:00:00Z"
        assert 0 <= drawn["random"] < 1
        assert len(drawn["id"]) == 26
        assert drawn["setting"] == "99.90"
        assert drawn["nothing"] is None


async def test_a_setting_is_the_json_that_a_replay_will_see() -> None:
    async with harness(app) as it:
        assert await it.result(await it.start(compares)) is True


async def test_sleeping_until_a_moment_wakes_then() -> None:
    async with harness(app) as it:
        run = await it.start(sleeps_until, moment="2026-01-06T09:00:00+02:00")
        await it.advance("21h59m")
        assert it.status(run) == "waiting"
        await it.advance("1m")
        assert await it.result(run) == "awake"


async def test_sleeping_until_a_moment_that_has_passed_wakes_at_once() -> None:
    async with harness(app) as it:
        run = await it.start(sleeps_until, moment="1999-01-01T00:00:00Z")
        await it.advance(0)
        assert await it.result(run) == "awake"


@pytest.mark.parametrize("text", ["soon", "", "9999999999999d"])
async def test_a_duration_that_is_none_fails_the_run_with_its_reason(text: str) -> None:
    async with harness(app) as it:
        run = await it.start(sleeps_nonsense, text=text)
        assert it.status(run) == "failed"
        assert "is not a duration that can be waited for" in (it.run(run).summary or "")


async def test_a_note_stands_in_the_journal() -> None:
    async with harness(app) as it:
        run = await it.start(remarks)
        (noted,) = it.events(run, "noted")
        assert (noted.text, noted.data) == ("about to think", {"step": 1})


# --- gather and race -----------------------------------------------------------------------------------------------


async def test_gather_answers_in_the_order_given() -> None:
    async with harness(app) as it:
        result = await it.result(await it.start(all_of_them))
        assert [result[0], result[1], result[3], result[4]] == ["12.50", "parcel b", "99.90", None]


async def test_gathering_nothing_is_nothing() -> None:
    async with harness(app) as it:
        assert await it.result(await it.start(nothing_at_all)) == []


async def test_racing_nothing_is_an_error_of_the_workflow() -> None:
    async with harness(app) as it:
        assert it.run(await it.start(no_race)).summary == "ValueError: race() needs at least one command"


async def test_the_first_failure_of_a_gather_withdraws_the_rest() -> None:
    async with harness(app) as it:
        run = await it.start(one_breaks)
        assert it.status(run) == "failed"
        assert it.waits(run) == []
        assert it.client.inbox() == []


async def test_the_first_of_a_race_wins_and_the_rest_is_withdrawn() -> None:
    async with harness(app) as it:
        run = await it.start(first_wins)
        assert len(it.waits(run)) == 3
        await it.client.signal(run, "right", 7)
        assert await it.result(run) == "1 7"
        assert it.waits(run) == []


async def test_a_timer_can_win_a_race() -> None:
    async with harness(app) as it:
        run = await it.start(first_wins)
        await it.advance("1h")
        assert await it.result(run) == "2 None"


async def test_two_at_once_have_one_winner_also_after_a_restart() -> None:
    async with harness(app) as it:
        run = await it.start(first_wins)
        await asyncio.gather(it.client.signal(run, "right", 7), it.client.signal(run, "left", 8))
        assert await it.result(run) == "1 7"


async def test_a_losing_write_whose_intent_was_committed_still_gets_its_record() -> None:
    async with harness(app) as it:
        run = await it.client.start(slow_loser)
        while "call_intended" not in it.kinds(run):
            await asyncio.sleep(0)
        await it.client.signal(run, "stop")
        assert it.status(run) != "finished"
        release["event"].set()
        assert await it.result(run) == "1"
        assert it.events(run, "call_returned")[0].result == "slow parcel a"
        assert performed == ["a"]


async def test_gathers_and_races_nest() -> None:
    async with harness(app) as it:
        run = await it.start(nested)
        for name, payload in (("e", 5), ("b", 2), ("c", 3)):
            await it.client.signal(run, name, payload)
            await it.restart()
        await it.client.signal(run, "d", 4)
        assert await it.result(run) == [{"index": 1, "value": 2}, [3, {"index": 1, "value": [4, 5]}]]


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_a_deadline_that_passes_fails_the_run() -> None:
    async with harness(app) as it:
        run = await it.start(has_a_deadline)
        await it.restart()
        await it.advance("1d")
        assert it.run(run).summary == "DeadlinePassed: the workflow's deadline passed"
        assert it.waits(run) == []


async def test_a_deadline_that_is_kept_leaves_nothing_behind() -> None:
    async with harness(app) as it:
        run = await it.start(has_a_deadline)
        await it.approve(run, by="bob")
        assert await it.result(run) == "approved"
        assert it.client.next_timer() is None


async def test_waiting_for_the_result_of_a_run_that_is_being_finished_gives_it() -> None:
    async with harness(app) as it:
        for _ in range(20):
            run = await it.client.start(remarks)
            assert await it.client.result(run) == "thought"
