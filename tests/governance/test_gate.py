"""The gate: every stage can stop a call, a fault inside a stage stops it, and nothing is skipped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    ActionDenied,
    App,
    IdempotencyKey,
    Limits,
    Rule,
    action,
    gather,
    start,
    wait_for,
    workflow,
)
from backstay.engine import gateway, stages
from backstay.errors import Conflict, InvalidInput
from backstay.governance.labels import Labels
from backstay.testing import harness

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


class Line(BaseModel):
    article: str
    count: int


class Order(BaseModel):
    number: str
    lines: list[Line]


@action(effect="read")
async def look(what: str) -> str:
    done.append(f"look {what}")
    return f"seen {what}"


@action(effect="write")
def place(order: Order, key: IdempotencyKey) -> str:
    done.append(f"place {order.number}")
    return order.number


@action(effect="write")
def pass_on(value: Any, key: IdempotencyKey) -> str:
    done.append("pass on")
    return "passed on"


@action(effect="read")
async def loose() -> Any:
    return {"number": "7", "lines": [{"article": "bolt", "count": "many"}, {"article": "nut", "count": 1}]}


@action(effect="read", untrusted=True)
async def read_mail(number: str) -> dict[str, str]:
    return {"from": "mallory@example.org", "vendor": "ACME  Ltd", "amount": "100"}


@action(effect="read")
async def vendor_record(number: str) -> dict[str, str]:
    return {"name": "Acme Ltd", "mail": "orders@acme.example"}


@action(effect="write", sinks={"to"})
def send(to: str, text: str, key: IdempotencyKey) -> str:
    done.append(f"send {to}")
    return to


@action(effect="irreversible")
def pay(amount: Decimal, key: IdempotencyKey) -> str:
    done.append(f"pay {amount}")
    return "paid"


@workflow
async def looks() -> str:
    return await look("a")


@workflow
async def tells_denial(order: Order) -> str:
    try:
        return await place(order)
    except ActionDenied as denied:
        return f"{denied.stage}: {denied.reason}"


@workflow
async def places_what_it_read() -> str:
    order = await loose()
    try:
        return await pass_on(order)
    except ActionDenied as denied:
        return denied.reason


@workflow
async def endless(factor: float) -> str:
    try:
        return await pass_on(factor * 1e308 * 10)
    except ActionDenied as denied:
        return denied.reason


@workflow
async def answers_mail() -> str:
    mail = await read_mail("1")
    return await send(mail["from"], "thank you")


@workflow
async def answers_vendor() -> str:
    await read_mail("1")
    vendor = await vendor_record("1")
    return await send(vendor["mail"], "thank you")


@workflow
async def answers_known_vendor() -> str:
    mail = await read_mail("1")
    await vendor_record("1")
    return await send(mail["vendor"], "thank you")


@workflow
async def answers_signal() -> str:
    address = await wait_for("address")
    return await send(address, "thank you")


@workflow
async def answers_input(to: str) -> str:
    return await send(to, "thank you")


@workflow
async def three_calls() -> list[str]:
    return [await look("a"), await look("b"), await look("c")]


@workflow
async def three_changes() -> str:
    try:
        for number in ["1", "2", "3"]:
            await place(Order(number=number, lines=[]))
    except ActionDenied as denied:
        return denied.reason
    return "all placed"


@workflow
async def many_at_once() -> list[str]:
    return await gather(look("a"), look("b"), look("c"), look("d"))


@workflow
async def waits_then_places(order: Order) -> str:
    await wait_for("go")
    try:
        return await place(order)
    except ActionDenied as denied:
        return f"{denied.stage}: {denied.reason}"


@workflow
async def pays() -> str:
    return await pay(Decimal(5))


@workflow
async def delegates() -> str:
    return await start(pays)


WORKFLOWS = [
    looks, tells_denial, places_what_it_read, endless, answers_mail, answers_vendor, answers_known_vendor, answers_signal,
    answers_input, three_calls, three_changes, many_at_once, waits_then_places, pays, delegates,
]  # fmt: skip
app = App("gate", workflows=WORKFLOWS)


def with_policy(*rules: Rule) -> App:
    return App("gate", workflows=WORKFLOWS, policy=rules)


# --- the order ---------------------------------------------------------------------------------------------


def test_the_stages_stand_in_this_order() -> None:
    assert [stage.__name__ for stage in stages.STAGES] == [
        "pinned_interface",
        "closed_arguments",
        "switches",
        "breaker",
        "budget",
        "labels",
        "plan",
        "policy",
        "origins",
    ]


@pytest.mark.parametrize("number", range(7))
async def test_a_fault_inside_any_stage_stops_the_call(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("stage broke")

    changed = [*stages.STAGES[:number], broken, *stages.STAGES[number + 1 :]]
    monkeypatch.setattr(gateway, "STAGES", tuple(changed))
    async with harness(app) as it:
        run = await it.start(looks)
        assert done == []
        assert it.events(run, "call_denied")[0].stage == "broken"
        assert "the stage itself failed: ZeroDivisionError" in it.events(run, "call_denied")[0].reason


@pytest.mark.parametrize("number", range(7))
async def test_any_stage_can_refuse(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> stages.Refusal:
        return stages.Refusal(then="deny", stage="test", reason="no")

    monkeypatch.setattr(gateway, "STAGES", (*stages.STAGES[:number], refuses, *stages.STAGES[number:]))
    async with harness(app) as it:
        await it.start(looks)
        assert done == []


# --- arguments --------------------------------------------------------------------------------------------


async def test_arguments_that_do_not_fit_name_the_nested_field() -> None:
    async with harness(app) as it:
        run = await it.start(tells_denial, order={"number": "7", "lines": []})
        assert it.status(run) == "finished"
        with pytest.raises(InvalidInput, match=r"order\.lines\.0\.count: "):
            await it.client.start(tells_denial, {"order": {"number": "7", "lines": [{"article": "a", "count": "x"}]}})


def test_a_closed_schema_refuses_what_it_does_not_know_at_any_depth() -> None:
    good = {"order": {"number": "7", "lines": [{"article": "a", "count": 1}]}}
    assert place.read_arguments(json.dumps(good))["order"].lines[0].count == 1
    for bad, field in [
        ({**good, "colour": "red"}, "colour"),
        ({"order": {**good["order"], "colour": "red"}}, r"order\.colour"),
        (
            {"order": {"number": "7", "lines": [{"article": "a", "count": 1, "colour": "red"}]}},
            r"order\.lines\.0\.colour",
        ),
        ({"order": {"number": "7", "lines": [{"article": "a", "count": "1"}]}}, r"order\.lines\.0\.count"),
        ({}, "order"),
    ]:
        with pytest.raises(InvalidInput, match=f"arguments of action 'place' do not fit: {field}: "):
            place.read_arguments(json.dumps(bad))


async def test_a_number_that_json_cannot_hold_is_denied_and_replays() -> None:
    async with harness(app) as it:
        run = await it.start(endless, factor=1.0)
        assert "cannot be kept as JSON" in await it.result(run)
        assert done == []


# --- the pinned interface -------------------------------------------------------------------------------------


@pytest.fixture
def changed_app() -> Iterator[App]:
    """The same application, deployed later: `place` has another argument."""

    @action(effect="write", name="place")
    def place_anew(order: Order, urgent: bool, key: IdempotencyKey) -> str:
        done.append("placed by another")
        return order.number

    later = App("gate", workflows=WORKFLOWS)
    later.actions["place"] = place_anew
    yield later


async def test_a_run_whose_action_changed_its_interface_waits_until_the_old_one_is_back(changed_app: App) -> None:
    async with harness(app) as it:
        run = await it.start(waits_then_places, order={"number": "7", "lines": []})
        await it.close()
        it.app = changed_app
        await it.open()
        await it.client.signal(run, "go")
        await it.settle()
        assert it.status(run) == "attention"
        assert "no longer has the interface that this version was checked against" in (it.run(run).summary or "")
        assert done == []
        await it.close()
        it.app = app
        await it.open()
        await it.client.retry(run, by="ops")
        await it.settle()
        assert (it.status(run), done) == ("finished", ["place 7"])


async def test_an_action_that_is_not_deployed_parks_the_run_until_it_is() -> None:
    async with harness(app) as it:
        run = await it.start(waits_then_places, order={"number": "7", "lines": []})
        await it.close()
        it.app = App("gate", workflows=WORKFLOWS)
        del it.app.actions["place"]
        await it.open()
        await it.client.signal(run, "go")
        await it.settle()
        assert it.status(run) == "attention"
        assert (
            it.run(run).summary
            == "action 'place' is not part of this application; deploy it, then `backstay retry` the run"
        )
        assert it.waits_in(run) == ["operators"]
        await it.close()
        it.app = app
        await it.open()
        assert it.status(run) == "attention"
        assert await it.client.retry(run, by="ann") == 1
        assert await it.result(run) == "7"


async def test_a_run_that_needs_attention_takes_no_signal_and_says_why() -> None:
    async with harness(app) as it:
        run = await it.start(waits_then_places, order={"number": "7", "lines": []})
        await it.close()
        it.app = App("gate", workflows=WORKFLOWS)
        del it.app.actions["place"]
        await it.open()
        await it.client.signal(run, "go")
        await it.settle()
        with pytest.raises(Conflict, match="needs attention; `backstay retry` it"):
            await it.client.signal(run, "go")


async def test_a_run_that_needs_attention_can_be_cancelled() -> None:
    async with harness(app) as it:
        run = await it.start(waits_then_places, order={"number": "7", "lines": []})
        await it.close()
        it.app = App("gate", workflows=WORKFLOWS)
        del it.app.actions["place"]
        await it.open()
        await it.client.signal(run, "go")
        await it.settle()
        await it.client.cancel(run, by="ann")
        await it.settle()
        assert it.status(run) == "cancelled"


async def test_an_action_that_the_definition_does_not_list_is_denied() -> None:
    async with harness(app) as it:
        run = await it.start(waits_then_places, order={"number": "7", "lines": []})
        activation = it.client._runner.activation(run)
        case, leaf = activation, next(iter(activation.machine.open.values()))
        gate = stages.Gate(case=case, leaf=leaf, name="look", action=look, args={"what": "a"}, mac=str)
        refusal = it.client._runner.gateway.pass_stages(gate)
        assert refusal == stages.Refusal(
            then="deny", stage="allow-list", reason="the definition does not list action 'look'"
        )


# --- budgets ----------------------------------------------------------------------------------------------------


async def test_crossing_the_budget_of_calls_is_a_denial() -> None:
    async with harness(App("gate", workflows=WORKFLOWS, limits=Limits(calls=2))) as it:
        run = await it.start(three_calls)
        assert it.status(run) == "failed"
        assert it.run(run).summary == "ActionDenied: action 'look' was denied by budget: the run has used its 2 calls"
        assert done == ["look a", "look b"]


async def test_the_budget_of_effects_counts_effects() -> None:
    async with harness(App("gate", workflows=WORKFLOWS, limits=Limits(effects=2))) as it:
        assert await it.result(await it.start(three_changes)) == "the run has used its 2 effects"
        assert done == ["place 1", "place 2"]
        assert it.status(await it.start(three_calls)) == "finished"


async def test_calls_made_at_once_do_not_overshoot() -> None:
    async with harness(App("gate", workflows=WORKFLOWS, limits=Limits(calls=2))) as it:
        run = await it.start(many_at_once)
        assert it.status(run) == "failed"
        assert set(done) <= {"look a", "look b"}


# --- labels -------------------------------------------------------------------------------------------------------


async def test_a_receiver_that_outsiders_text_chose_is_held() -> None:
    async with harness(app) as it:
        run = await it.start(answers_mail, by="ann")
        (wait,) = it.waits(run)
        assert wait.kind == "approval"
        assert wait.title == "send: to: chosen by text from outside, so a person must confirm it"
        assert done == []
        await it.restart()
        await it.approve(run, by="bob")
        assert done == ["send mallory@example.org"]


async def test_a_receiver_from_a_signal_is_held() -> None:
    async with harness(app) as it:
        run = await it.start(answers_signal, by="ann")
        await it.client.signal(run, "address", "mallory@example.org")
        await it.settle()
        assert [wait.kind for wait in it.waits(run)] == ["approval"]


@pytest.mark.parametrize("workflow", [answers_vendor, answers_known_vendor])
async def test_a_receiver_that_a_record_knows_passes(workflow: Any) -> None:
    async with harness(app) as it:
        assert it.status(await it.start(workflow)) == "finished"


async def test_a_receiver_that_a_person_typed_passes() -> None:
    async with harness(app) as it:
        assert it.status(await it.start(answers_input, to="someone@example.org")) == "finished"


def test_literals_match_however_they_are_spaced_or_cased() -> None:
    labels = Labels()
    labels.observe({"name": "ACME  Ltd", "number": 4711, "flag": True}, untrusted=True)
    assert labels.suspects(["acme ltd"]) == ["acme ltd"]
    assert labels.suspects({"a": 4711}) == ["4711"]
    assert labels.suspects(True) == []
    labels.observe("Acme Ltd", untrusted=False)
    assert labels.suspects("acme ltd") == []


# --- policy in the gate ---------------------------------------------------------------------------------------------


async def test_a_denied_action_is_not_made_and_says_which_rule() -> None:
    deny = Rule(id="no-orders", verdict="deny", action="place", owner="risk", reason="year end")
    async with harness(with_policy(deny)) as it:
        run = await it.start(tells_denial, order={"number": "7", "lines": []})
        assert await it.result(run) == "policy: year end (rule 'no-orders')"
        assert done == []


async def test_a_child_passes_the_same_gate() -> None:
    async with harness(app) as it:
        run = await it.start(delegates, by="ann")
        assert [wait.kind for wait in it.waits(it.waits(run)[0].subject)] == ["approval"]
        assert done == []


async def test_a_rule_that_lets_payments_pass_ends_with_its_expiry() -> None:
    open_door = Rule(id="small", verdict="allow", effect="irreversible", owner="risk", expires="2026-01-05T10:00:00Z")
    async with harness(with_policy(open_door)) as it:
        assert it.status(await it.start(pays)) == "finished"
        await it.advance("1h")
        assert it.status(await it.start(pays)) == "waiting"
        assert done == ["pay 5"]


async def test_an_intent_names_the_rule_that_allowed_it() -> None:
    async with harness(app) as it:
        run = await it.start(tells_denial, order={"number": "7", "lines": []})
        assert it.events(run, "call_intended")[0].rule == "baseline-writes"


async def test_an_intent_stands_in_the_store_before_the_effect(home: Path) -> None:
    seen: list[int] = []

    @action(effect="write", name="pass_on")
    def spy(value: Any, key: IdempotencyKey) -> str:
        with closing(sqlite3.connect(home / "backstay.db")) as connection:
            query = "SELECT count(*) FROM events WHERE kind = 'call_intended'"
            seen.append(connection.execute(query).fetchone()[0])
        return "seen"

    watched = App("gate", workflows=WORKFLOWS)
    watched.actions["pass_on"] = spy
    async with harness(watched, home) as it:
        await it.start(places_what_it_read)
        assert seen == [1]
