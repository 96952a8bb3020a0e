"""What the model sees: scaled, gap-free, and aligned with the hours it forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.intensity import FloatArray
from forecast.model.features import INPUT_COLUMNS, LEAD_COLUMNS, WINDOW_HOURS, build, by_lead, fill_gaps
from forecast.model.places import place_of

BERLIN = place_of("DE")
MONDAY_MIDNIGHT_UTC = 24 * 7 * 2900 + 24 * 4  # the epoch began on a Thursday


def windows(seed: int = 0, count: int = 3) -> FloatArray:
    return np.random.default_rng(seed).uniform(100, 500, (count, WINDOW_HOURS))


def hours(count: int = 3) -> np.ndarray:
    return MONDAY_MIDNIGHT_UTC + np.arange(count)


@given(st.floats(0.01, 100))
def test_a_grid_ten_times_as_dirty_looks_the_same_but_for_its_level(factor: float) -> None:
    one, other = build(windows(), hours(), BERLIN), build(windows() * factor, hours(), BERLIN)
    differing = np.flatnonzero(np.abs(one.inputs - other.inputs).max(axis=0) > 1e-3)
    assert len(differing) <= 1
    np.testing.assert_allclose(other.level, one.level * factor)
    np.testing.assert_allclose(other.spread, one.spread * factor)


def test_columns_are_counted_right() -> None:
    features = build(windows(), hours(), BERLIN)
    assert features.inputs.shape == (3, INPUT_COLUMNS)
    assert by_lead(features.inputs, np.array([0, 50, 103])).shape == (3, 3, LEAD_COLUMNS)


def test_single_hours_ahead_see_the_same_hour_of_the_days_before() -> None:
    window = (np.arange(WINDOW_HOURS) % 24 + 100.0).astype(np.float64)[None, :]
    window[0, -24:] += 1000
    features = build(window, hours(1), BERLIN)
    leads = np.array([0, 5, 29, 100])
    scaled = (window[0] - features.level[0]) / features.spread[0]
    seen = by_lead(features.inputs, leads)[0]
    np.testing.assert_allclose(seen[:, 0], scaled[-24 + leads % 24], rtol=1e-5)
    np.testing.assert_allclose(seen[:, 1], scaled[-48 + leads % 24], rtol=1e-5)
    np.testing.assert_allclose(seen[:, 8], scaled[-168 + leads], rtol=1e-5)


def test_weekdays_of_single_hours_are_local() -> None:
    features = build(windows(count=1), np.array([MONDAY_MIDNIGHT_UTC]), BERLIN)
    weekday = by_lead(features.inputs, np.array([0, 22, 23, 47]))[0, :, -7:].argmax(axis=1)
    assert list((weekday - weekday[0]) % 7) == [0, 0, 1, 2], "at 01:00 in Berlin a day has 23 hours to go"


def test_gaps_are_filled_with_the_same_hour_of_other_days() -> None:
    window = np.tile(np.arange(24.0) + 100, 28)[None, :]
    holey = window.copy()
    holey[0, 30:90] = np.nan
    np.testing.assert_allclose(fill_gaps(holey), window)


def test_an_hour_of_day_that_is_never_known_gets_the_mean() -> None:
    window = np.tile(np.arange(24.0), 28)[None, :]
    window[0, 5::24] = np.nan
    assert fill_gaps(window)[0, 5] == pytest.approx((276 - 5) / 23)


def test_a_window_without_any_value_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one known hour"):
        build(np.full((1, WINDOW_HOURS), np.nan), hours(1), BERLIN)


@given(st.floats(1, 900))
def test_a_constant_zone_has_finite_features(value: float) -> None:
    features = build(np.full((1, WINDOW_HOURS), value), hours(1), BERLIN)
    assert np.isfinite(features.inputs).all()
    assert np.isfinite(by_lead(features.inputs, np.arange(104))).all()
