"""What the archive of forecasts teaches reaches the outlook that plans are made on, and the archive stays as issued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from daemon.feed import IntensityFeed
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from forecast.forecasters import SevenDayMean
from forecast.intensity import LIFECYCLE_AVERAGE, Reading, Rung, Series, Vintage
from forecast.ladder import FORECAST_MAX_AGE
from forecast.timeline import HOUR, Interval

NOW = datetime(2024, 3, 1, 12, 20, tzinfo=UTC)
THIS_HOUR = NOW.replace(minute=0)
FIRST = THIS_HOUR - timedelta(days=35)
DAY = timedelta(days=1)
HOURS = 24 * 40
TRUTH = Series(
    "DE",
    LIFECYCLE_AVERAGE,
    FIRST,
    300 + 80 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi) + np.random.default_rng(0).normal(0, 40, HOURS // 48 + 1).repeat(48)[:HOURS],
)
LEVEL = 70.0


def vendor_forecast(issued_at: datetime) -> Vintage:
    """The weather foreseen, the level missed."""
    start = issued_at.replace(minute=0)
    first = (start - FIRST) // HOUR
    values = TRUTH.values[first : first + 73] + LEVEL
    return Vintage("DE", LIFECYCLE_AVERAGE, "a provider", Rung.VENDOR_FORECAST, issued_at, issued_at, start, HOUR, values)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[RecordedIntensity]:
    store = Store.open(f"sqlite:///{tmp_path / 'grid.db'}")
    recorded = RecordedIntensity(store.database)
    hours = [FIRST + index * HOUR for index in range((THIS_HOUR - FIRST) // HOUR)]
    told = [
        Reading("DE", Interval(hour, hour + HOUR), float(value), LIFECYCLE_AVERAGE, "test", NOW)
        for hour, value in zip(hours, TRUTH.values, strict=False)
    ]
    recorded.put_readings(told, NOW)
    for day in range(27, -1, -1):
        issued_at = NOW - day * DAY
        recorded.put_vintage(vendor_forecast(issued_at))
        past = replace(TRUTH, values=TRUTH.values[: (issued_at.replace(minute=0) - FIRST) // HOUR])
        if len(past.values) > 8 * 24:
            recorded.put_vintage(SevenDayMean().forecast(past, issued_at, timedelta(days=7)))
    yield recorded
    store.close()


def test_the_outlook_stands_on_the_corrected_blend_and_goes_on_without_a_jump(recorded: RecordedIntensity) -> None:
    feed = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW)
    outlook = feed.outlook("DE", THIS_HOUR + HOUR, HOUR, 95, NOW)
    ahead = TRUTH.values[(THIS_HOUR + HOUR - FIRST) // HOUR :][:72]
    assert set(outlook.rung[:72]) == {Rung.VENDOR_FORECAST}
    assert set(outlook.rung[72:]) == {Rung.OWN_FORECAST}
    assert float(np.abs(outlook.g_per_kwh[:72] - ahead).mean()) < 0.3 * LEVEL
    assert abs(outlook.g_per_kwh[72] - outlook.g_per_kwh[71]) < 40
    assert "vendor-forecast: a provider, corrected and blended with seven-day mean" in outlook.sources[0]


def test_the_archive_keeps_each_forecast_as_it_was_issued(recorded: RecordedIntensity) -> None:
    feed = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW)
    feed.outlook("DE", THIS_HOUR, HOUR, 24, NOW)
    kept = recorded.latest_vintage("DE", LIFECYCLE_AVERAGE, Rung.VENDOR_FORECAST, NOW)
    assert kept is not None
    assert kept.source == "a provider"
    np.testing.assert_array_equal(kept.g_per_kwh, vendor_forecast(NOW).g_per_kwh)


def test_a_stale_forecast_of_the_provider_has_no_part_in_it(recorded: RecordedIntensity) -> None:
    later = NOW + FORECAST_MAX_AGE + HOUR
    outlook = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: later).outlook("DE", later.replace(minute=0) + HOUR, HOUR, 24, later)
    assert set(outlook.rung) == {Rung.OWN_FORECAST}
    assert all("a provider" not in source for source in outlook.sources)


def combined(recorded: RecordedIntensity, rung: Rung) -> list[Vintage]:
    return recorded.vintages("DE", LIFECYCLE_AVERAGE, rung, NOW - 40 * DAY, NOW + DAY, is_combined=True)


def test_what_plans_stood_on_is_archived_once_per_issue_beside_what_it_was_made_of(recorded: RecordedIntensity) -> None:
    feed = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW)
    before = {
        rung: recorded.vintages("DE", LIFECYCLE_AVERAGE, rung, NOW - 40 * DAY, NOW) for rung in (Rung.VENDOR_FORECAST, Rung.OWN_FORECAST)
    }
    for _ in range(2):
        feed.poll_forecast(["DE"])
    (blend,), (joined,) = combined(recorded, Rung.VENDOR_FORECAST), combined(recorded, Rung.OWN_FORECAST)
    assert (blend.source, blend.issued_at, blend.known_at) == ("a provider, corrected and blended with seven-day mean", NOW, NOW)
    assert joined.source == "seven-day mean, joined to the provider's"
    outlook = feed.outlook("DE", THIS_HOUR, HOUR, 96, NOW)
    np.testing.assert_array_equal(outlook.g_per_kwh[:73], blend.g_per_kwh)
    np.testing.assert_array_equal(outlook.g_per_kwh[73:], joined.g_per_kwh[-len(joined.g_per_kwh) + 73 : 96])
    for rung, issued in before.items():
        now = recorded.vintages("DE", LIFECYCLE_AVERAGE, rung, NOW - 40 * DAY, NOW)
        assert [each.source for each in now] == [each.source for each in issued], "what is combined is never combined again"


def test_a_forecast_used_as_it_was_issued_is_archived_once(recorded: RecordedIntensity) -> None:
    recorded.forget_vintages(NOW + DAY)
    recorded.put_vintage(vendor_forecast(NOW))
    IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW).poll_forecast(["DE"])
    assert combined(recorded, Rung.VENDOR_FORECAST) == []
    kept = recorded.latest_vintage("DE", LIFECYCLE_AVERAGE, Rung.VENDOR_FORECAST, NOW)
    assert kept is not None
    assert kept.source == "a provider"


def test_what_was_combined_is_forgotten_with_what_it_was_made_of(recorded: RecordedIntensity) -> None:
    IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW).poll_forecast(["DE"])
    recorded.forget_vintages(NOW + DAY)
    assert combined(recorded, Rung.VENDOR_FORECAST) == combined(recorded, Rung.OWN_FORECAST) == []
