"""The nouns of a leave request: what is asked for, what the HR system knows about it, and how a case can end."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["annual", "unpaid", "special"]


class Frozen(BaseModel):
    """Base of everything that travels through the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LeaveRequest(Frozen):
    """What an employee asks for; both days are included."""

    employee: str
    kind: Kind
    first_day: date
    last_day: date
    substitute: str
    """Who does the employee's work meanwhile."""
    comment: str = ""


class Person(Frozen):
    """An employee, and who decides about their leave."""

    name: str
    site: str
    decided_in: str
    """The queue of the line manager."""


class Facts(Frozen):
    """What the HR system says about a request, counted in the calendar of the employee's site."""

    days: int
    """Working days of leave."""
    notice: int
    """Working days that lie between the day of asking and the first day of leave."""
    left: int
    """Days of annual leave that nobody has booked yet, this request not counted."""
    begins_at: datetime
    """Midnight before the first day, where the employee works."""
    blackouts: list[str]
    """Why nobody of the site should be away then."""
    own: list[str]
    """Leave of the employee in the same days."""
    substitutes: list[str]
    """Leave of the substitute in the same days."""


class Withdrawal(Frozen):
    """The signal `withdraw`: the employee does not want the leave any more."""

    reason: str = ""


class Outcome(Frozen):
    """How a request ended."""

    status: Literal["taken", "withdrawn", "cancelled", "refused", "declined", "expired", "not booked"]
    """withdrawn: before it was booked. cancelled: after. refused: by the rules. declined: by a person."""
    reason: str = ""
    booking: str = ""
    decided_by: list[str] = []
