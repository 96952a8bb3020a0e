"""Forecasts that missed less lately count more, and only what was known by then tells."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.intensity import FloatArray
from forecast.model.trust import MEMORY_WEEKS, SETTLING_WEEKS, Trust

WEEK = 2800
some_misses = arrays(np.float64, (3, 2), elements=st.floats(0, 1e4))


def judged(misses: FloatArray, *weeks: int) -> Trust:
    trust = Trust(*misses.shape)
    for week in weeks:
        trust.judge(week, misses)
    return trust


@given(some_misses, st.integers(0, 2 * MEMORY_WEEKS))
def test_weights_are_shares_of_one_and_fall_with_what_was_missed(misses: FloatArray, weeks: int) -> None:
    weights = judged(misses, *range(WEEK - weeks, WEEK)).weights(WEEK)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    for group in (0, 1):
        assert (np.diff(weights[np.argsort(misses[:, group]), group]) <= 1e-12).all()


def test_before_anything_is_judged_all_count_alike() -> None:
    np.testing.assert_array_equal(Trust(4, 2).weights(WEEK), np.full((4, 2), 0.25))


def test_each_group_of_hours_is_judged_by_itself() -> None:
    weights = judged(np.array([[1.0, 3.0], [2.0, 2.0]]), WEEK).weights(WEEK + SETTLING_WEEKS)
    assert weights[0, 0] > weights[1, 0]
    assert weights[0, 1] < weights[1, 1]


def test_a_week_tells_nothing_before_its_outcomes_are_known_nor_after_it_is_forgotten() -> None:
    trust = judged(np.array([[1.0], [2.0]]), WEEK)
    told = [week for week in range(WEEK - 3, WEEK + 2 * MEMORY_WEEKS) if trust.weights(week)[0, 0] > 0.5]
    assert told == list(range(WEEK + SETTLING_WEEKS, WEEK + SETTLING_WEEKS + MEMORY_WEEKS))


def test_a_week_without_outcomes_changes_nothing() -> None:
    trust = judged(np.array([[1.0], [2.0]]), WEEK)
    before = trust.weights(WEEK + 3)
    trust.judge(WEEK + 1, np.zeros((2, 1)))
    np.testing.assert_array_equal(trust.weights(WEEK + 3), before)


def test_a_dirty_grid_is_judged_like_a_clean_one() -> None:
    misses = np.array([[1.0], [1.1]])
    clean, dirty = (judged(misses * scale, WEEK).weights(WEEK + 2) for scale in (1.0, 90.0))
    np.testing.assert_allclose(clean, dirty)
