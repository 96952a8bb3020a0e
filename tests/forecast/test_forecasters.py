from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.forecasters import COLD_HIGH, COLD_LOW, InsufficientHistory, SevenDayMean
from forecast.intensity import Rung
from forecast.timeline import HOUR
from tests.forecast.grids import NOON, daily_wave, series

DAY = timedelta(days=1)


def test_a_regular_day_is_forecast_exactly() -> None:
    issued = SevenDayMean().forecast(daily_wave(28), NOON, 2 * DAY)
    tomorrow = daily_wave(3, NOON + 2 * DAY + HOUR)
    assert issued.rung is Rung.OWN_FORECAST
    assert issued.issued_at == issued.known_at == NOON
    for index, value in enumerate(issued.g_per_kwh):
        assert value == pytest.approx(tomorrow.at(issued.start + index * HOUR))


def test_a_regular_day_needs_no_width() -> None:
    issued = SevenDayMean().forecast(daily_wave(28), NOON, DAY)
    assert issued.low is not None
    assert issued.high is not None
    assert np.allclose(issued.low, issued.g_per_kwh)
    assert np.allclose(issued.high, issued.g_per_kwh)


def test_one_day_of_history_is_enough_and_its_width_is_the_cold_one() -> None:
    issued = SevenDayMean().forecast(daily_wave(1), NOON, DAY)
    assert issued.low is not None
    assert issued.high is not None
    assert np.allclose(issued.low, issued.g_per_kwh * COLD_LOW)
    assert np.allclose(issued.high, issued.g_per_kwh * COLD_HIGH)


def test_less_than_a_day_of_history_is_not_enough() -> None:
    with pytest.raises(InsufficientHistory, match="DE: 23 recorded hours in the last 7 days, at least 24 are needed"):
        SevenDayMean().forecast(series([100.0] * 23, NOON - 23 * HOUR), NOON, DAY)


def test_history_that_ended_a_week_ago_is_not_repeated() -> None:
    with pytest.raises(InsufficientHistory):
        SevenDayMean().forecast(daily_wave(28, NOON - 8 * DAY), NOON, DAY)


def test_the_forecast_covers_the_publication_lag() -> None:
    issued = SevenDayMean().forecast(daily_wave(14, NOON - 3 * HOUR), NOON, DAY)
    assert issued.start == NOON - 3 * HOUR
    assert issued.start + len(issued.g_per_kwh) * HOUR == NOON + DAY


def test_a_running_hour_is_covered_to_the_end_of_the_horizon() -> None:
    now = NOON + timedelta(minutes=20)
    issued = SevenDayMean().forecast(daily_wave(14), now, DAY)
    assert issued.start == NOON
    assert issued.start + len(issued.g_per_kwh) * HOUR >= now + DAY


def test_an_hour_of_the_day_without_record_lies_between_its_neighbours() -> None:
    values = daily_wave(7).values.copy()
    values[[index for index in range(len(values)) if index % 24 == 5]] = np.nan
    issued = SevenDayMean().forecast(series(values.tolist(), NOON - 7 * DAY), NOON, DAY)
    around = sorted((issued.g_per_kwh[4], issued.g_per_kwh[6]))
    assert around[0] <= issued.g_per_kwh[5] <= around[1]


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, 24 * 14, elements=st.floats(1, 1000)), arrays(np.float64, 48, elements=st.floats(1, 1000)))
def test_nothing_that_comes_later_changes_a_forecast(past: Any, future: Any) -> None:
    known = SevenDayMean().forecast(series(past, NOON - 14 * DAY), NOON - HOUR, DAY)
    with_future = SevenDayMean().forecast(series([*past, *future], NOON - 14 * DAY), NOON - HOUR, DAY)
    assert np.array_equal(known.g_per_kwh, with_future.g_per_kwh)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, 24 * 21, elements=st.one_of(st.floats(0, 1000), st.just(np.nan))))
def test_bounds_enclose_the_mean_and_widen_with_the_lead(past: Any) -> None:
    try:
        issued = SevenDayMean().forecast(series(past, NOON - 21 * DAY), NOON, 7 * DAY)
    except InsufficientHistory:
        return
    assert issued.low is not None
    assert issued.high is not None
    assert np.all(issued.low <= issued.g_per_kwh)
    assert np.all(issued.g_per_kwh <= issued.high)
    width = (issued.high - issued.low)[-7 * 24 :].reshape(7, 24)
    assert np.all(np.diff(width, axis=0) >= -1e-9)


def test_the_bounds_hold_about_four_of_five_outcomes_of_noise_like_the_past() -> None:
    dice = np.random.default_rng(7)
    hits, count = 0, 0
    for _ in range(40):
        noisy = daily_wave(29).values * np.exp(dice.normal(0, 0.2, 29 * 24))
        issued = SevenDayMean().forecast(series(noisy[:-24].tolist(), NOON - 29 * DAY), NOON - DAY - HOUR, DAY)
        assert issued.low is not None
        assert issued.high is not None
        outcome = noisy[-24:]
        offset = (NOON - DAY - issued.start) // HOUR
        low, high = issued.low[offset : offset + 24], issued.high[offset : offset + 24]
        outcome = outcome[: len(low)]
        hits += int(((low <= outcome) & (outcome <= high)).sum())
        count += len(outcome)
    assert 0.72 <= hits / count <= 0.88
