"""What the examples' own systems share: named statements in a file, and one transaction at a time."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@cache
def statements(path: Path) -> dict[str, str]:
    """The statements of a file by their names: each begins with a line `-- name: purpose`."""
    parts = re.split(r"^-- (\w+): .*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}


@contextmanager
def transaction(path: Path) -> Generator[sqlite3.Connection, None, None]:
    """Open the file for one transaction that writes; it is rolled back when the block raises."""
    db = sqlite3.connect(path, timeout=10.0, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    finally:
        db.close()
