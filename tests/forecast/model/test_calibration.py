"""Corrections learnt from recent forecasts widen, narrow and move, and are careful with little evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.intensity import FloatArray
from forecast.model.calibration import WIDTH_LIMITS, learn, past_origins
from forecast.model.features import HORIZON_HOURS
from forecast.scoring import interval_scores

SHAPE = (56, HORIZON_HOURS)


def quantiles(half_width: float, middle: float = 300.0) -> FloatArray:
    return np.stack([np.full(SHAPE, middle - half_width), np.full(SHAPE, middle), np.full(SHAPE, middle + half_width)], axis=1)


def outcomes(spread: float, bias: float = 0.0) -> FloatArray:
    return 300 + bias + np.random.default_rng(0).normal(0, spread, SHAPE)


def test_intervals_that_were_too_narrow_are_widened_to_hold_four_times_in_five() -> None:
    actual = outcomes(spread=40)
    before = quantiles(half_width=20)
    after = learn(before, actual).apply(before)
    narrow, corrected = (interval_scores(actual, each[:, 0], each[:, 2]).coverage for each in (before, after))
    assert narrow < 0.45
    assert 0.7 < corrected < 0.82


def test_intervals_that_were_too_wide_are_narrowed() -> None:
    before = quantiles(half_width=100)
    after = learn(before, outcomes(spread=20)).apply(before)
    assert (after[:, 2] - after[:, 0]).mean() < 120


def test_a_bias_widens_one_side_and_moves_nothing() -> None:
    before = quantiles(half_width=30)
    correction = learn(before, outcomes(spread=10, bias=40))
    assert (correction.upper > 1.2).all()
    assert (correction.lower < 0.8).all()
    np.testing.assert_array_equal(correction.apply(before)[:, 1], before[:, 1])


def test_nothing_to_learn_from_corrects_nothing() -> None:
    unknown = np.full(SHAPE, np.nan)
    before = quantiles(half_width=30)
    np.testing.assert_array_equal(learn(before, unknown).apply(before), before)
    np.testing.assert_array_equal(learn(before[:0], unknown[:0]).apply(before), before)


def test_one_past_forecast_corrects_less_than_many() -> None:
    before, actual = quantiles(half_width=10), outcomes(spread=60)
    assert (learn(before[:1], actual[:1]).upper < learn(before, actual).upper).all()


@given(st.floats(0, 500), st.floats(0, 2000), st.floats(-500, 500))
def test_corrected_bounds_stand_in_order_and_never_below_zero(half_width: float, spread: float, bias: float) -> None:
    before = quantiles(half_width)
    correction = learn(before, outcomes(spread, bias))
    after = correction.apply(before)
    assert (after >= 0).all()
    assert (np.diff(after, axis=1) >= 0).all()
    assert (correction.upper <= WIDTH_LIMITS[1]).all()


def test_past_issues_take_every_hour_of_day_in_turn_and_stay_within_the_record() -> None:
    origins = past_origins(5000, first_possible=3500)
    assert (origins < 5000).all()
    assert (origins >= 3500).all()
    assert len(set(origins % 24)) == pytest.approx(24)
