"""LangGraph with its own checkpointers, `durability="sync"`, in the quickest honest configuration we found.

- SQLite: a `StateGraph` whose one node runs in a loop, the synchronous `SqliteSaver` on one connection (WAL, which the
  saver sets itself; synchronous=FULL), two threads. Of graph and functional API, threads (1, 2, 4, 8, 16), a connection
  per thread, and `AsyncSqliteSaver` (2 to 60 runs at a time) this was the best or within the noise of it.
- PostgreSQL: the functional API (`@entrypoint`, `@task`), async, 16 runs at a time, each with a connection and saver of
  its own, because a saver holds one lock around its connection or pool. Quicker than graphs, than threads, and than one
  shared connection.
- The functional API hands a task's result to the saver in the background, also under `durability="sync"`: the next
  task may begin before it is on disk. The other contestants promise more; we leave it the advantage.
- Tracing is off; no other callback is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import psycopg  # pyright: ignore[reportMissingImports]
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # pyright: ignore[reportMissingImports]
from langgraph.checkpoint.sqlite import SqliteSaver  # pyright: ignore[reportMissingImports]
from langgraph.func import entrypoint, task  # pyright: ignore[reportMissingImports]
from langgraph.graph import END, START, StateGraph  # pyright: ignore[reportMissingImports]
from langgraph.types import interrupt  # pyright: ignore[reportMissingImports]
from psycopg.rows import dict_row  # pyright: ignore[reportMissingImports]

from benchmarks.sides.measures import Memory, gaps, report

moments: list[float] = []
threads = itertools.count()


class State(TypedDict):
    number: int
    steps: int


def node(state: State) -> dict[str, int]:
    moments.append(time.perf_counter())
    return {"number": state["number"] + 1}


def build_graph(saver: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("step", node)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["number"] < state["steps"] else END)
    return graph.compile(checkpointer=saver)


@task
async def step(number: int) -> int:
    moments.append(time.perf_counter())
    return number + 1


def build_function(saver: Any) -> Any:
    @entrypoint(checkpointer=saver)
    async def count(steps: int) -> int:
        number = 0
        for _ in range(steps):
            number = await step(number)
        return number

    return count


def fresh() -> dict[str, Any]:
    """A configuration that names a new thread, LangGraph's word for a run."""
    return {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": 20_000}


def measure_sqlite(options: argparse.Namespace) -> dict[str, float]:
    connection = sqlite3.connect(options.scratch / "langgraph.sqlite", check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    saver = SqliteSaver(connection)
    saver.setup()
    app = build_graph(saver)

    def run(steps: int) -> None:
        expect(app.invoke({"number": 0, "steps": steps}, fresh(), durability="sync")["number"], steps)

    run(3)
    before = time.perf_counter()
    with ThreadPoolExecutor(options.workers or 2) as pool:
        list(pool.map(run, [options.steps] * options.runs))
    rate = options.runs * options.steps / (time.perf_counter() - before)
    moments.clear()
    run(options.sequential)
    step_ms = statistics.median(gaps(moments))
    runs_ms: list[float] = []
    for _ in range(options.short):
        before = time.perf_counter()
        run(3)
        runs_ms.append((time.perf_counter() - before) * 1000)
    return {"steps_per_second": rate, "step_ms": step_ms, "run_ms": statistics.median(runs_ms)}


def park(options: argparse.Namespace) -> dict[str, float]:
    """Interrupt `options.parked` runs; nothing but their rows is left of them, and nothing resumes them by itself."""
    connection = sqlite3.connect(options.scratch / "langgraph.sqlite", check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    graph = StateGraph(State)
    graph.add_node("decide", lambda state: {"number": interrupt(state["number"])})
    graph.add_edge(START, "decide")
    saver = SqliteSaver(connection)
    saver.setup()
    app = graph.compile(checkpointer=saver)
    memory = Memory()
    for number in range(options.parked):
        app.invoke({"number": number, "steps": 0}, fresh(), durability="sync")
    return memory.parked(options.parked)


async def measure_postgres(options: argparse.Namespace) -> dict[str, float]:
    workers = options.workers or 16
    connections = [
        await psycopg.AsyncConnection.connect(
            options.database, autocommit=True, prepare_threshold=0, row_factory=dict_row
        )
        for _ in range(workers)
    ]
    savers = [AsyncPostgresSaver(connection) for connection in connections]
    await savers[0].setup()
    apps = [build_function(saver) for saver in savers]

    async def run(app: Any, steps: int) -> None:
        expect(await app.ainvoke(steps, fresh(), durability="sync"), steps)

    await run(apps[0], 3)
    before = time.perf_counter()
    waiting = iter(range(options.runs))

    async def work(app: Any) -> None:
        for _ in waiting:
            await run(app, options.steps)

    await asyncio.gather(*(work(app) for app in apps))
    rate = options.runs * options.steps / (time.perf_counter() - before)
    moments.clear()
    await run(apps[0], options.sequential)
    step_ms = statistics.median(gaps(moments))
    run_ms = await median_ms(options.short, lambda: run(apps[0], 3))
    for connection in connections:
        await connection.close()
    return {"steps_per_second": rate, "step_ms": step_ms, "run_ms": run_ms}


async def median_ms(times: int, once: Callable[[], Awaitable[None]]) -> float:
    taken: list[float] = []
    for _ in range(times):
        before = time.perf_counter()
        await once()
        taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken)


def expect(result: int, steps: int) -> None:
    if result != steps:
        raise RuntimeError(f"a run of {steps} steps answered {result}")


def create_database(address: str) -> None:
    """Create the database that the address names, on the server's own `postgres` database."""
    place, _, parameters = address.partition("?")
    server, _, name = place.rpartition("/")
    with psycopg.connect(f"{server}/postgres?{parameters}", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--database", help="address of a PostgreSQL database to create; SQLite in --scratch without it")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sequential", type=int, default=100, help="steps of the run that goes alone")
    parser.add_argument("--short", type=int, default=40, help="how many three-step runs, one after the other")
    parser.add_argument("--parked", type=int, help="only park this many runs, and report memory")
    options = parser.parse_args()
    os.environ["LANGSMITH_TRACING"] = "false"
    if options.parked:
        measured = park(options)
    elif options.database:
        create_database(options.database)
        measured = asyncio.run(measure_postgres(options))
    else:
        measured = measure_sqlite(options)
    checkpointer = "langgraph-checkpoint-postgres" if options.database else "langgraph-checkpoint-sqlite"
    versions = {name: version(name) for name in ("langgraph", checkpointer)}
    report(**measured, versions=versions | {"sqlite": sqlite3.sqlite_version})


if __name__ == "__main__":
    main()
