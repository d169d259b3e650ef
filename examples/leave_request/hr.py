"""The example's HR system, with its own database: people, holidays, entitlements, bookings, messages.

Only actions call it. Every call opens the file, does one transaction and closes it, so it is safe for threads and
processes. A write takes an idempotency key, and with the same key again it returns what the first call made.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from backstay import NotRetryable
from examples.leave_request.models import Facts, LeaveRequest, Person
from examples.leave_request.sites import SITES
from examples.sqlite_file import statements, transaction

HERE: Final = Path(__file__).parent

PEOPLE: Final = (
    ("nina", "krakow", "lead-support", 26),
    ("tomek", "krakow", "lead-support", 26),
    ("zofia", "krakow", "lead-support", 26),
    ("marek", "krakow", "head-of-operations", 26),
    ("jonas", "hamburg", "lead-sales", 30),
    ("lena", "hamburg", "lead-sales", 30),
    ("clara", "hamburg", "head-of-operations", 30),
)
"""Name, site, the queue that decides about their leave, days of annual leave a year."""
YEARS: Final = (2026, 2027)
BLACKOUTS: Final = (("hamburg", "2026-06-22", "2026-06-26", "stocktaking"),)


class RefusedByHr(NotRetryable):
    """The HR system will not do this, however often it is asked."""

    code = "REFUSED_BY_HR"


def queries() -> dict[str, str]:
    """The statements by their names."""
    return statements(HERE / "hr_queries.sql")


class Hr:
    """One HR system, in the database file at `path`; a new one has the example's people."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(self.path) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                _seed(db)

    # --- reading ---

    def person(self, name: str) -> Person | None:
        with transaction(self.path) as db:
            row = _one(db, "person", name=name)
        return Person(**dict(row)) if row else None

    def facts(self, request: LeaveRequest, asked: datetime) -> Facts:
        """Everything that the rules look at."""
        who, days = request.employee, {"first": request.first_day.isoformat(), "last": request.last_day.isoformat()}
        with transaction(self.path) as db:
            zone = ZoneInfo(_one(db, "zone", person=who)["zone"])
            tomorrow = asked.astimezone(zone).date() + timedelta(days=1)
            midnight = datetime.combine(request.first_day, time(), zone).astimezone(UTC)
            return Facts(
                days=_working_days(db, who, request.first_day, request.last_day),
                notice=_working_days(db, who, tomorrow, request.first_day - timedelta(days=1)),
                left=_one(db, "left", person=who, year=request.first_day.year)["days"],
                begins_at=midnight,
                blackouts=[row["why"] for row in _all(db, "blackouts", person=who, **days)],
                own=_booked(db, who, days),
                substitutes=_booked(db, request.substitute, days),
            )

    def booking_under(self, key: str) -> str | None:
        """The id of the booking that was made under this key; None when none was."""
        with transaction(self.path) as db:
            row = _one(db, "booking_by_key", key=key)
        return _booking_id(row["id"]) if row else None

    def bookings(self) -> list[tuple[str, str, str, str, int]]:
        """All leave that stands: person, kind, first day, last day, working days."""
        with transaction(self.path) as db:
            return [tuple(row) for row in _all(db, "bookings")]

    def rows(self) -> int:
        """How many bookings were ever made, cancelled ones too."""
        with transaction(self.path) as db:
            return int(_one(db, "all_bookings")["rows"])

    def left(self, person: str, year: int = 2026) -> int:
        """Days of annual leave that are not booked."""
        with transaction(self.path) as db:
            return int(_one(db, "left", person=person, year=year)["days"])

    def messages(self) -> list[tuple[str, str, str]]:
        """What people were told: recipient, subject, text."""
        with transaction(self.path) as db:
            return [tuple(row) for row in _all(db, "messages")]

    # --- writing ---

    def book(self, request: LeaveRequest, key: str) -> str:
        """Book leave and answer with its id; raises RefusedByHr when days or entitlement were taken meanwhile."""
        who, days = request.employee, {"first": request.first_day.isoformat(), "last": request.last_day.isoformat()}
        with transaction(self.path) as db:
            known = _one(db, "booking_by_key", key=key)
            if known:
                return _booking_id(known["id"])
            own = _booked(db, who, days)
            if own:
                raise RefusedByHr(f"{who} has leave in these days already: {', '.join(own)}")
            count = _working_days(db, who, request.first_day, request.last_day)
            left = _one(db, "left", person=who, year=request.first_day.year)["days"]
            if request.kind == "annual" and count > left:
                raise RefusedByHr(f"{who} has {left} days left, and this takes {count}")
            made = _one(db, "add_booking", person=who, kind=request.kind, days=count, key=key, **days)
        return _booking_id(made["id"])

    def cancel(self, booking: str) -> None:
        """Give the days back; cancelling twice is the same as once."""
        with transaction(self.path) as db:
            db.execute(queries()["cancel_booking"], {"id": int(booking.removeprefix("LV-"))})

    def tell(self, recipient: str, subject: str, body: str, key: str) -> None:
        with transaction(self.path) as db:
            db.execute(queries()["add_message"], {"recipient": recipient, "subject": subject, "body": body, "key": key})

    # --- the file ---


def _seed(db: sqlite3.Connection) -> None:
    """Give a new system its sites and people."""
    for statement in (HERE / "hr_schema.sql").read_text(encoding="utf-8").split(";\n"):
        db.execute(statement)
    for site in SITES.values():
        _run(db, "add_site", name=site.name, zone=site.zone)
        for day, name in site.holidays:
            _run(db, "add_holiday", site=site.name, day=day.isoformat(), name=name)
    for name, first, last, why in BLACKOUTS:
        _run(db, "add_blackout", site=name, first=first, last=last, why=why)
    for name, site_name, queue, days in PEOPLE:
        _run(db, "add_person", name=name, site=site_name, decided_in=queue)
        for year in YEARS:
            _run(db, "add_entitlement", person=name, year=year, days=days)
    db.execute("PRAGMA user_version = 1")


def _run(db: sqlite3.Connection, query: str, **parameters: Any) -> None:
    db.execute(queries()[query], parameters)


def _all(db: sqlite3.Connection, query: str, **parameters: Any) -> list[sqlite3.Row]:
    return db.execute(queries()[query], parameters).fetchall()


def _one(db: sqlite3.Connection, query: str, **parameters: Any) -> Any:
    """The first row, or None."""
    return db.execute(queries()[query], parameters).fetchone()


def _booked(db: sqlite3.Connection, person: str, days: dict[str, str]) -> list[str]:
    return [f"{row['kind']} {row['first']} to {row['last']}" for row in _all(db, "booked", person=person, **days)]


def _working_days(db: sqlite3.Connection, person: str, first: date, last: date) -> int:
    """Days from Monday to Friday that are no holiday of the person's site, both ends included."""
    free = {row["day"] for row in _all(db, "holidays", person=person, first=first.isoformat(), last=last.isoformat())}
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return sum(day.weekday() < 5 and day.isoformat() not in free for day in days)


def _booking_id(number: int) -> str:
    return f"LV-{number:05}"
