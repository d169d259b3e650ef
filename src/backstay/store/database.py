"""The SQLite file: opened, migrated, and read. Writing is the journal's alone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from backstay.errors import StoreMismatch, StoreUnavailable

Row = sqlite3.Row
Parameters = Sequence[Any] | Mapping[str, Any]


@cache
def queries() -> dict[str, str]:
    """The named statements of `sql/*.sql`, but for the numbered migrations."""
    folder = resources.files("backstay.store") / "sql"
    named = sorted(item.name for item in folder.iterdir() if not item.name[:4].isdigit())
    text = "\n".join((folder / name).read_text("utf-8") for name in named)
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("-- ") and ": " in line and " " not in line[3 : line.index(": ")]:
            current = found.setdefault(line[3 : line.index(": ")], [])
        elif current is not None and not line.startswith("--"):
            current.append(line)
    return {name: "\n".join(lines).strip().rstrip(";") for name, lines in found.items()}


@cache
def migrations() -> list[tuple[str, str, str]]:
    """(name, SHA-256, text) of each numbered migration, in order."""
    folder = resources.files("backstay.store") / "sql"
    names = sorted(item.name for item in folder.iterdir() if item.name[:4].isdigit())
    texts = [(folder / name).read_text("utf-8") for name in names]
    return [(name, hashlib.sha256(text.encode()).hexdigest(), text) for name, text in zip(names, texts, strict=True)]


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a connection with our settings; raises StoreMismatch when the file is something else."""
    mode = "ro" if readonly else "rwc"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10,
        )
        connection.row_factory = sqlite3.Row
        if not readonly:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreUnavailable(f"cannot open the store {path.name!r} in {path.parent.name!r}: {error}") from error
        raise StoreMismatch(
            f"{path.name!r} is not a Backstay store ({error}); move it away or name another --home"
        ) from error
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, in one transaction; a store from a newer version is refused."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if names and "migrations" not in names:
            raise StoreMismatch(
                f"the database holds other tables ({', '.join(sorted(names)[:5])}) and is not a Backstay store; "
                "name another --home"
            )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL) STRICT"
        )
        done = dict(tuple(row) for row in connection.execute("SELECT name, checksum FROM migrations"))
        known = {name: checksum for name, checksum, _ in migrations()}
        for name, checksum in done.items():
            if known.get(name) != checksum:
                raise StoreMismatch(
                    f"the store has migration {name!r}, which this version of Backstay does not know: install the newer one"
                )
        for name, checksum, text in migrations():
            if name not in done:
                for statement in _statements(text):
                    connection.execute(statement)
                connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, checksum))
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailable(
                f"the store could not be made ready ({error}); free disk space or mend the disk"
            ) from error
        raise


def _statements(text: str) -> list[str]:
    """Split a script; `executescript` would commit our transaction."""
    found: list[str] = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found


class Reader:
    """A connection that only reads, by the names of `queries()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path, readonly=True)

    def all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._connection.execute(queries()[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def one(self, name: str, parameters: Parameters = ()) -> Row | None:
        try:
            return self._connection.execute(queries()[name], parameters).fetchone()
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def value(self, name: str, parameters: Parameters = ()) -> Any:
        row = self.one(name, parameters)
        return None if row is None else row[0]

    def close(self) -> None:
        self._connection.close()


def _unreadable(error: sqlite3.Error) -> StoreUnavailable:
    return StoreUnavailable(f"the store cannot be read ({error}); `backstay audit verify` says what is damaged")
