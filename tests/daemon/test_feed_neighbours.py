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
from forecast.forecasters import Archive, Forecaster
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Reading, Rung, Series, Vintage
from forecast.model.forecaster import RECORD_HOURS, TrainedForecaster
from forecast.timeline import HOUR, Interval

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOURS = 24 * 200
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


class House:
    """A feed that records some zones, and its clock."""

    def __init__(self, recorded: RecordedIntensity, *zones: str, forecaster: Forecaster | None = None) -> None:
        self.recorded, self.now = recorded, NOW
        settings = KnowledgeSettings(history=RECORD_HOURS * HOUR, forecast_horizon=FOUR_DAYS, zones=zones)
        taught = forecaster or TrainedForecaster()
        self.feed = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: self.now, forecaster=taught, settings=settings)

    def archived(self, zone: str = "DE") -> Vintage | None:
        """Our newest forecast of a zone."""
        return self.recorded.latest_vintage(zone, LIFECYCLE_AVERAGE, Rung.OWN_FORECAST, self.now)

    def expected(self) -> FloatArray:
        """What plans expect of DE."""
        return self.feed.outlook("DE", NOW, HOUR, 48, self.now).g_per_kwh


def directly(*zones: str) -> FloatArray:
    """The forecast of DE that the records of `zones` call for."""
    forecaster = TrainedForecaster()
    forecaster.learn(RECORDS["DE"], NOW, Shelf(*zones))
    return forecaster.forecast(RECORDS["DE"], NOW, FOUR_DAYS, Shelf(*zones)).g_per_kwh


@pytest.mark.parametrize("zones", [("DE",), ("DE", "PL")])
def test_the_forecast_is_the_one_that_all_recorded_zones_call_for(recorded: RecordedIntensity, zones: tuple[str, ...]) -> None:
    house = House(recorded, *zones)
    house.feed.learn(["DE"])
    vintage = house.archived()
    assert vintage is not None
    np.testing.assert_allclose(vintage.g_per_kwh, directly(*zones), rtol=1e-5)


def test_plans_go_on_without_a_lesson_and_by_it_once_it_is_learnt(recorded: RecordedIntensity) -> None:
    house = House(recorded, "DE", "PL")
    before = house.expected()  # a tick before any poll
    house.feed.poll_forecast(["DE"])
    np.testing.assert_allclose(house.expected(), before)
    house.now += timedelta(seconds=5)
    house.feed.learn(["DE"])
    np.testing.assert_allclose(house.expected(), directly("DE", "PL")[:48], rtol=1e-5)
    assert np.abs(house.expected() - before).max() > 5


def test_a_lesson_that_follows_another_waits_for_the_next_poll(recorded: RecordedIntensity) -> None:
    house = House(recorded, "DE")
    house.feed.learn(["DE"])
    house.now += timedelta(days=1)
    house.feed.learn(["DE"])
    first = house.archived()
    assert first is not None
    assert first.issued_at == NOW
    house.feed.poll_forecast(["DE"])
    second = house.archived()
    assert second is not None
    assert second.issued_at == house.now


class Interrupted(TrainedForecaster):
    """The feed is told to stop while its first forecast is made, or its first lesson is learnt."""

    feed: IntensityFeed

    def forecast(self, history: Series, now: datetime, horizon: timedelta, archive: Archive | None = None) -> Vintage:
        self.feed.stop()
        return super().forecast(history, now, horizon, archive)

    def learn(self, history: Series, now: datetime, archive: Archive) -> bool:
        self.feed.stop()
        return False


def test_a_feed_told_to_stop_ends_with_the_zone_it_is_at(recorded: RecordedIntensity) -> None:
    forecaster = Interrupted()
    house = House(recorded, "DE", "PL", forecaster=forecaster)
    forecaster.feed = house.feed
    with pytest.raises(Hindered, match="being stopped"):
        house.feed.poll_forecast(["DE", "PL"])
    assert house.archived("DE") is not None
    assert house.archived("PL") is None
    with pytest.raises(Hindered):
        house.feed.outlook("PL", NOW, HOUR, 24, NOW)


def test_a_feed_told_to_stop_learns_no_further_zone(recorded: RecordedIntensity) -> None:
    forecaster = Interrupted()
    forecaster.feed = House(recorded, "DE", "PL", forecaster=forecaster).feed
    with pytest.raises(Hindered, match="being stopped"):
        forecaster.feed.learn(["DE", "PL"])


class Unteachable(TrainedForecaster):
    """Fails at the lessons of one zone."""

    def learn(self, history: Series, now: datetime, archive: Archive) -> bool:
        if history.zone == "DE":
            raise ArithmeticError("a lesson that nobody foresaw")
        return super().learn(history, now, archive)


def test_a_zone_whose_lesson_fails_keeps_no_other_from_its_own(recorded: RecordedIntensity) -> None:
    house = House(recorded, "DE", "PL", forecaster=Unteachable())
    with pytest.raises(ArithmeticError, match="nobody foresaw"):
        house.feed.learn(["DE", "PL"])
    assert house.archived("DE") is None
    assert house.archived("PL") is not None


def test_a_neighbour_that_knows_the_gust_already_changes_the_forecast() -> None:
    assert np.abs(directly("DE", "PL") - directly("DE"))[:12].max() > 5
