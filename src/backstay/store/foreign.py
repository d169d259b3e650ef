"""SQLite files that are not ours: read as they are, never written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backstay.errors import NotRetryable


def is_sqlite(path: Path) -> bool:
    """Whether a file says that it is an SQLite file."""
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def rows_of(path: Path, query: str = "") -> Iterator[dict[str, str]]:
    """The rows that a query gives, as texts; without one those of the only table. Raises NotRetryable where it cannot be asked."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if not query and len(tables) != 1:
                raise NotRetryable(f"{path.name!r} has {len(tables)} tables: say with query= what to read")
            quoted = "" if query else tables[0].replace('"', '""')
            rows = connection.execute(query or f'SELECT * FROM "{quoted}"')
            names = [each[0] for each in rows.description or ()]
            for row in rows:
                yield {name: "" if value is None else str(value) for name, value in zip(names, row, strict=True)}
    except sqlite3.DatabaseError as error:
        raise NotRetryable(f"{path.name!r} cannot be asked {query or 'for its rows'!r}: {error}") from error
