"""The feed with more than one source: each zone at its own, no two kinds together."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from daemon.compose import build_daemon
from daemon.feed import IntensityFeed
from daemon.settings import Settings
from daemon.store import Store
from daemon.store.intensity import RecordedIntensity
from forecast.gb_national.client import NationalGB
from forecast.gb_national.parse import KIND
from forecast.intensity import LIFECYCLE_AVERAGE, MixedKinds, Rung
from forecast.source.budget import TokenBucket
from forecast.timeline import HOUR
from tests.forecast.gb_national.server import Moving, NationalServer, asking

NOW = datetime(2024, 3, 1, 10, 40, tzinfo=UTC)
TRACES = Path(os.environ.get("LOWTIDE_TRACES", "no-traces"))


def truth(start: datetime) -> float:
    """Something that no hour repeats."""
    hours = (start - NOW).total_seconds() / 3600
    return 150 + 60 * float(np.sin(2 * np.pi * hours / 24)) + 0.1 * (hours % 97)


@pytest.fixture
def clock() -> Moving:
    return Moving(NOW)


@pytest.fixture
def server(clock: Moving) -> Iterator[NationalServer]:
    with NationalServer(lambda: clock.now, truth).serving() as serving:
        yield serving


@pytest.fixture
def national(server: NationalServer, clock: Moving) -> Iterator[NationalGB]:
    with asking(server, clock) as client:
        yield client


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[RecordedIntensity]:
    store = Store.open(f"sqlite:///{tmp_path / 'grid.db'}")
    yield RecordedIntensity(store.database)
    store.close()


def test_half_hours_are_recorded_as_told_and_planned_with_as_hours(
    national: NationalGB, recorded: RecordedIntensity, clock: Moving
) -> None:
    feed = IntensityFeed([national], recorded, KIND, lambda: clock.now)
    feed.poll_latest(["GB"])
    assert {fetch.result for fetch in feed.poll_history(["GB"])} == {"ok"}
    feed.poll_forecast(["GB"])
    this_hour = NOW.replace(minute=0)
    assert {one.interval.duration for one in recorded.readings("GB", KIND, NOW - 2 * HOUR, NOW)} == {HOUR / 2}
    hours = feed.observed("GB", this_hour - timedelta(days=27), this_hour)
    assert not np.isnan(hours.values).any()
    halves = [round(truth(this_hour - HOUR)), round(truth(this_hour - HOUR / 2))]
    assert hours.values[-1] == np.mean(halves)
    outlook = feed.outlook("GB", this_hour + HOUR, HOUR / 2, 144, NOW)
    assert set(outlook.rung[:94]) == {Rung.VENDOR_FORECAST}
    assert set(outlook.rung[97:]) == {Rung.OWN_FORECAST}


def test_a_zone_that_no_source_serves_is_not_asked_about(national: NationalGB, recorded: RecordedIntensity, server: NationalServer) -> None:
    feed = IntensityFeed([national], recorded, KIND, lambda: NOW)
    assert [fetch.result for fetch in feed.poll_latest(["DE"])] == ["no-key"]
    assert server.asked == []


def test_no_feed_takes_a_source_of_another_kind(national: NationalGB, recorded: RecordedIntensity) -> None:
    with pytest.raises(MixedKinds, match="tells direct/average/production intensity, everything here is counted in lifecycle"):
        IntensityFeed([national], recorded, LIFECYCLE_AVERAGE, lambda: NOW)


def test_direct_records_are_never_seen_by_life_cycle_plans(national: NationalGB, recorded: RecordedIntensity) -> None:
    IntensityFeed([national], recorded, KIND, lambda: NOW).poll_history(["GB"])
    outlook = IntensityFeed([], recorded, LIFECYCLE_AVERAGE, lambda: NOW).outlook("GB", NOW.replace(minute=0), HOUR, 4, NOW)
    assert set(outlook.rung) == {Rung.YEARLY_MEAN}


def test_the_settings_refuse_it_beside_life_cycle_accounts_with_a_sentence_that_helps() -> None:
    with pytest.raises(ValueError, match=r"kinds are never mixed; set intensity\.kind = 'direct/average/production'"):
        Settings.model_validate({"gb_national": {"enabled": True}})


def test_a_daemon_asks_it_where_the_settings_say_so(server: NationalServer, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "database": f"sqlite:///{tmp_path / 'lowtide.db'}",
            "gb_national": {"enabled": True, "base_url": server.base_url},
            "intensity": {"kind": KIND.label},
            "replay": {"grid_start": NOW},
            "sites": [{"name": "edinburgh", "zone": "GB"}],
        }
    )
    with build_daemon(settings) as daemon:
        daemon.feed.poll_history(["GB"])
        assert daemon.feed.status("GB", NOW).rung is Rung.OWN_FORECAST
    assert any("/intensity/2024-02-29T10:30Z/" in path for path in server.asked)


@pytest.mark.traces
@pytest.mark.skipif(not TRACES.is_dir(), reason="LOWTIDE_TRACES does not name a folder of intensity traces")
def test_the_recorded_half_hours_of_2024_become_its_hours_and_the_lost_leap_day_stays_lost(tmp_path: Path) -> None:
    (path,) = (TRACES / "neso-gb").glob("*.csv.gz")
    with gzip.open(path, "rt") as text:
        rows = list(csv.DictReader(text))
    actual = {datetime.fromisoformat(row["Datetime (UTC)"]): float(row["Actual Carbon Intensity (gCO2/kWh)"]) for row in rows}
    store = Store.open(f"sqlite:///{tmp_path / 'grid.db'}")
    recorded = RecordedIntensity(store.database)
    with NationalServer(lambda: NOW, lambda start: actual.get(start, float("nan"))).serving() as server:
        client = NationalGB(server.base_url, now=lambda: NOW, budget=TokenBucket(1000), http=httpx.Client(timeout=5, verify=False))  # noqa: S501  # plain http on loopback
        feed = IntensityFeed([client], recorded, KIND, lambda: NOW)
        feed.poll_history(["GB"])
        client.close()
    leap_day = datetime(2024, 2, 29, tzinfo=UTC)
    assert np.isnan(feed.observed("GB", leap_day, leap_day + 24 * HOUR).values).all()
    before = feed.observed("GB", leap_day - timedelta(days=20), leap_day)
    halves = [actual[before.start + index * HOUR / 2] for index in range(2 * len(before.values))]
    np.testing.assert_array_equal(before.values, np.mean(np.reshape(halves, (-1, 2)), axis=1))
    outlook = feed.outlook("GB", leap_day, HOUR, 24, NOW)
    assert not np.isnan(outlook.g_per_kwh).any()
    assert Rung.OBSERVED not in outlook.rung
    store.close()
