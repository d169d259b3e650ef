"""Calendars against a wall clock that is watched minute by minute, and against the laws that due times obey."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.errors import AuthorError
from backstay.governance.calendars import DAYS, Calendar
from backstay.governance.schedule import Schedule, resumed
from backstay.types import iso

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # half an hour
    "America/Santiago",  # at midnight
    "UTC",
)
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar("office", exceptions={date(2026, 12, 24): "10:00-14:00"}, holidays={date(2026, 12, 25): "Christmas"})
NIGHT = Calendar("night", hours="daily 22:00-06:00")


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> datetime:
    """A moment, from what the clock of the zone shows; in UTC, as due moments are."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def shown(moment: datetime | None, zone: str = "Europe/Berlin") -> str:
    assert moment is not None
    assert moment.tzinfo is UTC
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


# --- generated calendars -----------------------------------------------------------------------------


@cache
def jumps(zone: str, year: int) -> tuple[datetime, ...]:
    """The days of a year, at midnight in UTC, within which the offset of the zone changes."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + number * DAY for number in range(366)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    return tuple(day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after)


@st.composite
def spans(draw: st.DrawFn) -> str:
    """Up to three parts; the last may run over midnight."""
    marks = sorted(draw(st.sets(st.integers(0, 1439), min_size=2, max_size=6)))
    marks = marks[: len(marks) // 2 * 2]
    pairs = [*zip(marks[::2], marks[1::2], strict=True)]
    if draw(st.booleans()):
        pairs[-1] = (pairs[-1][1], draw(st.integers(0, pairs[0][0])))
        pairs = pairs[-1:]
    elif draw(st.integers(0, 5)) == 0:
        pairs = [(0, 1440)]
    return ",".join("-".join(f"{mark // 60:02}:{mark % 60:02}" for mark in pair) for pair in pairs)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """A calendar, and a moment near a change of its zone's offset where it has any."""
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.sampled_from((2024, 2026, 2028, 2041)))
    near = draw(st.sampled_from(jumps(zone, year) or (datetime(year, 2, 28, tzinfo=UTC),)))
    days = st.dates((near - 8 * DAY).date(), (near + 8 * DAY).date())
    hours = draw(st.dictionaries(st.sampled_from(DAYS), spans(), min_size=1))
    calendar = Calendar(
        "drawn",
        zone,
        hours=hours,
        holidays=draw(st.sets(days, max_size=3)),
        exceptions=draw(st.dictionaries(days, st.one_of(st.just("closed"), spans()), max_size=3)),
    )
    return calendar, near + draw(st.integers(-3 * 1440, 3 * 1440)) * MINUTE


work = st.integers(0, 40 * 60).map(lambda minutes: minutes * MINUTE)
days_or_work = st.one_of(work, st.integers(0, 4).map("{}bd".format))
pauses = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4000)), max_size=4)

Pause = tuple[datetime, datetime]


def ledger(start: datetime, drawn: list[tuple[int, int]]) -> list[Pause]:
    """Pauses one after the other: how long after the one before each begins, and how long it lasts."""
    found, moment = list[Pause](), start
    for after, lasting in drawn:
        paused = moment + after * MINUTE
        moment = paused + lasting * MINUTE
        found.append((paused, moment))
    return found


def due_with(calendar: Calendar, start: datetime, working: timedelta | str, listed: list[Pause]) -> datetime:
    """When work is due that was asked about and answered at these moments."""
    times = Schedule(due=iso(calendar.due(start, working)), plan=[], calendar=calendar.to_json())
    for asked, answered in listed:
        times = resumed(times, iso(asked), iso(answered))
    assert times.due is not None
    return datetime.fromisoformat(times.due)


def minutes(text: str) -> list[tuple[int, int]]:
    if text == "closed":
        return []
    parts = [[int(mark[:2]) * 60 + int(mark[3:]) for mark in part.split("-")] for part in text.split(",")]
    return [(opens, closes if closes > opens else closes + 1440) for opens, closes in parts]


def watched(calendar: Calendar, start: datetime, days: int) -> Iterator[bool]:
    """Whether it is open, minute by minute: somebody watches the zone's clock and opens and closes as it shows the time."""
    told = calendar.to_json()
    first = start - 3 * DAY
    zone, wall = ZoneInfo(told["zone"]), list[datetime]()
    for number in range((days + 6) * 1440):
        clock = (first + number * MINUTE).astimezone(zone).replace(tzinfo=None)
        wall.append(max(clock, wall[-1]) if wall else clock)
    is_open = [False] * len(wall)
    for number in range(days + 4):
        day = (wall[0] + (number + 1) * DAY).date()
        text = told["hours"].get(DAYS[day.weekday()], "closed")
        text = "closed" if day.isoformat() in told["holidays"] else text
        text = told["exceptions"].get(day.isoformat(), text)
        midnight = datetime(day.year, day.month, day.day)
        for opens, closes in minutes(text):
            begin, end = (bisect_left(wall, midnight + mark * MINUTE) for mark in (opens, closes))
            is_open[begin:end] = [True] * (end - begin)
    return iter(is_open[3 * 1440 : (days + 3) * 1440])


@settings(max_examples=60, deadline=None)
@given(situations(), st.integers(1, 30 * 60))
def test_it_is_open_when_somebody_who_watches_the_clock_would_say_so(
    situation: tuple[Calendar, datetime], wanted: int
) -> None:
    calendar, start = situation
    is_open = list(watched(calendar, start, 9))
    worked = [0]
    for each in is_open:
        worked.append(worked[-1] + each)
    for number in range(0, len(is_open), 97):
        moment = start + number * MINUTE
        assert calendar.is_open(moment) == is_open[number]
        assert calendar.working(start, moment) == worked[number] * MINUTE
        if True in is_open[number:]:
            assert calendar.next_open(moment) == start + is_open.index(True, number) * MINUTE
    if worked[-1] >= wanted:
        assert calendar.due(start, wanted * MINUTE) == start + bisect_left(worked, wanted) * MINUTE


# --- laws --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(situations(), work)
def test_the_working_time_until_it_is_due_is_the_working_time_given(
    situation: tuple[Calendar, datetime], given_time: timedelta
) -> None:
    calendar, start = situation
    assert calendar.working(start, calendar.due(start, given_time)) == given_time


@settings(deadline=None)
@given(situations(), work, work)
def test_working_time_adds_up(situation: tuple[Calendar, datetime], one: timedelta, other: timedelta) -> None:
    calendar, start = situation
    middle = calendar.due(start, one)
    end = calendar.due(middle, other)
    assert end == calendar.due(start, one + other)
    assert calendar.working(start, middle) + calendar.working(middle, end) == calendar.working(start, end)
    assert calendar.working(end, start) == -calendar.working(start, end)


@settings(deadline=None)
@given(situations(), work, work, work, st.integers(0, 4))
def test_what_starts_later_or_takes_longer_is_never_due_earlier(
    situation: tuple[Calendar, datetime], later: timedelta, given_time: timedelta, more: timedelta, days: int
) -> None:
    calendar, start = situation
    assert calendar.due(start, given_time) <= calendar.due(start + later, given_time)
    assert calendar.due(start, given_time) <= calendar.due(start, given_time + more)
    assert calendar.due(start, f"{days}bd") <= calendar.due(start + later, f"{days}bd")
    assert calendar.due(start, f"{days}bd") < calendar.due(start, f"{days + 2}bd")


@settings(deadline=None)
@given(situations(), st.integers(0, 5))
def test_business_days_end_in_working_hours(situation: tuple[Calendar, datetime], days: int) -> None:
    calendar, start = situation
    due = calendar.due(start, f"{days}bd")
    assert calendar.is_open(due)
    assert due >= calendar.next_open(start)


@given(st.integers(0, 60 * 24 * 60), st.integers(0, 9), st.integers(0, 9))
def test_business_days_add_up_where_all_have_the_same_hours(after: int, one: int, other: int) -> None:
    calendar = Calendar("plain", holidays=[date(2026, 4, 3), date(2026, 4, 6)])
    start = at("2026-03-20T00:00") + after * MINUTE
    assert calendar.due(calendar.due(start, f"{one}bd"), f"{other}bd") == calendar.due(start, f"{one + other}bd")


@settings(deadline=None)
@given(situations())
def test_the_json_form_comes_back_as_it_was(situation: tuple[Calendar, datetime]) -> None:
    calendar, start = situation
    again = Calendar.from_json(json.loads(json.dumps(calendar.to_json())))
    assert again == calendar
    assert hash(again) == hash(calendar)
    assert again.to_json() == calendar.to_json()
    assert again.due(start, "9h") == calendar.due(start, "9h")


# --- hours and days by example -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "working", "expected"),
    [
        ("2026-11-20T10:00", "4h", "Fri 2026-11-20 14:00"),
        ("2026-11-20T10:00", "7h", "Fri 2026-11-20 17:00"),  # as they close, not as they open again
        ("2026-11-20T10:00", "7h1m", "Mon 2026-11-23 09:01"),
        ("2026-11-20T10:00", "16h", "Tue 2026-11-24 10:00"),
        ("2026-11-21T10:00", "0h", "Sat 2026-11-21 10:00"),
        ("2026-12-23T16:00", "2h", "Thu 2026-12-24 11:00"),
        ("2026-12-23T16:00", "6h", "Mon 2026-12-28 10:00"),  # an exception, a holiday and a weekend
        ("2026-11-18T11:30", "1bd", "Thu 2026-11-19 11:30"),
        ("2026-11-20T11:30", "3bd", "Wed 2026-11-25 11:30"),
        ("2026-11-20T18:00", "1bd", "Tue 2026-11-24 09:00"),  # after hours is as the next opening
        ("2026-11-21T11:30", "1bd", "Tue 2026-11-24 09:00"),
        ("2026-11-21T11:30", "0bd", "Mon 2026-11-23 09:00"),
        ("2026-12-23T16:00", "1bd", "Mon 2026-12-28 09:00"),  # the short day is over by then
        ("2026-12-23T09:15", "1bd", "Thu 2026-12-24 10:00"),  # the short day has not begun by then
        ("2026-12-23T12:00", "2bd", "Mon 2026-12-28 12:00"),
        ("2028-02-28T12:00", "1bd", "Tue 2028-02-29 12:00"),
        ("2028-02-28T12:00", "2bd", "Wed 2028-03-01 12:00"),
        ("2027-02-26T12:00", "1bd", "Mon 2027-03-01 12:00"),
        ("2026-03-27T16:00", "2h", "Mon 2026-03-30 10:00"),  # the clock jumped on Sunday
        ("2026-10-23T16:00", "1bd", "Mon 2026-10-26 16:00"),
    ],
)
def test_work_is_due(start: str, working: str, expected: str) -> None:
    assert shown(OFFICE.due(at(start), working)) == expected


@pytest.mark.parametrize(
    ("start", "working", "expected"),
    [
        ("2026-03-28T22:00", "7h", "Sun 2026-03-29 06:00"),  # a night of seven hours
        ("2026-10-24T22:00", "8h", "Sun 2026-10-25 05:00"),  # a night of nine
        ("2026-10-24T22:00", "9h", "Sun 2026-10-25 06:00"),
        ("2026-03-28T02:30", "1bd", "Sun 2026-03-29 03:00"),  # 02:30 does not exist
        ("2026-10-24T02:30", "1bd", "Sun 2026-10-25 02:30"),  # the first of the two
        ("2026-11-20T23:00", "1bd", "Sat 2026-11-21 23:00"),
        ("2026-11-20T12:00", "1bd", "Sat 2026-11-21 22:00"),
    ],
)
def test_a_night_shift_is_as_long_as_the_night(start: str, working: str, expected: str) -> None:
    assert shown(NIGHT.due(at(start), working)) == expected


def test_of_a_repeated_time_the_first_counts() -> None:
    assert NIGHT.due(at("2026-10-24T02:30"), "1bd") == at("2026-10-25T02:30", fold=0)
    early = Calendar("early", hours="daily 02:00-02:30")
    assert early.working(at("2026-10-25T00:00"), at("2026-10-26T00:00")) == 30 * MINUTE
    assert not early.is_open(at("2026-10-25T02:10", fold=1))


def test_business_days_from_a_repeated_hour_are_counted_from_its_end() -> None:
    assert shown(NIGHT.due(at("2026-10-25T02:15", fold=0), "1bd")) == "Mon 2026-10-26 02:15"
    assert shown(NIGHT.due(at("2026-10-25T02:15", fold=1), "1bd")) == "Mon 2026-10-26 03:00"


def test_hours_in_a_skipped_hour_are_no_business_day() -> None:
    skipped = Calendar("skipped", hours="daily 02:00-03:00")
    assert skipped.working(at("2026-03-28T12:00"), at("2026-03-29T12:00")) == timedelta()
    assert shown(skipped.due(at("2026-03-28T02:30"), "1bd")) == "Mon 2026-03-30 02:30"


def test_a_day_that_begins_at_one_o_clock_begins_then() -> None:
    santiago = Calendar("around", "America/Santiago", hours="daily 00:00-24:00")
    assert santiago.working(at("2026-09-06T01:00", santiago.zone), at("2026-09-07T00:00", santiago.zone)) == 23 * HOUR
    assert shown(santiago.due(at("2026-09-05T00:30", santiago.zone), "1bd"), santiago.zone) == "Sun 2026-09-06 01:00"


def test_a_date_that_a_zone_left_out_is_no_business_day() -> None:
    samoa = Calendar("samoa", "Pacific/Apia")  # had no 30 December 2011
    assert shown(samoa.due(at("2011-12-29T10:00", samoa.zone), "1bd"), samoa.zone) == "Mon 2012-01-02 10:00"


def test_hours_belong_to_the_day_on_which_they_begin() -> None:
    fridays = Calendar("fridays", hours="fri 22:00-06:00; mon 22:00-06:00", holidays=[date(2026, 11, 21)])
    assert fridays.is_open(at("2026-11-21T03:00"))
    assert shown(fridays.due(at("2026-11-21T03:00"), "1bd")) == "Tue 2026-11-24 03:00"
    assert not Calendar("off", hours="daily 22:00-06:00", holidays=[date(2026, 11, 20)]).is_open(at("2026-11-21T03:00"))


def test_a_business_day_lasts_from_its_opening_to_the_next() -> None:
    early = Calendar("early", hours="mon,tue 00:30-08:00; fri 22:00-06:00")
    assert shown(early.due(at("2026-11-21T03:00"), "1bd")) == "Tue 2026-11-24 00:30"  # not 03:00, see the next line
    assert shown(early.due(at("2026-11-23T01:00"), "1bd")) == "Tue 2026-11-24 01:00"
    late = Calendar("late", hours="sun 01:00-03:00; mon 22:00-06:00; tue 08:00-12:00")
    assert shown(late.due(at("2026-11-22T01:00"), "2bd")) == "Tue 2026-11-24 08:00"  # 01:00 is still Monday's night
    assert shown(late.due(at("2026-11-22T01:00"), "1bd")) == "Mon 2026-11-23 22:00"


def test_shifts_that_overlap_count_once() -> None:
    shifts = Calendar("shifts", hours="mon 22:00-06:00; tue 05:00-13:00")
    assert shifts.working(at("2026-11-23T00:00"), at("2026-11-25T00:00")) == 15 * HOUR


def test_it_closes_at_the_moment_of_closing() -> None:
    assert OFFICE.is_open(at("2026-11-20T09:00"))
    assert OFFICE.is_open(at("2026-11-20T16:59"))
    assert not OFFICE.is_open(at("2026-11-20T17:00"))
    assert shown(OFFICE.next_open(at("2026-11-20T17:00"))) == "Mon 2026-11-23 09:00"


def test_always_is_always() -> None:
    always = Calendar.always()
    assert always.due(at("2026-02-28T10:00"), timedelta(days=365)) == at("2027-02-28T10:00")
    assert always.due(at("2026-11-20T10:00"), "3bd") == at("2026-11-23T10:00")
    assert always.working(at("2026-01-01T01:00"), at("2027-01-01T01:00")) == timedelta(days=365)


def test_far_ahead_it_still_counts() -> None:
    assert shown(OFFICE.due(at("2026-11-20T10:00"), "20000h")) == "Mon 2036-06-23 14:00"


@pytest.mark.parametrize("working", ["9999999h", "999999bd", "99999999999999999h"])
def test_nothing_is_due_after_more_than_a_century(working: str) -> None:
    with pytest.raises(AuthorError, match=r"36525 days|more working time than there is"):
        OFFICE.due(at("2026-11-20T10:00"), working)


# --- pauses ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(situations(), st.integers(1, 20 * 60), pauses)
def test_paused_time_does_not_count_for_somebody_who_watches_the_clock(
    situation: tuple[Calendar, datetime], wanted: int, drawn: list[tuple[int, int]]
) -> None:
    calendar, start = situation
    listed, worked = ledger(start, drawn), 0
    for number, is_open in enumerate(watched(calendar, start, 24)):
        worked += is_open and not any(paused <= start + number * MINUTE < answered for paused, answered in listed)
        if worked == wanted:
            assert due_with(calendar, start, wanted * MINUTE, listed) == start + (number + 1) * MINUTE
            return


def counted(calendar: Calendar, start: datetime, end: datetime, listed: list[Pause]) -> timedelta:
    """Working time outside the pauses, by looking at every stretch between two marks."""
    marks = sorted({start, end, *(min(max(mark, start), end) for pause in listed for mark in pause)})
    return sum(
        (
            calendar.working(low, high)
            for low, high in pairwise(marks)
            if not any(paused <= low and high <= answered for paused, answered in listed)
        ),
        timedelta(),
    )


@settings(deadline=None)
@given(situations(), days_or_work, pauses)
def test_the_working_time_that_was_left_is_there_after_a_pause(
    situation: tuple[Calendar, datetime], given_time: Any, drawn: list[tuple[int, int]]
) -> None:
    calendar, start = situation
    listed, planned = ledger(start, drawn), calendar.due(start, given_time)
    due = due_with(calendar, start, given_time, listed)
    assert counted(calendar, start, due, listed) == calendar.working(start, planned)
    assert due >= planned


@settings(deadline=None)
@given(situations(), days_or_work, st.lists(st.integers(0, 4000), max_size=4))
def test_a_pause_while_it_is_closed_changes_nothing(
    situation: tuple[Calendar, datetime], given_time: Any, drawn: list[int]
) -> None:
    calendar, start = situation
    listed, moment = list[Pause](), start
    for after in drawn:
        moment += after * MINUTE
        if not calendar.is_open(moment):
            listed.append((moment, calendar.next_open(moment)))
            moment = listed[-1][1]
    assert due_with(calendar, start, given_time, listed) == calendar.due(start, given_time)


@pytest.mark.parametrize(
    ("working", "paused", "expected"),
    [
        ("7h", [], "Fri 2026-11-20 17:00"),
        ("7h", [("2026-11-20T17:00", "2026-11-24T10:00")], "Fri 2026-11-20 17:00"),  # it was due before
        ("7h", [("2026-11-20T16:00", "2026-11-23T10:00")], "Mon 2026-11-23 11:00"),
        ("1bd", [("2026-11-21T10:00", "2026-11-22T10:00")], "Mon 2026-11-23 10:00"),
        ("1bd", [("2026-11-20T11:00", "2026-11-23T11:00")], "Tue 2026-11-24 10:00"),
        (
            "1bd",
            [("2026-11-20T11:00", "2026-11-20T12:00"), ("2026-11-20T12:00", "2026-11-20T14:00")],
            "Mon 2026-11-23 13:00",
        ),
    ],
)
def test_work_that_was_paused_is_due(working: str, paused: list[tuple[str, str]], expected: str) -> None:
    listed: list[Pause] = [(at(low), at(high)) for low, high in paused]
    assert shown(due_with(OFFICE, at("2026-11-20T10:00"), working, listed)) == expected


def test_business_days_that_end_as_it_opens_wait_for_a_pause_over_the_weekend() -> None:
    start = at("2026-11-19T18:00")
    assert shown(OFFICE.due(start, "1bd")) == "Mon 2026-11-23 09:00"
    saturday, sunday, noon = at("2026-11-21T10:00"), at("2026-11-22T10:00"), at("2026-11-23T12:00")
    assert shown(due_with(OFFICE, start, "1bd", [(saturday, sunday)])) == "Mon 2026-11-23 09:00"
    assert shown(due_with(OFFICE, start, "1bd", [(saturday, noon)])) == "Mon 2026-11-23 12:00"
    evening = at("2026-11-23T20:00")
    assert shown(due_with(OFFICE, start, "1bd", [(saturday, evening)])) == "Tue 2026-11-24 09:00"


# --- declaring ---------------------------------------------------------------------------------------


def test_hours_have_two_forms() -> None:
    text = Calendar("shop", hours="mon-thu 09:00-17:00; fri 09:00-12:00, 13:00-15:00; sat,sun 10:00-14:00")
    mapping = Calendar(
        "shop", hours={"mon-thu": "09:00-17:00", "fri": "09:00-12:00,13:00-15:00", "weekend": "10:00-14:00"}
    )
    assert text == mapping
    assert text.to_json()["hours"]["fri"] == "09:00-12:00,13:00-15:00"
    assert Calendar("x", hours="sat-mon 10:00-24:00") == Calendar("x", hours={"sun,sat,mon": "10:00-00:00"})


def test_an_exception_beats_a_holiday() -> None:
    both = Calendar("both", holidays=[date(2026, 12, 24)], exceptions={date(2026, 12, 24): "10:00-14:00"})
    assert both.is_open(at("2026-12-24T11:00"))


def test_it_is_frozen_and_travels() -> None:
    assert pickle.loads(pickle.dumps(OFFICE)) == OFFICE == copy.deepcopy(OFFICE)
    assert pickle.loads(pickle.dumps(OFFICE)).due(at("2026-11-20T10:00"), "7h") == at("2026-11-20T17:00")
    with pytest.raises(AttributeError):
        OFFICE.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given_fields", "told"),
    [
        ({"name": ""}, "name is not a text"),
        ({"zone": "Europe/Atlantis"}, "zone 'Europe/Atlantis' is no time zone"),
        ({"zone": "../etc/passwd"}, "is no time zone"),
        ({"zone": "Europe"}, "is no time zone"),
        ({"hours": 9}, "hours is 9"),
        ({"hours": ""}, "hours has no working time"),
        ({"hours": "daily closed"}, "hours has no working time"),
        ({"hours": {"mon": "9-17"}}, "hours 'mon': '9-17' is no working time"),
        ({"hours": {"mon": "09:00-09:00"}}, "is no working time"),
        ({"hours": {"mon": "09:00-25:00"}}, "is no working time"),
        ({"hours": {"mon": "24:00-06:00"}}, "is no working time"),
        ({"hours": {"mon": "09:60-17:00"}}, "is no working time"),
        ({"hours": {"mon": "09:00-12:00,11:00-15:00"}}, "overlaps itself"),
        ({"hours": {"mon": "22:00-06:00,23:00-24:00"}}, "overlaps itself"),
        ({"hours": {"montag": "09:00-17:00"}}, "hours names the days 'montag'"),
        ({"hours": {"mon-": "09:00-17:00"}}, "hours names the days 'mon-'"),
        ({"hours": "mon-fri 09:00-17:00; fri 09:00-12:00"}, "hours gives fri twice"),
        ({"holidays": 7}, "holidays is 7"),
        ({"holidays": ["2026-12-25"]}, "holidays has '2026-12-25'"),
        ({"holidays": [datetime(2026, 12, 25)]}, "holidays has datetime"),
        ({"holidays": {date(2026, 12, 25): 1}}, "holidays[2026-12-25] is 1"),
        ({"exceptions": [date(2026, 12, 24)]}, "exceptions is"),
        ({"exceptions": {"24.12.": "10:00-14:00"}}, "exceptions has '24.12.'"),
        ({"exceptions": {date(2026, 12, 24): "till noon"}}, "exceptions[2026-12-24]: 'tillnoon' is no working time"),
    ],
)
def test_a_wrong_field_is_named(given_fields: dict[str, Any], told: str) -> None:
    with pytest.raises(AuthorError) as refused:
        Calendar(**{"name": "c", **given_fields})
    assert told in str(refused.value)


def test_a_calendar_that_holidays_keep_closed_for_ten_years_is_refused() -> None:
    mondays = [date(2026, 1, 5) + number * 7 * DAY for number in range(523)]
    with pytest.raises(AuthorError, match="holidays keep it closed"):
        Calendar("mondays", hours="mon 09:00-17:00", holidays=mondays)
    assert Calendar("mondays", hours="mon,tue 09:00-17:00", holidays=mondays).is_open(at("2026-01-06T10:00"))


@pytest.mark.parametrize("working", ["3d", "1w", "", "bd", "-1bd", "1.5bd", "1bd4h", "soon", "h", timedelta(-1)])
def test_what_is_no_working_time_is_refused(working: Any) -> None:
    with pytest.raises(AuthorError, match="working time"):
        OFFICE.due(at("2026-11-20T10:00"), working)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(AuthorError, match="start 2026-11-20T10:00:00 has no time zone"):
        OFFICE.due(datetime(2026, 11, 20, 10), "1h")
    with pytest.raises(AuthorError, match="outside the years"):
        OFFICE.is_open(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"extra": 1}, "exactly name, zone, hours, holidays, exceptions"),
        ({"name": None}, "name is not a text"),
        ({"zone": 3}, "zone 3 is no time zone"),
        ({"hours": {"mon": 9}}, "hours 'mon': '9' is no working time"),
        ({"holidays": ["2026-12-25"]}, "holidays has ['2026-12-25']"),
        ({"holidays": {"20261225": "Christmas"}}, "holidays has '20261225'"),
        ({"holidays": {"2026-12-25": None}}, "holidays[2026-12-25] is None"),
        ({"exceptions": {"2026-12-24": None}}, "exceptions[2026-12-24]"),
    ],
)
def test_the_json_form_is_closed(change: dict[str, Any], told: str) -> None:
    with pytest.raises(AuthorError) as refused:
        Calendar.from_json({**OFFICE.to_json(), **change})
    assert told in str(refused.value)


@pytest.mark.parametrize("value", [None, [], "office", {"name": "office"}])
def test_json_that_is_no_calendar_is_refused(value: Any) -> None:
    with pytest.raises(AuthorError, match="is an object with exactly"):
        Calendar.from_json(value)


# --- public holidays ---------------------------------------------------------------------------------


def test_the_holidays_of_a_country_are_taken_over() -> None:
    bavaria = Calendar.for_country("DE", subdivision="BY", zone="Europe/Berlin", years=range(2026, 2029))
    assert bavaria.name == "DE-BY"
    named = dict(bavaria.holidays)
    assert date(2026, 1, 6) in named  # Epiphany, which Hamburg does not keep
    assert {day.year for day in named} == {2026, 2027, 2028}
    assert not bavaria.is_open(at("2026-12-25T10:00"))
    assert Calendar.from_json(bavaria.to_json()) == bavaria


@pytest.mark.parametrize("language", ["", "C", "en_US", "fr"])
def test_holidays_have_the_names_of_the_country_on_every_machine(
    monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    germany = Calendar.for_country("DE", zone="Europe/Berlin", years=[2026])
    assert dict(germany.holidays)[date(2026, 12, 25)] == "Erster Weihnachtstag"


def test_a_mapping_of_the_package_is_taken_over_once_it_has_years() -> None:
    package = pytest.importorskip("holidays")
    given_years = package.country_holidays("US", years=2026)
    assert not Calendar("us", "America/New_York", holidays=given_years).is_open(
        at("2026-11-26T10:00", "America/New_York")
    )
    with pytest.raises(AuthorError, match="holidays has no years yet"):
        Calendar("us", "America/New_York", holidays=package.country_holidays("US"))


@pytest.mark.parametrize(
    ("country", "years", "told"), [("XX", [2026], "no public holidays are known"), ("DE", [], "years is empty")]
)
def test_a_country_that_cannot_be_had_is_told(country: str, years: list[int], told: str) -> None:
    with pytest.raises(AuthorError, match=told):
        Calendar.for_country(country, zone="UTC", years=years)


def test_without_the_extra_it_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "holidays":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AuthorError, match=r"backstay\[calendars\]"):
        Calendar.for_country("DE", zone="Europe/Berlin", years=[2026])
