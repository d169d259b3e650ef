"""The one clock, and the one source of chance and ids. Nobody else asks the machine for them; tests move it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no letter that looks like a digit."""

_PAIRS: Final = [high + low for high in ALPHABET for low in ALPHABET]
"""What each ten bits are written as."""


class Clock:
    """Wall time in UTC that never runs backwards within one store, fresh ids and chance."""

    def __init__(self) -> None:
        self._last = 0.0
        self._set_back: tuple[float, float] | None = None
        """While the machine's clock is behind: steady time and our time when that was noticed."""
        self._second = (-1, "")
        self._last_id = (0, 0)
        self.behind = 0.0
        """Seconds by which the machine's clock is behind what the journal has already seen."""

    def wall(self) -> float:
        """Seconds since the epoch as the machine tells them."""
        return time.time()

    def steady(self) -> float:
        """Seconds that really pass, from some beginning; setting the machine's clock does not change them."""
        return time.monotonic()

    def timestamp(self) -> float:
        """Seconds since the epoch, never less than before; while behind, time still passes, so that timers come due."""
        wall = self.wall()
        if wall >= self._last:
            self._last, self.behind, self._set_back = wall, 0.0, None
        else:
            begun, then = self._set_back = self._set_back or (self.steady(), self._last)
            self._last = max(self._last, then + self.steady() - begun)
            self.behind = self._last - wall
        return self._last

    def seen(self, moment: datetime) -> None:
        """Take note of a time that the journal already holds."""
        if moment.timestamp() > self._last:
            self._last, self._set_back = moment.timestamp(), None

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def stamp(self) -> str:
        """The present moment as RFC 3339 text with microseconds."""
        whole, micros = divmod(int(self.timestamp() * 1_000_000), 1_000_000)
        if whole != self._second[0]:
            self._second = (whole, datetime.fromtimestamp(whole, UTC).isoformat()[:19])
        return f"{self._second[1]}.{micros:06d}Z"

    def stamp_after(self, delay: float) -> str:
        """The moment `delay` seconds from now, as RFC 3339 text."""
        return (self.now() + timedelta(seconds=delay)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def chance(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbelow(1 << 53) / (1 << 53)

    def entropy(self, bits: int) -> int:
        return secrets.randbits(bits)

    def new_id(self) -> str:
        """26 characters: 48 bits of milliseconds and 80 of chance, in base 32 (the ULID layout), growing with time."""
        millis = int(self.timestamp() * 1000)
        tail = self._last_id[1] + 1 if millis == self._last_id[0] else self.entropy(79)
        self._last_id = (millis, tail)
        number = (millis << 80) | tail
        return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
