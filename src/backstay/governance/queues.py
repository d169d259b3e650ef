"""Queues: where human work lies, who may do it, and what happens when nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from backstay.errors import AuthorError
from backstay.governance.calendars import Calendar
from backstay.types import BUSINESS_DAYS, Duration, seconds

SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""From here it is tried whether a calendar can count a time."""


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """An item that nobody finished moves on."""

    after: Duration
    """Since it came into the queue that says so, counted in that queue's working time."""
    to: str
    """The queue it moves to, whose own times begin then."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A named queue of human work, and who answers for it. Times count in the calendar's working time, if it has one."""

    name: str
    owner: str
    about: str = ""
    members: Sequence[str] = ()
    """Who may work on its items: names, "group:NAME", "role:NAME". Empty: everybody who may do such work at all."""
    priority: int = 0
    """Higher comes first in an inbox of several queues."""
    calendar: Calendar | None = None
    within: Duration | None = None
    """Due this long after it was opened here, or escalated to here, where the workflow does not say."""
    lease: Duration | None = None
    """A claim lapses after this much time on the clock."""
    remind: Sequence[Duration] = ()
    """When to remind its members, since it was opened here, or escalated to here."""
    escalate: Sequence[Escalation] = ()
    after_hours: Literal["wait", "decline"] = "wait"
    """What becomes of an approval that is asked for while the calendar is closed: it waits, or it is declined at once."""
    reasons: Sequence[str] = field(default=())
    """The words of which a rejection must give one, if any are listed."""

    def __post_init__(self) -> None:
        where = f"queue {self.name!r}"
        for name in ("members", "remind", "escalate", "reasons"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise AuthorError(f"{where}: {name} must be a list")
        if self.after_hours not in ("wait", "decline"):
            raise AuthorError(f"{where}: after_hours must be 'wait' or 'decline', not {self.after_hours!r}")
        if self.after_hours == "decline" and self.calendar is None:
            raise AuthorError(f"{where}: after_hours='decline' needs a calendar that says when hours are")
        if self.within is not None:
            self._check_time(f"{where}: within", self.within)
        if self.lease is not None:
            _positive(f"{where}: lease", self.lease, days=False)
        for reminder in self.remind:
            self._check_time(f"{where}: remind", reminder)
        for step in self.escalate:
            self._check_time(f"{where}: escalate", step.after)

    def _check_time(self, where: str, duration: Duration) -> None:
        _positive(where, duration)
        if self.calendar is not None and isinstance(duration, str):
            try:
                self.calendar.due(SOME_DAY, duration)
            except AuthorError as error:
                raise AuthorError(f"{where}: {error}") from None


def _positive(where: str, duration: Duration, *, days: bool = True) -> None:
    """Raise AuthorError unless it is a time; business days are one only where a calendar counts them."""
    try:
        usable = seconds(duration) > 0
    except (ValueError, TypeError):
        usable = days and isinstance(duration, str) and BUSINESS_DAYS.fullmatch(duration) is not None
    if not usable:
        more = " or, in business days, '3bd'" if days else ""
        raise AuthorError(f"{where}: {duration!r} is no time; write for example '4h', '2d'{more}")


UNLISTED: Final = "operators"
"""Who owns a queue that the application does not list."""


class Queues:
    """The queues of an application; one that is not listed belongs to `operators` and asks nothing special."""

    def __init__(self, queues: Sequence[Queue] = ()) -> None:
        self._listed = {queue.name: queue for queue in queues}
        self._check_escalations()

    def _check_escalations(self) -> None:
        """An escalation to a queue that nobody owns would be a way to lose an item."""
        for queue in self._listed.values():
            for step in queue.escalate:
                if step.to not in self._listed:
                    raise AuthorError(
                        f"queue {queue.name!r} escalates to {step.to!r}, which is not listed; add it to queues=[...]"
                    )
        for name in self._listed:
            self._check_way((name,))

    def _check_way(self, way: tuple[str, ...]) -> None:
        """What nobody does must end somewhere, not go round for ever."""
        for step in self._listed[way[-1]].escalate:
            if step.to in way:
                raise AuthorError(
                    f"queue {way[0]!r} escalates in a circle: {' -> '.join((*way, step.to))}; let the last one keep it"
                )
            self._check_way((*way, step.to))

    def __contains__(self, name: str) -> bool:
        return name in self._listed

    def of(self, name: str) -> Queue:
        """The queue of this name."""
        found = self._listed.get(name)
        return Queue(name=name, owner=self.owner(name)) if found is None else found

    def owner(self, name: str) -> str:
        """Who answers for a queue; every queue has an owner."""
        for listed in (name, "*"):
            if listed in self._listed:
                return self._listed[listed].owner
        return UNLISTED

    @property
    def owners(self) -> dict[str, str]:
        """Queue -> owner, as the application declares them."""
        return {name: queue.owner for name, queue in self._listed.items()}
