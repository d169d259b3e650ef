"""Backstay: its embedded store with default settings, every step through the whole gateway.

`speed` measures throughput, latencies in units of a synced append, replay and the gate; `parked` what 100,000 waiting
runs cost and how they wake up; `growth` whether cost stays linear. `restarted` is the second half of `parked`, in the
process that it starts. Everything goes through the public client, except replay and the gate, which are taken alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from backstay import App, Client, Workflow
from benchmarks.sides import backstay_parts
from benchmarks.sides.backstay_workflows import moments, parked, read_steps, write_steps
from benchmarks.sides.measures import Appender, gaps, percentile, report, resident_mb

AT_ONCE = 200
"""Runs in flight when many are started."""
REPEATS = 3
"""Short measurements are repeated in one process, and the median counts."""
BURSTS = 9
"""A burst takes a moment only, so it is repeated more often."""
RESTART_WITHIN = 300.0
"""Seconds for the second process of `parked`."""


def application() -> App:
    return App("benchmark", workflows=[read_steps, write_steps, parked])


# --- speed --------------------------------------------------------------------------------------------


async def speed(options: argparse.Namespace) -> dict[str, float]:
    home = options.scratch / "home"
    async with application().open(home) as client:
        await finish(client, read_steps, 3)
        reads = await together(client, read_steps, options)
        measured = {
            "steps_per_second": statistics.median(reads),
            "best_steps_per_second": max(reads),
            "write_steps_per_second": statistics.median(await together(client, write_steps, options)),
        }
        measured |= await one_by_one(client, options)
        measured["sustained_steps_per_second"] = await sustained(client, options)
        journals = [run.id for run in client.runs(workflow=read_steps.name, limit=options.runs)]
    measured |= backstay_parts.replay(home, journals)
    return measured | await backstay_parts.gateway(application(), home, journals[0], options.calls)


async def finish(client: Client, process: Workflow[..., Any], steps: int) -> None:
    """Start a run and hold its result."""
    result = await client.result(await client.start(process, {"steps": steps}))
    if result != steps:
        raise RuntimeError(f"a run of {steps} steps answered {result!r}")


async def together(client: Client, process: Workflow[..., Any], options: argparse.Namespace) -> list[float]:
    """All runs at once, a few times into one store: steps per second of each time."""
    rates: list[float] = []
    for _ in range(BURSTS):
        before = time.perf_counter()
        await asyncio.gather(*(finish(client, process, options.steps) for _ in range(options.runs)))
        rates.append(options.runs * options.steps / (time.perf_counter() - before))
    return rates


async def sustained(client: Client, options: argparse.Namespace) -> float:
    """Steps per second of ten times as many runs, as many at a time as before: checkpoints of the log included."""
    runs = options.runs * 10
    before = time.perf_counter()
    await in_parallel(options.runs, range(runs), lambda _: finish(client, read_steps, options.steps))
    return runs * options.steps / (time.perf_counter() - before)


async def one_by_one(client: Client, options: argparse.Namespace) -> dict[str, float]:
    """Latencies, in turn with synced appends to a plain file on the same disk."""
    appender = Appender(options.scratch / "append.db")
    steps_ms: list[float] = []
    runs_ms: list[float] = []
    for _ in range(10):
        appender.append(10)
        moments.clear()
        await finish(client, read_steps, options.sequential)
        steps_ms += gaps(moments)
    for _ in range(options.short):
        appender.append(3)
        before = time.perf_counter()
        await finish(client, read_steps, 3)
        runs_ms.append((time.perf_counter() - before) * 1000)
    step_ms, run_ms = statistics.median(steps_ms), statistics.median(runs_ms)
    return {
        "append_ms": appender.p50,
        "step_ms": step_ms,
        "run_ms": run_ms,
        "step_appends": step_ms / appender.p50,
        "run_appends": run_ms / appender.p50,
    }


# --- parked -------------------------------------------------------------------------------------------


async def park(options: argparse.Namespace) -> dict[str, float]:
    """Park many runs, look at this process, then hand the file to a new one and look at that."""
    home = options.scratch / "home"
    async with application().open(home) as client:
        first = await client.start(parked, {"number": 0})
        await until(lambda: count_waiting(client) == 1)
        await decide_and_wait(client, first)
        memory, workers = resident_mb(), count_workers()
        before = time.perf_counter()
        await in_parallel(AT_ONCE, range(options.runs), lambda number: client.start(parked, {"number": number}))
        await until(lambda: count_waiting(client) == options.runs)
        taken = time.perf_counter() - before
        here, added = resident_mb(), count_workers() - workers
    there = restart(options)
    return there | {
        "resident_mb": max(here, there["restarted_mb"]),
        "parked_kb_each": (here - memory) * 1000 / options.runs,
        "workers_added": max(added, there["restarted_workers"] - workers),
        "parking_s": taken,
    }


def count_workers() -> int:
    """Threads and coroutines of this process."""
    return threading.active_count() + len(asyncio.all_tasks())


def count_waiting(client: Client) -> int:
    return sum(queue.items for queue in client.queues() if queue.queue == "deciders")


def restart(options: argparse.Namespace) -> dict[str, float]:
    """Start a new process on the store; it says when it answers, and at the end what it measured."""
    command = [sys.executable, "-m", "benchmarks.sides.backstay_side", "restarted", "--scratch", str(options.scratch)]
    command += ["--runs", str(options.runs), "--decisions", str(options.decisions), "--burst", str(options.burst)]
    before = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(RESTART_WITHIN, process.kill)
        watchdog.start()
        assert process.stdout is not None
        ready = process.stdout.readline()
        taken = time.perf_counter() - before
        printed = process.stdout.read()
        watchdog.cancel()
    if process.returncode or ready.strip() != "ready":
        raise RuntimeError(f"the restarted process ended with exit code {process.returncode}")
    measured = json.loads(printed.strip().splitlines()[-1])
    return {"start_up_s": taken} | {name: value for name, value in measured.items() if isinstance(value, float | int)}


async def restarted(options: argparse.Namespace) -> dict[str, float]:
    """Decide in a fresh process, where no run is in memory yet."""
    async with application().open(options.scratch / "home") as client:
        if count_waiting(client) != options.runs:
            raise RuntimeError(f"{options.runs} runs were parked, {count_waiting(client)} are waiting")
        print("ready", flush=True)
        # Nothing that was left to do at start-up may hide behind the first answer.
        await asyncio.sleep(0.2)
        measured = {"restarted_mb": resident_mb(), "restarted_workers": count_workers()}
        runs = [item.run for item in client.inbox(queue="deciders", limit=options.decisions + options.burst)]
        one_ms = [await decide_and_wait(client, run) for run in runs[: options.decisions]]
        before = time.perf_counter()
        await asyncio.gather(*(decide_and_wait(client, run) for run in runs[options.decisions :]))
        return measured | {
            "decision_p50_ms": percentile(one_ms, 50),
            "decision_p99_ms": percentile(one_ms, 99),
            "burst_s": time.perf_counter() - before,
            "decided_mb": resident_mb(),
        }


async def decide_and_wait(client: Client, run: str) -> float:
    """Approve the one thing that a run waits for; milliseconds until the run is finished."""
    before = time.perf_counter()
    await client.decide(run, "approved", by="decider")
    ended = await client.wait(run)
    if ended.status != "finished":
        raise RuntimeError(f"run {run} {ended.status}: {ended.summary}")
    return (time.perf_counter() - before) * 1000


async def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(f"still not so after {seconds:g} s")
        await asyncio.sleep(0.02)


async def in_parallel(width: int, items: Iterable[Any], once: Callable[[Any], Awaitable[Any]]) -> None:
    """Do `once` for each item, at most `width` at a time."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await once(item)

    await asyncio.gather(*(work() for _ in range(width)))


# --- growth -------------------------------------------------------------------------------------------


async def growth(options: argparse.Namespace) -> dict[str, float]:
    """Cost per run over ever more runs, cost per step over ever longer runs; each size in a store of its own."""
    by_size = {size: await cost_of_runs(options.scratch, size) for size in options.sizes}
    most = max(options.lengths)
    by_length = {length: await cost_of_steps(options.scratch, length, most) for length in options.lengths}
    return {
        "run_cost_ratio": max(by_size.values()) / min(by_size.values()),
        "step_cost_ratio": max(by_length.values()) / min(by_length.values()),
        **{f"us_per_run_of_{size}_runs": cost * 1e6 for size, cost in by_size.items()},
        **{f"us_per_step_of_{length}_steps": cost * 1e6 for length, cost in by_length.items()},
    }


async def cost_of_runs(scratch: Path, size: int) -> float:
    """Seconds per run of three steps, 200 at a time. Small sizes several times, so that chance does not decide."""
    costs: list[float] = []
    for repeat in range(REPEATS if size <= 10_000 else 1):
        async with application().open(scratch / f"runs-{size}-{repeat}") as client:
            await finish(client, read_steps, 3)
            before = time.perf_counter()
            await in_parallel(min(AT_ONCE, size), range(size), lambda _, on=client: finish(on, read_steps, 3))
            costs.append((time.perf_counter() - before) / size)
    return statistics.median(costs)


async def cost_of_steps(scratch: Path, length: int, most: int) -> float:
    """Seconds per step of runs of `length` steps, one after the other, in all as many steps as the longest run has."""
    async with application().open(scratch / f"steps-{length}") as client:
        await finish(client, read_steps, 3)
        before = time.perf_counter()
        for _ in range(most // length):
            await finish(client, read_steps, length)
        return (time.perf_counter() - before) / (most // length * length)


# --- the command ----------------------------------------------------------------------------------------


def main() -> None:
    kinds = {"speed": speed, "parked": park, "restarted": restarted, "growth": growth}
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sequential", type=int, default=30, help="steps of each of the ten runs that go alone")
    parser.add_argument("--short", type=int, default=100, help="how many three-step runs, one after the other")
    parser.add_argument("--calls", type=int, default=2_000, help="calls through the gate without a commit")
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--sizes", type=numbers, default=[1_000, 10_000, 100_000])
    parser.add_argument("--lengths", type=numbers, default=[10, 100, 10_000])
    options = parser.parse_args()
    options.runs = options.runs or (200 if options.kind == "speed" else 100_000)
    report(**asyncio.run(kinds[options.kind](options)), versions={})


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
