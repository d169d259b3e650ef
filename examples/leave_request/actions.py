"""The actions of a leave request: everything by which the process reads or changes the HR system."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from backstay import IdempotencyKey, Retry, action
from examples.leave_request.hr import Hr
from examples.leave_request.models import Facts, LeaveRequest, Person

HOME_VARIABLE = "LEAVE_REQUEST_HOME"
DEFAULT_HOME = ".backstay"
QUICK = Retry(attempts=4, first="100ms", longest="2s")


class _Home:
    folder: Path | None = None


def use(home: Path) -> None:
    """Say where the HR system's database is."""
    _Home.folder = home


def hr() -> Hr:
    return Hr((_Home.folder or Path(os.environ.get(HOME_VARIABLE, DEFAULT_HOME))) / "hr.db")


@action(effect="read", retry=QUICK)
def find_person(name: str) -> Person | None:
    """An employee; None when the HR system does not know the name."""
    return hr().person(name)


@action(effect="read", retry=QUICK)
def look_up_facts(request: LeaveRequest, asked: datetime) -> Facts:
    """Working days, notice, balance, blackouts and overlaps, counted in the site's calendar."""
    return hr().facts(request, asked)


@action(effect="write", retry=QUICK)
def cancel_booking(result: str, key: IdempotencyKey) -> None:
    """Undo `book_leave`; `result` is the id that it gave."""
    del key  # cancelling twice is the same as once
    hr().cancel(result)


def booking_under(key: str) -> str | None:
    """Probe: whether leave was booked under a key."""
    return hr().booking_under(key)


@action(effect="write", retry=QUICK, on_failure="raise", probe=booking_under, compensate=cancel_booking)
def book_leave(request: LeaveRequest, key: IdempotencyKey) -> str:
    """Book the leave and answer with the booking's id; fails when the days were taken meanwhile."""
    return hr().book(request, key)


@action(effect="write", retry=QUICK)
def notify(recipient: str, subject: str, body: str, key: IdempotencyKey) -> None:
    """Tell somebody how it stands."""
    hr().tell(recipient, subject, body, key)
