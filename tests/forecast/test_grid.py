from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.grid import Grid, regrid
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import NOON, series

intensities = arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 2000))
MINUTE = timedelta(minutes=1)


@given(intensities, st.sampled_from([5, 10, 12, 15, 20, 30, 60]))
def test_cutting_hours_into_equal_parts_keeps_every_value_exactly(values: Any, minutes: int) -> None:
    per_hour = 60 // minutes
    fine = regrid(values, NOON, HOUR, Grid(NOON, minutes * MINUTE, len(values) * per_hour))
    assert np.array_equal(fine, np.repeat(values, per_hour))


@given(intensities, st.sampled_from([7, 25, 90, 120, 180]), st.integers(0, 119))
def test_a_coarse_or_odd_step_has_the_time_weighted_mean_of_its_parts(values: Any, minutes: int, offset: int) -> None:
    grid = Grid(NOON + offset * MINUTE, minutes * MINUTE, 20)
    moved = regrid(values, NOON, HOUR, grid)
    per_minute = np.repeat(values, 60)
    for index, value in enumerate(moved):
        part = per_minute[offset + index * minutes : offset + (index + 1) * minutes]
        if len(part) < minutes:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(part.mean(), rel=1e-9, abs=1e-9)


@given(intensities, st.integers(1, 50), st.integers(1, 50))
def test_splitting_a_span_changes_no_mean(values: Any, first_minutes: int, second_minutes: int) -> None:
    whole = regrid(values, NOON, HOUR, Grid(NOON, (first_minutes + second_minutes) * MINUTE, 1))[0]
    first = regrid(values, NOON, HOUR, Grid(NOON, first_minutes * MINUTE, 1))[0]
    second = regrid(values, NOON, HOUR, Grid(NOON + first_minutes * MINUTE, second_minutes * MINUTE, 1))[0]
    if np.isnan(whole):
        assert np.isnan(second)
    else:
        assert first * first_minutes + second * second_minutes == pytest.approx(whole * (first_minutes + second_minutes), abs=1e-6)


def test_a_step_that_touches_a_missing_value_is_missing() -> None:
    moved = regrid(np.array([100.0, np.nan, 300.0]), NOON, HOUR, Grid(NOON, 2 * HOUR, 1))
    assert np.isnan(moved).all()


def test_nothing_outside_the_given_span_is_filled_in() -> None:
    moved = regrid(np.array([100.0]), NOON, HOUR, Grid(NOON - HOUR, HOUR, 3))
    assert np.isnan(moved[[0, 2]]).all()
    assert moved[1] == 100.0


def test_no_values_give_no_values() -> None:
    assert np.isnan(regrid(np.empty(0), NOON, HOUR, Grid(NOON, HOUR, 2))).all()


def test_a_grid_needs_a_positive_step_and_count() -> None:
    with pytest.raises(ValueError, match="positive step"):
        Grid(NOON, timedelta(0), 3)
    with pytest.raises(ValueError, match="at least one"):
        Grid(NOON, HOUR, 0)


@given(intensities, st.integers(0, 3000), st.integers(1, 600))
def test_a_series_mean_is_the_mean_of_its_minutes(values: Any, first: int, minutes: int) -> None:
    mean = series(values).mean(Interval(NOON + first * MINUTE, NOON + (first + minutes) * MINUTE))
    part = np.repeat(values, 60)[first : first + minutes]
    if len(part) < minutes:
        assert mean is None
    else:
        assert mean == pytest.approx(part.mean(), rel=1e-9, abs=1e-9)
