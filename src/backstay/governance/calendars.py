"""Calendars: when people work, and therefore when their work is due.

Pure: moments in, moments out, always in UTC; the clock and the journal are elsewhere. A working hour is an hour that
passes. A time on the wall means the first moment at which the zone's clock shows it or a later one: in a skipped hour
that is the jump, in a repeated one the first of the two. Hours belong to the day on which they begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from backstay.errors import AuthorError
from backstay.types import Json, seconds

Working: TypeAlias = timedelta | str
"""Working time: a timedelta or text such as "16h" or "1h30m"; or business days, such as "3bd"."""


class Span(NamedTuple):
    """Hours of one day, counted from its midnight; `closes` lies beyond 24 hours where they run into the next day."""

    opens: timedelta
    closes: timedelta


Spans: TypeAlias = tuple[Span, ...]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS: Final = {"weekdays": DAYS[:5], "weekend": DAYS[5:], "daily": DAYS}
WEEKDAYS: Final = "weekdays 09:00-17:00"
FIELDS: Final = ("name", "zone", "hours", "holidays", "exceptions")
"""The JSON form has these keys, no more and no fewer."""

DAY: Final = timedelta(days=1)
TICK: Final = timedelta.resolution
CLOSED_AT_MOST: Final = 3653
"""Days, ten years: a calendar that stays closed for longer is a mistake."""
REACH: Final = 36525
"""Days, a century: nothing is due later than this after its start."""

_TIMES = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_BUSINESS_DAYS = re.compile(r"(\d{1,6})bd")
_CLOCK = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")


@dataclass(frozen=True, init=False)
class Calendar:
    """The working hours of one group of people in one time zone; raises AuthorError naming the field that is wrong."""

    name: str
    zone: str
    """IANA name, such as Europe/Berlin."""
    week: tuple[Spans, ...]
    """The hours of Monday to Sunday."""
    holidays: tuple[tuple[date, str], ...]
    """Days on which nobody begins to work, with the name of each; sorted."""
    exceptions: tuple[tuple[date, Spans], ...]
    """Days with hours of their own, whatever weekday or holiday they are; sorted."""
    _zone: ZoneInfo = field(repr=False, compare=False)
    _special: dict[date, Spans] = field(repr=False, compare=False)

    def __init__(
        self,
        name: str,
        zone: str = "Europe/Berlin",
        *,
        hours: str | Mapping[str, str] = WEEKDAYS,
        holidays: Iterable[date] | Mapping[date, str] = (),
        exceptions: Mapping[date, str] | None = None,
    ) -> None:
        """hours: {"mon-thu": "09:00-17:00", "fri": "09:00-12:00,13:00-15:00"} or the same as one text with ";".

        exceptions: hours by date; "closed" for none.
        """
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]  # JSON may hold anything
            raise AuthorError(f"calendar {name!r}: name is not a text; give it one")
        free, special = _holidays(name, holidays), _exceptions(name, exceptions or {})
        self.__dict__.update(  # as a frozen dataclass would, field by field
            name=name,
            zone=zone,
            week=_week(name, hours),
            holidays=tuple(sorted(free.items())),
            exceptions=tuple(sorted(special.items())),
            _zone=_zone(name, zone),
            _special=dict.fromkeys(free, ()) | special,
        )
        self._check_it_opens()

    @classmethod
    def always(cls, name: str = "always", zone: str = "UTC") -> Calendar:
        """Open around the clock."""
        return cls(name, zone, hours="daily 00:00-24:00")

    @classmethod
    def for_country(
        cls,
        country: str,
        *,
        subdivision: str | None = None,
        years: Iterable[int],
        zone: str,
        name: str = "",
        hours: str | Mapping[str, str] = WEEKDAYS,
        exceptions: Mapping[date, str] | None = None,
    ) -> Calendar:
        """With the public holidays of a country or a part of it (ISO 3166), from the `holidays` package.

        years: those whose holidays it takes over, in the country's language; later ones have none. name: else "DE-BY".
        """
        name = name or "-".join(filter(None, (country, subdivision)))
        holidays = _public_holidays(name, country, subdivision, years)
        return cls(name, zone, hours=hours, holidays=holidays, exceptions=exceptions)

    @classmethod
    def from_json(cls, value: Json) -> Calendar:
        """Read what `to_json` wrote; raises AuthorError for anything else."""
        if not isinstance(value, dict) or set(value) != set(FIELDS):
            raise AuthorError(
                f"a calendar in JSON is an object with exactly {', '.join(FIELDS)}; this is {value!r:.200}"
            )
        name = value["name"]
        return cls(
            name,
            value["zone"],
            hours=value["hours"],
            holidays=_dated(name, "holidays", value["holidays"]),
            exceptions=_dated(name, "exceptions", value["exceptions"]),
        )

    def to_json(self) -> Json:
        """All that decides a due moment but the time zone data of the machine; equal calendars give equal JSON."""
        return {
            "name": self.name,
            "zone": self.zone,
            "hours": {day: _text(spans) for day, spans in zip(DAYS, self.week, strict=True) if spans},
            "holidays": {day.isoformat(): called for day, called in self.holidays},
            "exceptions": {day.isoformat(): _text(spans) for day, spans in self.exceptions},
        }

    # --- questions -----------------------------------------------------------------------------------

    def due(self, start: datetime, working: Working) -> datetime:
        """The first moment at which so much working time has passed since `start`.

        "3bd": the same clock time on the third business day after, in working hours; see docs/calendars.md.
        """
        moment, amount = _utc("start", start), _amount(working)
        return self._days_later(moment, amount) if isinstance(amount, int) else self._later(moment, amount)

    def working(self, start: datetime, end: datetime) -> timedelta:
        """Working time from one moment to another; negative when `end` is the earlier one."""
        first, last = _utc("start", start), _utc("end", end)
        if last < first:
            return -self.working(last, first)
        total = timedelta()
        for opens, closes in self._periods(first):
            if opens >= last:
                break
            total += min(closes, last) - opens
        return total

    def is_open(self, moment: datetime) -> bool:
        """Whether somebody works at this moment; the moment of closing is closed."""
        return self.next_open(moment) == moment

    def next_open(self, moment: datetime) -> datetime:
        """The moment itself if it is open, else the next opening."""
        return next(self._periods(_utc("moment", moment)))[0]

    # --- how -----------------------------------------------------------------------------------------

    def _later(self, moment: datetime, left: timedelta) -> datetime:
        if not left:
            return moment
        periods = self._periods(moment)
        opens, closes = next(periods)
        while closes - opens < left:
            left -= closes - opens
            opens, closes = next(periods)
        return opens + left

    def _days_later(self, moment: datetime, days: int) -> datetime:
        """A business day lasts from its opening to that of the next one; this keeps the order of moments."""
        moment = self.next_open(moment)
        ahead = self._openings(moment)
        today, following = next(ahead), next(ahead)
        while following[1] <= moment:
            today, following = following, next(ahead)
        clock = self._clock(moment) - _midnight(today[0])
        for _ in range(days):
            today, following = following, next(ahead)
        same = self._at(today[0], clock)
        return self.next_open(min(max(same, today[1]), following[1]))

    def _periods(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The working time after a moment, in order; where shifts overlap, the later one begins when the other ends."""
        for day in self._dates(moment):
            for opens, closes in self._shifts(day):
                if closes > moment:
                    yield max(opens, moment), closes
                    moment = closes

    def _openings(self, moment: datetime) -> Iterator[tuple[date, datetime]]:
        """The business days from the one before a moment, each with its opening."""
        for day in self._dates(moment):
            for opens, _ in self._shifts(day):
                yield day, opens
                break

    def _dates(self, moment: datetime) -> Iterator[date]:
        """From the day before, whose hours may run into this one."""
        first = moment.astimezone(self._zone).date() - DAY
        for number in range(REACH):
            yield first + number * DAY
        raise AuthorError(
            f"calendar {self.name!r} was asked for a moment more than {REACH} days after {moment.isoformat()}; "
            "ask for less working time"
        )

    def _shifts(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The hours that begin on a day, as moments; without those that a jump of the clock leaves no time."""
        special = self._special.get(day)
        for span in self.week[day.weekday()] if special is None else special:
            opens, closes = self._at(day, span.opens), self._at(day, span.closes)
            if opens < closes:
                yield opens, closes

    def _at(self, day: date, clock: timedelta) -> datetime:
        """The first moment at which the zone's clock shows this time or a later one."""
        wall = (_midnight(day) + clock).replace(tzinfo=self._zone)
        moment = wall.astimezone(UTC)
        if moment.astimezone(self._zone) == wall:
            return moment
        return self._jump(wall.replace(fold=1).astimezone(UTC), moment)

    def _clock(self, moment: datetime) -> datetime:
        """The latest time that the zone's clock has shown by then: through a repeated hour, the end of that hour."""
        local = moment.astimezone(self._zone)
        if local.fold:
            jump = self._jump(local.replace(fold=0).astimezone(UTC), moment)
            local = (jump - TICK).astimezone(self._zone) + TICK
        return local.replace(tzinfo=None)

    def _jump(self, low: datetime, high: datetime) -> datetime:
        """The moment between these two at which the zone's offset changes."""
        before = low.astimezone(self._zone).utcoffset()
        while high - low > TICK:
            middle = low + (high - low) // 2
            if middle.astimezone(self._zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high

    def _check_it_opens(self) -> None:
        if not any(self.week):
            raise AuthorError(f"calendar {self.name!r}: hours has no working time in any week; open at least one day")
        if len(self._special) * 7 < CLOSED_AT_MOST:  # too few to keep even one weekday closed for that long
            return
        closed = 0
        for number in range(min(self._special).toordinal(), max(self._special).toordinal() + 1):
            day = date.fromordinal(number)
            closed = 0 if self._special.get(day, self.week[day.weekday()]) else closed + 1
            if closed > CLOSED_AT_MOST:
                raise AuthorError(
                    f"calendar {self.name!r}: holidays keep it closed for more than {CLOSED_AT_MOST} days up to {day}; "
                    "nothing would become due"
                )


# --- reading -----------------------------------------------------------------------------------------


def _utc(what: str, moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise AuthorError(f"{what} {moment.isoformat()} has no time zone; give it one, for example tzinfo=UTC")
    if not 1900 < moment.year < 9800:
        raise AuthorError(f"{what} {moment.isoformat()} is outside the years that calendars know, 1901 to 9799")
    return moment.astimezone(UTC)


def _amount(working: Working) -> timedelta | int:
    """Working time, or a number of business days; "d" and "w" are refused because both readings would be plausible."""
    if isinstance(working, timedelta):
        if working < timedelta():
            raise AuthorError(f"working time {working!r} is negative")
        return working
    text = working.replace(" ", "")
    if days := _BUSINESS_DAYS.fullmatch(text):
        return int(days[1])
    if not _CLOCK.fullmatch(text):
        raise AuthorError(
            f"{working!r} is no working time; write hours such as '16h' or '1h30m', or business days such as '3bd'"
        )
    try:
        return timedelta(seconds=seconds(text))
    except OverflowError:
        raise AuthorError(f"{working!r} is more working time than there is") from None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _zone(name: str, zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError, TypeError):
        raise AuthorError(
            f"calendar {name!r}: zone {zone!r} is no time zone known here; write for example 'Europe/Berlin' "
            "(a machine without time zone data needs the package tzdata)"
        ) from None


def _week(name: str, hours: Any) -> tuple[Spans, ...]:
    week: dict[str, Spans] = {}
    for days, text in _hours(name, hours):
        spans = _spans(f"calendar {name!r}: hours {days!r}", text)
        for day in _days(name, days):
            if day in week:
                raise AuthorError(f"calendar {name!r}: hours gives {day} twice; say its hours once, with commas")
            week[day] = spans
    return tuple(week.get(day, ()) for day in DAYS)


def _hours(name: str, hours: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(hours, Mapping):
        yield from hours.items()
        return
    if not isinstance(hours, str):
        raise AuthorError(f"calendar {name!r}: hours is {hours!r}; write a text or a mapping from days to hours")
    for part in filter(str.strip, hours.split(";")):
        days, _, text = part.strip().partition(" ")
        yield days, text


def _days(name: str, text: Any) -> Iterator[str]:
    """ "mon", "mon-thu", "mon,wed", "sat-mon" or the name of a group."""
    for part in str(text).replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if part in GROUPS:
            yield from GROUPS[part]
        elif first in DAYS and (last or first) in DAYS and not part.endswith("-"):
            at = DAYS.index(first)
            for step in range((DAYS.index(last or first) - at) % 7 + 1):
                yield DAYS[(at + step) % 7]
        else:
            raise AuthorError(
                f"calendar {name!r}: hours names the days {text!r}; use {', '.join(DAYS)}, ranges such as 'mon-fri', "
                f"{', '.join(GROUPS)}"
            )


def _spans(where: str, text: Any) -> Spans:
    if isinstance(text, str) and text.strip() == "closed":
        return ()
    spans = sorted(_span(where, part) for part in str(text).replace(" ", "").split(","))
    for before, after in pairwise(spans):
        if after.opens < before.closes:
            raise AuthorError(f"{where}: {text!r} overlaps itself; a later part begins after the earlier one has ended")
    return tuple(spans)


def _span(where: str, text: str) -> Span:
    found = _TIMES.fullmatch(text)
    opens, closes = (_time(found[1], found[2]), _time(found[3], found[4])) if found else (None, None)
    if opens is None or closes is None or opens in (closes, DAY):
        raise AuthorError(
            f"{where}: {text!r} is no working time; write '09:00-17:00', '22:00-06:00' over midnight, "
            "'00:00-24:00' for the whole day, several with commas, or 'closed'"
        )
    return Span(opens, closes if closes > opens else closes + DAY)


def _time(hour: str, minute: str) -> timedelta | None:
    time = timedelta(hours=int(hour), minutes=int(minute))
    return time if time <= DAY and int(minute) < 60 else None


def _text(spans: Spans) -> str:
    return ",".join(f"{_shown(span.opens)}-{_shown(span.closes)}" for span in spans) or "closed"


def _shown(time: timedelta) -> str:
    minutes = int((time if time <= DAY else time - DAY).total_seconds()) // 60
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _holidays(name: str, holidays: Any) -> dict[date, str]:
    if not holidays and getattr(holidays, "expand", False):  # would be filled as it is asked, which nobody does here
        raise AuthorError(f"calendar {name!r}: holidays has no years yet; name them: country_holidays(..., years=...)")
    try:
        named: dict[Any, Any] = dict(holidays) if isinstance(holidays, Mapping) else dict.fromkeys(holidays, "")
    except TypeError:
        raise AuthorError(f"calendar {name!r}: holidays is {holidays!r}; give dates, or a mapping to names") from None
    for day, called in named.items():
        _check_date(name, "holidays", day)
        if not isinstance(called, str):
            raise AuthorError(f"calendar {name!r}: holidays[{day}] is {called!r}; its name is a text")
    return named


def _exceptions(name: str, exceptions: Any) -> dict[date, Spans]:
    if not isinstance(exceptions, Mapping):
        raise AuthorError(f"calendar {name!r}: exceptions is {exceptions!r}; give a mapping from dates to hours")
    for day in exceptions:
        _check_date(name, "exceptions", day)
    return {day: _spans(f"calendar {name!r}: exceptions[{day}]", text) for day, text in exceptions.items()}


def _check_date(name: str, what: str, day: Any) -> None:
    if not isinstance(day, date) or isinstance(day, datetime):
        raise AuthorError(f"calendar {name!r}: {what} has {day!r}; give a datetime.date")


def _dated(name: Any, what: str, value: Any) -> dict[date, Any]:
    found: dict[date, Any] = {}
    for text, item in value.items() if isinstance(value, dict) else ((value, None),):
        try:
            day = date.fromisoformat(text)
        except (TypeError, ValueError):
            day = None
        if day is None or day.isoformat() != text:
            raise AuthorError(f"calendar {name!r}: {what} has {text!r:.80}; in JSON a day is such as '2026-12-25'")
        found[day] = item
    return found


def _public_holidays(name: str, country: str, subdivision: str | None, years: Iterable[int]) -> dict[date, str]:
    try:
        import holidays  # an extra, and slow to load
    except ImportError:
        raise AuthorError(
            f"calendar {name!r}: public holidays need the extra 'calendars': pip install 'backstay[calendars]'"
        ) from None
    if not (wanted := sorted(years)):
        raise AuthorError(f"calendar {name!r}: years is empty; name those that it is for, such as range(2026, 2036)")
    try:
        own = holidays.country_holidays(country, subdiv=subdivision).default_language  # else it is the machine's
        return dict(holidays.country_holidays(country, subdivision, wanted, expand=False, language=own))
    except NotImplementedError as error:
        raise AuthorError(f"calendar {name!r}: no public holidays are known for it: {error}") from None
