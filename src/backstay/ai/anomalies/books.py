"""The profiles of one step in its file: read when they are asked for, written together.

The accounts of everybody are not in the profile of everyone, which must stay small: each has an entry of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final

from backstay.ai.anomalies.profiles import Profile
from backstay.ai.anomalies.tails import Tail
from backstay.store.anomalies import EVERYONE, Anomalies

_TAIL: Final = "\n"
"""The key of how unusual records were. No field holds a line's end, because spaces are folded."""


class Books:
    """What a step has learned, within one change of its file. empty: as if nothing had been learned."""

    def __init__(self, file: Anomalies, step: str, accounts: Iterable[str], *, empty: bool = False) -> None:
        self._file, self._step, self._accounts, self._empty = file, step, list(accounts), empty
        self._open: dict[str, Profile] = {}

    def _of(self, key: str) -> Profile:
        if key not in self._open:
            kept = None if self._empty else self._file.profile(self._step, key)
            self._open[key] = Profile(**(kept or {}))
        return self._open[key]

    @contextmanager
    def of(self, key: str, read: Mapping[str, Any]) -> Generator[tuple[Profile, Profile]]:
        """The profiles that count for a record: of its key, and of everyone with the record's own accounts."""
        everyone = self._of(EVERYONE)
        for field in self._accounts:
            if field in read:
                everyone.values[field] = self._of(f"\n{field}\n{read[field]}").values.setdefault(field, {})
        yield self._of(key), everyone
        for field in self._accounts:
            everyone.values.pop(field, None)

    def keep(self) -> None:
        """Write what was opened."""
        for key, profile in self._open.items():
            self._file.keep_profile(self._step, key, profile.state())

    def tail(self) -> Tail:
        """How unusual the records were so far."""
        tail = Tail()
        for name, one in (self._file.profile(self._step, _TAIL) or {}).items():
            setattr(tail, name, one)
        return tail

    def keep_tail(self, tail: Tail) -> None:
        self._file.keep_profile(self._step, _TAIL, {name: getattr(tail, name) for name in Tail.__slots__})
