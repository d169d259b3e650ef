"""The journal: the only writer of the store.

Group commit: everything that was handed in while the last transaction was syncing goes into the next one, so throughput
grows with concurrency and a single append stays near one sync. A `Write` is atomic. Each run's events are hash-chained,
and each commit chains the hashes of its events, so that a cut tail shows as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from backstay.errors import StoreFenced, StoreUnavailable, WriteRefused
from backstay.events import Event
from backstay.store.database import connect, migrate, queries
from backstay.store.encoding import encode
from backstay.store.files import sync_names

log = logging.getLogger("backstay")

SYSTEM: Final = "system"
"""The run id of the system's own chain."""

Head = tuple[int, bytes]
"""(seq, hash) of the last event of a chain."""

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "runs": (
        "id", "workflow", "version", "status", "key", "parent", "parent_command",
        "requester", "started_at", "updated_at", "seq", "head", "summary",
    ),
    "waits": (
        "run", "command", "kind", "queue", "title", "opened_at", "due_at", "wake_at", "claimed_by", "requester", "subject",
        "priority", "claimed_until", "assigned", "asked_at",
    ),
    "definitions": ("version", "name", "text", "stored_at"),
    "blobs": ("digest", "data"),
    "sealed": ("token", "cipher"),
    "person_keys": ("id", "person", "wrapped"),
    "checkpoints": ("size", "note", "made_at"),
}  # fmt: skip
"""Columns of the tables that a Write may change besides `events`, in the order of their rows."""

PUT: Final = {
    "runs": (
        "INSERT",
        " ON CONFLICT (id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in TABLES["runs"]),
    ),
    "waits": ("INSERT OR REPLACE", ""),
    "person_keys": (
        "INSERT",
        " ON CONFLICT (id) DO UPDATE SET person = excluded.person, wrapped = excluded.wrapped WHERE wrapped IS NOT NULL",
    ),
}
"""How a row is written where it may change. Not REPLACE for runs: it would silently delete another run of the same key.
The key of a person who was erased never comes back, whatever was on its way. Rows of the other tables are addressed by
their content and never change: writing one again is nothing."""

CHUNKS: Final = (256, 64, 16, 4, 1)
"""Rows per INSERT. One statement is one step inside SQLite, so the interpreter's lock is given up once, not per row."""


REMEMBERED_CHAINS: Final = 50_000
"""Chains whose last seq the writer keeps in memory."""


def genesis(run: str) -> Head:
    """Where a run's chain begins."""
    return 0, hashlib.sha256(b"backstay run\0" + run.encode()).digest()


def link(previous: bytes, run: str, seq: int, kind: str, body: str) -> bytes:
    """The hash of an event: SHA-256 over the previous hash, run, seq, kind and body."""
    return hashlib.sha256(previous + f"{run}\0{seq}\0{kind}\0{body}".encode("utf-8", "surrogatepass")).digest()


def link_commit(previous: bytes, hashes: Iterable[bytes]) -> bytes:
    """The hash of a commit: SHA-256 over the previous commit's hash and those of its events."""
    return hashlib.sha256(previous + b"".join(hashes)).digest()


StagedEvent = tuple[str, int, str, str, bytes, bytes]
"""(run, seq, kind, body, hash, hash of the event before it in the run)"""


@dataclass(slots=True)
class Write:
    """Changes that become true together or not at all."""

    events: list[StagedEvent] = field(default_factory=list)
    rows: dict[str, dict[Any, tuple[Any, ...] | None]] = field(default_factory=dict)
    """table -> key -> row, or None to delete it (waits only)."""
    over: list[tuple[Any, ...]] = field(default_factory=list)
    """The rows of waits that it deletes, for those who are told of it."""
    scrub: bool = False
    """Whether the file is written anew after it, so that nothing which it took away is left in any byte."""

    def append(self, run: str, head: Head, event: Event) -> Head:
        """Add an event to a run's chain and return the new head."""
        kind, body = encode(event)
        seq = head[0] + 1
        hash_ = link(head[1], run, seq, kind, body)
        self.events.append((run, seq, kind, body, hash_, head[1]))
        return seq, hash_

    def put(self, table: str, key: Any, row: tuple[Any, ...] | None) -> None:
        rows = self.rows.get(table)
        if rows is None:
            rows = self.rows[table] = {}
        rows[key] = row


Then = Callable[[Exception | None], None]
"""What to do in the loop when a write is synced (None) or lost (why)."""

Pending = tuple[Write, "asyncio.Future[None]", Then | None]

Batch = list[Pending]


PATIENCE: Final = 10_000
"""Milliseconds that the journal's thread waits for another process's transaction; the loop waits for none."""


class StoreBusy(StoreUnavailable):
    """Another process holds the store's lock."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A transaction that holds its rows and has not been synced: what is true once it is."""

    commit: tuple[int, int, bytes]
    heads: dict[str, Head]


class Journal:
    """Owns the writing connection; `submit` is awaited, the rest is for opening and closing.

    The loop's thread fills a transaction, which is work for the processor, and the writer's thread syncs it, which is
    work for the disk: while it waits there, the loop goes on with other runs and neither needs what the other holds.
    """

    def __init__(
        self, path: Path, *, synchronous: str = "FULL", on_commit: Callable[[int], None] | None = None
    ) -> None:
        self._connection = connect(path)
        self._connection.execute(f"PRAGMA synchronous = {'OFF' if synchronous == 'OFF' else 'FULL'}")
        migrate(self._connection)
        self._connection.execute("PRAGMA busy_timeout = 0")
        self.unscrubbed = ""
        """Why bytes that were taken away may still lie in the file, if so; the next one who opens it tries again."""
        if self._connection.execute(queries()["must_scrub"]).fetchone()[0]:
            self._scrub()
        self._epoch: int = self._connection.execute(queries()["take_ownership"]).fetchall()[0][0]
        if synchronous != "OFF":
            sync_names(path.parent)  # SQLite does so for a log that it makes, not for one that a killed worker left
            sync_names(path.absolute().parent.parent)
        row = self._connection.execute(queries()["last_commit"]).fetchone()
        self._commit: tuple[int, int, bytes] = tuple(row) if row else (0, 0, hashlib.sha256(b"backstay").digest())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: Batch = []
        self._batch: Batch = []
        """What is being synced just now."""
        self._syncing = False
        """Whether the connection is the writer's thread's now; otherwise it is the loop's."""
        self._refusing = False
        """Whether new writes are turned away."""
        self._closing = False
        """Whether the connection is that of `close`."""
        self._lock = threading.Lock()
        """Held while a transaction is filled, so that closing does not come in between."""
        self._fault: Exception | None = None
        self._on_commit = on_commit
        self._heads: dict[str, Head] = {}
        """Heads of the chains written lately: a write that does not build on what was committed is refused."""
        self._filled: SimpleQueue[tuple[Batch, Filled | Exception] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="backstay-journal", daemon=True)
        self._thread.start()

    def submit(self, write: Write, then: Then | None = None) -> asyncio.Future[None]:
        """Hand in a write; the future is done once it is synced. Raises StoreUnavailable or StoreFenced through it.

        then: called once in the loop, before whoever awaits goes on, and also when nobody awaits any more; what it raises
        goes to the future.
        """
        if self._refusing or self._fault:
            fault = self._fault or StoreUnavailable("the store is closed")
            if then is not None:
                then(fault)
            raise fault
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        pending = self._pending
        pending.append((write, future, then))
        if len(pending) == 1:
            loop.call_soon(self._fill_next)  # not at once: what else is ready in this turn goes into the same commit
        return future

    def _fill_next(self) -> None:
        """Put what is pending into one transaction and have it synced, unless another is being synced just now."""
        with self._lock:
            if self._syncing or self._closing or not self._pending:
                return
            batch, self._pending = self._pending, []
            self._syncing = True
            try:
                filled = self._fill([write for write, *_ in batch])
            except BaseException:  # interrupted: nothing has happened, and it is tried again if the loop lives on
                self._rollback()
                self._pending, self._syncing = batch + self._pending, False
                asyncio.get_running_loop().call_soon(self._fill_next)
                raise
            self._batch = batch
            self._filled.put((batch, filled))

    def _synced(self, batch: Batch, faults: list[Exception | None]) -> None:
        self._syncing, self._batch = False, []
        told = 0
        try:
            for pending, fault in zip(batch, faults, strict=True):
                told += 1
                self._tell_one(pending, fault)
        finally:  # interrupted: the rest must hear of it too
            if told < len(batch):
                asyncio.get_running_loop().call_soon(self._synced, batch[told:], faults[told:])
        self._fill_next()

    def _tell_one(self, pending: Pending, fault: Exception | None) -> None:
        _, future, then = pending
        if then is not None:
            try:
                then(fault)
            except Exception as raised:
                fault = raised
                if future.done():
                    log.exception("after a commit: %s", raised)
        if future.done():
            return
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)

    @property
    def unsynced(self) -> list[Write]:
        """What was handed in and is not true yet."""
        return [write for write, *_ in (*self._batch, *self._pending)]

    @property
    def fault(self) -> Exception | None:
        """Why nothing can be written any more, if so: another worker has taken the store over."""
        return self._fault

    async def drain(self) -> None:
        """Turn new writes away and return when everything handed in was committed and told."""
        self._refusing = True
        while self._pending or self._syncing:
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """Commit what is pending, then stop the thread and fold the write-ahead log into the file."""
        self._refusing = True
        with self._lock:
            self._closing = True
        self._filled.put(None)
        self._thread.join()
        self._rollback()  # nothing, unless the loop was interrupted while it filled a transaction
        batch, self._pending = self._pending, []
        if batch:
            self._tell(batch, self._sync(batch, self._fill([write for write, *_ in batch])))
        self._connection.close()

    # --- the writer's thread ---

    def _run(self) -> None:
        while (filled := self._filled.get()) is not None:
            self._tell(filled[0], self._sync(*filled))

    def _tell(self, batch: Batch, faults: list[Exception | None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._synced, batch, faults)
            except RuntimeError:  # the loop closed between the check and the call: nobody is waiting any more
                return

    def _sync(self, batch: Batch, filled: Filled | Exception) -> list[Exception | None]:
        """Commit all writes together, then scrub the file if one of them wants that."""
        faults = self._committed(batch, filled)
        if any(write.scrub and fault is None for (write, *_), fault in zip(batch, faults, strict=True)):
            self._scrub()
        return faults

    def _committed(self, batch: Batch, filled: Filled | Exception) -> list[Exception | None]:
        """What became of each write; if not all can be committed together, each on its own, so that a bad one fails alone."""
        if isinstance(filled, StoreBusy):
            filled = self._fill_patiently([write for write, *_ in batch])
        fault = filled if isinstance(filled, Exception) else self._end(filled)
        if fault is None or len(batch) == 1 or isinstance(fault, StoreFenced | StoreBusy):
            return [fault] * len(batch)
        return [self._alone(write) for write, *_ in batch]

    def _fill_patiently(self, writes: list[Write]) -> Filled | Exception:
        """Somebody else's transaction is under way: wait for its end here, where that holds nobody up."""
        self._connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            return self._fill(writes)
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _scrub(self) -> None:
        """Write the file anew and empty its log, so that no byte of what was taken away is left. Nothing is written meanwhile."""
        connection, named = self._connection, queries()
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
        try:
            connection.execute("PRAGMA temp_store = FILE")  # it takes a copy of the whole store
            connection.execute(named["vacuum"])
            if connection.execute(named["checkpoint"]).fetchone()[0]:
                raise sqlite3.OperationalError("somebody reads the store all the while")
            connection.execute(named["scrubbed"])
            self.unscrubbed = ""
        except sqlite3.Error as error:
            self.unscrubbed = str(error)
            log.error("what was erased may still lie in free space of the file: %s", error)
        finally:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA busy_timeout = 0")

    def _alone(self, write: Write) -> Exception | None:
        filled = self._fill([write])
        return filled if isinstance(filled, Exception) else self._end(filled)

    def _fill(self, writes: list[Write]) -> Filled | Exception:
        try:
            return self._begin(writes)
        except Exception as error:
            return self._undone(error)

    def _end(self, filled: Filled) -> Exception | None:
        try:
            self._connection.execute("COMMIT")
            self._commit = filled.commit
            self._heads.update(filled.heads)
            if len(self._heads) > REMEMBERED_CHAINS:
                self._heads.clear()
        except Exception as error:
            return self._undone(error)
        if self._on_commit:
            try:
                self._on_commit(filled.commit[0])
            except StoreFenced as error:  # a test that lets the worker die here
                return self._undone(error)
            except Exception as error:
                log.exception("on_commit: %s", error)
        return None

    def _undone(self, error: Exception) -> Exception:
        """Take back a transaction that failed, and say what that means for who waits for it."""
        self._rollback()
        if isinstance(error, StoreFenced):
            self._fault = error
        if isinstance(error, StoreUnavailable | StoreFenced):
            return error
        if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError):
            if "runs.key" in str(error):  # two starts under one key at the same moment: the second finds the first
                return StoreUnavailable(f"another run was started under the same key just now ({error})")
            return WriteRefused(f"the store refused a write: {error}")
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return StoreBusy(
                f"another process holds the store ({error}); close the tool that does. Work goes on by itself"
            )
        if isinstance(error, sqlite3.Error):
            return StoreUnavailable(
                f"the store could not commit ({error}); nothing acknowledged is lost. Free disk space or mend the disk;"
                " work goes on by itself"
            )
        return StoreUnavailable(f"the store could not take what it was given: {error}")

    def _rollback(self) -> None:
        self._heads.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # --- a transaction ---

    def _begin(self, writes: list[Write]) -> Filled:
        """Everything of a transaction but its end."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute(queries()["epoch"]).fetchone()[0] != self._epoch:
            raise StoreFenced("another worker has taken this store over; this one stops without writing")
        events = [event for write in writes for event in write.events]
        heads = self._check_chains(events)
        number, last, previous = self._commit
        if events:
            rows = [  # a bytearray, because sqlite3 looks for an adapter of every bytes
                (last + place, run, seq, kind, body, bytearray(hash_))
                for place, (run, seq, kind, body, hash_, _) in enumerate(events, 1)
            ]
            self._insert("INSERT INTO events VALUES ", rows)
            last += len(events)
            number, previous = number + 1, link_commit(previous, (event[4] for event in events))
            connection.execute("INSERT INTO commits VALUES (?, ?, ?)", (number, last, previous))
        self._put_rows(writes)
        if any(write.scrub for write in writes):
            connection.execute(queries()["mark_to_scrub"])
        return Filled((number, last, previous), heads)

    def _check_chains(self, events: list[StagedEvent]) -> dict[str, Head]:
        """Refuse events that do not build on the last committed one: an earlier write of their run must have failed."""
        heads: dict[str, Head] = {}
        for run, seq, _, _, hash_, previous in events:
            head = heads.get(run) or self._heads.get(run)
            if head is None:
                row = None if seq == 1 else self._connection.execute(queries()["head_of_run"], (run,)).fetchone()
                head = (row[0], row[1]) if row else genesis(run)
            if seq != head[0] + 1 or previous != head[1]:
                raise StoreUnavailable(f"event {seq} of run {run} does not build on event {head[0]}; it is loaded anew")
            heads[run] = (seq, hash_)
        return heads

    def _put_rows(self, writes: list[Write]) -> None:
        """The last state of each key wins, so that a batch touches a row once."""
        changes = [write.rows for write in writes if write.rows]
        for table in TABLES if changes else ():
            merged: dict[Any, tuple[Any, ...] | None] = {}
            for rows in changes:
                merged.update(rows.get(table, {}))
            if not merged:
                continue
            verb, end = PUT.get(table, ("INSERT OR IGNORE", ""))
            gone = [key for key, row in merged.items() if row is None]
            if gone:
                self._connection.executemany(queries()["delete_wait"], gone)
            self._insert(f"{verb} INTO {table} VALUES ", [row for row in merged.values() if row is not None], end)

    def _insert(self, head: str, rows: list[tuple[Any, ...]], end: str = "") -> None:
        start = 0
        for size in CHUNKS:
            while len(rows) - start >= size:
                chunk = rows[start : start + size]
                mark = "(" + ",".join("?" * len(chunk[0])) + ")"
                self._connection.execute(head + ",".join([mark] * size) + end, list(chain.from_iterable(chunk)))
                start += size
