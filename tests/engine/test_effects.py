"""Effects happen once, or are known to be unknown: half successes, crashes between intent and result, rubbish."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay import App, IdempotencyKey, Limits, NotRetryable, OutcomeUnknown, Retry, Rule, action, workflow
from backstay.errors import StoreFenced
from backstay.testing import Harness, harness

performed: list[str] = []
"""Every time the outside world really changed."""
script: list[Any] = []
"""What the target does next: "ok", "half" (does it, then raises), "down" (raises), "rubbish", or an exception."""


@pytest.fixture(autouse=True)
def _quiet_world() -> None:
    performed.clear()
    script.clear()


def target(name: str, key: str = "") -> Any:
    step = script.pop(0) if script else "ok"
    if isinstance(step, BaseException):
        raise step
    if step == "down":
        raise ConnectionError("no route")
    if not (key and any(entry == f"{name} {key}" for entry in performed)):
        performed.append(f"{name} {key}".strip())
    if isinstance(step, Path):  # somebody else takes the store over while the call is under way
        with closing(sqlite3.connect(step)) as connection, connection:
            connection.execute("UPDATE owner SET epoch = epoch + 1")
    if step == "half":
        raise ConnectionError("connection lost after sending")
    return {"not": "a text"} if step == "rubbish" else f"ref {len(performed)}"


def ask(key: str) -> str | None:
    """The probe: the target knows what was done."""
    return "ref 1" if performed else None


PATIENT = Retry(attempts=3, first="1s", jitter=0)


@action(effect="write", retry=PATIENT)
def keyed(text: str, key: IdempotencyKey) -> str:
    return target("keyed", key)


@action(effect="write", retry=PATIENT, probe=ask)
def probed(text: str) -> str:
    return target("probed")


@action(effect="write", retry=PATIENT)
def bare(text: str) -> str:
    return target("bare")


@action(effect="irreversible", retry=PATIENT)
def final_keyed(text: str, key: IdempotencyKey) -> str:
    return target("final_keyed", key)


@action(effect="irreversible", retry=PATIENT, probe=ask)
def final_probed(text: str) -> str:
    return target("final_probed")


@action(effect="irreversible", retry=PATIENT)
def final_bare(text: str) -> str:
    return target("final_bare")


@workflow
async def with_keyed() -> str:
    return await keyed("a")


@workflow
async def with_probed() -> str:
    return await probed("a")


@workflow
async def with_bare() -> str:
    return await bare("a")


@workflow
async def with_final_keyed() -> str:
    return await final_keyed("a")


@workflow
async def with_final_probed() -> str:
    return await final_probed("a")


@workflow
async def with_final_bare() -> str:
    return await final_bare("a")


ALL = [with_keyed, with_probed, with_bare, with_final_keyed, with_final_probed, with_final_bare]
LET_PASS = Rule(id="test", verdict="allow", effect="irreversible", owner="ann", expires="2099-01-01")
app = App("effects", workflows=ALL, policy=[LET_PASS], limits=Limits())


async def crash_after_effect(it: Harness, workflow: Any) -> str:
    """The effect happens, and the worker loses the store before it can write the result; a new worker is not up yet."""
    script[:] = [it.home / "backstay.db"]
    with pytest.raises(StoreFenced):
        await it.start(workflow)
    return it.client.runs()[0].id


# --- half successes ---------------------------------------------------------------------------------


async def test_a_write_with_a_key_is_tried_again_under_the_same_key() -> None:
    script[:] = ["half", "ok"]
    async with harness(app) as it:
        run = await it.start(with_keyed)
        await it.advance("1s")
        assert it.status(run) == "finished"
        assert len(performed) == 1
        assert len({event.key for event in it.events(run, "call_intended")}) == 1


async def test_a_write_with_a_probe_that_half_succeeded_is_not_done_again() -> None:
    script[:] = ["half", "ok"]
    async with harness(app) as it:
        run = await it.start(with_probed)
        await it.advance("1s")
        assert performed == ["probed"]
        assert await it.result(run) == "ref 1"


async def test_a_write_with_neither_key_nor_probe_that_raised_is_unknown() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        await it.advance("1h")
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]
        assert performed == ["bare"]


@pytest.mark.parametrize("workflow", [with_final_keyed, with_final_bare])
async def test_an_irreversible_action_that_raised_is_never_retried_by_itself(workflow: Any) -> None:
    script[:] = ["down"]
    async with harness(app) as it:
        run = await it.start(workflow)
        await it.advance("1d")
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]
        assert performed == []


async def test_an_irreversible_action_that_raised_is_asked_about_with_its_probe() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_final_probed)
        assert await it.result(run) == "ref 1"
        assert performed == ["final_probed"]


async def test_an_irreversible_action_that_surely_did_not_happen_goes_to_its_queue() -> None:
    script[:] = ["down"]
    async with harness(app) as it:
        run = await it.start(with_final_probed)
        assert [(wait.kind, wait.queue) for wait in it.waits(run)] == [("queued", "manual-backlog")]
        assert performed == []


@pytest.mark.parametrize("workflow", [with_keyed, with_bare, with_final_keyed, with_final_bare])
async def test_an_action_that_says_it_does_not_know_is_believed(workflow: Any) -> None:
    script[:] = [OutcomeUnknown("the line broke")]
    async with harness(app) as it:
        run = await it.start(workflow)
        assert [(wait.kind, wait.title) for wait in it.waits(run)] == [("unknown", "the line broke")]


async def test_not_retryable_reaches_the_workflow_at_once() -> None:
    script[:] = [NotRetryable("account closed")]
    async with harness(app) as it:
        run = await it.start(with_keyed)
        assert it.run(run).summary == (
            "ActionFailed: action 'keyed' failed after 1 attempt(s): NotRetryable: account closed"
        )


# --- rubbish ------------------------------------------------------------------------------------------


async def test_a_write_with_a_key_that_returns_rubbish_waits_in_its_queue_and_names_the_field() -> None:
    script[:] = ["rubbish"]
    async with harness(app) as it:
        run = await it.start(with_keyed)
        assert [(wait.kind, wait.title) for wait in it.waits(run)] == [
            ("queued", "result of action 'keyed' does not fit: (whole value): Input should be a valid string")
        ]


@pytest.mark.parametrize("workflow", [with_bare, with_final_bare, with_final_keyed])
async def test_an_effect_that_happened_but_returned_rubbish_is_unknown(workflow: Any) -> None:
    script[:] = ["rubbish"]
    async with harness(app) as it:
        run = await it.start(workflow)
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]


async def test_a_probed_write_that_returned_rubbish_is_not_done_again_by_a_retry() -> None:
    script[:] = ["rubbish"]
    async with harness(app) as it:
        run = await it.start(with_probed)
        await it.client.retry(run, by="ann")
        await it.settle()
        assert performed == ["probed"]
        assert await it.result(run) == "ref 1"


# --- settling -------------------------------------------------------------------------------------------


async def test_a_person_settles_that_it_happened_and_gives_the_result() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        await it.client.settle(run, "happened", by="ann", result="ref by phone")
        assert await it.result(run) == "ref by phone"
        assert performed == ["bare"]


async def test_a_person_settles_that_it_did_not_happen_and_it_is_made() -> None:
    script[:] = ["down", "ok"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        await it.client.settle(run, "not-happened", by="ann")
        assert await it.result(run) == "ref 1"


async def test_a_person_gives_up_and_the_workflow_hears_of_it() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        await it.client.settle(run, "give-up", by="ann", reason="too late")
        await it.settle()
        assert it.run(run).summary == "ActionFailed: action 'bare' failed after 1 attempt(s): GivenUp: too late"


async def test_a_settled_result_must_fit_the_action() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        with pytest.raises(Exception, match="the result of action 'bare' does not fit: .*valid string"):
            await it.client.settle(run, "happened", by="ann", result={"a": 1})
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]


async def test_a_settlement_that_does_not_exist_is_refused_and_the_journal_stays_readable() -> None:
    script[:] = ["half"]
    async with harness(app) as it:
        run = await it.start(with_bare)
        with pytest.raises(Exception, match="maybe"):
            await it.client.settle(run, "maybe", by="ann")  # type: ignore[arg-type]
        await it.restart()
        await it.client.settle(run, "happened", by="ann", result="x")
        assert await it.result(run) == "x"


# --- crashes between intent and result ---------------------------------------------------------------------


@pytest.mark.parametrize("workflow", [with_keyed, with_final_keyed])
async def test_after_a_crash_an_action_with_a_key_is_called_again_under_it(workflow: Any) -> None:
    async with harness(app) as it:
        run = await crash_after_effect(it, workflow)
        await it.restart()
        assert await it.result(run) == "ref 1"
        assert len(performed) == 1


@pytest.mark.parametrize("workflow", [with_probed, with_final_probed])
async def test_after_a_crash_an_action_with_a_probe_is_asked_about(workflow: Any) -> None:
    async with harness(app) as it:
        run = await crash_after_effect(it, workflow)
        await it.restart()
        assert await it.result(run) == "ref 1"
        assert len(performed) == 1


@pytest.mark.parametrize("workflow", [with_bare, with_final_bare])
async def test_after_a_crash_an_action_with_neither_is_unknown(workflow: Any) -> None:
    async with harness(app) as it:
        run = await crash_after_effect(it, workflow)
        await it.restart()
        await it.settle()
        assert [wait.kind for wait in it.waits(run)] == ["unknown"]
        assert len(performed) == 1


@pytest.mark.parametrize("workflow", ALL)
async def test_an_interrupted_effect_stays_single_when_a_switch_was_off_at_the_restart(workflow: Any) -> None:
    async with harness(app) as it:
        run = await crash_after_effect(it, workflow)
        await it.close()
        async with app.open(it.home, clock=it.clock, synchronous="OFF", resume=False) as client:
            await client.switch("all", off=True, by="ann", reason="stop")
        await it.open()
        await it.settle()
        asked = workflow in (with_probed, with_final_probed)  # asking changes nothing, so no switch stops it
        assert it.status(run) == ("finished" if asked else "waiting")
        await it.client.switch("all", off=False, by="ann", reason="go on")
        await it.settle()
        assert len(performed) == 1
        ended = {with_bare: "waiting", with_final_bare: "waiting"}
        assert it.status(run) == ended.get(workflow, "finished")


@pytest.mark.parametrize("workflow", ALL)
async def test_an_interrupted_effect_that_the_gate_now_refuses_is_unknown_not_denied(workflow: Any) -> None:
    deny = Rule(id="stop", verdict="deny", owner="ann", reason="not any more")
    strict = App("effects", workflows=ALL, policy=[deny])
    async with harness(app) as it:
        run = await crash_after_effect(it, workflow)
        await it.close()
        it.app = strict
        await it.open()
        await it.settle()
        if workflow in (with_probed, with_final_probed):
            assert await it.result(run) == "ref 1"  # asking changes nothing, and the answer was there
        else:
            assert [wait.kind for wait in it.waits(run)] == ["unknown"]
        assert len(performed) == 1


async def test_a_crash_before_the_effect_lets_it_happen_once() -> None:
    async with harness(app) as it:
        await it.close()
        await it.open(crash_at=2)  # the intent is on disk, the call was not made
        with pytest.raises(StoreFenced):
            await it.start(with_keyed)
        run = it.client.runs()[0].id
        assert performed == []
        await it.restart()
        assert await it.result(run) == "ref 1"
        assert len(performed) == 1
