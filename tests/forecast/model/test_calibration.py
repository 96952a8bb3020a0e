"""Corrections learnt from recent forecasts widen, narrow and move, and are careful with little evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.intensity import FloatArray
from forecast.model.calibration import (
    ISSUES,
    LIGHT_ISSUES,
    LIGHT_STRIDE_HOURS,
    NEWEST_ISSUES,
    STRIDE_HOURS,
    UNCORRECTED,
    USUAL_SHARE,
    WIDTH_LIMITS,
    Correction,
    learn,
    past_origins,
)
from forecast.model.features import HORIZON_HOURS
from forecast.scoring import interval_scores

SHAPE = (ISSUES, HORIZON_HOURS)


def opinions(half_width: float, move: float = 0.0, middle: float = 300.0) -> FloatArray:
    """Low, middle and high of the networks, and the same `move` further of the second opinion."""
    first = np.stack([np.full(SHAPE, each) for each in (middle - half_width, middle, middle + half_width)], axis=1)
    return np.stack([first, first + move], axis=1)


def outcomes(spread: float, bias: float = 0.0) -> FloatArray:
    return 300 + bias + np.random.default_rng(0).normal(0, spread, SHAPE)


def test_intervals_that_were_too_narrow_are_widened_to_hold_four_times_in_five() -> None:
    actual = outcomes(spread=40)
    before = opinions(half_width=20)
    after = learn(before, actual).apply(before)
    narrow, corrected = (interval_scores(actual, each[:, 0], each[:, 2]).coverage for each in (before[:, 0], after))
    assert narrow < 0.45
    assert 0.7 < corrected < 0.82


def test_intervals_that_were_too_wide_are_narrowed() -> None:
    before = opinions(half_width=100)
    after = learn(before, outcomes(spread=20)).apply(before)
    assert (after[:, 2] - after[:, 0]).mean() < 120


def test_a_bias_widens_one_side_and_moves_nothing() -> None:
    before = opinions(half_width=30)
    correction = learn(before, outcomes(spread=10, bias=40))
    assert (correction.upper > 1.2).all()
    assert (correction.lower < 0.8).all()
    np.testing.assert_array_equal(correction.apply(before)[:, 1], before[:, 0, 1])


def test_nothing_to_learn_from_corrects_nothing() -> None:
    unknown = np.full(SHAPE, np.nan)
    before = opinions(half_width=30)
    np.testing.assert_array_equal(learn(before, unknown).apply(before), before[:, 0])
    np.testing.assert_array_equal(learn(before[:0], unknown[:0]).apply(before), UNCORRECTED.apply(before))


def test_a_second_opinion_that_was_right_counts_in_full_and_one_that_was_wrong_hardly() -> None:
    random = np.random.default_rng(1)
    before = opinions(half_width=30)
    before[:, 1] += random.normal(0, 30, SHAPE)[:, None]
    right, wrong = before[:, 1, 1], outcomes(spread=2)
    assert (learn(before, right).share == 1.0).all()
    assert (learn(before, wrong).share < 0.15).all()


def test_two_past_forecasts_move_the_share_less_than_many() -> None:
    before = opinions(half_width=30, move=-20)
    actual = outcomes(spread=5)
    few, many = learn(before[:2], actual[:2]).share, learn(before, actual).share
    assert (np.abs(few - USUAL_SHARE) < 0.1).all()
    assert (many < few).all()


def reverting(level: float = 100.0, hours: float = 40.0) -> FloatArray:
    """Forecasts that see a grid `level` above its usual 300 g/kWh return there, by a factor of e every `hours`."""
    before = opinions(half_width=30)
    before += level * np.exp(-np.arange(HORIZON_HOURS) / hours)
    return before


def test_a_grid_that_stays_where_it_is_is_no_longer_expected_to_return() -> None:
    before = reverting()
    stays = outcomes(spread=20, bias=100)
    correction = learn(before, stays)
    errors = (np.abs(stays - each[:, 1]).mean() for each in (before[:, 0], correction.apply(before)))
    assert correction.hold > 0.5
    assert next(errors) > 2 * next(errors)


def test_a_grid_that_returns_as_foreseen_hardly_changes_what_is_foreseen() -> None:
    before = reverting()
    correction = learn(before, before[:, 0, 1] + outcomes(spread=20) - 300)
    assert abs(correction.hold) < 0.08


def test_only_the_newest_past_forecasts_tell_how_long_a_level_lasts() -> None:
    before = reverting()
    lately, formerly = outcomes(spread=20, bias=100), before[:, 0, 1] + outcomes(spread=20) - 300
    changed = np.where(np.arange(ISSUES)[:, None] < NEWEST_ISSUES, lately, formerly)
    assert learn(before, changed).hold == learn(before, lately).hold


def test_the_first_hour_stays_and_bounds_keep_their_distance_where_a_level_is_held() -> None:
    before = reverting()
    held = Correction(UNCORRECTED.share, 0.5, UNCORRECTED.lower, UNCORRECTED.upper).apply(before)
    np.testing.assert_allclose(held[:, 1, 0], before[:, 0, 1, 0])
    np.testing.assert_allclose(np.diff(held, axis=1), np.diff(before[:, 0], axis=1))
    assert (held[:, 1, -1] > before[:, 0, 1, -1] + 20).all()


def test_bounds_move_with_the_middle() -> None:
    before = opinions(half_width=30, move=50)
    after = UNCORRECTED.apply(before)
    np.testing.assert_allclose(after, before[:, 0] + USUAL_SHARE * 50)


def test_bounds_lie_between_those_of_both_opinions_by_the_share_of_each() -> None:
    before = opinions(half_width=30)
    before[:, 1, 0] -= 40  # the second opinion knows less of what may come below
    low, middle, high = UNCORRECTED.apply(before).transpose(1, 0, 2)
    np.testing.assert_allclose(middle - low, 30 + USUAL_SHARE * 40)
    np.testing.assert_allclose(high - middle, 30)


def test_one_past_forecast_corrects_less_than_many() -> None:
    before, actual = opinions(half_width=10), outcomes(spread=60)
    assert (learn(before[:1], actual[:1]).upper < learn(before, actual).upper).all()


@given(st.floats(0, 500), st.floats(0, 2000), st.floats(-500, 500), st.floats(-500, 500))
def test_corrected_bounds_stand_in_order_and_never_below_zero(half_width: float, spread: float, bias: float, move: float) -> None:
    before = opinions(half_width, move)
    correction = learn(before, outcomes(spread, bias))
    after = correction.apply(before)
    assert (after >= 0).all()
    assert (np.diff(after, axis=1) >= 0).all()
    assert (correction.upper <= WIDTH_LIMITS[1]).all()


@pytest.mark.parametrize("stride_hours", [STRIDE_HOURS, LIGHT_STRIDE_HOURS])
def test_past_issues_take_every_hour_of_day_in_turn_and_stay_within_the_record(stride_hours: int) -> None:
    origins = past_origins(9000, 9000 - 24 * stride_hours, stride_hours)
    assert (origins < 9000).all()
    assert (origins >= 9000 - 24 * stride_hours).all()
    assert len(set((origins % 24).tolist())) == 24


def test_no_more_past_issues_are_looked_at_than_say_something_of_the_season() -> None:
    assert len(past_origins(50_000, first_possible=0)) == ISSUES
    assert len(past_origins(50_000, 0, LIGHT_STRIDE_HOURS, LIGHT_ISSUES)) == LIGHT_ISSUES
