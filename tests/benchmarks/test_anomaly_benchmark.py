"""The scorer of streaming anomalies gives what its published definition says, and the series are what they claim."""

from __future__ import annotations

import math

import pytest

from benchmarks.steps.anomalies import curve, gaussian, ours, run
from benchmarks.steps.anomaly_series import HELD_OUT, TUNED, Series, corpus, series

ROWS = 1000
SERIES = Series(
    name="x-0", times=[float(i) for i in range(ROWS)], values=[0.0] * ROWS, windows=[(300, 399), (700, 799)]
)


def best(alarms: dict[int, float]) -> float:
    """The score with these alarms, at the threshold that lets all of them through."""
    return curve([(SERIES, [alarms.get(row, 0.0) for row in range(ROWS)])])[-2][1]


def test_an_alarm_at_the_start_of_each_window_is_perfect_and_silence_is_nothing() -> None:
    assert best({300: 1.0, 700: 1.0}) == pytest.approx(100, abs=0.1)
    assert curve([(SERIES, [0.0] * ROWS)])[0][1] == 0.0


def test_only_the_earliest_alarm_of_a_window_counts_and_a_late_one_is_worth_little() -> None:
    assert best({300: 1.0, 350: 1.0, 398: 1.0}) == pytest.approx(best({300: 1.0}))
    assert best({300: 1.0}) == pytest.approx(50, abs=0.1)
    late = 2 / (1 + math.exp(-5 * 0.02)) - 1
    assert best({398: 1.0}) == pytest.approx(25 * (1 + late / 0.98661), abs=0.1)


def test_a_false_alarm_costs_little_and_less_right_after_a_window() -> None:
    assert best({200: 1.0}) == pytest.approx(-25 * 0.11)
    assert -25 * 0.11 < best({405: 1.0}) < 0
    assert best({100: 1.0, 200: 1.0}) == best({200: 1.0})  # the first 15 % are for learning


def test_series_are_the_same_for_the_same_seed() -> None:
    for name, family in (TUNED | HELD_OUT).items():
        assert series(name, family, 3) == series(name, family, 3)
        assert series(name, family, 3, harmed=False).windows == []


def test_the_detector_is_better_than_a_windowed_gaussian_at_the_best_threshold_of_each() -> None:
    data = corpus(HELD_OUT, 6, 1)
    mine, base = (max(score for _, score in curve(run(make, data)[0])) for make in (ours, gaussian(1000)))
    assert mine > base
