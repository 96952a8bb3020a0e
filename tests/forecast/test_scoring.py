"""Scores by hand and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.intensity import FloatArray
from forecast.scoring import (
    NothingKnown,
    interval_scores,
    persistence,
    pinball_loss,
    point_scores,
    same_hour_mean,
    targets,
    trailing_interval,
)

ORIGINS = np.arange(24 * 14, 24 * 20)


def daily(days: int) -> FloatArray:
    return np.tile(300 + 100 * np.sin(np.arange(24) / 24 * 2 * np.pi), days)


@pytest.mark.parametrize("delay", [0, 3])
def test_the_simple_forecasts_are_exact_on_a_record_that_repeats_every_day(delay: int) -> None:
    values = daily(30)
    actual = targets(values, ORIGINS, 96)
    for forecast in (
        persistence(values, ORIGINS, 96, delay_hours=delay),
        persistence(values, ORIGINS, 96, period_hours=168, delay_hours=delay),
        same_hour_mean(values, ORIGINS, 96, delay_hours=delay),
    ):
        np.testing.assert_allclose(forecast, actual)


@given(st.integers(0, 8), st.sampled_from([24, 168]))
def test_persistence_uses_no_hour_that_is_not_known_yet(delay: int, period: int) -> None:
    values = np.arange(24.0 * 30)
    newest_known = ORIGINS[:, None] - 1 - delay
    assert (persistence(values, ORIGINS, 96, period, delay) <= newest_known).all()
    assert (same_hour_mean(values, ORIGINS, 96, delay_hours=delay) <= newest_known).all()


def test_persistence_takes_the_newest_day_that_is_known() -> None:
    values = np.arange(24.0 * 30)
    forecast = persistence(values, np.array([240]), 96)[0]
    assert forecast[0] == 216
    assert forecast[23] == 239
    assert forecast[24] == 216


def test_hours_after_the_record_are_unknown_and_left_out_of_scores() -> None:
    values = daily(10)
    actual = targets(values, np.array([len(values) - 2]), 4)
    assert np.isnan(actual[0, 2:]).all()
    assert point_scores(actual, np.full((1, 4), 300.0)).count == 2


def test_point_scores_are_what_their_names_say() -> None:
    scores = point_scores(np.array([100.0, 200.0, np.nan]), np.array([110.0, 180.0, 5.0]))
    assert scores.mae == pytest.approx(15)
    assert scores.bias == pytest.approx(-5)
    assert scores.mape == pytest.approx(0.1)


def test_an_hour_at_zero_counts_in_the_mean_error_but_not_in_the_percentage() -> None:
    scores = point_scores(np.array([0.0, 100.0]), np.array([10.0, 100.0]))
    assert scores.mae == pytest.approx(5)
    assert scores.mape == 0


def test_nothing_to_score_is_said_in_a_sentence() -> None:
    nothing = np.array([np.nan])
    with pytest.raises(NothingKnown, match="no hour has both a forecast and a measured value"):
        point_scores(nothing, nothing)
    with pytest.raises(NothingKnown, match="no hour has both an interval and a measured value"):
        interval_scores(nothing, nothing, nothing)


def test_the_winkler_score_is_the_width_plus_ten_times_the_overshoot() -> None:
    scores = interval_scores(np.array([5.0, 12.0]), np.array([0.0, 0.0]), np.array([10.0, 10.0]))
    assert scores.winkler == pytest.approx((10 + 10 + 2 * 10) / 2)
    assert scores.coverage == 0.5


@given(arrays(np.float64, 200, elements=st.floats(0, 1000)), st.floats(-50, 50))
def test_no_constant_beats_the_true_quantile_in_pinball_loss(values: FloatArray, offset: float) -> None:
    best = float(np.quantile(values, 0.9, method="inverted_cdf"))
    at_best = pinball_loss(values, np.full(200, best), 0.9)
    assert at_best <= pinball_loss(values, np.full(200, best + offset), 0.9) + 1e-9


def test_trailing_intervals_hold_four_times_in_five_on_steady_noise() -> None:
    values = 300 + np.random.default_rng(1).normal(0, 20, 24 * 80)
    origins = np.arange(24 * 40, 24 * 75, 5)
    everywhere = persistence(values, np.arange(len(values)), 24)
    low, high = trailing_interval(values, origins, everywhere[origins], everywhere)
    assert interval_scores(targets(values, origins, 24), low, high).coverage == pytest.approx(0.8, abs=0.02)


def test_trailing_intervals_do_not_see_errors_of_hours_to_come() -> None:
    values = 300 + np.random.default_rng(1).normal(0, 20, 24 * 60)
    origin = np.array([24 * 45])
    changed = values.copy()
    changed[origin[0] :] = 9999
    bounds = []
    for record in (values, changed):
        everywhere = persistence(record, np.arange(len(record)), 24)
        bounds.append(trailing_interval(record, origin, everywhere[origin], everywhere))
    np.testing.assert_array_equal(bounds[0], bounds[1])


def test_after_four_weeks_without_a_value_there_is_no_trailing_interval_until_errors_are_known_again() -> None:
    values = 300 + np.random.default_rng(1).normal(0, 20, 24 * 90)
    values[24 * 40 : 24 * 75] = np.nan
    origins = np.array([24 * 39, 24 * 73, 24 * 80])
    everywhere = persistence(values, np.arange(len(values)), 24)
    low, high = trailing_interval(values, origins, np.full((3, 24), 300.0), everywhere)
    for bounds in (low, high):
        assert np.isfinite(bounds).all(axis=1).tolist() == [True, False, True]


def test_trailing_intervals_refuse_a_record_that_is_too_short() -> None:
    values = daily(20)
    with pytest.raises(ValueError, match="trailing intervals need"):
        trailing_interval(values, np.array([100]), np.zeros((1, 24)), np.zeros((len(values), 24)))
