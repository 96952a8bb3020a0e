"""Hours from readings of any length."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from forecast.hourly import hourly_series
from forecast.intensity import LIFECYCLE_AVERAGE, Reading
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import NOON

HALF = HOUR / 2


def reading(start: datetime, value: float, step: timedelta = HOUR, estimated: bool = False) -> Reading:
    return Reading("GB", Interval(start, start + step), value, LIFECYCLE_AVERAGE, "test", NOON, estimated)


def test_hours_stay_what_they_are() -> None:
    told = hourly_series([reading(NOON, 100.0), reading(NOON + 2 * HOUR, 300.0)])
    assert told is not None
    np.testing.assert_array_equal(told.values, [100.0, np.nan, 300.0])
    assert told.start == NOON


def test_half_hours_become_the_mean_of_hours_they_fill_and_no_other() -> None:
    halves = [reading(NOON + index * HALF, 100.0 + index, HALF, estimated=index == 3) for index in range(5)]
    told = hourly_series(halves)
    assert told is not None
    np.testing.assert_array_equal(told.values, [100.5, 102.5, np.nan])
    assert told.estimated is not None
    assert told.estimated.tolist() == [False, True, False]


def test_an_hour_told_as_such_counts_before_one_made_of_parts() -> None:
    halves = [reading(NOON + index * HALF, 100.0, HALF) for index in range(4)]
    told = hourly_series([*halves, reading(NOON + HOUR, 300.0)])
    assert told is not None
    assert told.values.tolist() == [100.0, 300.0]


def test_without_a_whole_hour_there_is_no_series() -> None:
    assert hourly_series([]) is None
    assert hourly_series([reading(NOON, 5.0, HALF)]) is None
    assert hourly_series([reading(NOON, 5.0, timedelta(days=1))]) is None


def test_the_order_of_what_was_told_does_not_matter() -> None:
    hours = [reading(NOON + index * HOUR, 100.0 + index) for index in range(5)]
    corrected = replace(hours[2], g_per_kwh=7.0, known_at=NOON + HOUR)
    one, other = hourly_series([*hours, corrected]), hourly_series([corrected, *hours[::-1]])
    assert one is not None
    assert other is not None
    assert one.values.tolist() == other.values.tolist() == [100.0, 101.0, 7.0, 103.0, 104.0]
