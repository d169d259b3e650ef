"""A worker that dies after any commit changes nothing: the same outcome, and no effect twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backstay import (
    ActionFailed,
    App,
    IdempotencyKey,
    NotRetryable,
    Retry,
    action,
    approval,
    gather,
    race,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import Conflict, StoreFenced
from backstay.testing import Harness, ManualClock, crash_everywhere

ledger: Counter[str] = Counter()
"""What the world did under each key: a target that honours keys does it once, however often it is called."""
asked: Counter[str] = Counter()
tried: Counter[str] = Counter()
once: Counter[str] = Counter()
"""Calls of an action that takes no key: each is a real effect."""


@pytest.fixture(autouse=True)
def _new_world() -> None:
    forget()


def forget() -> None:
    for counter in (ledger, asked, tried, once):
        counter.clear()


def effect(name: str, key: str) -> str:
    asked[key] += 1
    ledger[f"{name} {key}"] = 1
    return f"{name} done"


@action(effect="write")
def undo(name: str, result: str, key: IdempotencyKey) -> None:
    effect(f"undo {name}", key)


@action(effect="write", compensate=undo, retry=Retry(attempts=5, first="1s", jitter=0))
def post(name: str, key: IdempotencyKey) -> str:
    tried[name] += 1
    if tried[name] == 1:
        raise ConnectionError("first time is never lucky")
    return effect(name, key)


@action(effect="write", compensate=undo)
def steady(name: str, key: IdempotencyKey) -> str:
    return effect(name, key)


@action(effect="write")
def no_key(name: str) -> str:
    once[name] += 1
    return name


@action(effect="irreversible")
def pay(name: str, key: IdempotencyKey) -> str:
    return effect(name, key)


@action(effect="read")
async def look(name: str) -> str:
    return name


@action(effect="write")
def refuse(name: str, key: IdempotencyKey) -> None:
    raise NotRetryable(name)


@workflow
async def branch(name: str) -> str:
    seen = await look(name)
    return await steady(f"child {seen}")


@workflow
async def everything(name: str) -> list[Any]:
    """Each kind of command once."""
    first = await post("a")
    both = await gather(start(branch, "x"), steady("b"), look("c"), start(branch, "y"))
    decision = await approval("bosses", within="2d")
    winner = await race(wait_for("never"), sleep("1h"), start(branch, "z"))
    done = await task("clerks")
    paid = await pay("d")
    payload = await wait_for("parcel")
    return [first, both, decision.approved, winner.index, done.by, paid, payload]


@workflow
async def undone(name: str) -> None:
    await gather(steady("a"), steady("b"))
    await post("c")
    await start(branch, "x")
    await refuse("too bad")


@workflow
async def handled(name: str) -> str:
    try:
        await refuse("too bad")
    except ActionFailed as error:
        return await steady(error.type)
    return "?"


@workflow
async def unsure(name: str) -> str:
    return await no_key(name)


app = App("crashes", workflows=[branch, everything, undone, handled, unsure])


async def push(it: Harness, run: str) -> None:
    """Answer whatever the run asks for, until it has ended."""
    await it.settle()
    while not it.run(run).ended:
        waits = it.waits(run)
        for wait in waits:
            try:
                if wait.kind == "approval":
                    await it.client.decide(wait.id, "approved", by="bob")
                elif wait.kind == "task":
                    await it.client.complete(wait.id, by="ben")
                elif wait.kind == "signal" and wait.title == "parcel":
                    await it.client.signal(run, "parcel", 7, id="p7")
                elif wait.kind == "unknown":
                    happened: Any = "happened" if once["x"] else "not-happened"
                    await it.client.settle(wait.id, happened, by="ben", result="x" if once["x"] else None)
            except Conflict:
                continue
        await it.advance("1s")


async def test_everything_survives_a_crash_after_any_commit() -> None:
    async def story(it: Harness) -> None:
        await push(it, await it.client.start(everything, {"name": "n"}, key="1", by="ann"))

    async def check(it: Harness) -> None:
        (run,) = it.client.runs(workflow="everything")
        assert await it.result(run.id) == [
            "a done", ["child x done", "b done", "c", "child y done"], True, 2, "ben", "d done", 7,
        ]  # fmt: skip
        assert sorted(entry.rpartition(" ")[0] for entry in ledger) == [
            "a", "b", "child x", "child y", "child z", "d",
        ]  # fmt: skip
        assert it.client.counts() == {"everything": {"finished": 1}, "branch": {"finished": 3}}
        for row in it.client.runs():
            kinds = it.kinds(row.id)
            assert kinds.count("run_started") == kinds.count("run_finished") == 1
            confirmed = Counter(event.command for event in it.events(row.id, "call_returned"))
            assert set(confirmed.values()) <= {1}
        assert it.client.inbox() == []
        forget()

    assert await crash_everywhere(app, story, check) >= 20


async def test_a_run_that_is_undone_is_undone_once_wherever_the_worker_dies() -> None:
    async def story(it: Harness) -> None:
        await push(it, await it.client.start(undone, {"name": "n"}, key="1"))

    async def check(it: Harness) -> None:
        (run,) = it.client.runs(workflow="undone")
        assert (run.summary or "").endswith("NotRetryable: too bad")
        done = [entry.rpartition(" ")[0] for entry in ledger]
        assert sorted(done) == ["a", "b", "c", "child x", "undo a", "undo b", "undo c"]
        undos = [event.args["name"] for event in it.events(run.id, "call_intended", action="undo")]
        assert undos[0] == "c"
        forget()

    assert await crash_everywhere(app, story, check) >= 12


async def test_an_action_without_a_key_is_never_called_twice_by_itself() -> None:
    unknown: list[int] = []

    async def story(it: Harness) -> None:
        await push(it, await it.client.start(unsure, {"name": "x"}, key="1"))

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == "x"
        assert once["x"] == 1
        unknown.append(len(it.events(run.id, "call_unknown")))
        forget()

    assert await crash_everywhere(app, story, check) == 4
    assert unknown == [0, 1, 0, 0, 0]  # only a crash between intent and result leaves a question


async def test_an_error_that_was_handled_stays_handled() -> None:
    async def story(it: Harness) -> None:
        await push(it, await it.client.start(handled, {"name": "n"}, key="1"))

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        assert await it.result(run.id) == "NotRetryable done"
        assert len(ledger) == 1
        forget()

    assert await crash_everywhere(app, story, check) >= 5


async def test_crashing_again_and_again_still_ends_the_same(tmp_path: Path) -> None:
    """Three crashes in one life: the second and third while the worker is still recovering."""
    for point in range(1, 8):
        it = Harness(app, tmp_path / str(point), ManualClock())
        for crash_at in (point, 1, 2, None):
            await it.open(crash_at=crash_at)
            try:
                await push(it, await it.client.start(everything, {"name": "n"}, key="1", by="ann"))
            except StoreFenced:
                await it.close()
        (run,) = it.client.runs(workflow="everything")
        assert run.status == "finished"
        assert len(ledger) == 6
        await it.close()
        forget()


class Ticking(Harness):
    """Time passes at every commit, so that timers come due while their run is still being parked."""

    def _count(self, number: int) -> None:
        self.clock.move(0.6)
        super()._count(number)


async def test_a_retry_that_comes_due_while_its_run_is_parked_is_not_lost_in_a_crash(tmp_path: Path) -> None:
    for point in range(1, 30):
        it = Ticking(app, tmp_path / str(point), ManualClock())
        await it.open(crash_at=point)
        try:
            await push(it, await it.client.start(everything, {"name": "n"}, key="1", by="ann"))
        except StoreFenced:
            await it.close()
            await it.open()
            await it.settle()
        (run,) = it.client.runs(workflow="everything")
        assert it.status(run.id) != "waiting" or it.waits(run.id) != []
        await push(it, run.id)
        assert it.status(run.id) == "finished"
        await it.close()
        forget()
