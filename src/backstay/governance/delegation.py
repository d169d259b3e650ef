"""Delegations: who acts for whom while they are away. Each one ends, and a chain of them is short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from backstay.errors import InvalidInput

LONGEST_CHAIN: Final = 3
"""How often authority is handed on: delegate of a delegate of a delegate, agent for an agent for an agent of a person."""

LONGEST_TIME: Final = timedelta(days=366)
"""A standing substitute is renewed once a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What `giver` may do in a queue, `to` may do in their place, from `start` until just before `until`."""

    giver: str
    to: str
    start: str
    until: str
    queue: str | None = None
    """Only work of this queue; None is all of it."""

    def counts(self, at: str, work: str) -> bool:
        """Whether it holds at a moment, written as `moment` writes it, for work of a queue."""
        return self.start <= at < self.until and self.queue in (None, work)


def moment(text: object, field: str) -> str:
    """An RFC 3339 moment in the one form that sorts: UTC, microseconds, Z; raises InvalidInput naming the field."""
    try:
        parsed = datetime.fromisoformat(cast("Any", text))
        if parsed.tzinfo is None:
            raise ValueError("it has no time zone")
        return parsed.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{field} must be a moment such as '2026-12-31T18:00:00Z', not {text!r}: {error}", {field: "is no moment"}
        ) from None


def check_span(start: str, until: str, at: str) -> None:
    """Raise InvalidInput unless the time of a delegation is ahead, forwards and at most a year long."""
    if until <= max(start, at):
        raise InvalidInput(f"until {until} is over before it begins", {"until": "must be later than its beginning"})
    if datetime.fromisoformat(until) - datetime.fromisoformat(start) > LONGEST_TIME:
        days = LONGEST_TIME.days
        raise InvalidInput(
            f"a delegation lasts at most {days} days; renew it then", {"until": f"must be within {days} days"}
        )
