"""The bundled model on real hours it was not trained on: it must stay well ahead of the simple forecasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecast.intensity import Series
from forecast.model.backtest import reissue
from forecast.model.forecaster import TrainedForecaster, epoch_hours
from forecast.model.network import Network
from forecast.portal_csv import read_intensity_file
from forecast.scoring import interval_scores, persistence, point_scores, same_hour_mean, targets
from tests.forecast.traces import traces_folder

TRACES = traces_folder() / "electricitymaps-lca-hourly"
pytestmark = [
    pytest.mark.traces,
    pytest.mark.skipif(not TRACES.is_dir(), reason="LOWTIDE_TRACES names no folder with electricitymaps-lca-hourly"),
]
ORIGIN = 17520 + 24 * 120
ORIGINS = np.arange(ORIGIN, ORIGIN + 24 * 100)


def real(zone: str) -> Series:
    return read_intensity_file(TRACES / f"{zone}_2021-2023_hourly_lca.csv.gz").hourly()


@pytest.mark.parametrize("zone", ["DE", "GB", "US-CAL-CISO", "US-TEX-ERCO"])
def test_the_model_beats_the_simple_forecasts_and_its_intervals_hold(zone: str) -> None:
    record = real(zone)
    forecast = reissue(Network.bundled(), zone, record.values, epoch_hours(record.start), ORIGINS)
    actual = targets(record.values, ORIGINS, 96)
    naive = min(point_scores(actual, simple(record.values, ORIGINS, 96)).mae for simple in (persistence, same_hour_mean))
    assert point_scores(actual, forecast[:, 1]).mae < 0.97 * naive
    assert 0.72 < interval_scores(actual, forecast[:, 0], forecast[:, 2]).coverage < 0.88


@pytest.mark.parametrize("zone", ["DE", "FR", "AU-NSW"])
def test_a_single_day_of_a_zone_never_seen_already_beats_repeating_it(zone: str) -> None:
    record = real(zone)
    forecaster = TrainedForecaster()
    errors = []
    for origin in range(ORIGIN, ORIGIN + 24 * 200, 61):
        now = record.start + timedelta(hours=origin)
        day = Series(f"{zone}-NEW", record.kind, now - timedelta(days=1), record.values[origin - 24 : origin])
        ahead = record.values[origin : origin + 24]
        middle = forecaster.forecast(day, now, timedelta(days=1)).g_per_kwh
        errors.append((np.abs(middle - ahead).mean(), np.abs(day.values - ahead).mean()))
    ours, repeated = np.mean(errors, axis=0)
    assert ours < 0.97 * repeated


def test_the_record_begins_where_this_test_thinks() -> None:
    assert real("DE").start == datetime(2021, 1, 1, tzinfo=UTC)
