from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from forecast.climatology import MINIMUM_VALUES, climatology_of
from forecast.grid import Grid
from forecast.timeline import HOUR
from tests.forecast.grids import daily_wave, series

JUNE = datetime(2025, 6, 1, tzinfo=UTC)


def test_a_month_and_hour_that_is_known_has_its_mean() -> None:
    june = climatology_of(daily_wave(30, datetime(2025, 7, 1, tzinfo=UTC)))
    assert june is not None
    mean, low, high = june.on(Grid(datetime(2026, 6, 10, tzinfo=UTC), HOUR, 24))
    assert mean == pytest.approx(daily_wave(1, datetime(2025, 7, 1, tzinfo=UTC)).values)
    assert np.all(low <= mean)
    assert np.all(mean <= high)


def test_other_months_are_not_known() -> None:
    june = climatology_of(daily_wave(30, datetime(2025, 7, 1, tzinfo=UTC)))
    assert june is not None
    assert np.isnan(june.on(Grid(datetime(2026, 8, 1, tzinfo=UTC), HOUR, 24))[0]).all()


def test_too_few_days_make_no_climatology() -> None:
    assert climatology_of(daily_wave(MINIMUM_VALUES - 1, datetime(2025, 6, 20, tzinfo=UTC))) is None


def test_bounds_are_the_central_eighty_percent() -> None:
    values = np.repeat(np.arange(30.0), 24)
    june = climatology_of(series(values.tolist(), JUNE))
    assert june is not None
    assert june.low[5, 0] == pytest.approx(np.quantile(np.arange(30.0), 0.1))
    assert june.high[5, 0] == pytest.approx(np.quantile(np.arange(30.0), 0.9))
    assert june.mean[5, 0] == pytest.approx(14.5)


def test_missing_hours_do_not_count_as_zero() -> None:
    values = daily_wave(30, datetime(2025, 7, 1, tzinfo=UTC)).values.copy()
    values[::48] = np.nan
    june = climatology_of(series(values.tolist(), JUNE))
    assert june is not None
    assert june.mean[5, 0] == pytest.approx(200.0)
