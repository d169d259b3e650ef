"""Two parts of the engine taken alone, without commits: replay of stored journals, and the gate."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from backstay import App
from backstay import events as ev
from backstay.engine.application import STORE_FILE
from backstay.engine.gateway import Gateway
from backstay.engine.replay import Machine
from backstay.events import Event
from backstay.governance.labels import Labels
from backstay.language import Program, compile_definition
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.journal import Head, Write, genesis, link
from backstay.store.payloads import Payloads
from backstay.store.views import Run, Stored, Wait, find_run, read_events
from benchmarks.sides.backstay_workflows import read_steps
from benchmarks.sides.measures import percentile

REPLAY_SECONDS = 1.0
"""The journals are replayed over and over for about this long."""


def replay(home: Path, runs: Sequence[str]) -> dict[str, float]:
    """Events per second on one core: `load` reads, decodes and proves each journal too, `replay` does not."""
    reader = Reader(home / STORE_FILE)
    try:
        started = cast("ev.RunStarted", read_events(reader, runs[0])[0].event)
        program = compile_definition(reader.one("definition", (started.version,))["text"], started.version)
        journals = {run: read_events(reader, run) for run in runs}
        pure = rate(lambda: sum(drive(run, program, journal) for run, journal in journals.items()))
        whole = rate(lambda: sum(drive(run, program, proved(run, read_events(reader, run))) for run in runs))
    finally:
        reader.close()
    return {"replay_events_per_second": pure, "load_events_per_second": whole}


def drive(run: str, program: Program, journal: Sequence[Stored]) -> int:
    """Replay one journal to its end; returns how many events that were."""
    machine = Machine(run, program, cast("ev.RunStarted", journal[0].event))
    for item in journal[1:]:
        machine.apply(item.event, item.seq)
    if machine.outcome is None or machine.outcome.status != "finished":
        raise RuntimeError(f"run {run} did not replay to its end")
    return len(journal)


def proved(run: str, journal: Sequence[Stored]) -> Sequence[Stored]:
    """Check the hash chain, as the engine does when it loads a run."""
    _, previous = genesis(run)
    for item in journal:
        previous = link(previous, run, item.seq, item.kind, item.body)
        if previous != item.hash:
            raise RuntimeError(f"event {item.seq} of run {run} does not match its chain")
    return journal


def rate(once: Callable[[], int]) -> float:
    """Events per second of a function that returns how many events it replayed."""
    rates: list[float] = []
    end = time.perf_counter() + REPLAY_SECONDS
    while not rates or time.perf_counter() < end:
        before = time.perf_counter()
        events = once()
        rates.append(events / (time.perf_counter() - before))
    return statistics.median(rates)


class Case:
    """A run that only the gate sees: its events are encoded, chained and applied, but nobody commits them."""

    def __init__(self, machine: Machine, row: Run) -> None:
        self.machine, self.row, self.labels = machine, row, Labels()
        self.head: Head = (row.seq, row.head)

    async def record(self, event: Event, write: Write | None = None, wait: Wait | None = None) -> None:
        self.head = (write or Write()).append(self.row.id, self.head, event)
        self.machine.apply(event, self.head[0])


async def gateway(app: App, home: Path, run: str, calls: int) -> dict[str, float]:
    """Microseconds that one read action spends in the whole gate and in advancing its run, without the commit."""
    clock, reader = Clock(), Reader(home / STORE_FILE)
    gate = Gateway(app.actions, clock=clock, payloads=Payloads(home, reader), policy=app.policy, limits=app.limits)
    definition = read_steps.definition
    program = compile_definition(definition.text, definition.version)
    row = find_run(reader, run)
    started = ev.RunStarted(at=clock.stamp(), workflow=row.workflow, version=row.version, input={"steps": calls})
    case = Case(Machine(row.id, program, started), row)
    taken: list[float] = []
    while case.machine.outcome is None:
        (leaf,) = case.machine.open.values()
        before = time.perf_counter()
        await gate.perform(case, leaf)
        taken.append((time.perf_counter() - before) * 1e6)
    reader.close()
    if len(taken) != calls:
        raise RuntimeError(f"{calls} calls were asked for, {len(taken)} went through the gate")
    return {"gateway_p50_us": percentile(taken, 50), "gateway_p99_us": percentile(taken, 99)}
