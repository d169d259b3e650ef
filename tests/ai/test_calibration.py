"""What a target accuracy means: bounds, thresholds that hold on what was not seen, and nothing sure on little evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.ai.calibration import (
    NEVER,
    Logistic,
    separation,
    sharpness_of,
    sigmoid,
    stability,
    threshold,
    thresholds,
    wilson,
)  # fmt: skip


@pytest.mark.parametrize(
    ("right", "count", "low", "high"), [(0, 0, 0.0, 1.0), (9, 10, 0.596, 0.982), (95, 100, 0.888, 0.978), (0, 10, 0.0, 0.278)]
)  # fmt: skip
def test_bounds_are_those_of_wilson(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count, 1.96) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


@given(st.integers(0, 300), st.integers(0, 300))
def test_bounds_hold_what_was_seen_and_more_evidence_narrows_them(right: int, wrong: int) -> None:
    count = right + wrong
    low, high = wilson(right, count)
    assert 0 <= low <= high <= 1
    if count:
        assert low <= right / count <= high + 1e-9
        closer = wilson(right * 4, count * 4)
        assert closer[1] - closer[0] <= high - low + 1e-9


def test_a_threshold_is_the_lowest_from_which_on_the_target_is_met() -> None:
    confidence = np.linspace(1, 0, 400)
    right = np.arange(400) < 300
    found = threshold(confidence, right, 0.95)
    assert right[confidence >= found].mean() > 0.95
    assert 300 <= (confidence >= found).sum() <= 316


def test_with_little_evidence_there_is_none() -> None:
    assert threshold(np.linspace(1, 0.5, 40), np.ones(40, bool), 0.95) == NEVER
    assert threshold(np.linspace(1, 0.5, 60), np.ones(60, bool), 0.95) < 1


def test_the_target_holds_on_what_was_not_seen() -> None:
    chance = np.random.default_rng(5)
    missed = 0
    for _ in range(60):
        odds = chance.normal(1.5, 1.5, 2400)
        right = chance.random(2400) < sigmoid(odds)
        limit = threshold(sigmoid(odds[:400]), right[:400], 0.9)
        sure = sigmoid(odds[400:]) >= limit
        missed += bool(sure.any()) and right[400:][sure].mean() < 0.9
    assert missed <= 9  # a bound that holds in 95 of 100 cases, looked for over many thresholds


def test_a_label_that_is_known_to_be_weak_gets_a_higher_threshold_than_the_others() -> None:
    confidence = np.concatenate([np.linspace(0.99, 0.6, 300), np.linspace(0.99, 0.6, 40)])
    right = np.concatenate([np.ones(300, bool), np.arange(40) % 2 == 0])
    strong, weak, unseen = thresholds(confidence, right, [0] * 300 + [1] * 40, 3, 0.9)
    assert strong < 0.65
    assert weak > strong
    assert unseen <= weak


def test_a_logistic_finds_what_speaks_for_yes_and_takes_nothing_that_speaks_against() -> None:
    chance = np.random.default_rng(2)
    features = chance.normal(size=(3000, 3))
    yes = chance.random(3000) < sigmoid(2 * features[:, 0] - 1.5 * features[:, 1] + 0.5)
    found = Logistic.learned(features, yes)
    assert found.weights[1] == 0
    assert found.weights[0] > 1
    assert abs(found.weights[2]) < 0.2
    assert float(found(features).mean()) == pytest.approx(float(yes.mean()), abs=0.01)


def test_few_examples_that_all_agree_give_no_certainty() -> None:
    told = Logistic.learned(np.ones((5, 1)), np.ones(5, bool))(np.ones((1, 1)))
    assert 0.7 < float(told[0]) < 0.9


def test_scores_become_odds_by_one_number() -> None:
    chance = np.random.default_rng(3)
    odds = chance.normal(size=(2000, 4)) * 2
    share = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    labels = [int(chance.choice(4, p=row)) for row in share]
    sharpness, _ = sharpness_of(odds / 5, labels)
    assert sharpness == pytest.approx(5, rel=0.25)


def test_separation_is_the_chance_to_tell_inside_from_outside() -> None:
    assert separation(np.array([3.0, 2.0]), np.array([1.0, 0.0])) == 1
    assert separation(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    assert separation(np.array([0.0, 2.0]), np.array([1.0])) == 0.5


def test_drift_is_nothing_for_the_same_shares_and_much_for_others() -> None:
    assert stability([50, 30, 20], [500, 300, 200]) < 0.001
    assert stability([50, 30, 20], [10, 30, 60]) > 0.25
    assert stability([100, 0], [98, 2]) < 0.1
