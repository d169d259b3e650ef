"""Watchers: who wants to be woken whenever something has been applied to a run."""

from __future__ import annotations

import asyncio


class Watchers:
    """Run -> what is set whenever something has been applied to it."""

    def __init__(self) -> None:
        self._of: dict[str, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        """How many runs somebody follows."""
        return len(self._of)

    def follow(self, run: str, moved: asyncio.Event) -> None:
        """Set `moved` from now on."""
        self._of.setdefault(run, set()).add(moved)

    def leave(self, run: str, moved: asyncio.Event) -> None:
        """Set it no more."""
        following = self._of.get(run, set())
        following.discard(moved)
        if not following:
            self._of.pop(run, None)

    def wake(self, run: str) -> None:
        """Something was applied to the run."""
        for moved in self._of.get(run, ()):
            moved.set()
