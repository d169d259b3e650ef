"""How a command reaches a store: reading its file, through the worker that owns it, or by opening it itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from backstay.engine.client import Client
    from backstay.engine.control import RemoteClient
    from backstay.store.database import Reader
    from backstay.store.views import Run, Wait

T = TypeVar("T")
STORE_FILE = "backstay.db"
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 0)
"""Seconds between attempts to reach a store that another process has."""


def store_exists(home: Path) -> bool:
    return (home / STORE_FILE).exists()


@contextmanager
def reading(home: Path) -> Generator[Reader]:
    """A reader on the store's file; raises NotFound when there is none."""
    from backstay.errors import NotFound
    from backstay.store.database import Reader

    if not store_exists(home):
        demo = home / "demo"
        other = f"the demo's is in {str(demo)!r}: add --home {demo}" if store_exists(demo) else "or name another --home"
        raise NotFound(f"there is no store in {str(home)!r}; `backstay start` or `backstay dev` makes one; {other}")
    reader = Reader(home / STORE_FILE)
    try:
        check_store(reader, home)
        yield reader
    finally:
        reader.close()


def check_store(reader: Reader, home: Path) -> None:
    """Refuse a database that is not ours; a store that is ours and damaged is for the commands to report."""
    from backstay.errors import StoreMismatch, StoreUnavailable

    try:
        reader.value("last_position")
    except StoreUnavailable as error:
        if "no such" in str(error):
            raise StoreMismatch(
                f"{STORE_FILE!r} in {str(home)!r} is no Backstay store: it is empty or another program's. "
                "Move it away, or name another --home"
            ) from None
        raise


@asynccontextmanager
async def desk(home: Path) -> AsyncGenerator[tuple[Client | RemoteClient, bool]]:
    """Who carries out a change: (the worker that owns the store, True), or (the store opened to decide, False)."""
    with reading(home):
        pass
    async with AsyncExitStack() as stack:
        yield await _served_or_opened(home, stack)


async def _served_or_opened(home: Path, stack: AsyncExitStack) -> tuple[Client | RemoteClient, bool]:
    """Another command may have the store for a moment, or a worker may be starting: try again for a few seconds."""
    import asyncio

    from backstay.engine.application import App
    from backstay.engine.control import find_worker, read_rules
    from backstay.errors import StoreLocked

    for pause in PAUSES:
        worker = find_worker(home)
        if worker is not None:
            return worker, True
        try:
            app = App("backstay", workflows=(), queues=read_rules(home))
            return await stack.enter_async_context(app.open(home, resume=False)), False
        except StoreLocked:
            if not pause:
                raise
            await asyncio.sleep(pause)
    raise AssertionError("the last pause is 0")


def change(home: Path, ask: Callable[[Client | RemoteClient], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
    """Carry out one change; gives its answer and whether a worker goes on with it at once."""

    import asyncio

    async def carry_out() -> tuple[T, bool]:
        async with desk(home) as (client, working):
            return await ask(client), working

    return asyncio.run(carry_out())


def goes_on(working: bool) -> None:
    """Say when the run goes on, if that is not at once."""
    from backstay.cli.screen import hint

    if not working:
        hint("No worker is running: this is recorded, and the run goes on when one is started (`backstay dev FILE`).")


def find_item(reader: Reader, item: str, kinds: frozenset[str] = frozenset()) -> Wait | None:
    """The waiting item that a person means, to show it; None when it is not clear. The client decides, not this."""
    from backstay.store.views import read_wait

    run, _, command = item.partition("/")
    row = run_named(reader, run)
    waits = [read_wait(found) for found in reader.all("waits_of_run", (row.id,))]
    fitting = [wait for wait in waits if (wait.command == command if command else wait.kind in kinds)]
    return fitting[0] if len(fitting) == 1 else None


def about(reader: Reader, run: str) -> str:
    """What set a run off, in a few words: its trigger or its key."""
    from backstay.events import RunStarted
    from backstay.operations.wording import plain
    from backstay.store.encoding import decode

    first = next(iter(reader.all("event_body", (run, 1))), None)
    started = decode(first["kind"], first["body"]) if first is not None else None
    if not isinstance(started, RunStarted):
        return ""
    if started.parent:
        return about(reader, started.parent)
    trigger = started.trigger if started.trigger != "command line" else ""
    return plain(trigger or started.key or "") if trigger or started.key else ""


def run_named(reader: Reader, name: str) -> Run:
    """A run by its id or an unambiguous part; a name with /COMMAND is understood too."""
    from backstay.errors import NotFound
    from backstay.store.views import find_run

    part = name.partition("/")[0]
    if len(part) < 4:
        raise NotFound(f"{part!r} names no run: give four or more characters of its id; `backstay runs` lists them")
    return find_run(reader, part)


def look(home: Path, run: str) -> Run:
    """A run's row as it is now."""
    with reading(home) as reader:
        return run_named(reader, run)
