"""A worker of accounts payable in a process of its own, made to be killed, and the people who answer its queues.

It does what `backstay demo --once` does. `die_at` counts every commit of its life: the journal's, the ERP's and the
intake ledger's, so that a death lies between any two of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from backstay import Client
from backstay.errors import BackstayError, StoreUnavailable
from backstay.store.clock import Clock
from benchmarks.forking import processes, start_forking
from examples.accounts_payable import erp as books
from examples.accounts_payable.actions import create_invoice, create_invoice_from_backlog, submit_payment
from examples.accounts_payable.app import INVOICES, app, run_folder_once, set_up
from examples.accounts_payable.erp import Erp
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.outcomes import Ending, actual

Word: TypeAlias = tuple[str, Any]
""" "open", "trouble" with a message, or "ended" with the outcome of every file."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """How one worker lives."""

    home: Path
    folder: Path = INVOICES
    die_at: int = 0
    """The commit after which it is killed; 0: it lives."""
    people: bool = False
    """Whether people release payments and work on the manual backlog."""
    clock_behind: float = 0.0
    patience: float = 0.0
    """Seconds after which posting and paying are given up, where the ERP hangs; 0: as the actions say. A machine under
    load may need longer than a short patience for an honest posting."""
    largest_file: int = 0
    """Bytes to which the system lets any of its files grow; 0: any number."""
    largest_store: int = 0
    """Pages to which the store may grow; 0: any number."""


# --- the worker's side ----------------------------------------------------------------------------------


class Behind(Clock):
    """A machine's clock that was set back."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def wall(self) -> float:
        return time.time() - self._seconds


def work(life: Life, parent: Connection) -> None:
    """Live one life; whatever goes wrong is told to the parent."""
    limit_files(life.largest_file)
    watch_commits(life)
    if life.patience:
        books.HANG_SECONDS = 3 * life.patience
        for action in (create_invoice, create_invoice_from_backlog, submit_payment):
            vars(action)["timeout_seconds"] = life.patience
    try:
        asyncio.run(go_on(life, lambda word, value=None: parent.send((word, value))))
    except BackstayError as error:
        parent.send(("trouble", str(error)))


def limit_files(size: int) -> None:
    if size:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def watch_commits(life: Life) -> None:
    """From now on every connection of this process counts its commits."""
    commits = iter(range(1, 10**9))

    class Watched(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            cursor = super().execute(statement, *parameters)
            if statement == "COMMIT" and next(commits) == life.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return cursor

    connect = sqlite3.connect

    def watched(path: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(path, *args, factory=Watched, **options)
        if life.largest_store and "backstay.db?mode=rwc" in str(path):
            connection.execute(f"PRAGMA max_page_count = {life.largest_store}")
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]


async def go_on(life: Life, tell: Callable[..., None]) -> None:
    logging.getLogger("backstay").addHandler(Told(tell))
    set_up(life.home)
    clock = Behind(life.clock_behind) if life.clock_behind else None
    async with app.open(life.home, clock=clock) as client:
        tell("open")
        inbox = await through(client, life, tell)
        while life.people and await answer(client, Erp(life.home / "erp.db")):
            await client.idle()
        tell("ended", await actual(client, inbox))


async def through(client: Client, life: Life, tell: Callable[..., None]) -> InboxFolder:
    """Take the whole folder in; while the store cannot commit, say so and try again."""
    while True:
        try:
            inbox = await run_folder_once(client, life.home, life.folder, settle=0.02)
            if "running" not in client.counts().get("process_invoice", {}):
                return inbox
        except StoreUnavailable as error:
            tell("trouble", str(error))
        await asyncio.sleep(0.1)


class Told(logging.Handler):
    """Hands what the engine logs to the parent."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell("trouble", record.getMessage())


async def answer(client: Client, erp: Erp) -> int:
    """People release what the treasury holds, retry the backlog, and look up what became of an unknown payment."""
    items = [*client.inbox(queue="treasury"), *client.inbox(queue="manual-backlog")]
    for item in items:
        if item.kind == "approval":
            await client.decide(item.id, "approved", by="theo")
        elif item.kind == "unknown":
            (key,) = {stored.event.key for stored in client.events(item.run) if stored.kind == "call_intended"}
            made = erp.payment_under(key)
            await client.settle(item.id, "happened" if made else "not-happened", by="ines", result=made)
        else:
            await client.retry(item.id, by="ines")
    return len(items)


# --- the other side -------------------------------------------------------------------------------------


class Worker:
    """A worker that lives."""

    def __init__(self, life: Life) -> None:
        start_forking(__name__)
        self._parent, child = processes.Pipe(duplex=False)
        self.process = processes.Process(target=work, args=(life, child), daemon=True)
        self.process.start()
        child.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def hear(self, seconds: float = 60.0) -> Word | None:
        """What it says next; None when it is dead."""
        if not self._parent.poll(seconds):
            raise AssertionError(f"the worker said nothing for {seconds} s")
        try:
            word: Word = self._parent.recv()
        except EOFError:
            return None
        return word

    def hear_until(self, wanted: str) -> Any:
        """What it says with this word; raises AssertionError when it dies before."""
        while (word := self.hear()) is not None:
            if word[0] == wanted:
                return word[1]
        raise AssertionError(f"the worker died before it said {wanted!r}")

    def kill(self) -> None:
        self.process.kill()
        self.bury()

    def bury(self) -> int | None:
        self.process.join()
        self._parent.close()
        return self.process.exitcode


@contextmanager
def working(life: Life) -> Iterator[Worker]:
    """A worker that is killed at the end, if it is still alive then."""
    worker = Worker(life)
    try:
        yield worker
    finally:
        worker.kill()


def live(life: Life) -> dict[str, Ending] | None:
    """Live a life to its end: the outcome of every file, or None when it was killed before."""
    worker = Worker(life)
    ended: dict[str, Ending] | None = None
    while (word := worker.hear()) is not None:
        if word[0] == "ended":
            ended = word[1]
    assert worker.bury() == (0 if ended is not None else -signal.SIGKILL)
    return ended


def live_on(life: Life) -> dict[str, Ending]:
    """A life that is not killed."""
    ended = live(replace(life, die_at=0, largest_file=0, largest_store=0))
    assert ended is not None
    return ended
