"""How a command reaches a store: reading its file, through the worker that owns it, or by opening it itself.

With a key in BACKSTAY_KEY nothing of the file is shown before the key was checked; without one, whoever may read the file
may read it here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from backstay.engine.client import Client
    from backstay.engine.control import RemoteClient
    from backstay.events import RunStarted
    from backstay.governance.principals import Capability, Directory
    from backstay.store.database import Reader
    from backstay.store.views import Run, Wait

T = TypeVar("T")
STORE_FILE = "backstay.db"
MAKES = (
    "`backstay start FILE:WORKFLOW`, `backstay dev FILE` or `backstay people add NAME --role administrator` makes one, "
    "`backstay init NAME` a project to start from"
)
GOAL = 60
"""Characters of a session's goal that a list shows."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 0)
"""Seconds between attempts to reach a store that another process has."""


def store_exists(home: Path) -> bool:
    return (home / STORE_FILE).exists()


@contextmanager
def reading(home: Path, needs: Capability = "see") -> Generator[Reader]:
    """A reader on the store's file, for what is to be shown; raises NotFound, and NotAllowed when the key is not enough."""
    with reader_of(home) as reader:
        signed_in(home, needs)
        yield reader


def signed_in(home: Path, needs: Capability | None = None, named: str = "") -> str:
    """Whose key BACKSTAY_KEY is, "" without one; raises NotAllowed when it does not count, is not enough, or not `named`'s.

    The refusal is recorded by whoever may write the store; if nobody can just now, it is a refusal all the same.
    """
    key = os.environ.get("BACKSTAY_KEY", "").strip()
    if not key:
        return ""
    from backstay.errors import BackstayError, NotAllowed
    from backstay.governance.approvals import folded
    from backstay.store.clock import Clock

    directory = directory_of(home)
    try:
        who = directory.authenticate(key, Clock().stamp()).id
        if folded(named) not in ("", folded(who)):
            raise NotAllowed(
                f"the key in BACKSTAY_KEY belongs to {who!r}; leave --as and BACKSTAY_USER out, or unset the key"
            )
        if needs is not None:
            directory.check(who, needs)
    except NotAllowed:
        with suppress(BackstayError, OSError):
            change(home, lambda client: client.authorize(key, needs, by=named or None))
        raise
    return who


def may_see(home: Path) -> bool:
    """Whether more may be told than what somebody did themselves."""
    who = signed_in(home)
    return not who or "see" in directory_of(home).capabilities(who)


def directory_of(home: Path) -> Directory:
    """Who is registered, as the store's file says; for what a command decides, not for what it shows."""
    from backstay.governance.principals import WHATS, Directory
    from backstay.store.views import system_events

    with reader_of(home) as reader:
        return Directory.of(event for what in WHATS for event in system_events(reader, what))


@contextmanager
def reader_of(home: Path) -> Generator[Reader]:
    """A reader on the store's file, for what a command itself needs to know; raises NotFound when there is none."""
    from backstay.errors import NotFound
    from backstay.store.database import Reader

    if not store_exists(home):
        demo = home / "demo"
        other = f"the demo's is in {str(demo)!r}: add --home {demo}" if store_exists(demo) else "or name another --home"
        raise NotFound(f"there is no store in {str(home)!r}; {MAKES}; {other}")
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
async def desk(home: Path, new: bool = False) -> AsyncGenerator[tuple[Client | RemoteClient, bool]]:
    """Who carries out a change: (the worker that owns the store, True), or (the store opened to decide, False).

    new: make the store if there is none.
    """
    if not new or store_exists(home):
        with reader_of(home):
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


def change(
    home: Path, ask: Callable[[Client | RemoteClient], Coroutine[Any, Any, T]], *, new: bool = False
) -> tuple[T, bool]:
    """Carry out one change; gives its answer and whether a worker goes on with it at once."""

    import asyncio

    async def carry_out() -> tuple[T, bool]:
        async with desk(home, new) as (client, working):
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
    """What set a run off, in a few words: its trigger or its key; of a session its goal."""
    from backstay.engine.answers import TRIGGER
    from backstay.operations.wording import plain

    started = first_event(reader, run)
    if started is None:
        return ""
    if started.parent:
        return about(reader, started.parent)
    if started.trigger == TRIGGER and (goal := goal_of(started)):
        return f"{TRIGGER}: {plain(goal, GOAL)}"
    trigger = started.trigger if started.trigger != "command line" else ""
    return plain(trigger or started.key or "") if trigger or started.key else ""


def goal_of(started: RunStarted) -> str:
    """What a session is about, in the words of who began it; "" where they said nothing, or it lies beside the journal."""
    case = started.input.get("input") if isinstance(started.input, dict) else None
    goal = case.get("goal") if isinstance(case, dict) else None
    return goal if isinstance(goal, str) else ""


def starter(reader: Reader, run: str) -> str:
    """Who started a run: a service, say, for the requester."""
    started = first_event(reader, run)
    return "" if started is None else started.by


def first_event(reader: Reader, run: str) -> RunStarted | None:
    """How a run began; None where the journal does not say."""
    from backstay.events import RunStarted
    from backstay.store.encoding import decode

    first = next(iter(reader.all("event_body", (run, 1))), None)
    started = decode(first["kind"], first["body"]) if first is not None else None
    return started if isinstance(started, RunStarted) else None


def run_named(reader: Reader, name: str) -> Run:
    """A run by its id or an unambiguous part; a name with /COMMAND is understood too."""
    from backstay.errors import NotFound
    from backstay.store.views import find_run

    part = name.partition("/")[0]
    if len(part) < 4:
        raise NotFound(f"{part!r} names no run: give four or more characters of its id; `backstay runs` lists them")
    return find_run(reader, part)


def look(home: Path, run: str) -> Run:
    """A run's row as it is now, for whoever began or changed it."""
    with reader_of(home) as reader:
        return run_named(reader, run)
