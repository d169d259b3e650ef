"""Replay to the letter: what becomes of an approval that was not used, how often an effect is undone, what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    ActionDenied,
    ActionDrafted,
    App,
    ChildFailed,
    IdempotencyKey,
    Queue,
    Retry,
    Rule,
    Sensitive,
    action,
    approval,
    gather,
    race,
    start,
    wait_for,
    workflow,
)  # fmt: skip
from backstay import events as ev
from backstay.engine import gateway
from backstay.engine.replay import Machine
from backstay.errors import JournalMismatch
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


class Letter(BaseModel):
    name: Sensitive["pii"]


@workflow
async def looks_twice(approvals: int) -> str:
    for _ in range(approvals):
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


@workflow
async def fails(why: str) -> str:
    raise ValueError(why)


@workflow
async def has_a_child(why: str) -> list[str]:
    try:
        return [await start(fails, why=why)]
    except ChildFailed as failed:
        return [failed.workflow, failed.run, failed.message]


@workflow
async def is_refused() -> list[str]:
    try:
        return [await pay("7")]
    except ActionDenied as denied:
        return [denied.action, denied.stage, denied.reason, denied.reason_code, denied.by]


@workflow
async def hears(what: str) -> str:
    return (await wait_for("letter", type=Letter)).name


@workflow
async def returns(what: str) -> str:
    return await wait_for(what)


@workflow
async def says_what_cannot_be_written(how: str) -> str:
    try:
        raise ValueError(how)
    except ValueError as error:
        bad: Any = error
    if how == "call":
        return await say(bad)
    return await start(fails, why=bad)


@workflow
async def grows(factor: float) -> float:
    return factor * 10.0


@workflow
async def branches_on_a_name(what: str) -> str:
    letter = await wait_for("letter", type=Letter)
    if letter.name == "Wilhelmina":
        return "hers"
    return "not hers"


@workflow
async def races_two_that_fail_at_once() -> list[str]:
    try:
        raise ValueError("no JSON")
    except ValueError as error:
        bad: Any = error
    failed = 0
    try:
        await race(gather(say(bad)), gather(say(bad)))
    except TypeError:
        failed += 1
    return [str(failed), await wait_for("first"), await wait_for("second")]


@workflow
async def decides_after_a_letter(what: str) -> str:
    said = await wait_for("letter")
    if said == "a":
        return "first"
    return "another"


@workflow
async def awaits_a_number(number: int) -> str:
    odd: Any = number
    await gather(odd)
    return "it was answered"


HOLD = Rule(id="h", verdict="hold", action="look", owner="risk", reason="look first")
DRAFT = Rule(id="d", verdict="draft", action="say", owner="risk", reason="on paper first")
PROCESSES = [
    looks_twice,
    pays_twice,
    takes_it_back,
    drafts,
    fails,
    has_a_child,
    is_refused,
    hears,
    says_what_cannot_be_written,
    returns,
    grows,
    branches_on_a_name,
    races_two_that_fail_at_once,
    decides_after_a_letter,
    awaits_a_number,
]


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


@pytest.mark.parametrize("approvals", [1, 2])
async def test_an_approval_given_beforehand_is_there_again_when_its_call_was_denied(
    approvals: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness(App("replay", workflows=PROCESSES, policy=[HOLD])) as it:
        run = await it.start(looks_twice, approvals=approvals, by="ann")
        for _ in range(approvals):
            await it.approve(run, by="bob")
        assert done == ["look a"]
        breaks_once(monkeypatch)
        await it.advance("10s")
        assert await it.result(run) == "broken, then a"
        assert [event.approval for event in it.events(run, "call_returned")] == ["1"]
        assert [event.stage for event in it.events(run, "call_denied")] == ["broken"]
        assert caplog.messages == []


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


# --- what the workflow is told -----------------------------------------------------------------------------------


async def test_a_child_that_failed_is_named() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(has_a_child, why="no", by="ann")
        (child,) = it.events(run, "child_started")
        assert await it.result(run) == ["fails", child.run, "ValueError: no"]


async def test_a_refusal_by_a_person_says_who_and_by_which_code_and_one_of_the_gate_does_not() -> None:
    queue = Queue(name="operators", owner="olga", reasons=("too-dear",))
    async with harness(App("replay", workflows=PROCESSES, queues=[queue])) as it:
        run = await it.start(is_refused, by="ann")
        await it.reject(run, by="bob", reason="not now", code="too-dear")
        assert await it.result(run) == ["pay", "approval", "not now", "too-dear", "bob"]
    deny = Rule(id="r", verdict="deny", action="pay", owner="risk", reason="no more")
    async with harness(App("replay", workflows=PROCESSES, policy=[deny])) as it:
        assert await it.result(await it.start(is_refused, by="ann")) == ["pay", "policy", "no more (rule 'r')", "", ""]


def machine_of(it: Harness, process: Any, run: str) -> Machine:
    """The run as its beginning leaves it."""
    return Machine(run, process.program, it.events(run)[0])  # type: ignore[arg-type]


async def test_what_is_private_in_a_signal_that_came_before_its_wait_was_recorded_is_known_from_then_on() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(hears, what="a", by="ann")
        machine = machine_of(it, hears, run)
        refs = {"/payload": "seal:early-signal:1"}
        machine.apply(
            ev.SignalReceived(at="2026-01-05T09:00:00Z", name="letter", payload={"name": "Wilhelmina"}, refs=refs), 2
        )
        assert machine.outcome is not None
        assert machine.outcome.result == "Wilhelmina"
        assert machine.secrets == {"Wilhelmina": "early-signal:1"}


async def test_a_journal_that_does_not_fit_is_told_in_these_words() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(is_refused, by="ann")
        machine = machine_of(it, is_refused, run)
        (line,) = {machine.program.line_of(leaf.site) for leaf in machine.open.values()}
        returned = ev.CallReturned(at="2026-01-05T09:00:00Z", command="7", site="pay", action="pay", result="7")
        for event, words, named in (
            (
                returned,
                "event 2 (call_returned) does not fit the definition: the workflow never asked for command '7'",
                None,
            ),
            (
                replace(returned, command="1", action="say"),
                f"event 2 (call_returned) does not fit the definition (line {line}): it calls 'say', but the workflow asks for "
                "'pay'",
                line,
            ),
            (
                replace(returned, command="1", result=7),
                "the answer to command '1' does not fit the definition: Input should be a valid string",
                line,
            ),
        ):
            with pytest.raises(JournalMismatch) as refused:
                machine.apply(event, 2)
            assert (str(refused.value), refused.value.line) == (words, named)


@pytest.mark.parametrize(("how", "named"), [("call", "say"), ("start", "fails")])
async def test_arguments_that_are_no_json_are_told_with_the_name_of_what_was_to_take_them(how: str, named: str) -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(says_what_cannot_be_written, how=how, by="ann")
        assert (it.run(run).summary or "").startswith(f"TypeError: arguments of {named!r} cannot be written as JSON: ")
        assert done == []


async def test_a_result_of_another_type_than_was_promised_fails_the_run_and_says_what_is_wrong_with_it() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(returns, what="letter", by="ann")
        await it.client.signal(run, "letter", 7)
        await it.settle()
        assert it.run(run).summary == (
            "InvalidResult: result of workflow 'returns' does not fit: (whole value): Input should be a valid string"
        )


async def test_an_input_that_does_not_fit_its_definition_is_told_in_these_words() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(hears, what="a", by="ann")
        began: Any = it.events(run)[0]
        with pytest.raises(JournalMismatch) as refused:
            Machine("r", hears.program, replace(began, input={"what": 7}))
        assert str(refused.value).startswith("the input of run 'r' does not fit its definition: ")
        assert "what" in str(refused.value)
        assert refused.value.seq == 1


async def test_an_answer_to_a_compensation_that_is_over_changes_nothing_and_one_to_none_is_a_mismatch() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(takes_it_back, by="ann")
        machine = machine_of(it, takes_it_back, run)
        for seq, event in enumerate(it.events(run)[1:], 2):
            machine.apply(event, seq)
        last: Any = next(event for event in it.events(run, "call_returned") if event.command == "c1")
        machine.apply(last, 9)
        assert machine.over
        with pytest.raises(JournalMismatch, match="the workflow never asked for command 'c9'"):
            machine.apply(replace(last, command="c9"), 10)


async def test_a_result_that_no_journal_can_keep_fails_the_run_with_the_name_of_the_workflow() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(grows, factor=1e308, by="ann")
        assert (it.run(run).summary or "").startswith(
            "InvalidResult: result of workflow 'grows' cannot be kept as JSON: "
        )


async def test_a_decision_about_a_private_value_is_recorded_by_its_pseudonym() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(branches_on_a_name, what="a", by="ann")
        await it.client.signal(run, "letter", {"name": "Wilhelmina"})
        await it.settle()
        assert await it.result(run) == "hers"
        path = [entry for event in it.events(run) for entry in getattr(event, "path", None) or []]
        assert path
        assert "Wilhelmina" not in str([entry.get("values") for entry in path])


async def test_two_that_fail_at_once_answer_their_race_once() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(races_two_that_fail_at_once, by="ann")
        assert it.status(run) == "waiting"
        await it.client.signal(run, "first", "a")
        await it.client.signal(run, "second", "b")
        await it.settle()
        assert await it.result(run) == ["1", "a", "b"]


async def test_what_comes_after_the_wait_in_which_a_run_was_cancelled_is_not_run() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(decides_after_a_letter, what="a", by="ann")
        await it.client.cancel(run, by="ann", reason="no more")
        await it.settle()
        assert it.status(run) == "cancelled"
        assert [event for event in it.events(run) if getattr(event, "path", None)] == []


async def test_what_is_no_command_is_told_by_its_type() -> None:
    async with harness(App("replay", workflows=PROCESSES)) as it:
        run = await it.start(awaits_a_number, number=7, by="ann")
        assert it.run(run).summary == "TypeError: await: int is not a command"
