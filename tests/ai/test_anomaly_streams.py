"""Streams: what is unusual is told early, once, and with a score that means how rare it is."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from backstay.ai.anomalies import StreamDetector
from backstay.errors import AuthorError

START = datetime(2026, 1, 5, tzinfo=UTC)


def alarms(values: Iterable[float], step: float = 300) -> list[int]:
    """The rows at which a detector alarms."""
    detector, found = StreamDetector(), list[int]()
    for row, value in enumerate(values):
        detector.score(row * step, value)
        if detector.alarm:
            found.append(row)
    return found


def noise(rows: int, *, seed: int = 1, level: float = 50, spread: float = 2) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(level, spread) for _ in range(rows)]


def days(rows: int, seed: int = 2) -> list[float]:
    chance = random.Random(seed)
    return [100 + 40 * math.sin(row * 2 * math.pi / 288) + chance.gauss(0, 3) for row in range(rows)]


def test_a_spike_is_told_at_once() -> None:
    values = noise(2000)
    values[1500] = 80
    assert 1500 in alarms(values)


def test_nothing_wrong_alarms_about_as_seldom_as_was_asked() -> None:
    many = sum(len(alarms(noise(4000, seed=seed))) for seed in range(5))
    assert many <= 2 * 5 * 4000 / 1000


def test_a_value_that_is_usual_in_the_day_is_not_in_the_night() -> None:
    values = days(288 * 12)
    night = 288 * 10 + 216
    values[night] = 135  # as every noon; a windowed Gaussian sees nothing
    detector = StreamDetector()
    for row, value in enumerate(values[: night + 1]):
        detector.score(row * 300.0, value)
    assert detector.alarm


def test_a_day_without_its_peak_is_told_by_what_is_usual_then() -> None:
    values, detector = days(288 * 12), StreamDetector()
    values[288 * 10 : 288 * 10 + 144] = noise(144, level=100, spread=3)
    told: list[str] = []
    for row, value in enumerate(values[: 288 * 10 + 144]):
        detector.score(row * 300.0, value)
        told += [detector.reason] if detector.alarm and row >= 288 * 10 else []
    assert told
    assert "away from what is usual, which is 1" in told[0]


def test_after_a_shift_of_the_level_it_learns_instead_of_alarming_for_ever() -> None:
    found = alarms([*noise(1500), *noise(3000, seed=3, level=70)])
    assert any(1500 <= row <= 1505 for row in found)
    assert len([row for row in found if row >= 1500]) <= 6
    assert [row for row in found if row >= 2200] == [] or len([row for row in found if row >= 2200]) <= 3


def test_a_sensor_that_hangs_is_told() -> None:
    values = noise(2000)
    values[1600:1660] = [values[1599]] * 60
    assert any(1600 <= row < 1660 for row in alarms(values))


def test_a_gap_in_time_is_told_and_a_missing_value_is_none() -> None:
    detector, chance = StreamDetector(), random.Random(4)
    at = START
    for _ in range(1500):
        detector.score(at, chance.gauss(5, 1))
        at += timedelta(seconds=60 + chance.choice([0, 0, 0, 1, 2]))
    assert detector.score(at, math.nan) == 0.0
    assert detector.score(at + timedelta(hours=5), 5.0) > 0.99
    assert detector.reason.startswith("no row for 18")


def test_one_incident_is_told_once_unless_it_becomes_worse() -> None:
    values = noise(2500)
    values[2000:2050] = [75.0 + 0.01 * i for i in range(50)]
    during = [row for row in alarms(values) if 2000 <= row < 2050]
    assert during[0] == 2000
    assert len(during) <= 4


def test_the_time_of_day_is_that_of_the_clock_on_the_wall() -> None:
    naive, aware = StreamDetector(), StreamDetector()
    for row, value in enumerate(days(600)):
        at = START + timedelta(minutes=5 * row)
        assert naive.score(at.replace(tzinfo=None), value) == aware.score(at, value)


def test_a_restored_detector_goes_on_exactly_where_it_was() -> None:
    values, first = days(1500), StreamDetector()
    for row, value in enumerate(values[:1000]):
        first.score(row * 300.0, value)
    second = StreamDetector.restore(json.loads(json.dumps(first.state())))
    for row, value in enumerate(values[1000:], 1000):
        assert first.score(row * 300.0, value) == second.score(row * 300.0, value)
        assert first.alarm == second.alarm
    assert first.state() == second.state()


def test_memory_does_not_grow() -> None:
    detector, sizes = StreamDetector(), list[int]()
    for row, value in enumerate(days(9000)):
        detector.score(row * 300.0, value)
        if row in (6000, 8999):
            sizes.append(sum(len(one) for one in [detector.peaks, *[p.usual for p in (detector.season.day,)]]))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("value", [0.0, 1e-12, 1e15, -7.0])
def test_a_constant_series_of_any_size_says_nothing_and_its_first_change_is_told(value: float) -> None:
    detector = StreamDetector()
    scores = [detector.score(float(row), value) for row in range(600)]
    assert max(scores[100:]) < 0.999
    detector.score(600.0, value + max(1.0, abs(value)))
    assert detector.alarm


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(AuthorError, match=r"alarms='often' is no rate"):
        StreamDetector(alarms="often")
