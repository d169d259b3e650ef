"""The journal: the only writer of the store.

Group commit: one thread takes everything that was handed in while the last transaction was syncing and commits it as
the next one, so throughput grows with concurrency and a single append stays near one sync. A `Write` is atomic. Each
run's events are hash-chained, and each commit chains the hashes of its events, so that a cut tail shows as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.errors import StoreFenced, StoreUnavailable, WriteRefused
from backstay.events import Event, encode
from backstay.store.database import connect, migrate, queries

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
    ),
    "definitions": ("version", "name", "text", "stored_at"),
    "blobs": ("digest", "data"),
    "sealed": ("token", "cipher"),
}  # fmt: skip
"""Columns of the tables that a Write may change besides `events`, in the order of their rows."""

PUT: Final = {
    "runs": (
        "INSERT",
        " ON CONFLICT (id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in TABLES["runs"]),
    ),
    "waits": ("INSERT OR REPLACE", ""),
}
"""How a row is written where it may change. Not REPLACE for runs: it would silently delete another run of the same key.
Rows of the other tables are addressed by their content and never change: writing one again is nothing."""

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


Pending = tuple[Write, "asyncio.Future[None]"]


class Journal:
    """Owns the writing connection and its thread; `commit` is awaited, the rest is for opening and closing."""

    def __init__(
        self, path: Path, *, synchronous: str = "FULL", on_commit: Callable[[int], None] | None = None
    ) -> None:
        self._connection = connect(path)
        self._connection.execute(f"PRAGMA synchronous = {'OFF' if synchronous == 'OFF' else 'FULL'}")
        migrate(self._connection)
        self._epoch: int = self._connection.execute(queries()["take_ownership"]).fetchall()[0][0]
        row = self._connection.execute(queries()["last_commit"]).fetchone()
        self._commit: tuple[int, int, bytes] = tuple(row) if row else (0, 0, hashlib.sha256(b"backstay").digest())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[Pending] = []
        self._lock = threading.Condition()
        self._closing = self._ready = False
        self._fault: Exception | None = None
        self._on_commit = on_commit
        self._heads: dict[str, Head] = {}
        """Heads of the chains written lately: a write that does not build on what was committed is refused."""
        self._thread = threading.Thread(target=self._run, name="backstay-journal", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> asyncio.Future[None]:
        """Hand in a write; the future is done once it is synced. Raises StoreUnavailable or StoreFenced through it."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._closing or self._fault:
                raise self._fault or StoreUnavailable("the store is closed")
            self._pending.append((write, future))
            first = len(self._pending) == 1
        if first:
            # Not at once: whatever else is ready in this turn of the loop should go into the same commit, and a writer
            # that works while the loop is busy would wait for the interpreter's lock instead of the disk.
            loop.call_soon(self._wake)
        return future

    def _wake(self) -> None:
        with self._lock:
            self._ready = True
            self._lock.notify()

    def close(self) -> None:
        """Commit what is pending, then stop the thread and fold the write-ahead log into the file."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        self._thread.join()
        self._connection.close()

    # --- the writer thread ---

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._ready and not self._closing:
                    self._lock.wait()
                batch, self._pending, self._ready = self._pending, [], False
            if not batch:
                if self._closing:
                    return
                continue
            self._settle(batch, self._commit_batch(batch))

    def _settle(self, batch: list[Pending], faults: list[Exception | None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(_resolve, batch, faults)
            except RuntimeError:  # the loop closed between the check and the call: nobody is waiting any more
                return

    def _commit_batch(self, batch: list[Pending]) -> list[Exception | None]:
        """Commit all writes together; if that cannot be, each on its own, so that one bad write fails alone."""
        fault = self._try([write for write, _ in batch])
        if fault is None or len(batch) == 1 or isinstance(fault, StoreFenced):
            return [fault] * len(batch)
        return [self._try([write]) for write, _ in batch]

    def _try(self, writes: list[Write]) -> Exception | None:
        try:
            self._transaction(writes)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            self._rollback()
            if "runs.key" in str(error):  # two starts under one key at the same moment: the second finds the first
                return StoreUnavailable(f"another run was started under the same key just now ({error})")
            return WriteRefused(f"the store refused a write: {error}")
        except sqlite3.Error as error:
            self._rollback()
            return StoreUnavailable(
                f"the store could not commit ({error}); nothing acknowledged is lost. Free disk space or mend the disk;"
                " work goes on by itself"
            )
        except StoreFenced as error:
            self._rollback()
            self._fault = error
            return error
        except StoreUnavailable as error:
            self._rollback()
            return error
        except Exception as error:  # a value that SQLite cannot take; the writer must live on for the others
            self._rollback()
            return StoreUnavailable(f"the store could not take what it was given: {error}")
        return None

    def _rollback(self) -> None:
        self._heads.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _transaction(self, writes: list[Write]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute(queries()["epoch"]).fetchone()[0] != self._epoch:
            raise StoreFenced("another worker has taken this store over; this one stops without writing")
        events = [event for write in writes for event in write.events]
        heads = self._check_chains(events)
        number, last, previous = self._commit
        if events:
            rows = [(last + place, *event[:5]) for place, event in enumerate(events, 1)]
            self._insert("INSERT INTO events VALUES ", rows)
            last += len(events)
            number, previous = number + 1, link_commit(previous, (event[4] for event in events))
            connection.execute("INSERT INTO commits VALUES (?, ?, ?)", (number, last, previous))
        self._put_rows(writes)
        connection.execute("COMMIT")
        self._commit = (number, last, previous)
        self._heads.update(heads)
        if len(self._heads) > REMEMBERED_CHAINS:
            self._heads.clear()
        if self._on_commit:
            self._on_commit(number)

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
        for table in TABLES:
            merged: dict[Any, tuple[Any, ...] | None] = {}
            for write in writes:
                merged.update(write.rows.get(table, {}))
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
                self._connection.execute(head + ",".join([mark] * size) + end, [cell for row in chunk for cell in row])
                start += size


def _resolve(batch: list[Pending], faults: list[Exception | None]) -> None:
    for (_, future), fault in zip(batch, faults, strict=True):
        if future.done():
            continue
        if fault is None:
            future.set_result(None)
        else:
            future.set_exception(fault)
