"""The worker that chaos kills: both examples in one application, in processes forked from one that has imported all.

Every life is a process of its own with its own connections. `Life` says what kills it: the supervisor after some time, or
itself, with the same signal, in the midst of one of its commits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from backstay import App, Client, Queue, approval, workflow
from backstay.engine.control import serve
from backstay.errors import BackstayError, StoreUnavailable
from backstay.store.clock import Clock
from benchmarks.forking import processes, start_forking
from examples.accounts_payable import app as payables
from examples.accounts_payable.app import start_cases
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.investigation import investigator
from examples.accounts_payable.process import pay_invoice, process_invoice
from examples.leave_request import app as leave
from examples.leave_request.actions import notify
from examples.leave_request.process import request_leave

BEGIN: Final = 1_767_603_600.0
"""Monday, 5 January 2026, nine o'clock UTC: when the office opens, whenever chaos is run."""

LOOK: Final = 0.05
"""Seconds between looks into the drop folder."""


@workflow
async def agree(motion: str) -> str:
    """Two of the board must agree; then it is announced."""
    decision = await approval("board", show={"motion": motion}, quorum=2)
    if decision.approved:
        await notify("staff", "The board agreed", motion)
    return decision.verdict


BOARD: Final = ("ada", "bela", "chen", "dora")

app = App(
    "chaos",
    workflows=[process_invoice, pay_invoice, investigator, request_leave, agree],
    queues=[
        *payables.QUEUES,
        *(queue for queue in leave.QUEUES if queue.name not in {named.name for named in payables.QUEUES}),
        Queue(name="board", owner="ada", about="Motions", members=BOARD, within="2d", lease="2h", remind=("1d",)),
    ],
)


@dataclass(frozen=True, kw_only=True)
class Life:
    """One life of the worker."""

    home: Path
    ahead: float = 0.0
    """Seconds by which its clock is ahead of the office's opening when it is born."""
    commit: int = 0
    """The commit of its life, in any of its databases, at which it kills itself; 0: none."""
    delay: float = 0.0
    """Seconds from just before that commit to the signal."""


class Later(Clock):
    """The office's clock: the nights and the downtime between two lives pass at once."""

    def __init__(self, ahead: float) -> None:
        super().__init__()
        self._offset = BEGIN + ahead - time.time()

    def wall(self) -> float:
        return time.time() + self._offset


def work(life: Life, parent: Connection) -> None:
    """Live; what went wrong is told to the parent before the end."""
    logging.getLogger("backstay").addHandler(Told(parent))
    if life.commit:
        sqlite3.connect = _watched(life, parent)  # type: ignore[assignment]
    try:
        asyncio.run(_live(life, parent))
    except BackstayError as error:
        parent.send(("trouble", f"{error.code}: {error}"))


class Told(logging.Handler):
    """Hands what the engine logs to the parent."""

    def __init__(self, parent: Connection) -> None:
        super().__init__(logging.WARNING)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.send(("log", record.getMessage()))


async def _live(life: Life, parent: Connection) -> None:
    payables.set_up(life.home)
    leave.set_up(life.home)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with app.open(life.home, clock=Later(life.ahead)) as client, serve(client, life.home):
        parent.send(("open", None))
        await _take_in(client, InboxFolder(life.home / "drop", life.home, settle=LOOK), stop)


async def _take_in(client: Client, inbox: InboxFolder, stop: asyncio.Event) -> None:
    """Start a case for every file that arrives, until somebody stops the worker."""
    while not stop.is_set():
        await asyncio.to_thread(inbox.look)
        with suppress(StoreUnavailable):
            await start_cases(client, inbox)
        if client.fault is not None:
            raise client.fault
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK)


def _watched(life: Life, parent: Connection) -> Any:
    """`sqlite3.connect` whose connections count their commits; one of them is the last."""
    commits, connect = iter(range(1, 10**9)), sqlite3.connect

    def die() -> None:
        time.sleep(life.delay)
        os.kill(os.getpid(), signal.SIGKILL)

    class Watched(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            last = statement == "COMMIT" and next(commits) == life.commit
            if last:
                parent.send(("committing", None))
                threading.Thread(target=die, daemon=True).start()
            cursor = super().execute(statement, *parameters)
            if last:
                parent.send(("committed", None))
            return cursor

    def watched(path: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        return connect(path, *args, factory=Watched, **options)

    return watched


# --- the supervisor's side --------------------------------------------------------------------------------


class Worker:
    """A worker that lives, and what it said."""

    def __init__(self, life: Life) -> None:
        start_forking("benchmarks.chaos_office", "benchmarks.chaos_people")
        self._parent, child = processes.Pipe(duplex=False)
        self.process = processes.Process(target=work, args=(life, child), daemon=True)
        self.said: list[tuple[str, Any]] = []
        self.process.start()
        child.close()

    def hear(self, until: str, seconds: float) -> bool:
        """Whether it says a word within some time; False too when it is dead."""
        end = time.monotonic() + seconds
        while self._parent.poll(max(0.0, end - time.monotonic())):
            try:
                self.said.append(self._parent.recv())
            except EOFError:
                return False
            if self.said[-1][0] == until:
                return True
        return False

    def kill(self) -> int | None:
        """End it at once, if it has not ended itself, and hear what it said last; answers with its exit code."""
        self.process.kill()
        return self.bury()

    def stop(self) -> int | None:
        """Ask it to end; answers with its exit code."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(60)
        return self.kill()

    def bury(self) -> int | None:
        self.process.join()
        self.hear("", 0.0)
        self._parent.close()
        return self.process.exitcode

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.said]
