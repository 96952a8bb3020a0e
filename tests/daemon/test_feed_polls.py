"""What a real poller was told, hour by hour, through the real feed: nothing twice, nothing lost, nothing invented."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import select

from daemon.feed import IntensityFeed
from daemon.store import Store
from daemon.store.grid_schema import replaced_reading
from daemon.store.intensity import RecordedIntensity
from forecast.electricity_maps.client import ElectricityMaps
from forecast.forecasters import Forecaster, SevenDayMean
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Rung
from forecast.model.forecaster import TrainedForecaster
from forecast.portal_csv import read_intensity_file
from forecast.replay import Recording, ReplayServer
from forecast.replay.polls import KnownThen, Poll, read_polls
from forecast.replay.recording import NothingToReplay
from forecast.source.budget import TokenBucket
from forecast.timeline import HOUR, floor_to

DEMO = Path(__file__).parents[2] / "forecast" / "data" / "demo" / "DE_2023-08_hourly.csv.gz"
TRACES = Path(os.environ.get("LOWTIDE_TRACES", "no-traces")) / "electricitymaps-live-scrape"
EVERY = timedelta(minutes=30)


class Moving:
    def __init__(self, now: datetime) -> None:
        self.now = now


@dataclass
class Walk:
    """One zone's polls and the daemon's parts that met them."""

    zone: str
    polls: list[Poll]
    clock: Moving
    feed: IntensityFeed
    recorded: RecordedIntensity
    store: Store
    forecast_at: datetime

    def to(self, end: datetime) -> None:
        """Poll at every moment the real poller did, and every half hour while it was silent."""
        moments = [poll.at for poll in self.polls if self.clock.now < poll.at <= end]
        while self.clock.now < end:
            following = next((moment for moment in moments if moment > self.clock.now), end)
            self.clock.now = min(following, self.clock.now + EVERY)
            self.feed.poll_latest([self.zone])
            self.feed.poll_history([self.zone])
            if self.clock.now - self.forecast_at >= 2 * EVERY - timedelta(minutes=5):
                self.forecast_at = self.clock.now
                self.feed.poll_forecast([self.zone])

    def told(self) -> dict[datetime, list[float]]:
        """For each hour the values told of it until now, repeats left out."""
        values: dict[datetime, list[float]] = defaultdict(list)
        for poll in self.polls:
            if poll.at <= self.clock.now:
                values[poll.hour].append(poll.g_per_kwh)
        return {hour: [value for value, _ in groupby(each)] for hour, each in values.items()}

    def audited(self) -> dict[datetime, list[float]]:
        """For each hour the values that a later one took the place of, in that order."""
        replaced: dict[datetime, list[float]] = defaultdict(list)
        with self.store.database.read() as connection:
            for row in connection.execute(select(replaced_reading).order_by(replaced_reading.c.id)):
                replaced[row.start].append(row.g_per_kwh)
        return replaced

    def recorded_hours(self) -> list[tuple[datetime, float]]:
        since = self.polls[0].hour - timedelta(days=1)
        return [
            (reading.interval.start, reading.g_per_kwh)
            for reading in self.recorded.readings(self.zone, LIFECYCLE_AVERAGE, since, self.clock.now + HOUR)
        ]


@contextmanager
def walking(folder: Path, zone: str, polls: list[Poll], start: datetime, forecaster: Forecaster) -> Iterator[Walk]:
    clock = Moving(start)
    store = Store.open(f"sqlite:///{folder / 'grid.db'}")
    recorded = RecordedIntensity(store.database)
    with ReplayServer(Recording(KnownThen({zone: polls}, lambda: clock.now)), lambda: clock.now, plan="free") as server:
        http = httpx.Client(timeout=5.0, verify=False)  # noqa: S501  # plain http on loopback; reading the trust store takes longer
        client = ElectricityMaps(server.base_url, "any-key", now=lambda: clock.now, http=http, budget=TokenBucket(10_000))
        feed = IntensityFeed([client], recorded, LIFECYCLE_AVERAGE, lambda: clock.now, forecaster=forecaster)
        yield Walk(zone, polls, clock, feed, recorded, store, start)
        client.close()
    store.close()


def check_the_record(walk: Walk) -> None:
    """One row an hour with the value told last, an audit row for each value before it, and no hour that nobody told of."""
    told = walk.told()
    assert walk.recorded_hours() == [(hour, values[-1]) for hour, values in sorted(told.items())]
    assert dict(walk.audited()) == {hour: values[:-1] for hour, values in told.items() if len(values) > 1}


def check_the_outage(walk: Walk, first: datetime, last: datetime, *, longest: int = 7 * 24) -> FloatArray:
    """The hours of an outage are missing in the record, and the outlook bridges them with forecasts made before, and says so.

    Returns the bridge.
    """
    hours = (last - first) // HOUR
    assert np.isnan(walk.feed.observed(walk.zone, first, last).values).all()
    outlook = walk.feed.outlook(walk.zone, first, HOUR, hours, walk.clock.now)
    assert not np.isnan(outlook.g_per_kwh).any()
    assert set(outlook.rung[:longest]) == {Rung.OWN_FORECAST}
    assert Rung.OBSERVED not in outlook.rung
    assert (outlook.low < outlook.high).all()
    return outlook.g_per_kwh


def like_a_scrape(dark_from: datetime, dark_until: datetime) -> list[Poll]:
    """Polls with the habits of the recorded ones: each hour about an hour late, told twice, every third one another value first;
    and none of an outage."""
    series = read_intensity_file(DEMO).hourly()
    polls = []
    for index, value in enumerate(series.values):
        hour = series.start + index * HOUR
        if dark_from <= hour < dark_until:
            continue
        first = round(value * 1.05) if index % 3 == 0 else round(value)
        polls += [Poll(hour + HOUR + timedelta(minutes=3), hour, first), Poll(hour + HOUR + timedelta(minutes=33), hour, round(value))]
    return polls


def test_a_walk_through_an_outage_keeps_every_value_invents_none_and_bridges_by_forecasts_made_before(tmp_path: Path) -> None:
    first = read_intensity_file(DEMO).series().start
    dark_from, dark_until = first + timedelta(days=2), first + timedelta(days=2, hours=20)
    polls = like_a_scrape(dark_from, dark_until)
    with walking(tmp_path, "DE", polls, polls[0].at - EVERY, SevenDayMean()) as walk:
        walk.to(dark_until - HOUR)
        assert walk.feed.status("DE", walk.clock.now).results["latest"] == "no-recent-data"
        during = check_the_outage(walk, dark_from, floor_to(walk.clock.now, HOUR))
        assert set(walk.feed.outlook("DE", floor_to(walk.clock.now, HOUR), HOUR, 48, walk.clock.now).rung) == {Rung.OWN_FORECAST}
        walk.to(dark_until + timedelta(hours=10))
        assert walk.feed.status("DE", walk.clock.now).results["latest"] == "ok"
        after = check_the_outage(walk, dark_from, dark_until)
        np.testing.assert_array_equal(during, after[: len(during)], "a bridge must not be built from what came after it")
        check_the_record(walk)
        assert len(walk.audited()) > 15


def test_a_file_of_polls_is_read_in_order_and_an_empty_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "DE.csv"
    names = ["timestamp", "zone_datetime", "status", "zone_name", "carbon_intensity_avg"]
    rows = [
        ["1633705204", "2021-10-08T14:00:00.000Z", "ok", "DE", "369"],
        ["1633703404", "2021-10-08T13:00:00.000Z", "ok", "DE", "364"],
        ["1633706204", "", "error", "DE", ""],
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    zone, polls = read_polls(path)
    assert zone == "DE"
    assert [poll.g_per_kwh for poll in polls] == [364.0, 369.0]
    assert polls[0].hour == floor_to(polls[0].at, HOUR) - HOUR
    path.write_text(",".join(names) + "\n")
    with pytest.raises(NothingToReplay, match=r"DE\.csv holds no polls"):
        read_polls(path)


@pytest.mark.traces
@pytest.mark.skipif(not TRACES.is_dir(), reason="LOWTIDE_TRACES does not name a folder of intensity traces")
@pytest.mark.parametrize("name", ["CA-ON", "DE", "ES", "FR", "GB", "IT-NO", "PL", "SE", "US-CAL-CISO"])
def test_a_real_scrape_is_recorded_without_repeats_and_its_longest_outage_bridged(tmp_path: Path, name: str) -> None:
    zone, polls = read_polls(TRACES / f"{name}.csv.gz")
    hours = sorted({poll.hour for poll in polls})
    run_in = timedelta(days=6)
    known = np.array(hours)
    silences = [
        (later - earlier, earlier, later)
        for earlier, later in pairwise(hours)
        if np.count_nonzero((known > earlier - run_in) & (known <= earlier)) > 72  # without a past there is nothing to bridge with
    ]
    _, before, after = max(silences)
    start = before - run_in
    lately = [poll for poll in polls if poll.at > start]
    with walking(tmp_path, zone, lately, start, TrainedForecaster()) as walk:
        walk.to(after + timedelta(hours=30))
        check_the_record(walk)
        check_the_outage(walk, before + HOUR, after)
