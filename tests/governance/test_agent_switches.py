"""A switch stops an agent, and whatever is done in its name; a drill shows that it would, and leaves evidence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, App, IdempotencyKey, Rule, action, workflow
from backstay.ai.models import Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import ToolCall
from backstay.errors import Conflict, InvalidInput
from backstay.events import SystemRecorded
from backstay.governance.switches import last_drills
from backstay.store.views import system_events
from backstay.testing import Harness, harness

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
    return "seen well"


@action(effect="write")
async def post(what: str, key: IdempotencyKey) -> str:
    """Post."""
    if f"post {what}" not in done:
        done.append(f"post {what}")
    return "posted well"


@workflow
async def posts(what: str) -> str:
    """Look, then post."""
    await look(what)
    return await post(what)


END = finish({"text": "done"}, ("it is so", "o1", "well"))
RULES = [Rule(id="may", verdict="allow", action="post", effect="write", agent="?*", owner="risk", expires="2099-01-01")]


def script(asked: Asked) -> ToolCall:
    """Whoever is asked looks first, then uses its last tool, and ends."""
    turn = sum(message.role == "model" for message in asked.messages)
    tool = next(name for name in ("assistant", "posts", "post") if name in asked.offered)
    given: dict[str, Any] = {"assistant": {"what": "a"}, "posts": {"what": "a"}, "post": {"what": "a"}}[tool]
    return (call("look", what="it"), call(tool, **given), END)[min(turn, 2)]


assistant = Agent("assistant", goal="Help.", tools=[look, post], output=Answer, autonomy="execute")
clerk = Agent("clerk", goal="Post.", tools=[look, post], output=Answer, autonomy="execute")
starter = Agent("starter", goal="Have it posted.", tools=[look, posts], output=Answer, autonomy="execute")
boss = Agent("boss", goal="Have somebody help.", tools=[look, assistant], output=Answer, autonomy="execute")
app = App(
    "agents",
    workflows=[assistant, clerk, starter, boss, posts],
    policy=RULES,
    models=Models(careful=ScriptedModel(script)),
)


async def pull(it: Harness, scope: str, *, off: bool = True) -> int:
    freed = await it.client.switch(scope, off=off, by="ann", reason="incident 7")
    await it.settle()
    return freed


@pytest.mark.parametrize(
    ("agent", "scope"),
    [(clerk, "agent:clerk"), (starter, "agent:starter"), (boss, "agent:boss"), (boss, "agent:assistant")],
)
async def test_an_agents_switch_stops_what_it_writes_and_what_is_written_in_its_name(
    agent: Agent[Answer], scope: str
) -> None:
    async with harness(app) as it:
        await pull(it, scope)
        run = await it.start(agent, input="go")
        assert "post a" not in done
        assert "look it" in done
        (wait,) = [wait for each in it.client.runs() for wait in it.waits(each.id) if wait.kind == "switched"]
        assert wait.title == f"switch {scope!r} is off: incident 7"
        assert await pull(it, scope, off=False) == 1
        assert (await it.result(run))["reason"] == "goal-met"
        assert "post a" in done


async def test_an_agents_switch_stops_nobody_else() -> None:
    async with harness(app) as it:
        await pull(it, "agent:boss")
        assert (await it.result(await it.start(assistant, input="go")))["reason"] == "goal-met"
        assert await it.result(await it.start(posts, what="b")) == "posted well"
        assert {"post a", "post b"} <= set(done)


async def test_an_agents_switch_is_named_by_an_agent_of_the_application() -> None:
    async with harness(app) as it:
        for scope in ("agent:clark", "agent:posts"):
            with pytest.raises(InvalidInput, match="this application has no agent"):
                await it.client.switch(scope, off=True, by="ann", reason="x")


async def test_it_survives_a_restart_and_what_a_dead_worker_had_not_let_go_goes_on() -> None:
    async with harness(app) as it:
        await pull(it, "agent:starter")
        run = await it.start(starter, input="go")
        await it.restart()
        assert it.client.switches == {"agent:starter": "incident 7"}
        await it.settle()
        assert "post a" not in done
        await it.client._runner.system.record("switch", "agent:starter", {"off": False, "reason": "x"}, by="ann")
        await it.restart()
        assert (await it.result(run))["reason"] == "goal-met"


async def test_no_write_starts_once_the_switch_is_pulled_and_reads_go_on() -> None:
    """A thousand cases are on their way; whatever had not begun when the call returned does not begin."""
    async with harness(app, prove=False) as it:
        runs = [await it.client.start(posts, {"what": str(n)}) for n in range(1000)]
        while not any(each.startswith("post") for each in done):
            await asyncio.sleep(0)
        await it.client.switch("effect:write", off=True, by="ann", reason="incident 7")
        written = {each for each in done if each.startswith("post")}
        await it.settle()
        assert {each for each in done if each.startswith("post")} == written
        assert sum(each.startswith("look") for each in done) == 1000
        assert 0 < len(written) < 1000
        await pull(it, "effect:write", off=False)
        assert {it.status(run) for run in runs} == {"finished"}


# --- drills ---------------------------------------------------------------------------------------------


async def drilled(it: Harness, scope: str, *started: tuple[Any, dict[str, Any]]) -> Any:
    """A drill of ten seconds, with these runs started while it lasts."""
    drill = asyncio.ensure_future(it.client.drill(scope, seconds=10, by="ann", reason="quarterly"))
    while scope not in it.client._runner.gateway.switches.drills:
        await asyncio.sleep(0)
    for each, given in started:
        await it.start(each, **given)
    before = list(done)
    it.clock.move("10s")
    told = await drill
    await it.settle()
    return told, before


def recorded(it: Harness) -> list[SystemRecorded]:
    return [each for each in system_events(it.client._reader, "drill") if isinstance(each, SystemRecorded)]


async def test_a_drill_keeps_writes_back_for_a_while_and_says_what_it_saw() -> None:
    async with harness(app) as it:
        told, before = await drilled(it, "all", (posts, {"what": "a"}), (posts, {"what": "b"}))
        assert [each for each in before if each.startswith("post")] == []
        assert (told["outcome"], told["started"], told["held"], told["reads"]) == ("passed", 0, 2, 2)
        assert {"post a", "post b"} <= set(done)
        assert it.client.switches == {}
        begun, ended = recorded(it)
        assert (begun.by, begun.detail) == ("ann", {"reason": "quarterly", "seconds": 10.0})
        assert ended.detail["held"] == 2
        (last,) = last_drills(recorded(it))
        assert (last.scope, last.by, last.outcome, last.began) == ("all", "ann", "passed", begun.at)


async def test_a_drill_of_an_agent_counts_what_is_done_in_its_name() -> None:
    async with harness(app) as it:
        told, before = await drilled(it, "agent:starter", (starter, {"input": "go"}), (posts, {"what": "b"}))
        assert "post b" in before
        assert (told["outcome"], told["started"], told["held"]) == ("passed", 0, 1)
        assert "post a" in done


async def test_a_drill_during_which_nothing_was_tried_shows_nothing() -> None:
    async with harness(app) as it:
        told, _ = await drilled(it, "action:post")
        assert told["outcome"] == "idle"


async def test_a_drill_that_a_write_slips_through_has_failed() -> None:
    """The count is the journal's own: a gate that let something pass would be found out."""
    async with harness(app) as it:
        drill = asyncio.ensure_future(it.client.drill("all", seconds=10, by="ann"))
        while "all" not in (open_ := it.client._runner.gateway.switches.drills):
            await asyncio.sleep(0)
        while not recorded(it):
            await asyncio.sleep(0)
        open_.pop("all")  # a fault of the gate
        await it.start(posts, what="a")
        it.clock.move("10s")
        told = await drill
        assert (told["outcome"], told["started"]) == ("failed", 1)


async def test_a_drill_ends_with_its_worker_and_stands_as_broken_off() -> None:
    async with harness(app) as it:
        await it.client._runner.system.record("drill", "all", {"reason": "quarterly", "seconds": 10.0}, by="ann")
        await it.restart()
        assert await it.result(await it.start(posts, what="a")) == "posted well"
        assert [each.outcome for each in last_drills(recorded(it))] == ["broken-off"]


async def test_what_is_off_cannot_be_drilled_and_a_drill_is_short() -> None:
    async with harness(app) as it:
        await pull(it, "all")
        with pytest.raises(Conflict, match="is off already"):
            await it.client.drill("all", by="ann")
        assert it.client.switches == {"all": "incident 7"}
        for seconds in (0, 61, float("nan")):
            with pytest.raises(InvalidInput, match="seconds"):
                await it.client.drill("agent:clerk", seconds=seconds, by="ann")
        with pytest.raises(InvalidInput, match="no agent"):
            await it.client.drill("agent:nobody", by="ann")


async def test_a_switch_that_is_pulled_during_a_drill_stays_pulled() -> None:
    async with harness(app) as it:
        drill = asyncio.ensure_future(it.client.drill("all", seconds=10, by="ann"))
        while "all" not in it.client._runner.gateway.switches.drills:
            await asyncio.sleep(0)
        await pull(it, "all")
        it.clock.move("10s")
        await drill
        await it.start(posts, what="a")
        assert "post a" not in done
