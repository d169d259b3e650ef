"""What is remembered beyond a case: a file of its own in the home, with where each item came from and how long it counts.

It holds what it is given, which is never a private value in clear. One effect is kept once, however often it is tried.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from backstay.errors import NotFound, StoreUnavailable
from backstay.store.database import Parameters, Row, connect, queries

MEMORY_FILE: Final = "memory.db"

_SCHEMA: Final = ("memory_items_table", "memory_keepings_table", "memory_keepings_index")
_EVERYTHING: Final[dict[str, Any]] = dict.fromkeys(("memory", "subject", "id", "now", "expired"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """One act of keeping something."""

    key: str
    """The effect's idempotency key."""
    memory: str
    subject: str
    text: str
    at: str
    until: str | None
    by: str
    """The agent or workflow that kept it."""
    run: str
    source: str
    """What told it: an action, an agent, a queue, a signal, or the case's input."""
    command: str
    """The command of the run that this was the answer to; "" for its input."""
    quote: str
    approved_by: tuple[str, ...]
    """Who approved exactly this; empty where no person was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that is remembered, with how it was last kept."""

    id: str
    memory: str
    subject: str
    text: str
    since: str
    until: str | None
    by: str
    run: str
    source: str
    command: str
    quote: str
    approved_by: tuple[str, ...]
    times: int
    """How often it was kept."""


class Memories:
    """The file of one home; safe for threads. Raises StoreUnavailable when it cannot be read or written."""

    def __init__(self, home: Path, *, readonly: bool = False) -> None:
        self._connection = connect(home / MEMORY_FILE, readonly=readonly)
        self._lock = threading.Lock()
        self._indexed: int | None = None
        """The newest item in the index; None where there is no index yet."""
        for name in () if readonly else _SCHEMA:
            self._all(name)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- changing ---

    def keep(self, keeping: Keeping) -> tuple[str, str, str | None]:
        """Keep something, or renew what says the same of the same subject; gives its id, since when and until when."""
        with self._lock, self._change():
            if done := self._one("memory_kept", (keeping.key,)):
                return tuple(done)
            given = {**asdict(keeping), "approved_by": json.dumps(keeping.approved_by)}
            same = self._one("memory_same", given)
            if same is not None and same["until"] is not None and same["until"] <= keeping.at:
                self._drop(same["id"])
                same = None
            id_ = same["id"] if same is not None else _id(keeping.key)
            since = same["since"] if same is not None else keeping.at
            self._all("memory_add", given | {"id": id_, "since": since})
            self._all("memory_keep", given | {"id": id_, "since": since})
            return id_, since, keeping.until

    def forget(self, ids: Collection[str]) -> int:
        """Drop items from the file and every copy in it; gives how many there were."""
        with self._lock:
            with self._change():
                gone = sum(self._drop(each) for each in ids)
            if gone:
                self._all("memory_scrub")
                self._all("memory_scrub_log")
            return gone

    def forget_people(self, people: Collection[str]) -> int:
        """Drop everything that holds a pseudonym of people, by their ids."""
        with self._lock:
            found = {row["id"] for each in people for row in self._all("memory_of_people", {"person": each})}
        return self.forget(found)

    def purge(self, now: str) -> int:
        """Drop what has expired."""
        with self._lock:
            found = [row["id"] for row in self._all("memory_over", (now,))]
        return self.forget(found)

    def _drop(self, id_: str) -> int:
        self._all("memory_drop_quotes", (id_,))
        return self._connection.execute(queries()["memory_drop"], (id_,)).rowcount

    # --- reading ---

    def recall(self, memory: str, query: str, subject: str | None, now: str, most: int) -> list[Item]:
        """What counts now and holds some of the words, best first; without words, or a subject's, newest first."""
        with self._lock:
            known = {item.id: item for item in self._listed(memory=memory, subject=subject, now=now)}
            words = words_of(query)
            if not words:
                return list(known.values())[:most]
            found = self._found(memory, words) if self._index() else _alike(known.values(), words)
            return [known[id_] for id_ in found if id_ in known][:most]

    def items(self, *, memory: str | None = None, subject: str | None = None, **times: str) -> list[Item]:
        """What is remembered, newest first. now: what counts then. expired: what had expired by then."""
        with self._lock:
            return self._listed(memory=memory, subject=subject, **times)

    def find(self, id_: str) -> Item:
        """One item; raises NotFound."""
        with self._lock:
            found = self._listed(id=id_)
        if not found:
            raise NotFound(f"nothing is remembered as {id_!r}; `backstay memory list` shows what is")
        return found[0]

    def history(self, id_: str) -> list[dict[str, Any]]:
        """Each time that an item was kept, oldest first."""
        with self._lock:
            rows = self._all("memory_history", (id_,))
        return [_read(row) for row in rows]

    def _listed(self, **given: Any) -> list[Item]:
        rows = self._all("memory_listed", {**_EVERYTHING, **given})
        return [Item(**_read(row)) for row in rows]

    def _found(self, memory: str, words: list[str]) -> list[str]:
        asked = " OR ".join(f'"{word}"' for word in words)
        return [row["id"] for row in self._all("memory_found", {"words": asked, "memory": memory})]

    def _index(self) -> bool:
        """Bring the index up to date; False where this SQLite has no full text search."""
        if self._indexed is None:
            if not has_full_text(self._connection):
                return False
            self._all("memory_index")
        before = self._indexed or 0
        newest = int(self._all("memory_newest")[0][0])
        if newest > before:
            self._all("memory_index_more", (before,))
        self._indexed = newest
        return True

    # --- the file ---

    @contextmanager
    def _change(self) -> Generator[None]:
        self._all("memory_begin")
        try:
            yield
            self._all("memory_commit")
        except BaseException:
            if self._connection.in_transaction:
                self._all("memory_rollback")
            raise

    def _one(self, name: str, parameters: Parameters) -> Row | None:
        return next(iter(self._all(name, parameters)), None)

    def _all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._connection.execute(queries()[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"{MEMORY_FILE!r} cannot be used ({error}); free disk space, or stop what else has it open"
            ) from error


@contextmanager
def remembered(home: Path, *, readonly: bool = True) -> Generator[Memories | None]:
    """The memory file of a home, if it has one."""
    if not (home / MEMORY_FILE).exists():
        yield None
        return
    memories = Memories(home, readonly=readonly)
    try:
        yield memories
    finally:
        memories.close()


def _read(row: Row) -> dict[str, Any]:
    return {**dict(row), "approved_by": tuple(json.loads(row["approved_by"]))}


def has_full_text(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with FTS5."""
    options = [row[0] for row in connection.execute("PRAGMA compile_options")]
    return "ENABLE_FTS5" in options


def words_of(text: str) -> list[str]:
    """The words of a text, folded: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def _alike(items: Collection[Item], words: list[str]) -> list[str]:
    """What stands in for the index: items by how many of the words they hold, those alike newest first."""
    wanted = set(words)
    shared = {item.id: len(wanted.intersection(words_of(f"{item.subject} {item.text}"))) for item in items}
    return sorted((id_ for id_, count in shared.items() if count), key=lambda id_: -shared[id_])


def _id(key: str) -> str:
    return f"m-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
