"""The log tells a case as its process owner would."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from backstay import (
    App,
    IdempotencyKey,
    Queue,
    Retry,
    Sensitive,
    action,
    approval,
    note,
    now,
    rule,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.governance.queues import Escalation
from backstay.operations.log import Line, tell
from backstay.testing import Harness, harness

FAILURES = {"left": 0}


class Order(BaseModel):
    item: str
    amount: int
    iban: Sensitive["pii"] = ""


@rule
def is_large(order: Order) -> bool:
    return order.amount > 10


@action(effect="write")
async def take_back(order: Order, result: str) -> None:
    return None


@action(effect="write", retry=Retry(attempts=3, first="1m", jitter=0), compensate=take_back)
async def deliver(order: Order, key: IdempotencyKey) -> str:
    if FAILURES["left"]:
        FAILURES["left"] -= 1
        raise RuntimeError("the van broke down")
    return f"D-{order.amount}"


@action(effect="irreversible", approvers="treasury")
async def pay(amount: int, key: IdempotencyKey) -> str:
    return "paid"


@action(effect="write", queue="unclear")
async def phone(text: str) -> str:
    raise RuntimeError("the line went dead")


@workflow
async def ordering(order: Order) -> str:
    if is_large(order):
        decision = await approval("desk", show=order, within="2h")
        if not decision.approved:
            return "rejected"
    return await deliver(order)


@workflow
async def paying(amount: int) -> str:
    return await pay(amount)


@workflow
async def undoing(order: Order) -> str:
    await deliver(order)
    raise ValueError("something else is wrong")


@workflow
async def calling(text: str) -> str:
    return await phone(text)


@workflow
async def pausing() -> str:
    await note("a remark", {"n": 1})
    moment = await now()
    await sleep("1h")
    word = await wait_for("word", type=str)
    done = await task("hands", title="carry it")
    child = await start(paying, 3)
    return f"{moment.year} {word} {done.by} {child}"


@workflow
async def voting() -> str:
    return (await approval("board", quorum=2)).verdict


@workflow
async def waiting() -> str:
    return (await approval("slow")).verdict


@workflow
async def carrying() -> str:
    return (await task("hands", title="carry it")).by


APP = App(
    "shop",
    workflows=[ordering, paying, undoing, calling, pausing, voting, waiting, carrying],
    queues=[
        Queue(name="board", owner="chair", members=("group:board",), reasons=("too-dear",)),
        Queue(name="slow", owner="sam", remind=("1h",), escalate=(Escalation(after="2h", to="leads"),)),
        Queue(name="leads", owner="lea"),
        Queue(name="hands", owner="hans", lease="1h"),
    ],
)


def lines(it: Harness, run: str) -> list[Line]:
    row = it.run(run)
    program = APP.workflows[row.workflow].program
    return tell(row, it.client.events(run), program)


def texts(it: Harness, run: str) -> list[str]:
    return [line.text for line in lines(it, run)]


async def test_a_case_from_trigger_to_end(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, by="web", order={"item": "desk", "amount": 20})
        await it.advance("30m")
        await it.approve(run, by="dana", reason="agreed by phone")
        told = lines(it, run)
        version = it.run(run).version
    assert [line.text for line in told] == [
        "ordering was started",
        "Rule “is large” → yes",
        "desk must decide",
        "Approved",
        "decision.approved? → yes",
        "deliver",
        "Finished",
    ]
    assert [line.by for line in told] == [
        "web",
        *[f"ordering@{version[:7]}"] * 2,
        "dana",
        *[f"ordering@{version[:7]}"] * 3,
    ]
    assert {line.version for line in told} == {version}
    assert ("because", "order.amount > 10 → yes (order.amount 20)") in told[1].details
    assert told[3].details == (("reason", "agreed by phone"), ("after", "30 min"))
    assert ("→", "D-20") in told[5].details
    assert told[5].events == (4, 5)


async def test_the_condition_that_only_asks_a_rule_is_told_once_but_kept_in_the_data(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, order={"item": "desk", "amount": 2})
        told = next(line for line in lines(it, run) if line.mark == "decision")
    assert [entry["kind"] for entry in told.data] == ["return", "rule", "if"]


async def test_private_values_stay_pseudonyms(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, order={"item": "desk", "amount": 20, "iban": "DE44500105175407324931"})
        told = str([line.as_json() for line in lines(it, run)])
    assert "DE44500105175407324931" not in told
    assert "pii:" in told


async def test_a_retry_names_the_error_and_the_next_time(home: Path) -> None:
    FAILURES["left"] = 1
    async with harness(APP, home) as it:
        run = await it.start(ordering, order={"item": "pen", "amount": 1})
        await it.advance("5m")
        retry = next(line for line in lines(it, run) if line.mark == "retry")
        assert retry.text == "deliver: attempt 1 failed"
        assert dict(retry.details)["error"] == "RuntimeError: the van broke down"
        assert dict(retry.details)["next"].startswith("tried again at ")
        assert "deliver, attempt 2" in texts(it, run)


async def test_a_held_call_names_who_released_it(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(paying, amount=5)
        await it.approve(run, by="tess")
        told = lines(it, run)
    assert told[1].text == "pay needs a decision by treasury"
    assert ("approved by", "tess") in told[3].details


async def test_a_decision_that_nobody_took(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, order={"item": "desk", "amount": 20})
        await it.advance("3h")
        assert "Nobody decided in time; it counts as rejected" in texts(it, run)


async def test_a_compensation_names_what_it_undoes(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(undoing, order={"item": "pen", "amount": 1})
        told = lines(it, run)
    assert [(line.mark, line.text) for line in told[-2:]] == [
        ("undo", "take_back (undoes deliver)"),
        ("failed", "Failed"),
    ]
    assert told[-1].line is not None


async def test_an_unknown_effect_and_how_it_was_settled(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(calling, text="hello")
        await it.client.settle(run, "give-up", by="olga", reason="nobody answers")
        await it.settle()
        told = texts(it, run)
    assert told[1] == "Nobody can tell whether phone happened"
    assert told[2] == "phone: given up"


async def test_timers_signals_tasks_children_and_remarks(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(pausing)
        await it.advance("1h")
        await it.client.signal(run, "word", "now", by="post")
        await it.settle()
        await it.complete(run, "done", by="olga")
        child = next(row for row in it.client.runs() if row.parent == run)
        await it.approve(child.id, by="tess")
        told = texts(it, run)
    assert told[1:3] == ["Note: a remark", "Looks at the clock"]
    assert told[3].startswith("Waits until ")
    assert told[4:] == [
        "The time has come",
        "Waits for “word”",
        "“word” came in",
        "Task for hands: carry it",
        "Task done",
        "Starts and waits for paying",
        "paying finished",
        "Finished",
    ]


async def test_a_cancelled_run_names_who_asked(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(ordering, order={"item": "desk", "amount": 20})
        await it.client.cancel(run, by="bea", reason="a mistake")
        await it.settle()
        told = lines(it, run)
    assert (told[-3].by, told[-3].text) == ("bea", "Asked to stop the run")
    assert told[-2].text == "Withdrawn, as the case went on or ended without it: what desk was asked"
    assert told[-1].text == "Cancelled"


async def test_a_proposal_that_is_withdrawn_has_its_line(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(paying, amount=5)
        await it.client.cancel(run, by="bea")
        await it.settle()
        (told,) = [line for line in lines(it, run) if line.text.startswith("Withdrawn")]
    assert told.text == "Withdrawn, as the case went on or ended without it: pay"
    assert ("asked of", "treasury") in told.details


# --- people ---


async def test_votes_are_told_one_by_one_and_together(home: Path) -> None:
    async with harness(APP, home) as it:
        await it.client.register("root", roles=["administrator"], by="root")
        for name, groups in (("bea", ["board"]), ("bob", ["board"]), ("cid", [])):
            await it.client.register(name, roles=["approver", "operator"], groups=groups, by="root")
        await it.client.delegate("bob", "cid", until="2026-02-01T00:00:00Z", by="bob")
        await it.client.register("ann", roles=["operator"], by="root")
        run = await it.start(voting, by="ann")
        await it.client.decide(run, "approved", by="bea", reason="fine")
        await it.client.decide(run, "approved", by="cid")
        await it.settle()
        told = lines(it, run)[2:4]
    assert [(line.by, line.mark, line.text) for line in told] == [
        ("bea", "answered", "Voted: approved"),
        ("cid", "answered", "Approved (in place of bob)"),
    ]
    assert ("reason", "fine") in told[0].details
    assert ("votes", "bea approved, cid approved") in told[1].details


async def test_a_rejection_tells_the_queues_word_for_it(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(voting, by="ann")
        await it.client.decide(run, "rejected", by="bea", code="too-dear")
        await it.settle()
        rejected = next(line for line in lines(it, run) if line.text == "Rejected")
    assert rejected.mark == "rejected"
    assert ("code", "too-dear") in rejected.details


async def test_a_reminder_and_an_escalation(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(waiting)
        await it.advance("3h")
        told = lines(it, run)[2:]
    assert [(line.mark, line.text) for line in told] == [
        ("wait", "Nobody has acted yet; the queue was reminded"),
        ("asked", "Nobody acted in time; it moved on to leads"),
    ]
    assert [line.details for line in told] == [(("after", "1 h"),), (("after", "2 h"),)]
    assert {line.by.partition("@")[0] for line in told} == {"waiting"}  # nobody did that


async def test_a_claim_that_lapses_and_an_item_that_is_given_on(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(carrying)
        await it.client.claim(run, by="dan")
        await it.advance("61m")
        await it.client.reassign(run, by="hans", to="eve", reason="she is strong")
        told = lines(it, run)[2:]
    assert [(line.mark, line.text) for line in told] == [
        ("answered", "Took it on"),
        ("wait", "Its time with one person ran out; it is back in the queue"),
        ("asked", "Gave it to eve (hands)"),
    ]
    assert [label for label, _ in told[0].details] == ["until", "after"]
    assert told[2].details == (("reason", "she is strong"),)


async def test_a_question_its_answer_and_a_comment_with_a_file(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(carrying, by="ann")
        await it.client.ask(run, "Where to?", by="dan")
        await it.client.answer(run, "Upstairs", by="ann")
        await it.client.comment(run, "mind the step", by="ann", files={"plan.txt": b"up"})
        told = lines(it, run)[2:]
    assert [(line.by, line.mark, line.text) for line in told] == [
        ("dan", "asked", "Asked back; the clock stands still"),
        ("ann", "answered", "Answered"),
        ("ann", "note", "Comment: mind the step"),
    ]
    assert told[0].details == (("question", "Where to?"),)
    assert told[1].details == (("answer", "Upstairs"),)
    ((label, value),) = told[2].details
    assert label == "file"
    assert value.startswith("plan.txt, 2 bytes, ")
