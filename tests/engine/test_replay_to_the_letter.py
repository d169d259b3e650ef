"""Replay to the letter: what becomes of an approval that was not used, how often an effect is undone, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import ActionDenied, ActionDrafted, App, IdempotencyKey, Retry, Rule, action, approval, workflow
from backstay.engine import gateway
from backstay.testing import Harness, harness

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@action(effect="read", retry=Retry(attempts=2, first="10s", jitter=0))
async def look(what: str) -> str:
    done.append(f"look {what}")
    if len(done) == 1:
        raise ConnectionError("no route")
    return what


@action(effect="irreversible")
def pay(amount: str, key: IdempotencyKey) -> str:
    done.append(f"pay {amount}")
    return amount


@action(effect="write")
def unsay_again(result: str | None, key: IdempotencyKey) -> None:
    done.append("unsay again")


@action(effect="write", compensate=unsay_again)
def unsay(result: str, key: IdempotencyKey) -> None:
    done.append(f"unsay {result}")


@action(effect="write", compensate=unsay)
def say(what: str, key: IdempotencyKey) -> str:
    done.append(f"say {what}")
    return what


@workflow
async def looks_twice() -> str:
    await approval("chiefs", action=look("a"))
    try:
        await look("a")
    except ActionDenied as denied:
        return f"{denied.stage}, then {await look('a')}"
    return "not denied"


@workflow
async def pays_twice() -> str:
    try:
        return await pay("7")
    except ActionDenied as denied:
        return f"{denied.stage}, then {await pay('7')}"


@workflow
async def takes_it_back() -> str:
    await say("a")
    raise ValueError("all for nothing")


@workflow
async def drafts() -> list[str]:
    try:
        return [await say("a")]
    except ActionDrafted as drafted:
        return [drafted.action, drafted.stage, drafted.reason, str(drafted)]


HOLD = Rule(id="h", verdict="hold", action="look", owner="risk", reason="look first")
DRAFT = Rule(id="d", verdict="draft", action="say", owner="risk", reason="on paper first")
PROCESSES = [looks_twice, pays_twice, takes_it_back, drafts]


def breaks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call is denied, because a stage of the gate breaks."""
    whole = gateway.STAGES

    def broken(*_: Any) -> None:
        monkeypatch.setattr(gateway, "STAGES", whole)
        raise ZeroDivisionError("stage broke")

    monkeypatch.setattr(gateway, "STAGES", (broken,))


def grants(it: Harness, run: str) -> dict[str, list[str]]:
    return it.client._runner.activation(run).machine.grants


# --- approvals that were not used --------------------------------------------------------------------------------


async def test_an_approval_given_beforehand_is_there_again_when_its_call_was_denied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with harness(App("replay", workflows=PROCESSES, policy=[HOLD])) as it:
        run = await it.start(looks_twice, by="ann")
        await it.approve(run, by="bob")
        assert done == ["look a"]
        breaks_once(monkeypatch)
        await it.advance("10s")
        assert await it.result(run) == "broken, then a"
        assert [event.approval for event in it.events(run, "call_returned")] == ["1"]
        assert [event.stage for event in it.events(run, "call_denied")] == ["broken"]


async def test_an_approval_of_the_call_itself_is_gone_when_that_was_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(pays_twice, by="ann")
        breaks_once(monkeypatch)
        await it.approve(run, by="bob")
        assert [(wait.kind, wait.command) for wait in it.waits(run)] == [("approval", "2")]
        assert (done, grants(it, run)) == ([], {})
        await it.approve(run, by="bob")
        assert await it.result(run) == "broken, then 7"
        assert done == ["pay 7"]


async def test_a_call_that_never_had_an_approval_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        breaks_once(monkeypatch)
        run = await it.start(pays_twice, by="ann")
        assert [(wait.kind, wait.command) for wait in it.waits(run)] == [("approval", "2")]
        assert (done, grants(it, run)) == ([], {})


# --- effects ----------------------------------------------------------------------------------------------------


async def test_what_undoes_an_effect_is_not_undone_itself() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(takes_it_back, by="ann")
        assert it.status(run) == "failed"
        assert done == ["say a", "unsay a"]
        await it.restart()
        assert done == ["say a", "unsay a"]


async def test_a_draft_is_told_in_these_words() -> None:
    async with harness(App("replay", workflows=PROCESSES, policy=[DRAFT])) as it:
        run = await it.start(drafts, by="ann")
        assert await it.result(run) == [
            "say",
            "policy",
            "on paper first (rule 'd')",
            "action 'say' was written down and not done: on paper first (rule 'd')",
        ]
        assert done == []
