"""An agent's day: what it may use up in all its runs together is reserved before a call, and read from the journal again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from backstay import Agent, AgentDay, AgentLimits, App, IdempotencyKey, Rule, action, workflow
from backstay.ai.models import Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.errors import AuthorError, StoreFenced
from backstay.governance.budgets import Use
from backstay.store.views import system_events
from backstay.testing import Harness, harness

TODAY = "2026-01-05"
done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


class Answer(BaseModel):
    text: str


@action(effect="read")
async def look(what: str) -> str:
    """Look."""
    done.append(f"look {what}")
    await asyncio.sleep(0)
    return "seen well"


@action(effect="write", sinks=[])
async def post(what: str, key: IdempotencyKey) -> str:
    """Post."""
    done.append(f"post {what}")
    return "posted well"


@action(effect="write", sinks=[])
async def breaks(what: str, key: IdempotencyKey) -> str:
    """Fail twice, then do it."""
    done.append(f"tried {what}")
    if len(done) % 3:
        raise OSError("not now")
    return "broke well"


@workflow
async def posts(what: str) -> str:
    """Post it."""
    return await post(what)


END = finish({"text": "done"}, ("it is so", "o1", "well"))
LOOK = call("look", what="it")
RULES = [Rule(id="may", verdict="allow", effect="write", agent="?*", owner="risk", expires="2099-01-01")]


def agent(name: str = "clerk", *tools: Any, **limits: Any) -> Agent[Answer]:
    return Agent(name, goal="Help.", tools=[look, post, breaks, *tools], output=Answer, limits=AgentLimits(**limits))


def app_with(
    *budgets: AgentDay,
    script: Any = (LOOK, END),
    usd: str | None = "0",
    agents: tuple[Agent[Answer], ...] = (),
    wide: int = 50,
) -> App:
    model = ScriptedModel(script, usd=usd)
    model.answer_tokens = wide
    return App(
        "days", workflows=[*(agents or (agent(),)), posts], policy=RULES, budgets=budgets, models=Models(careful=model)
    )


def used(it: Harness, name: str = "clerk", day: str = TODAY) -> Use:
    return it.client._runner.gateway.days.used(name, day)


async def run(it: Harness, name: str = "clerk") -> Any:
    return await it.result(await it.start(name, input="go"))


# --- crossing is a typed outcome ------------------------------------------------------------------------


async def test_a_day_is_used_up_by_all_runs_together_and_ends_with_the_day() -> None:
    async with harness(app_with(AgentDay("clerk", calls=5))) as it:
        first = await run(it)
        assert (first["reason"], used(it).calls) == ("goal-met", 3)  # two questions, one look
        second = await run(it)
        assert (second["reason"], second["why"]) == (
            "limit", "agent 'clerk' has 0 of its 5 calls a day left, and this may take 1",
        )  # fmt: skip
        assert used(it).calls == 5
        await it.advance("24h")
        assert (await run(it))["reason"] == "goal-met"
        assert used(it, day="2026-01-06").calls == 3


async def test_a_tool_that_no_longer_fits_is_denied_by_the_stage_budget_and_the_agent_may_still_finish() -> None:
    script = [LOOK, call("post", what="a"), call("post", what="b"), END]
    async with harness(app_with(AgentDay("clerk", effects=1), script=script)) as it:
        case = await it.start("clerk", input="go")
        assert (await it.result(case))["reason"] == "goal-met"
        (denied,) = it.events(case, "call_denied")
        assert (denied.stage, denied.action) == ("budget", "post")  # type: ignore[attr-defined]
        assert done == ["look it", "post a"]
        assert used(it) == Use(calls=6, effects=1, tokens=used(it).tokens)


async def test_a_question_that_might_cost_too_much_is_not_asked() -> None:
    app = app_with(AgentDay("clerk", usd="0.25"), usd="0.10")
    async with harness(app) as it:
        assert (await run(it))["usd"] == "0.20"
        found = await run(it)
        assert (found["reason"], found["why"]) == (
            "limit", "agent 'clerk' has 0.05 of its 0.25 USD a day left, and this may take 0.10",
        )  # fmt: skip
        assert used(it).usd == Decimal("0.20")


async def test_without_a_known_price_a_day_with_a_limit_of_money_asks_nothing() -> None:
    async with harness(app_with(AgentDay("clerk", usd="5"), usd=None)) as it:
        found = await run(it)
        assert found["reason"] == "limit"
        assert "nobody knows what the question may cost" in found["why"]


async def test_a_token_is_bounded_before_the_question_and_counted_after_it() -> None:
    async with harness(app_with(AgentDay("clerk", tokens=100_000))) as it:
        found = await run(it)
        assert used(it).tokens == found["tokens"] > 100
    async with harness(app_with(AgentDay("clerk", tokens=100))) as it:
        assert (await run(it))["reason"] == "limit"
        assert used(it) == Use()


# --- in whose name --------------------------------------------------------------------------------------


async def test_what_is_done_in_its_name_counts_for_whoever_led_to_it() -> None:
    """The boss asks a clerk, and the clerk has a workflow post: both days are used up, and either stops it."""

    def script(asked: Asked) -> Turn:
        turn = sum(message.role == "model" for message in asked.messages)
        first = call("clerk", what="a") if "clerk" in asked.offered else call("posts", what="a")
        return [LOOK, first, END][turn]

    clerk = agent("clerk", posts)
    boss = Agent("boss", goal="Help.", tools=[look, clerk], output=Answer)
    days = AgentDay("boss", effects=1, calls=100), AgentDay("clerk", calls=100)
    async with harness(app_with(*days, script=script, agents=(boss, clerk))) as it:
        assert (await run(it, "boss"))["reason"] == "goal-met"
        assert used(it, "clerk").calls == 5  # three questions, a look, the post
        assert used(it, "boss").calls == 9
        assert (used(it, "clerk").effects, used(it, "boss").effects) == (1, 1)
        await run(it, "boss")
        assert done.count("post a") == 1
        await run(it, "clerk")
        assert done.count("post a") == 2


async def test_a_workflow_of_its_own_counts_for_nobody() -> None:
    async with harness(app_with(AgentDay("clerk", effects=0))) as it:
        assert await it.result(await it.start(posts, what="a")) == "posted well"
        assert used(it) == Use()


# --- never overshot -------------------------------------------------------------------------------------


async def test_sixty_four_at_once_never_overshoot() -> None:
    """Each case asks twice at ten cents and looks once; the day has room for some of them, and not a cent more is spent."""
    days = AgentDay("clerk", usd="2.05", calls=1000)
    asked: list[Decimal] = []

    def script(request: Asked) -> Turn:
        asked.append(Decimal("0.10"))
        assert sum(asked) <= Decimal("2.05")
        return END if any(message.role == "model" for message in request.messages) else LOOK

    async with harness(app_with(days, script=script, usd="0.10")) as it:
        runs = await asyncio.gather(*(it.client.start("clerk", {"input": str(n)}) for n in range(64)))
        await it.settle()
        found = [await it.result(run) for run in runs]
        assert sum(asked) == used(it).usd == Decimal("2.00")
        assert {each["reason"] for each in found} <= {"goal-met", "limit"}
        assert sum(Decimal(each["charged"]) for each in found) == Decimal("2.00")


async def test_what_waits_for_a_person_takes_no_room_until_it_is_made() -> None:
    hold = Rule(id="ask", verdict="hold", action="post", agent="?*", owner="risk")
    script = [LOOK, call("post", what="a"), END]
    app = App("days", workflows=[agent()], policy=[hold], budgets=[AgentDay("clerk", effects=1)],
              models=Models(careful=ScriptedModel(script)))  # fmt: skip
    async with harness(app) as it:
        one, other = [await it.start("clerk", input=str(n)) for n in range(2)]
        assert used(it).effects == 0
        await it.approve(one, by="ann")
        assert (await it.result(one))["reason"] == "goal-met"
        await it.approve(other, by="ann")
        (denied,) = it.events(other, "call_denied")
        assert denied.stage == "budget"  # type: ignore[attr-defined]
        assert done.count("post a") == 1


async def test_a_call_that_is_tried_again_counts_once() -> None:
    script = [LOOK, call("breaks", what="a"), END]
    async with harness(app_with(AgentDay("clerk", calls=5, effects=1), script=script)) as it:
        case = await it.start("clerk", input="go")
        await it.advance("1h")
        assert (await it.result(case))["reason"] == "goal-met"
        assert done.count("tried a") > 1
        assert (used(it).calls, used(it).effects) == (5, 1)


@pytest.mark.parametrize(
    ("usd", "reason", "spent"), [("0.35", "goal-met", "0.30"), ("0.25", "limit", "0.20"), ("0.15", "limit", "0")]
)
async def test_an_attempt_whose_answer_was_lost_counts_with_the_next(usd: str, reason: str, spent: str) -> None:
    """Ten cents may be lost: the same question is asked again only where twenty are left."""
    lost: list[str] = []

    def script(asked: Asked) -> Turn:
        if not lost:
            lost.append("an answer")
            return RuntimeError("cut off")
        return END if any(message.role == "model" for message in asked.messages) else LOOK

    async with harness(app_with(AgentDay("clerk", usd=usd), script=script, usd="0.10")) as it:
        case = await it.start("clerk", input="go")
        await it.advance("1m")
        assert (await it.result(case))["reason"] == reason
        assert used(it).usd == Decimal(spent)


async def test_a_cancelled_case_sets_nothing_aside_any_more() -> None:
    """Its question hangs while it is cancelled: what was reserved for it is free again."""
    asked = asyncio.Event()

    class Hangs(ScriptedModel):
        async def answer(self, asked_: Asked) -> Any:
            if asked.is_set():
                return await super().answer(asked_)
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    app = App("days", workflows=[agent()], policy=RULES, budgets=[AgentDay("clerk", usd="0.25")],
              models=Models(careful=Hangs((LOOK, END), usd="0.10")))  # fmt: skip
    async with harness(app) as it:
        case = await it.client.start("clerk", {"input": "go"})
        await asked.wait()
        assert used(it).usd == Decimal("0.10")
        await it.cancel(case, by="ann")
        assert used(it) == Use()
        assert (await run(it))["reason"] == "goal-met"


# --- the journal is the truth ---------------------------------------------------------------------------


async def test_a_new_worker_knows_what_was_used_and_asks_nothing_that_does_not_fit(tmp_path: Path) -> None:
    budget = AgentDay("clerk", usd="0.25", calls=100, tokens=10**6, effects=3)
    script = [LOOK, call("post", what="x" * 20_000), END]
    async with harness(app_with(budget, usd="0.05", script=script), tmp_path) as it:
        assert (await run(it))["reason"] == "goal-met"
        before = used(it)
        assert (before.usd, before.calls, before.effects) == (Decimal("0.15"), 5, 1)
        await it.restart()
        assert used(it) == before
    async with harness(app_with(AgentDay("clerk", usd="0.16"), usd="0.05"), tmp_path) as it:
        assert (await run(it))["reason"] == "limit"
        assert used(it) == before


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    turns=st.lists(
        st.sampled_from([LOOK, call("post", what="a"), call("breaks", what="b"), call("look", what="x" * 9000), [LOOK, LOOK]]),
        max_size=5,
    ),
    calls=st.integers(0, 12), effects=st.integers(0, 3), crash=st.integers(1, 40),
)  # fmt: skip
def test_whatever_it_does_the_count_is_the_journals(turns: list[Any], calls: int, effects: int, crash: int) -> None:
    """Read anew, with a worker that died somewhere on the way, it is the same; and no limit was crossed."""
    asyncio.run(_counts(turns, calls, effects, crash))


async def _counts(turns: list[Any], calls: int, effects: int, crash: int) -> None:
    done.clear()
    budget = AgentDay("clerk", calls=calls, effects=effects, tokens=10**7, usd="0.5")
    async with harness(app_with(budget, script=[*turns, END], usd="0.02"), prove=False) as it:
        await it.start("clerk", input="go")
        await it.advance("1h")
        live = used(it)
        await it.restart()
        assert used(it) == live
        assert live.calls <= calls
        assert live.effects <= effects
        await it.close()
        await it.open(crash_at=crash)
        with suppress(StoreFenced):  # it died on the way
            await it.start("clerk", input="again")
            await it.advance("1h")
        await it.close()
        await it.open()
        await it.settle()
        await it.advance("1h")
        live = used(it)
        await it.restart()
        assert used(it) == live
        assert live.calls <= calls
        assert live.effects <= effects


async def test_each_change_of_a_budget_is_recorded_once(tmp_path: Path) -> None:
    for budgets in ([AgentDay("clerk", usd="5")], [AgentDay("clerk", usd="5")], [AgentDay("clerk", calls=7)], [], []):
        async with harness(app_with(*budgets), tmp_path) as it:
            told = [each.detail for each in system_events(it.client._reader, "agent-day")]  # type: ignore[attr-defined]
    assert told == [{"usd": "5"}, {"calls": "7"}, None]


# --- declared -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budgets", "words"),
    [
        ([AgentDay("clark", calls=1)], "which app 'days' does not have; it has clerk"),
        ([AgentDay("posts", calls=1)], "which app 'days' does not have"),
        ([AgentDay("clerk", calls=1), AgentDay("clerk", usd="1")], "two budgets"),
    ],
)
def test_a_budget_is_given_once_to_an_agent_that_there_is(budgets: list[AgentDay], words: str) -> None:
    with pytest.raises(AuthorError, match=words):
        app_with(*budgets)


@pytest.mark.parametrize("usd", ["-1", "NaN", "Infinity", "much"])
def test_a_limit_is_a_number(usd: str) -> None:
    with pytest.raises(AuthorError, match="the day of agent 'clerk': usd must be"):
        AgentDay("clerk", usd=usd)
