"""Failure and doubt to the letter: what is told, what is tried again until when, by which key a target is asked."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay import (
    ActionDenied,
    ActionFailed,
    App,
    Breaker,
    IdempotencyKey,
    NotRetryable,
    Queue,
    Retry,
    Rule,
    Sensitive,
    action,
    approval,
    workflow,
)
from backstay.errors import InvalidInput, StoreFenced
from backstay.testing import Harness, harness
from backstay.types import Happened

done: list[str] = []
faults: list[BaseException | Path] = []
asked: list[Any] = []
"""The keys under which targets were asked whether it happened."""
known: list[Any] = []
"""What they say to that."""
ONCE = Retry(attempts=1)


@pytest.fixture(autouse=True)
def _new_world() -> None:
    for each in (done, faults, asked, known):
        each.clear()


def step(what: str) -> str:
    done.append(what)
    if faults:
        fault = faults.pop(0)
        if isinstance(fault, BaseException):
            raise fault
        with closing(sqlite3.connect(fault)) as connection, connection:  # another worker takes the store over
            connection.execute("UPDATE owner SET epoch = epoch + 1")
    return what


def says(key: str) -> Any:
    asked.append(key)
    if known and isinstance(known[0], Exception):
        raise known[0]
    return known[0] if known else None


async def says_later(key: str) -> Any:
    await asyncio.sleep(0)
    return says(key)


async def says_nothing(key: str) -> Any:
    await asyncio.Event().wait()


@action(effect="read", retry=Retry(attempts=2, first="10s", jitter=0))
async def look_by_key(what: str, key: IdempotencyKey) -> str:
    return step(key)


@action(effect="write", retry=ONCE, queue="desk")
def post(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", retry=Retry(attempts=3, first="1s", jitter=0), queue="desk")
def again(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", retry=Retry(attempts=9, first="10s", factor=1, jitter=0, deadline="20s"), queue="desk")
def until_noon(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", queue="desk", breaker=Breaker(failures=1, cooldown="30s"), retry=ONCE)
def guarded(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=Retry(attempts=1, give_up_on=(InvalidInput,)))
def bare(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=ONCE)
def plain(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=ONCE, on_failure="raise", probe=says)
def told(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=ONCE, on_failure="raise", probe=says_later)
async def told_later(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=Retry(attempts=2, first="1s", jitter=0), probe=says)
def tried(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=Retry(attempts=2, first="1s", jitter=0), probe=says, concurrency=1)
def in_turn(what: str) -> str:
    return step(what)


@action(effect="write", queue="desk", retry=Retry(attempts=2, first="1s", jitter=0), probe=says_nothing, timeout="10ms")
def silent(what: str) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", probe=says, on_failure="raise")
def fire(what: str) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", probe=says, approvers="chiefs")
def aim(what: str) -> str:
    return step(what)


@workflow
async def does(name: str, what: str) -> str:
    try:
        if name == "look_by_key":
            return await look_by_key(what)
        if name == "post":
            return await post(what)
        if name == "again":
            return await again(what)
        if name == "until_noon":
            return await until_noon(what)
        if name == "guarded":
            return await guarded(what)
        if name == "bare":
            return await bare(what)
        if name == "plain":
            return await plain(what)
        if name == "told":
            return await told(what)
        if name == "told_later":
            return await told_later(what)
        if name == "tried":
            return await tried(what)
        if name == "in_turn":
            return await in_turn(what)
        if name == "silent":
            return await silent(what)
        if name == "fire":
            return await fire(what)
    except (ActionDenied, ActionFailed) as refused:
        return f"refused: {refused}"
    raise ValueError(name)


@workflow
async def goes_on_all_the_same() -> str:
    decision = await approval("chiefs", action=aim("7"))
    return f"{decision.verdict}, {await aim('7')}"


@workflow
async def posts_for(guest: Sensitive["pii"]) -> str:
    return await post("a")


QUEUES = [Queue(name="desk", owner="dora"), Queue(name="chiefs", owner="chief")]
PASS = Rule(id="let", verdict="allow", effect="irreversible", owner="risk", expires="2099-01-01")


def an_app(*rules: Rule) -> App:
    return App("doubt", workflows=[does, goes_on_all_the_same, posts_for], queues=QUEUES, policy=rules)


ALLOWING, HOLDING = an_app(PASS), an_app()


async def crashed(it: Harness, name: str) -> str:
    """The effect happens, and the worker dies before it can write down the result."""
    faults[:] = [it.home / "backstay.db"]
    with pytest.raises(StoreFenced):
        await it.start(does, name=name, what="a", by="ann")
    await it.restart()
    await it.settle()
    return it.client.runs()[0].id


async def begun(it: Harness, name: str, *errors: BaseException) -> str:
    faults[:] = errors
    return await it.start(does, name=name, what="a", by="ann")


DOWN = ConnectionError("no route")


# --- what is told -----------------------------------------------------------------------------------------------------

BROKEN = ConnectionError("nobody there")
BROKEN_PROBE = "its probe failed: ConnectionError: nobody there"

TITLES: dict[str, tuple[str, list[BaseException], str, str]] = {
    "no words": ("post", [ConnectionError()], "queued", "ConnectionError()"),
    "many words": ("post", [ConnectionError("x" * 3000)], "queued", "x" * 300),
    "rubbish of a write that nobody may repeat": ("plain", [InvalidInput("no text")], "unknown", "no text"),
    "rubbish of a write that its target is asked about": ("post", [InvalidInput("no text")], "queued", "no text"),
}


@pytest.mark.parametrize("row", TITLES)
async def test_a_failure_is_told_in_these_words(row: str) -> None:
    name, errors, kind, title = TITLES[row]
    async with harness(ALLOWING) as it:
        run = await begun(it, name, *errors)
        (wait,) = it.waits(run)
        assert (wait.kind, wait.title) == (kind, title)


async def test_what_a_fault_says_is_cut_and_what_cannot_be_retried_is_to_be_mended_first() -> None:
    async with harness(ALLOWING) as it:
        run = await begun(it, "post", InvalidInput("x" * 3000))
        (event,) = it.events(run, "call_queued")
        assert len(event.fault.message) == 2000
        assert event.suggestion == "mend the action, then retry"


async def test_an_error_that_ends_a_write_for_good_is_told_to_the_workflow() -> None:
    async with harness(ALLOWING) as it:
        assert await it.result(await begun(it, "bare", InvalidInput("no such thing"))) == (
            "refused: action 'bare' failed after 1 attempt(s): InvalidInput: no such thing"
        )


@pytest.mark.parametrize("definite", [False, True])
async def test_that_a_breaker_closed_is_recorded(definite: bool) -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, "guarded", DOWN)
        await it.advance("30s")
        faults[:] = [NotRetryable("no such account")] if definite else []
        await it.client.retry(run, by="ops")
        await it.settle()
        recorded = [row["body"] for row in it.client._reader.all("system_events", ("breaker",))]
    assert [("opened", '"opened":true' in each, '"opened":false' in each) for each in recorded] == [
        ("opened", True, False), ("opened", False, True),
    ]  # fmt: skip


async def test_a_denial_tells_no_secret_of_the_run() -> None:
    """The reason of the gate may hold what the workflow was given."""
    rule = Rule(id="r", verdict="deny", action="post", owner="risk", reason="not for Wilhelmina")
    async with harness(an_app(rule)) as it:
        run = await it.start(posts_for, guest="Wilhelmina", by="ann")
        (event,) = it.events(run, "call_denied")
        assert event.reason.startswith("not for pii:")
        assert "Wilhelmina" not in str(it.events(run))


# --- trying again -----------------------------------------------------------------------------------------------------


async def test_a_read_that_takes_a_key_gets_the_same_one_in_each_attempt() -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, "look_by_key", DOWN)
        await it.advance("10s")
        assert len(done) == 2
        assert len(set(done)) == 1
        assert len(done[0]) == 40
        assert await it.result(run) == done[0]


async def test_attempts_end_at_the_deadline_itself() -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, "until_noon", DOWN, DOWN, DOWN, DOWN)
        await it.advance("20s")
        assert [wait.kind for wait in it.waits(run)] == ["queued"]
        assert len(done) == 3


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            Rule(id="r", verdict="hold", owner="risk", reason="look first"),
            "policy stops another: look first (rule 'r')",
        ),
        (Rule(id="r", verdict="deny", owner="risk", reason="no more"), "policy stops another: no more (rule 'r')"),
    ],
    ids=["held", "denied"],
)
async def test_what_may_have_happened_is_neither_held_nor_denied_but_unknown(rule: Rule, said: str) -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, "again", DOWN)
        it.app = an_app(rule)
        await it.restart()
        await it.advance("1s")
        (wait,) = it.waits(run)
        assert (wait.kind, wait.title) == ("unknown", f"an earlier attempt may have happened, and {said}")
        assert done == ["a"]


@pytest.mark.parametrize("name", ["tried", "in_turn"])
async def test_what_surely_did_not_happen_is_denied_also_to_a_call_that_waits_its_turn(name: str) -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, name, DOWN)
        it.app = an_app(Rule(id="r", verdict="deny", action=name, owner="risk", reason="no more"))
        await it.restart()
        await it.advance("1s")
        assert await it.result(run) == f"refused: action {name!r} was denied by policy: no more (rule 'r')"
        assert done == ["a"]


# --- asking the target ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["told", "told_later", "tried", "fire"])
@pytest.mark.parametrize("answer", ["b", Happened("b"), None, BROKEN], ids=["done", "happened", "not done", "broken"])
async def test_a_target_is_asked_by_the_key_of_the_intent_and_what_it_says_counts(name: str, answer: Any) -> None:
    known[:] = [] if answer is None else [answer]
    async with harness(ALLOWING) as it:
        run = await begun(it, name, DOWN)
        await it.advance("1s")
        keys = {event.key for event in it.events(run, "call_intended")}
        assert set(asked) == keys
        assert len(asked) == 1
        if answer is BROKEN:
            (wait,) = it.waits(run)
            why = (
                "an earlier attempt may have happened"
                if name == "tried"
                else "it failed with ConnectionError: no route"
            )
            assert (wait.kind, wait.title) == ("unknown", f"{why}, and {BROKEN_PROBE}")
            return
        said = await it.result(run)
        if answer is None:
            assert said == {"told": NOT_DONE, "told_later": NOT_DONE, "tried": "a", "fire": SURELY_NOT}[name].format(
                name
            )
            assert len(done) == (2 if name == "tried" else 1)
        else:
            assert (said, done) == ("b", ["a"])
            (returned,) = it.events(run, "call_returned")
            assert returned.micros == 0


NOT_DONE = "refused: action {!r} failed after 1 attempt(s): ConnectionError: no route"
SURELY_NOT = "refused: action {!r} failed after 1 attempt(s): NotPerformed: it failed with ConnectionError: no route; the target says it did not happen"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("tried", f"an earlier attempt may have happened, and {BROKEN_PROBE}"),
        ("plain", "the worker stopped before the result was recorded, and the action takes no key"),
    ],
)
async def test_after_a_crash_it_is_said_why_nobody_knows(name: str, title: str) -> None:
    known[:] = [BROKEN]
    async with harness(HOLDING) as it:
        run = await crashed(it, name)
        (wait,) = it.waits(run)
        assert (wait.kind, wait.title) == ("unknown", title)
        assert done == ["a"]


async def test_a_target_that_does_not_say_is_not_waited_for() -> None:
    async with harness(HOLDING) as it:
        run = await begun(it, "silent", DOWN)
        await it.advance("1s")
        (wait,) = it.waits(run)
        assert wait.kind == "unknown"
        assert wait.title.endswith("and its probe failed: TimeoutError: no answer within 0.01 s")


async def test_a_call_that_a_person_refused_is_held_again_when_the_workflow_makes_it_all_the_same() -> None:
    async with harness(HOLDING) as it:
        run = await it.start(goes_on_all_the_same, by="ann")
        (asked_for,) = it.events(run, "approval_requested")
        await it.reject(run, by="bob", reason="no")
        assert done == []
        assert [wait.kind for wait in it.waits(run)] == ["approval"]
        (decided,) = it.events(run, "approval_decided")
        assert (decided.digest, decided.shown) == (asked_for.digest, asked_for.shown)
        assert (decided.code, decided.votes, decided.behalf) == ("", None, "")
