"""Decisions on forecasts, against brute force and as properties."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.decision_scoring import (
    Shift,
    best_chunks_cost,
    cheapest_hours,
    chunks_cost,
    chunks_replanned_cost,
    cost_of_start,
    decision_scores,
    plan_once,
    replan_hourly,
    start_costs,
)
from forecast.intensity import FloatArray
from forecast.scoring import NothingKnown, targets

SHIFT = Shift(duration_hours=3, slack_hours=5)


def record(seed: int, hours: int = 200) -> FloatArray:
    return np.random.default_rng(seed).uniform(50, 500, hours)


def windows(values: FloatArray, shift: Shift = SHIFT) -> FloatArray:
    return targets(values, np.arange(len(values) - shift.window_hours + 1), shift.window_hours)


@given(st.integers(0, 1000))
def test_start_costs_are_means_over_the_hours_of_the_job(seed: int) -> None:
    hours = windows(record(seed, 40))
    expected = [[row[start : start + 3].mean() for start in range(6)] for row in hours]
    np.testing.assert_allclose(start_costs(hours, SHIFT), expected)


@given(st.integers(0, 1000))
def test_with_perfect_foresight_everything_is_kept_and_nothing_is_worse(seed: int) -> None:
    actual = windows(record(seed))
    costs = start_costs(actual, SHIFT)
    for start in (plan_once(actual, SHIFT), replan_hourly(actual, SHIFT)):
        count = len(start)
        scores = decision_scores(cost_of_start(actual, start, SHIFT), costs[:count, 0], costs[:count].min(axis=1))
        assert scores.kept == pytest.approx(1)
        assert scores.worse == 0


@given(st.integers(0, 1000))
def test_cheapest_hours_are_the_best_of_all_choices(seed: int) -> None:
    actual = windows(record(seed, 20))
    brute = [min(np.mean(choice) for choice in combinations(row, 3)) for row in actual]
    np.testing.assert_allclose(best_chunks_cost(actual, SHIFT), brute)
    np.testing.assert_allclose(chunks_cost(actual, cheapest_hours(actual, SHIFT)), brute)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_chunks_run_exactly_as_many_hours_as_they_need_whatever_the_forecast_says(seed: int, other: int) -> None:
    ones = np.ones((60, SHIFT.window_hours))
    forecast = windows(record(other, 60 + SHIFT.window_hours - 1))
    np.testing.assert_allclose(chunks_replanned_cost(forecast, ones, SHIFT), 1)
    np.testing.assert_allclose(chunks_cost(ones, cheapest_hours(windows(record(seed, 67)), SHIFT)), 1)


def test_chunks_replanned_with_perfect_foresight_are_the_cheapest_hours() -> None:
    actual = windows(record(3))
    cost = chunks_replanned_cost(actual, actual, SHIFT)
    np.testing.assert_allclose(cost, best_chunks_cost(actual, SHIFT)[: len(cost)])


def test_a_flat_forecast_starts_at_once_although_sums_differ_in_the_last_bits() -> None:
    assert (plan_once(np.full((50, 8), 0.1), SHIFT) == 0).all()
    assert (replan_hourly(np.full((50, 8), 0.1), SHIFT) == 0).all()


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_replanning_is_planning_anew_every_hour_with_the_slack_that_is_left(seed: int, other: int) -> None:
    forecast = windows(record(seed, 40)) + np.random.default_rng(other).normal(0, 50, (33, SHIFT.window_hours))
    expected = []
    for origin in range(len(forecast) - SHIFT.slack_hours):
        looks = (hour for hour in range(SHIFT.slack_hours) if goes_now(forecast[origin + hour], SHIFT.slack_hours - hour))
        expected.append(next(looks, SHIFT.slack_hours))
    np.testing.assert_array_equal(replan_hourly(forecast, SHIFT), expected)


def goes_now(forecast: FloatArray, slack_hours: int) -> bool:
    return bool(plan_once(forecast[None], Shift(SHIFT.duration_hours, slack_hours))[0] == 0)


def test_a_job_that_is_replanned_never_starts_after_its_slack() -> None:
    falling = np.tile(np.arange(8.0)[::-1], (50, 1))
    assert (replan_hourly(falling, SHIFT) == SHIFT.slack_hours).all()


def test_submissions_with_a_missing_hour_are_left_out() -> None:
    scores = decision_scores(np.array([90.0, np.nan]), np.array([100.0, 100]), np.array([80.0, 80]))
    assert scores.count == 1
    assert scores.kept == pytest.approx(0.5)
    with pytest.raises(NothingKnown, match="no submission has all hours of its window measured"):
        decision_scores(np.array([np.nan]), np.array([1.0]), np.array([1.0]))


@pytest.mark.parametrize("level", [12.3, 0.0])
def test_a_grid_that_never_changes_has_no_saving_to_keep(level: float) -> None:
    costs = start_costs(np.full((50, 96), level), Shift(8, 24))
    scores = decision_scores(costs[:, 3], costs[:, 0], costs.min(axis=1))
    assert math.isnan(scores.kept)
    assert math.isnan(scores.saved) == (level == 0)
    assert scores.worse == 0
    assert scores.regret == pytest.approx(0, abs=1e-9)
