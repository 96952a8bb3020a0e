"""Recorded series on the hours that accounts are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.grid import aligned
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from forecast.timeline import HOUR, Interval

MIDNIGHT = datetime(2024, 2, 29, tzinfo=UTC)
VALUES = st.lists(st.floats(0, 1000) | st.just(float("nan")), min_size=1, max_size=30)


@given(values=VALUES, offset=st.integers(-40, 40), count=st.integers(1, 30), flags=st.none() | st.lists(st.booleans(), min_size=30))
def test_hours_taken_over_are_those_that_averaging_gives(values: list[float], offset: int, count: int, flags: list[bool] | None) -> None:
    estimated = None if flags is None else np.array(flags[: len(values)])
    series = Series("DE", LIFECYCLE_AVERAGE, MIDNIGHT + offset * HOUR, np.array(values), HOUR, estimated)
    taken = aligned(series, MIDNIGHT, count)
    means = [series.mean(Interval(MIDNIGHT + HOUR * index, MIDNIGHT + HOUR * (index + 1))) for index in range(count)]
    flagged = [mean is not None and flags is not None and flags[index - offset] for index, mean in enumerate(means)]
    np.testing.assert_allclose(taken.values, np.array(means, dtype=np.float64), rtol=1e-12)
    assert taken.estimated is not None
    np.testing.assert_array_equal(taken.estimated, flagged)


@pytest.mark.parametrize("step", [timedelta(minutes=15), timedelta(minutes=30)])
def test_quarters_and_halves_become_hours_and_an_hour_that_lacks_one_is_missing(step: timedelta) -> None:
    parts = HOUR // step
    values = np.arange(3.0 * parts)
    values[parts] = np.nan
    hours = aligned(Series("DE", LIFECYCLE_AVERAGE, MIDNIGHT, values, step), MIDNIGHT, 4)
    assert hours.values[0] == pytest.approx((parts - 1) / 2)
    assert np.isnan(hours.values[[1, 3]]).all()
    assert hours.values[2] == pytest.approx(2 * parts + (parts - 1) / 2)
