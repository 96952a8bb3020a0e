"""Decisions on forecasts, against brute force and as properties."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.decision_scoring import (
    Shift,
    best_chunks_cost,
    chunks_once_cost,
    chunks_replanned_cost,
    cost_of_start,
    decision_scores,
    plan_once,
    price_of_waiting,
    replan_hourly,
    start_costs,
)
from forecast.intensity import FloatArray
from forecast.scoring import targets

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
    np.testing.assert_allclose(chunks_once_cost(actual, actual, SHIFT), brute)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_chunks_run_exactly_as_many_hours_as_they_need_whatever_the_forecast_says(seed: int, other: int) -> None:
    ones = np.ones((60, SHIFT.window_hours))
    forecast = windows(record(other, 60 + SHIFT.window_hours - 1))
    np.testing.assert_allclose(chunks_replanned_cost(forecast, ones, SHIFT), 1)
    np.testing.assert_allclose(chunks_once_cost(windows(record(seed, 67)), ones, SHIFT), 1)


def test_chunks_replanned_with_perfect_foresight_are_the_cheapest_hours() -> None:
    actual = windows(record(3))
    cost = chunks_replanned_cost(actual, actual, SHIFT)
    np.testing.assert_allclose(cost, best_chunks_cost(actual, SHIFT)[: len(cost)])


def test_a_flat_forecast_starts_at_once_although_sums_differ_in_the_last_bits() -> None:
    assert (plan_once(np.full((50, 8), 0.1), SHIFT) == 0).all()
    assert (replan_hourly(np.full((50, 8), 0.1), SHIFT) == 0).all()


@pytest.mark.parametrize(("price", "start"), [(9.0, 3), (11.0, 0)])
def test_a_job_waits_only_for_a_saving_above_the_price(price: float, start: int) -> None:
    forecast = np.array([[100.0, 100, 100, 90, 90, 90, 90, 90]])
    prices = np.array([[0.0] + [price] * 5])
    assert plan_once(forecast, SHIFT, prices)[0] == start
    assert replan_hourly(np.repeat(forecast, 6, axis=0), SHIFT, np.repeat(prices, 6, axis=0))[0] in (start, SHIFT.slack_hours)


def test_a_job_that_is_replanned_never_starts_after_its_slack() -> None:
    falling = np.tile(np.arange(8.0)[::-1], (50, 1))
    assert (replan_hourly(falling, SHIFT) == SHIFT.slack_hours).all()


def test_submissions_with_a_missing_hour_are_left_out() -> None:
    scores = decision_scores(np.array([90.0, np.nan]), np.array([100.0, 100]), np.array([80.0, 80]))
    assert scores.count == 1
    assert scores.kept == pytest.approx(0.5)
    with pytest.raises(ValueError, match="nothing to score"):
        decision_scores(np.array([np.nan]), np.array([1.0]), np.array([1.0]))


def test_without_a_record_of_its_own_disappointments_nothing_waits() -> None:
    actual = windows(record(5, 24 * 10))
    price = price_of_waiting(actual[::-1].copy(), actual, SHIFT, strictness=1.0, days=5)
    assert np.isinf(price[: 24 * 6, 1:]).all()
    assert np.isfinite(price[24 * 6 :]).all()
    assert (price[:, 0] == 0).all()


def test_the_price_does_not_see_windows_that_have_not_ended() -> None:
    values = record(5, 24 * 10)
    forecast = windows(record(6, 24 * 10))
    changed = values.copy()
    changed[192:] = 0.0
    prices = [price_of_waiting(forecast, windows(each), SHIFT, strictness=1.0, days=5) for each in (values, changed)]
    np.testing.assert_allclose(prices[0][:216], prices[1][:216])
    assert not np.allclose(prices[0][216:], prices[1][216:])


def test_a_promise_that_was_always_kept_has_no_price() -> None:
    actual = windows(record(5, 24 * 10))
    price = price_of_waiting(actual, actual, SHIFT, strictness=1.0, days=5)[24 * 6 :]
    saving = (start_costs(actual, SHIFT)[:, :1] - start_costs(actual, SHIFT))[24 * 6 :]
    np.testing.assert_allclose(price[saving > 0], 0, atol=1e-6)


def test_the_price_is_the_chance_of_regret_times_what_could_be_saved() -> None:
    actual = windows(record(5, 24 * 10))
    forecast = np.full_like(actual, 100.0)
    price = price_of_waiting(forecast, actual, SHIFT, strictness=0.5, days=5)
    ended = slice(24 * 9 - 7 - 24 * 5, 24 * 9 - 7)
    costs = start_costs(actual, SHIFT)[ended]
    possible = (costs[:, 0] - costs.min(axis=1)).mean()
    np.testing.assert_allclose(price[24 * 9, 1:], 0.5 * possible * 0.5, err_msg="a promise of nothing breaks one time in two")


def test_a_stricter_rule_waits_less() -> None:
    actual = windows(record(5, 24 * 20))
    forecast = actual + np.random.default_rng(0).normal(0, 150, actual.shape)
    waits = [
        np.count_nonzero(plan_once(forecast, SHIFT, price_of_waiting(forecast, actual, SHIFT, strictness, days=5))[24 * 6 :])
        for strictness in (0.0, 0.5, 2.0)
    ]
    assert waits[0] > waits[1] > waits[2]
