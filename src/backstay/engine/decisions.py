"""What a run decided between two events: branches, rules and tables, waiting to be recorded or compared.

The event that an activation creates next takes them along. On replay they are decided again, and each event's path must
be what was decided first since the path before it.
"""

from __future__ import annotations

from collections.abc import Callable

from backstay import events as ev
from backstay.errors import JournalMismatch
from backstay.events import Event, Trail


class Decisions:
    """The trail of one run that no applied event has recorded yet."""

    def __init__(self) -> None:
        self.pending: Trail = []
        self._taken = 0

    def take(self) -> Trail | None:
        """What was decided since anybody last took; the caller puts it into the event it creates."""
        path = self.pending[self._taken :]
        self._taken = len(self.pending)
        return path or None

    def check(self, path: Trail, event: Event, seq: int, line_of: Callable[[str], int | None]) -> None:
        """Compare an event's path with what was decided; raises JournalMismatch at the first difference."""
        decided = self.pending[: len(path)]
        if decided != path:
            wrong = next((n for n, entry in enumerate(path) if n >= len(decided) or decided[n] != entry), 0)
            raise JournalMismatch(
                f"event {seq} ({ev.KINDS[type(event)]}) recorded {path[wrong]!r}, "
                f"but replay decided {decided[wrong] if wrong < len(decided) else 'nothing'!r}",
                seq=seq,
                line=line_of(str(path[wrong].get("step", ""))),
            )
        del self.pending[: len(path)]
        self._taken = max(0, self._taken - len(path))
