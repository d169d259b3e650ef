"""Whatever happens in whatever order: what the worker holds in memory is what its journal gives."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backstay import (
    ActionFailed,
    App,
    ChildFailed,
    IdempotencyKey,
    Retry,
    TimedOut,
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
from backstay.engine.activation import Activation
from backstay.errors import RequestError
from backstay.store.views import read_wait
from backstay.testing import Harness, ManualClock

down = {"times": 0}
done: list[str] = []


@action(effect="write")
def undo(name: str, result: str, key: IdempotencyKey) -> None:
    done.append(f"undo {key}")


@action(effect="write", compensate=undo, retry=Retry(attempts=2, first="30s", jitter=0))
def post(name: str, key: IdempotencyKey) -> str:
    if down["times"]:
        down["times"] -= 1
        raise ConnectionError("down")
    return f"posted {name}"


@workflow
async def child(name: str) -> str:
    got = await wait_for("child")
    return await post(f"{name} {got}")


@workflow
async def tangle(name: str) -> list[Any]:
    """Gathers in races in gathers, with everything a run can wait for."""
    found: list[Any] = []
    for turn in [1, 2, 3]:
        try:
            winner = await race(
                gather(wait_for("a"), approval("bosses"), post(f"x{turn}")),
                gather(task("clerks"), race(wait_for("b"), sleep("1h"))),
                wait_for("c", within="2h"),
                start(child, f"k{turn}"),
            )
            found.append(winner.index)
        except TimedOut:
            found.append("timed out")
        except ActionFailed as error:
            found.append(error.type)
        except ChildFailed as error:
            found.append(error.message)
        found.append(await post(f"y{turn}"))
    return found


app = App("interleavings", workflows=[tangle, child])


def picture(case: Activation) -> Any:
    """What a machine knows, without what only lives in memory."""
    machine = case.machine
    leaves = {
        leaf.id: (
            type(leaf.command).__name__,
            leaf.site,
            leaf.state,
            leaf.args,
            leaf.attempt,
            leaf.spent,
            leaf.occurrence,
        )
        for leaf in machine.unsettled
    }
    intents = {leaf.id: leaf.intent for leaf in machine.unsettled}
    return (
        leaves, intents, sorted(machine.orphans), machine.outcome, machine.grants, machine.effects, machine.calls,
        machine.changes, machine.signal_ids, machine.trail,
    )  # fmt: skip


class Interleavings(RuleBasedStateMachine):
    """One run, poked from all sides; after each step its journal must give the state that is in memory."""

    def __init__(self) -> None:
        super().__init__()
        done.clear()
        down["times"] = 0
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="backstay-")
        self.it = Harness(app, Path(self.folder.name), ManualClock())
        self.run = ""

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        async def bounded() -> None:
            try:
                await work
            except RequestError:
                return  # refused, with nothing changed
            finally:
                await self.it.settle()

        self.loop.run_until_complete(bounded())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.it.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        async def first() -> None:
            await self.it.open()
            self.run = await self.it.start(tangle, name="n", by="ann")

        self.loop.run_until_complete(first())

    @rule(name=st.sampled_from(["a", "b", "c", "stray"]), id=st.none() | st.sampled_from(["1", "2"]))
    def signal(self, name: str, id: str | None) -> None:
        self.do(self.it.client.signal(self.run, name, name, id=id))

    @rule(verdict=st.sampled_from(["approved", "rejected"]))
    def decide(self, verdict: Any) -> None:
        self.do(self.it.client.decide(self.run, verdict, by="bob"))

    @rule()
    def complete(self) -> None:
        self.do(self.it.client.complete(self.run, "done", by="ben"))

    @rule()
    def answer_children(self) -> None:
        for row in self.it.client.runs(workflow="child"):
            self.do(self.it.client.signal(row.id, "child", "c"))

    @rule()
    def cancel_a_child(self) -> None:
        for row in self.it.client.runs(workflow="child", limit=1):
            self.do(self.it.client.cancel(row.id, by="ann"))

    @rule(duration=st.sampled_from(["10s", "30s", "1h", "2h"]))
    def advance(self, duration: str) -> None:
        self.do(self.it.advance(duration))

    @rule(times=st.integers(1, 3))
    def break_the_target(self, times: int) -> None:
        down["times"] = times

    @rule()
    def retry(self) -> None:
        self.do(self.it.client.retry(self.run, by="ann"))

    @rule(outcome=st.sampled_from(["happened", "give-up", "not-happened"]))
    def settle_a_queued_call(self, outcome: Any) -> None:
        self.do(self.it.client.settle(self.run, outcome, by="ann", result="by hand"))

    @rule(first=st.sampled_from("abc"), second=st.sampled_from("abc"))
    def two_at_once(self, first: str, second: str) -> None:
        async def both() -> None:
            signals = (self.it.client.signal(self.run, name, name) for name in (first, second))
            await asyncio.gather(*signals, return_exceptions=True)

        self.do(both())

    @rule()
    def restart(self) -> None:
        self.loop.run_until_complete(self.it.restart())
        self.loop.run_until_complete(self.it.settle())

    @rule()
    def cancel(self) -> None:
        self.do(self.it.client.cancel(self.run, by="ann"))

    @invariant()
    def memory_is_what_the_journal_gives(self) -> None:
        if not self.run:
            return
        runner = self.it.client._runner
        row = self.it.run(self.run)
        assert row.status in ("waiting", "finished", "failed", "cancelled")
        waits = [read_wait(item) for item in runner.reader.all("waits_of_run", (self.run,))]
        fresh = Activation(runner, row, waits)
        fresh.load()
        hot = runner._hot.get(self.run)
        if hot is not None and hot.loaded:
            assert picture(fresh) == picture(hot)
        if row.ended:
            assert waits == []
            assert fresh.machine.outcome is not None
            assert fresh.machine.outcome.status == row.status
        else:
            assert {wait.command for wait in waits} == {leaf.id for leaf in fresh.machine.unsettled}

    @invariant()
    def nothing_is_undone_twice(self) -> None:
        assert len(done) == len(set(done))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=25, stateful_step_count=18, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
