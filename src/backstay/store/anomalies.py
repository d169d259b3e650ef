"""What anomaly steps have seen and learned: a file of its own in the home.

Each record is judged and learned in one transaction, under its id: tried again, it gets the same answer and counts once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backstay.errors import StoreUnavailable
from backstay.store.database import Parameters, Row, connect, queries

ANOMALIES_FILE: Final = "anomalies.db"

EVERYONE: Final = ""
"""The key of what was learned of all records together."""

_SCHEMA: Final = ("anomaly_records_table", "anomaly_profiles_table", "anomaly_marks_table")
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A record that was judged before."""

    record: dict[str, Any]
    said: dict[str, Any]
    learned: bool
    mark: str | None


class Anomalies:
    """The file of one home; safe for threads. Raises StoreUnavailable when it cannot be read or written."""

    def __init__(self, home: Path) -> None:
        self._connection = connect(home / ANOMALIES_FILE)
        self._lock = threading.Lock()
        for name in _SCHEMA:
            self._all(name)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def change(self) -> Generator[None]:
        """One change: the methods below are called within it, and all of it happens or nothing."""
        with self._lock:
            self._all("anomaly_begin")
            try:
                yield
                self._all("anomaly_commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._all("anomaly_rollback")
                raise

    def find(self, step: str, id_: str) -> Seen | None:
        """The record of an id, if it was judged before."""
        for row in self._all("anomaly_known", (step, id_)):
            record, said = json.loads(row["record"]), json.loads(row["said"])
            return Seen(record=record, said=said, learned=bool(row["learned"]), mark=row["mark"])
        return None

    def add(
        self, step: str, id_: str, record: dict[str, Any], said: dict[str, Any], *, at: str, run: str, learned: bool
    ) -> None:
        given = {"record": json.dumps(record), "said": json.dumps(said), "at": at, "run": run, "learned": int(learned)}
        self._all("anomaly_add", {"step": step, "id": id_, **given})

    def was_marked(self, key: str) -> bool:
        """Whether the effect of this key has happened."""
        return bool(self._all("anomaly_marked", (key,)))

    def mark(
        self, key: str, step: str, id_: str, mark: str, *, learned: bool, by: str, run: str, at: str
    ) -> None:  # fmt: skip
        given = {"key": key, "step": step, "id": id_, "mark": mark, "by": by, "run": run, "at": at}
        self._all("anomaly_mark", given)
        self._all("anomaly_mark_record", {"step": step, "id": id_, "mark": mark, "learned": int(learned)})

    def marks(self, step: str) -> int:
        """How often records of a step were marked."""
        return int(self._all("anomaly_mark_count", (step,))[0][0])

    def learned(self, step: str) -> Iterator[dict[str, Any]]:
        """The records that count as normal, oldest first."""
        after, most = 0, _PAGE
        while rows := self._all("anomaly_learned", {"step": step, "after": after, "most": most}):
            yield from (json.loads(row["record"]) for row in rows)
            after = rows[-1]["number"]

    def profile(self, step: str, key: str) -> dict[str, Any] | None:
        for row in self._all("anomaly_profile", (step, key)):
            return json.loads(row["profile"])
        return None

    def keep_profile(self, step: str, key: str, profile: dict[str, Any]) -> None:
        self._all("anomaly_profile_keep", {"step": step, "key": key, "profile": json.dumps(profile)})

    def drop_profiles(self, step: str) -> None:
        self._all("anomaly_profiles_drop", (step,))

    def _all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._connection.execute(queries()[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"{ANOMALIES_FILE!r} cannot be used ({error}); free disk space, or stop what else has it open"
            ) from error
