"""The watched drop folder: turns dropped files into documents, each content once, none lost.

A file is taken when two looks, a settle time apart, find the same size and time. A writer that pauses for longer
looks finished, and its file may be taken half-written: write elsewhere and move the file in, or use a temporary name
(`.part` ...). Such names, links and folders are left alone. Its content is copied under its digest and entered in the ledger *before* it
is handed out, so the case no longer depends on the folder; the file itself stays where it is. The caller starts
a case with the digest as key and then calls `acknowledge`: what was not acknowledged is handed out again after
a restart, in the same order.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from examples.accounts_payable.erp import queries
from examples.accounts_payable.models import Document
from examples.accounts_payable.reading import document_from

TEMPORARY = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp")
Look = tuple[int, int, int]
"""Size, modification time and inode: what must not change between two looks."""


@dataclass
class InboxFolder:
    """The drop folder `folder` of an application whose files live under `home`."""

    folder: Path
    home: Path
    settle: float = 0.4
    """Seconds for which a file must not change before it is read."""
    interval: float = 2.0
    """Seconds between looks when the system does not report changes, and at the latest when it does."""
    watch: bool = True
    problems: dict[str, str] = field(default_factory=dict)
    """Files that could not be read, by name, with what to do; they stay in the folder and are tried again."""
    _seen: dict[str, Look] = field(default_factory=dict)
    _taken: dict[str, Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.documents_folder.mkdir(parents=True, exist_ok=True)
        for abandoned in self.documents_folder.glob(".incoming-*"):
            abandoned.unlink()
        with self._ledger() as db:
            db.execute(queries("inbox_ledger.sql")["create"])

    @property
    def documents_folder(self) -> Path:
        return self.home / "documents"

    async def documents(self, stop: asyncio.Event | None = None) -> AsyncIterator[Document]:
        """Every document without a confirmed case: those that wait, then each as it comes, until `stop` is set."""
        changes = self._changes(stop or asyncio.Event())
        handed: set[str] = set()
        async for _ in changes:
            await self.settled(stop)
            for document in self.waiting():
                if document.digest not in handed:
                    handed.add(document.digest)
                    yield document

    async def settled(self, stop: asyncio.Event | None = None) -> None:
        """Look at the folder until no file in it is still being written, and take what is there."""
        while await asyncio.to_thread(self.look) and not (stop and stop.is_set()):
            await asyncio.sleep(self.settle)

    def look(self) -> int:
        """Look once and take, in the order of their names, the files that did not change since the last look.

        Answers with how many files are still settling. Two looks, `settle` apart, take everything that is complete.
        """
        now = dict(self._files())
        settling = 0
        for name in sorted(now):
            if self._taken.get(name) == now[name]:
                continue
            if self._seen.get(name) != now[name]:
                settling += 1
                continue
            try:
                self._take(name, now[name])
            except OSError as error:
                reason = error.strerror or type(error).__name__
                self.problems[name] = f"{name!r} cannot be read ({reason}): give this program the right to read it"
            else:
                self.problems.pop(name, None)
        self._seen = now
        return settling

    def waiting(self) -> list[Document]:
        """Documents whose case is not confirmed yet, in the order of their arrival."""
        return self._documents("waiting")

    def arrived(self) -> list[Document]:
        """Every document that ever arrived, in order."""
        return self._documents("arrived")

    def untaken(self) -> list[str]:
        """Files in the folder whose present content never arrived; those in `problems` are among them."""
        digests = {document.digest for document in self.arrived()}
        return [name for name, _ in sorted(self._files()) if self._digest(name) not in digests]

    def _digest(self, name: str) -> str:
        try:
            return document_from(self.folder / name).digest
        except OSError:
            return ""

    def _documents(self, query: str) -> list[Document]:
        with self._ledger() as db:
            return [Document(**dict(row)) for row in db.execute(queries("inbox_ledger.sql")[query])]

    def acknowledge(self, document: Document) -> None:
        """The case of this document exists: do not hand it out again."""
        with self._ledger() as db:
            db.execute(queries("inbox_ledger.sql")["acknowledge"], {"digest": document.digest})

    def _files(self) -> Iterator[tuple[str, Look]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith((".", "~")) or name.lower().endswith(TEMPORARY):
                    continue
                try:
                    info = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(
                    info.st_mode
                ):  # no links: they may point at what is not ours to read; no pipes: they block
                    yield name, (info.st_size, info.st_mtime_ns, info.st_ino)

    def _take(self, name: str, look: Look) -> None:
        """Keep the content under its digest, then enter it in the ledger; one that changes meanwhile comes later."""
        described = self._keep(self.folder / name, look)
        if described is None:
            return
        row = {"digest": described.digest, "name": name, "path": described.path}
        with self._ledger() as db:
            db.execute(
                queries("inbox_ledger.sql")["add"],
                {**row, "size": described.size, "media_type": described.media_type},
            )
        self._taken[name] = look

    def _keep(self, source: Path, look: Look) -> Document | None:
        """Copy a file's content to its place under its digest, once; None when the file changes meanwhile."""
        described = document_from(source)
        kept_at = f"{described.digest[:2]}/{described.digest}"
        target = self.documents_folder / kept_at
        if not target.exists():
            copy = self.documents_folder / f".incoming-{secrets.token_hex(8)}"
            try:
                with source.open("rb") as file, copy.open("xb") as kept:
                    shutil.copyfileobj(file, kept, 1 << 20)
                    kept.flush()
                    os.fsync(kept.fileno())
                if document_from(copy).digest != described.digest:
                    return None
                target.parent.mkdir(exist_ok=True)
                copy.replace(target)
                _sync(target.parent)
            finally:
                copy.unlink(missing_ok=True)
        info = source.stat(follow_symlinks=False)
        unchanged = (info.st_size, info.st_mtime_ns, info.st_ino) == look
        return described.model_copy(update={"path": kept_at}) if unchanged else None

    async def _changes(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Something may have changed: at once, on every report of the system, and every now and then."""
        yield
        if self.watch:
            try:
                from watchfiles import awatch
            except ImportError:
                pass  # the extra `watch` is not installed: look now and then instead
            else:
                try:
                    async for _ in awatch(
                        self.folder, stop_event=stop, recursive=False, yield_on_timeout=True, debounce=100,
                        rust_timeout=int(self.interval * 1000),
                    ):  # fmt: skip
                        yield
                except OSError:
                    pass  # no watches left, or a network drive that reports nothing: look now and then instead
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), self.interval)
            except TimeoutError:
                yield

    @contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.home / "inbox.db", timeout=15, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()


def _sync(folder: Path) -> None:
    """Make a rename in a folder durable, where folders can be synced."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
