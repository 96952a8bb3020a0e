"""What is recorded of one zone reaches the forecast of its neighbour, through a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.domain.errors import Hindered
from daemon.feed import IntensityFeed
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from daemon.zone_knowledge import KnowledgeSettings
from forecast.forecasters import Archive
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Reading, Rung, Series, Vintage
from forecast.model.forecaster import RECORD_HOURS, TrainedForecaster
from forecast.timeline import HOUR, Interval

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOURS = 24 * 60
FIRST = NOW - HOURS * HOUR
FOUR_DAYS = timedelta(days=4)


def gusty(lead_hours: int) -> FloatArray:
    """A daily swing under gusts that come `lead_hours` early."""
    gusts = np.random.default_rng(2).normal(0, 60, HOURS // 12 + 2).repeat(12)
    return 300 + 40 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi) + gusts[lead_hours : lead_hours + HOURS]


RECORDS = {zone: Series(zone, LIFECYCLE_AVERAGE, FIRST, gusty(lead)) for zone, lead in (("DE", 0), ("PL", 6))}


class Shelf:
    """The same records without a store."""

    def __init__(self, *zones: str) -> None:
        self.zones = zones

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        return RECORDS[zone]


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[RecordedIntensity]:
    store = Store.open(f"sqlite:///{tmp_path / 'grid.db'}")
    recorded = RecordedIntensity(store.database)
    for zone, record in RECORDS.items():
        hours = [Interval(FIRST + index * HOUR, FIRST + (index + 1) * HOUR) for index in range(HOURS)]
        told = zip(hours, record.values, strict=True)
        recorded.put_readings([Reading(zone, hour, float(value), LIFECYCLE_AVERAGE, "test", NOW) for hour, value in told], NOW)
    yield recorded
    store.close()


def archived(recorded: RecordedIntensity, *zones: str) -> FloatArray:
    """What a feed that records `zones` archives as our forecast of DE."""
    settings = KnowledgeSettings(history=RECORD_HOURS * HOUR, forecast_horizon=FOUR_DAYS, zones=zones)
    IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW, forecaster=TrainedForecaster(), settings=settings).poll_forecast(["DE"])
    vintage = recorded.latest_vintage("DE", LIFECYCLE_AVERAGE, Rung.OWN_FORECAST, NOW)
    assert vintage is not None
    return vintage.g_per_kwh


@pytest.mark.parametrize("zones", [("DE",), ("DE", "PL")])
def test_the_forecast_is_the_one_that_all_recorded_zones_call_for(recorded: RecordedIntensity, zones: tuple[str, ...]) -> None:
    direct = TrainedForecaster().forecast(RECORDS["DE"], NOW, FOUR_DAYS, Shelf(*zones)).g_per_kwh
    np.testing.assert_allclose(archived(recorded, *zones), direct, rtol=1e-5)


class Interrupted(TrainedForecaster):
    """The feed is told to stop while its first forecast is made."""

    feed: IntensityFeed

    def forecast(self, history: Series, now: datetime, horizon: timedelta, archive: Archive | None = None) -> Vintage:
        self.feed.stop()
        return super().forecast(history, now, horizon, archive)


def test_a_feed_told_to_stop_ends_with_the_zone_it_is_at(recorded: RecordedIntensity) -> None:
    forecaster = Interrupted()
    settings = KnowledgeSettings(history=RECORD_HOURS * HOUR, forecast_horizon=FOUR_DAYS, zones=("DE", "PL"))
    forecaster.feed = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW, forecaster=forecaster, settings=settings)
    with pytest.raises(Hindered, match="being stopped"):
        forecaster.feed.poll_forecast(["DE", "PL"])
    done, left = (recorded.latest_vintage(zone, LIFECYCLE_AVERAGE, Rung.OWN_FORECAST, NOW) for zone in ("DE", "PL"))
    assert done is not None
    assert left is None
    with pytest.raises(Hindered):
        forecaster.feed.outlook("PL", NOW, HOUR, 24, NOW)


def test_a_neighbour_that_knows_the_gust_already_changes_the_forecast() -> None:
    alone, informed = (TrainedForecaster().forecast(RECORDS["DE"], NOW, FOUR_DAYS, Shelf(*zones)) for zones in (("DE",), ("DE", "PL")))
    assert np.abs(informed.g_per_kwh - alone.g_per_kwh)[:12].max() > 5
