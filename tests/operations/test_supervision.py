"""Supervision: what it may do about calls that failed, what it may never do, and that nothing that fails is overlooked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import AgentLimits, App, IdempotencyKey, Models, NotRetryable, Retry, action, workflow
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.errors import StoreUnavailable
from backstay.operations.supervision import NEVER_TWICE, Case, Supervision, attend
from backstay.testing import Harness, crash_everywhere, harness
from backstay.types import Happened

world: dict[str, Any] = {}
ONCE = Retry(attempts=1)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    world.clear()
    world.update(paid=0, posted=0, undone=0, faults={})


def happens(what: str) -> None:
    """The effect, or the fault that is next in line for it."""
    faults = world["faults"].get(what, [])
    if faults:
        raise faults.pop(0)
    world[what] += 1


class Order(BaseModel):
    number: str
    currency: str = "EUR"


@action(effect="read", retry=ONCE)
async def find_order(number: str) -> str:
    if world["faults"].get("find"):
        raise world["faults"]["find"].pop(0)
    return number


@action(effect="write", retry=ONCE)
async def unpost(number: str, currency: str, result: str, key: IdempotencyKey) -> None:
    happens("undone")


@action(effect="write", retry=ONCE, compensate=unpost)
async def post(number: str, currency: str, key: IdempotencyKey) -> str:
    if currency not in ("EUR", "USD"):
        raise NotRetryable(f"there is no currency {currency}")
    happens("posted")
    return f"P-{number}"


@action(effect="irreversible")
async def pay(number: str, key: IdempotencyKey) -> str:
    happens("paid")
    return "paid"


def paid_under(key: str) -> Happened | None:
    del key
    return Happened("paid") if world["paid"] else None


@action(effect="irreversible", probe=paid_under)
async def wire(number: str, key: IdempotencyKey) -> str:
    happens("paid")
    return "wired"


@workflow
async def post_order(order: Order) -> str:
    await find_order(order.number)
    return await post(order.number, order.currency)


@workflow
async def pay_order(number: str) -> str:
    return await pay(number)


@workflow
async def wire_order(number: str) -> str:
    return await wire(number)


Play = Callable[[list[dict[str, Any]], list[str]], Turn]
"""What a scripted supervisor does next: from what fails, and what it was told since."""
GIVE_UP = finish(
    {"cause": "it fails", "done": []}, ("It fails.", "o1", '"state"'), summary="I did what I could.", confidence=0.9
)


def played(play: Play) -> ScriptedModel:
    def turn(asked: Asked) -> Turn:
        case = json.loads(asked.messages[0].text)
        told = [message.text for message in asked.messages if message.role == "tool"]
        if not told:
            return call("failing_calls", about=case["about"])
        return play(json.loads(told[0].partition(" ")[2]), told[1:])

    return ScriptedModel(turn)


def retries(failing: list[dict[str, Any]], told: list[str]) -> Turn:
    """Retries whatever fails, saying the truth about it."""
    one = {name: failing[0][name] for name in ("item", "action", "effect", "state")}
    return GIVE_UP if told else call("retry_call", **one, why="it may have passed")


class Desk:
    """A supervised application under test."""

    def __init__(self, it: Harness, supervision: Supervision) -> None:
        self.it, self.supervision = it, supervision

    async def looks(self) -> list[str]:
        """The supervision looks at what fails, and its cases go as far as they can."""
        cases = await self.supervision.sweep()
        await self.it.settle()
        return cases

    def told(self, case: str) -> list[str]:
        """How the verbs of a case were refused."""
        return [event.fault.message for event in self.it.events(case, "call_failed")] + [
            event.reason for event in self.it.events(case, "call_denied")
        ]


@asynccontextmanager
async def supervised(
    play: Play, *, rules: bool = True, alerts: bool = False, **options: Any
) -> AsyncGenerator[Desk, None]:
    supervision = Supervision(**options)
    supervisor = supervision.agent(limits=AgentLimits(tool_calls=100, refusals=100))
    app = App(
        "orders", workflows=[post_order, pay_order, wire_order, attend, supervisor], models=Models(careful=played(play)),
        policy=[NEVER_TWICE] if rules else [], on_alert=[supervision.hear] if alerts else [],
    )  # fmt: skip
    async with harness(app) as it, supervision.over(it.client, supervisor, every=None):
        yield Desk(it, supervision)


# --- what it does ----------------------------------------------------------------------------------------


async def test_a_call_whose_fault_has_passed_is_sent_back_once_and_the_record_says_by_whom() -> None:
    world["faults"]["posted"] = [RuntimeError("the ledger is away")]
    async with supervised(retries) as desk:
        run = await desk.it.start(post_order, order={"number": "7"})
        [case] = await desk.looks()
        assert await desk.it.result(run) == "P-7"
        [retried] = desk.it.events(run, "call_retried")
        assert (retried.by, retried.reason.startswith("it may have passed (")) == ("supervision", True)
        assert (await desk.it.result(case))["reason"] == "goal-met"
        assert desk.it.events(case, "call_intended", action="retry_call")[0].rule == "baseline-writes"
    assert world["posted"] == 1


async def test_an_application_that_declares_it_supervises_for_as_long_as_it_runs(tmp_path: Path) -> None:
    world["faults"]["posted"] = [RuntimeError("the ledger is away")]
    supervision = Supervision()
    supervisor = supervision.agent(limits=AgentLimits(tool_calls=100, refusals=100))
    app = App(
        "orders", workflows=[post_order, attend, supervisor], models=Models(careful=played(retries)),
        policy=[NEVER_TWICE], lifespan=[lambda client: supervision.over(client, supervisor, every=None)],
    )  # fmt: skip
    async with harness(app, tmp_path) as it:
        run = await it.start(post_order, order={"number": "7"})
        assert len(await supervision.sweep()) == 1
        await it.settle()
        assert await it.result(run) == "P-7"
    async with app.open(tmp_path, resume=False):
        with pytest.raises(StoreUnavailable, match="has not begun"):
            await supervision.sweep()


async def test_an_alert_wakes_it() -> None:
    world["faults"]["posted"] = [RuntimeError("the ledger is away")]
    async with supervised(retries, alerts=True) as desk:
        run = await desk.it.start(post_order, order={"number": "7"})
        while desk.it.status(run) != "finished":
            await asyncio.sleep(0)
    assert world["posted"] == 1


async def test_it_looks_every_so_often_without_an_alert() -> None:
    world["faults"]["posted"] = [RuntimeError("the ledger is away")]
    supervision = Supervision()
    supervisor = supervision.agent()
    app = App("orders", workflows=[post_order, attend, supervisor], models=Models(careful=played(retries)))
    async with harness(app) as it, supervision.over(it.client, supervisor, every=0.01):
        run = await it.start(post_order, order={"number": "7"})
        while it.status(run) != "finished":
            await asyncio.sleep(0)


async def test_a_journal_that_cannot_be_read_keeps_no_other_from_being_looked_after() -> None:
    world["faults"]["posted"] = [RuntimeError("away"), RuntimeError("away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return retries([each for each in failing if each["state"] == "queued"], told)

    supervision = Supervision()
    supervisor = supervision.agent()
    app = App("orders", workflows=[post_order, attend, supervisor], models=Models(careful=played(play)))
    async with harness(app, prove=False) as it, supervision.over(it.client, supervisor, every=None):
        runs = [await it.start(post_order, order={"number": number}) for number in "12"]
        with closing(sqlite3.connect(it.home / "backstay.db")) as store, store:
            store.execute("UPDATE events SET body = '{' WHERE run = ? AND seq = 2", (runs[1],))
        await supervision.sweep()
        assert await it.result(runs[0]) == "P-1"


async def test_it_retries_no_more_often_than_it_may_and_then_a_person_is_asked() -> None:
    world["faults"]["posted"] = [RuntimeError("away"), RuntimeError("still away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        if told and told[0].startswith("It did not work"):
            return [call("escalate", item=failing[0]["item"], summary="away", proposal="ask IT"), GIVE_UP]
        return retries(failing, told)

    async with supervised(play) as desk:
        run = await desk.it.start(post_order, order={"number": "7"})
        await desk.looks()
        [second] = await desk.looks()
        assert "was sent back 1 time(s) already" in desk.told(second)[0]
        [matter] = desk.it.client.inbox(queue="operators", kind="task")
        assert matter.title == f"escalation: {run}/2"
        await desk.it.complete(matter.id, {"cause": "a certificate", "measure": "renewed"}, by="otto")
        assert len(desk.it.events(run, "call_retried")) == 1
        assert (await desk.looks()) == [second]  # nothing new fails, so nobody is woken again


async def test_several_that_fail_alike_are_one_case_one_incident_and_later_calls_wait() -> None:
    world["faults"]["posted"] = [RuntimeError("away") for _ in range(3)]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        items = [each["item"] for each in failing]
        incident = call("open_incident", action="post", summary="away", items=items)
        return GIVE_UP if told else [incident, incident, call("divert_action", action="post", why="it is away")]

    async with supervised(play, at_least=3, incidents="it-service") as desk:
        for number in "12":
            await desk.it.start(post_order, order={"number": number})
        assert await desk.looks() == []
        await desk.it.start(post_order, order={"number": "3"})
        assert len(await desk.looks()) == 1
        fourth = await desk.it.start(post_order, order={"number": "4"})
        [incident, *_] = desk.it.client.inbox(queue="it-service")
        assert incident.title == "incident: post"
        assert [wait.kind for wait in desk.it.waits(fourth)] == ["switched"]
        await desk.it.client.switch("action:post", off=False, by="otto", reason="it is back")
        assert await desk.it.result(fourth) == "P-4"


async def test_a_run_that_failed_over_its_input_is_begun_anew_when_a_person_confirms_the_value() -> None:
    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        mended = {"run": failing[0]["run"], "field": "order.currency", "value": "USD"}
        return GIVE_UP if told else call("repair_input", **mended, why="a dollar is meant")

    async with supervised(play, repairs={"post_order": ["order.currency"]}) as desk:
        run = await desk.it.start(post_order, order={"number": "7", "currency": "US$"}, by="rita")
        assert desk.it.status(run) == "failed"
        [case] = await desk.looks()
        assert "cannot be taken back" in desk.it.events(case, "approval_requested")[0].reason
        await desk.it.approve(case, by="otto")
        fresh = desk.it.client.runs(workflow="post_order")[0]
        assert (fresh.key, fresh.status, fresh.requester) == (f"repaired {run}", "finished", "rita")
        assert await desk.looks() == []
    assert world["posted"] == 1


async def test_a_run_that_changed_nothing_for_good_is_stopped_and_what_it_did_undone() -> None:
    world["faults"]["find"] = [RuntimeError("away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return GIVE_UP if told else call("stop_run", run=failing[0]["run"], why="it is out of date")

    async with supervised(play) as desk:
        run = await desk.it.start(post_order, order={"number": "7"})
        await desk.looks()
        assert desk.it.status(run) == "cancelled"
        assert desk.it.events(run, "cancel_requested")[0].by == "supervision"


async def test_without_a_model_a_person_is_asked() -> None:
    world["faults"]["find"] = [RuntimeError("away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return NotRetryable("the model is gone")

    async with supervised(play) as desk:
        await desk.it.start(post_order, order={"number": "7"})
        [case] = await desk.looks()
        assert desk.it.waits_in(case) == ["operators"]


async def test_a_rule_may_supervise_in_place_of_a_model() -> None:
    world["faults"]["posted"] = [RuntimeError("away")]
    supervision = Supervision()
    failing_calls, retry_call = supervision.failing_calls, supervision.retry_call

    @workflow
    async def look_after(case: Case) -> int:
        failing = await failing_calls(case.about)
        for one in failing:
            await retry_call(one.item, one.action, one.effect, one.state, "by rule")
        return len(failing)

    app = App("orders", workflows=[post_order, look_after, attend], policy=[NEVER_TWICE])
    async with harness(app) as it, supervision.over(it.client, look_after, every=None):
        run = await it.start(post_order, order={"number": "7"})
        [case] = await supervision.sweep()
        assert (await it.result(case), await it.result(run)) == (1, "P-7")


# --- what it never does ----------------------------------------------------------------------------------

EVERY_CLAIM = list(product(["read", "write", "irreversible", "none"], ["queued", "unknown", "attention", "failed"]))


@pytest.mark.parametrize("rules", [True, False], ids=["with the rule", "without the rule"])
@pytest.mark.parametrize(("flow", "kind"), [(pay_order, "unknown"), (wire_order, "queued")])
async def test_no_claim_and_no_model_makes_it_pay_twice(rules: bool, flow: Any, kind: str) -> None:
    """An irreversible call whose outcome is unknown, and one that its target says did not happen."""
    world["faults"]["paid"] = [RuntimeError("no answer")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        one = failing[0]
        claims = [
            call("retry_call", item=one["item"], action=name, effect=effect, state=state, why="please")
            for effect, state in EVERY_CLAIM
            for name in (one["action"], "post")
        ]
        others = [
            call("retry_call", item=one["run"], action="", effect="none", state="attention", why="please"),
            call("stop_run", run=one["run"], why="please"),
            call("repair_input", run=one["run"], field="number", value=one["action"], why="please"),
        ]
        return GIVE_UP if told else [*claims, *others]

    async with supervised(play, rules=rules, again=99, repairs={flow.name: ["number"]}) as desk:
        run = await desk.it.start(flow, number="7")
        await desk.it.approve(run, by="ann")
        assert [wait.kind for wait in desk.it.waits(run)] == [kind]
        [case] = await desk.looks()
        await desk.it.approve(case, by="otto")  # even of the value that a person confirmed nothing comes
        said = desk.told(case)
        assert len(said) == 2 * len(EVERY_CLAIM) + 3
        why = "(rule 'supervision-never-twice')" if rules else "money may have moved (irreversible"
        assert any(why in each for each in said)  # what the truth about it was answered with
        assert desk.it.events(run, "call_retried") == []
    assert world["paid"] == 0  # the attempt that failed counted nothing; another would have


@pytest.mark.parametrize("verb", ["stop_run", "repair_input"])
async def test_a_run_that_paid_is_neither_stopped_nor_begun_anew(verb: str) -> None:
    world["faults"]["find"] = [RuntimeError("away")]

    @workflow
    async def pay_first(number: str) -> str:
        await pay(number)
        return await find_order(number)

    supervision = Supervision(repairs={"pay_first": ["number"]})

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        run = failing[0]["run"]
        named = {"field": "number", "value": failing[0]["workflow"]} if verb == "repair_input" else {}
        return GIVE_UP if told else call(verb, run=run, why="please", **named)

    supervisor = supervision.agent()
    app = App("orders", workflows=[pay_first, attend, supervisor], models=Models(careful=played(play)))
    async with harness(app) as it, supervision.over(it.client, supervisor, every=None):
        run = await it.start(pay_first, number="7")
        await it.approve(run, by="ann")
        [case] = await supervision.sweep()
        await it.settle()
        if verb == "repair_input":
            await it.approve(case, by="otto")
        [refused] = it.events(case, "call_failed")
        said = "pay happened (irreversible)" if verb == "stop_run" else "only one that failed or was stopped here"
        assert said in refused.fault.message
        assert it.status(run) == "waiting"


async def test_what_was_made_up_is_held_for_a_person() -> None:
    world["faults"]["find"] = [RuntimeError("away"), RuntimeError("away")]
    runs: list[str] = []

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return GIVE_UP if told else call("stop_run", run=runs[1][:20], why="I think so")

    async with supervised(play, at_least=2) as desk:
        runs += [await desk.it.start(post_order, order={"number": number}) for number in "12"]
        [case] = await desk.looks()
        assert [wait.kind for wait in desk.it.waits(case)] == ["approval"]


async def test_it_has_no_rights_but_those_of_its_service() -> None:
    world["faults"]["posted"] = [RuntimeError("away")]
    async with supervised(retries) as desk:
        client = desk.it.client
        run = await desk.it.start(post_order, order={"number": "7"})
        await client.register("ada", roles=["administrator"], by="ada")
        await client.register("supervision", kind="service", roles=["viewer"], by="ada")
        [case] = await desk.looks()
        assert "may not 'retry'" in desk.told(case)[0]
        assert desk.it.status(run) == "waiting"


async def test_it_cannot_switch_itself_off() -> None:
    world["faults"]["find"] = [RuntimeError("away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return GIVE_UP if told else call("divert_action", action="escalate", why="quiet")

    async with supervised(play) as desk:
        await desk.it.start(post_order, order={"number": "7"})
        [case] = await desk.looks()
        assert "only people may stop it" in desk.told(case)[0]
        assert desk.it.client.switches == {}


async def test_its_own_troubles_are_for_people_alone() -> None:
    world["faults"]["posted"] = [RuntimeError("away")]

    def play(failing: list[dict[str, Any]], told: list[str]) -> Turn:
        return NotRetryable("gone") if told else call("failing_calls")

    async with supervised(play) as desk:
        await desk.it.start(post_order, order={"number": "7"})
        [case] = await desk.looks()
        assert await desk.looks() == []  # that case is still open, and no other is about it
        assert desk.it.status(case) == "waiting"


async def test_a_worker_that_dies_anywhere_retries_once() -> None:
    supervision = Supervision()
    supervisor = supervision.agent()
    app = App(
        "orders",
        workflows=[post_order, attend, supervisor],
        models=Models(careful=played(retries)),
        policy=[NEVER_TWICE],
    )

    async def story(it: Harness) -> None:
        world["faults"] = {} if world["posted"] else world["faults"]
        async with supervision.over(it.client, supervisor, every=None):
            await it.client.start(post_order, {"order": {"number": "7"}}, key="7")
            await it.settle()
            await supervision.sweep()
            await it.settle()

    async def check(it: Harness) -> None:
        async with supervision.over(it.client, supervisor, every=None):
            await it.settle()
            await supervision.sweep()
            await it.advance("10m")
        [run] = it.client.runs(workflow="post_order")
        assert run.status == "finished"
        assert len(it.events(run.id, "call_retried")) <= 1
        world.update(posted=0, faults={"posted": [RuntimeError("away")]})

    world["faults"]["posted"] = [RuntimeError("away")]
    assert await crash_everywhere(app, story, check) > 10
