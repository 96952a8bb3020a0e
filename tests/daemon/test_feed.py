"""The real feed with the real client, a real SQLite store and the replay service over a real socket."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import select

from daemon.feed import IntensityFeed
from daemon.store.database import Database
from daemon.store.grid_schema import replaced_reading
from daemon.store.intensity import RecordedIntensity
from daemon.store.migrate import migrate
from forecast.electricity_maps.client import ElectricityMaps
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Rung, Vintage
from forecast.ladder import FORECAST_MAX_AGE
from forecast.model.forecaster import TrainedForecaster
from forecast.portal_csv import read_intensity_file
from forecast.replay import Fault, Recording, ReplayServer
from forecast.source.budget import TokenBucket
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import DIRECT

DEMO = Path(__file__).parents[2] / "forecast" / "data" / "demo"
START = datetime(2023, 9, 6, 15, 20, tzinfo=UTC)
THIS_HOUR = datetime(2023, 9, 6, 15, tzinfo=UTC)
ZONES = ("DE", "SE", "PL")
MINUTE = timedelta(minutes=1)
TRUST = ssl.create_default_context()


class Moving:
    def __init__(self) -> None:
        self.now = START


class Watching:
    """Counts what the feed tells the metrics."""

    def __init__(self) -> None:
        self.fetches: Counter[tuple[str, str, str]] = Counter()
        self.falls: Counter[str] = Counter()
        self.forecast_age: dict[str, float | None] = {}

    def fetched(self, zone: str, endpoint: str, result: str) -> None:
        self.fetches[zone, endpoint, result] += 1

    def fell(self, zone: str) -> None:
        self.falls[zone] += 1

    def show_forecast_age(self, zone: str, seconds: float | None) -> None:
        self.forecast_age[zone] = seconds


class House:
    """One feed with everything around it."""

    def __init__(self, recording: Recording, database: Database, *, plan: str = "full", has_key: bool = True) -> None:
        self.clock, self.metrics, self.recording, self.database = Moving(), Watching(), recording, database
        self.server = ReplayServer(recording, lambda: self.clock.now, plan="free" if plan == "free" else "full")
        self.store = RecordedIntensity(database)
        self.client = self.connect() if has_key else None
        self.feed = self.new_feed()

    def connect(self) -> ElectricityMaps:
        http = httpx.Client(timeout=1.0, verify=TRUST)
        return ElectricityMaps(self.server.base_url, "any-key", now=lambda: self.clock.now, http=http, budget=TokenBucket(10_000))

    def new_feed(self) -> IntensityFeed:
        return IntensityFeed(
            [self.client] if self.client else [], self.store, LIFECYCLE_AVERAGE, lambda: self.clock.now, metrics=self.metrics
        )

    def poll_everything(self) -> None:
        for poll in (self.feed.poll_latest, self.feed.poll_history, self.feed.poll_forecast, self.feed.poll_means):
            poll(["DE"])

    def rung(self, zone: str = "DE") -> Rung | None:
        return self.feed.status(zone, self.clock.now).rung

    def truth(self, start: datetime, zone: str = "DE") -> float:
        value = self.recording.hourly[zone].at(start)
        assert value is not None
        return value

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.load([DEMO])


@pytest.fixture(scope="module")
def shaped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the present shape, made once: migrating one takes longer than most tests."""
    path = tmp_path_factory.mktemp("shaped") / "grid.db"
    opened = Database(f"sqlite:///{path}")
    migrate(opened)
    opened.close()
    return path


@pytest.fixture
def database(tmp_path: Path, shaped_file: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{shutil.copy(shaped_file, tmp_path / 'grid.db')}")
    yield opened
    opened.close()


@pytest.fixture
def house(recording: Recording, database: Database) -> Iterator[House]:
    built = House(recording, database)
    with built.server:
        yield built
    built.close()


@pytest.fixture
def free_house(recording: Recording, database: Database) -> Iterator[House]:
    built = House(recording, database, plan="free")
    with built.server:
        yield built
    built.close()


def test_with_everything_in_the_plan_the_outlook_stands_on_the_best_rungs(house: House) -> None:
    house.poll_everything()
    outlook = house.feed.outlook("DE", THIS_HOUR - 3 * HOUR, HOUR, 120, START)
    rungs = [Rung(int(rung)) for rung in outlook.rung]
    assert rungs[:4] == [Rung.OBSERVED] * 4
    assert rungs[4:76] == [Rung.VENDOR_FORECAST] * 72
    assert set(rungs[76:]) == {Rung.OWN_FORECAST}
    assert outlook.g_per_kwh[:4].tolist() == [house.truth(THIS_HOUR + offset * HOUR) for offset in range(-3, 1)]
    assert not np.isnan(outlook.g_per_kwh).any()


def test_the_first_polls_fill_four_weeks_of_history_where_the_plan_allows_it(house: House) -> None:
    house.feed.poll_history(["DE"])
    recorded = house.feed.observed("DE", datetime(2023, 8, 21, tzinfo=UTC), THIS_HOUR + HOUR)
    assert not np.isnan(recorded.values).any()
    assert recorded.values[0] == house.truth(datetime(2023, 8, 21, tzinfo=UTC))


def test_history_is_asked_for_once_an_hour_and_the_weeks_before_once_a_day(house: House) -> None:
    house.feed.poll_history(["DE"])
    assert house.feed.poll_history(["DE"]) == []
    house.clock.now += HOUR
    assert [fetch.endpoint for fetch in house.feed.poll_history(["DE"])] == ["history"]
    house.clock.now += timedelta(days=1)
    assert {fetch.endpoint for fetch in house.feed.poll_history(["DE"])} == {"history", "past-range"}


def test_a_history_that_failed_is_asked_for_again_at_the_next_poll(house: House) -> None:
    house.server.set_faults(Fault("no-recent-data"))
    assert house.feed.poll_history(["DE"])[0].result == "no-recent-data"
    house.server.set_faults()
    assert house.feed.poll_history(["DE"])[0].result == "ok"


def test_a_free_key_stands_on_our_own_forecast_after_its_first_day(free_house: House) -> None:
    free_house.poll_everything()
    assert free_house.rung() is Rung.OWN_FORECAST
    results = free_house.feed.status("DE", START).results
    assert results == {
        "latest": "ok",
        "history": "ok",
        "forecast": "not-in-plan",
        "past-range": "not-in-plan",
        "past-range-monthly": "not-in-plan",
    }


def test_without_any_key_nothing_is_asked_and_the_yearly_mean_carries_on(recording: Recording, database: Database) -> None:
    keyless = House(recording, database, has_key=False)
    with keyless.server:
        keyless.poll_everything()
        assert {fetch.result for fetch in keyless.feed.poll_latest(ZONES)} == {"no-key"}
        assert keyless.rung() is Rung.YEARLY_MEAN
        assert not keyless.server.requests
        assert not keyless.metrics.fetches


def test_an_imported_archive_gives_a_keyless_daemon_a_forecast(recording: Recording, database: Database) -> None:
    keyless = House(recording, database, has_key=False)
    with keyless.server:
        archive = read_intensity_file(DEMO / "DE_2023-08_hourly.csv.gz")
        keyless.store.put_readings(archive.readings(START), START)
        assert keyless.rung() is Rung.OWN_FORECAST
        future = keyless.feed.observed("DE", START, START + timedelta(days=2))
        outlook = keyless.feed.outlook("DE", THIS_HOUR + HOUR, HOUR, 24, START)
        assert not np.isnan(future.values).any()  # the archive reaches into the replay's future ...
        assert set(outlook.rung) == {Rung.OWN_FORECAST}  # ... and the outlook does not look there


FAULTS = {
    "not-in-plan": "not-in-plan",
    "bad-key": "bad-key",
    "no-recent-data": "no-recent-data",
    "rate-limited": "rate-limited",
    "http-500": "transient",
    "http-503": "transient",
    "cut": "transient",
    "slow": "transient",
    "null-intensity": "ok",
    "other-zone": "wrong-zone",
    "sandbox": "sandbox",
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_cold_start_into_any_fault_is_survived_told_and_recovered_from(house: House, fault: str) -> None:
    house.server.set_faults(Fault(fault, seconds=30))  # type: ignore[arg-type]  # the names are those of FaultName
    (fetch,) = house.feed.poll_latest(["DE"])
    assert fetch.result == FAULTS[fault]
    assert house.metrics.fetches == {("DE", "latest", FAULTS[fault]): 1}
    assert house.rung() is Rung.YEARLY_MEAN
    assert not np.isnan(house.feed.outlook("DE", THIS_HOUR, HOUR, 96, START).g_per_kwh).any()
    house.server.set_faults()
    house.clock.now += timedelta(days=1, minutes=1)
    house.poll_everything()
    assert house.rung() is Rung.VENDOR_FORECAST
    assert house.feed.status("DE", house.clock.now).results["latest"] == "ok"


def test_a_long_outage_climbs_down_the_ladder_rung_by_rung_and_up_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="daemon.feed")
    house.poll_everything()
    caplog.clear()
    seen = [house.rung()]
    house.server.set_faults(Fault("http-503"))
    for _ in range(14):
        house.clock.now += 12 * HOUR
        house.feed.poll_latest(["DE"])
        house.feed.poll_forecast(["DE"])
        if house.rung() != seen[-1]:
            seen.append(house.rung())
    assert seen == [Rung.VENDOR_FORECAST, Rung.OWN_FORECAST, Rung.MONTHLY_MEAN]
    assert house.metrics.falls == {"DE": 2}
    assert house.metrics.forecast_age == {"DE": None}
    house.server.set_faults()
    house.clock.now += 2 * HOUR
    house.poll_everything()
    assert house.rung() is Rung.VENDOR_FORECAST
    assert house.metrics.forecast_age == {"DE": 0.0}
    events = [(record.message, getattr(record, "rung", None)) for record in caplog.records if getattr(record, "zone", "") == "DE"]
    assert [event for event in events if event[0].startswith("ladder")] == [
        ("ladder-fell", "own-forecast"),
        ("ladder-fell", "monthly-mean"),
        ("ladder-climbed", "own-forecast"),
        ("ladder-climbed", "vendor-forecast"),
    ]


def test_a_failure_is_logged_once_per_change_and_not_once_per_poll(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="daemon.feed")
    house.server.set_faults(Fault("no-recent-data"))
    for _ in range(5):
        house.feed.poll_latest(["DE"])
    house.server.set_faults()
    for _ in range(5):
        house.feed.poll_latest(["DE"])
    changes = [
        (getattr(record, "was", ""), getattr(record, "result", "")) for record in caplog.records if record.message == "fetch-changed"
    ]
    assert changes == [("ok", "no-recent-data"), ("no-recent-data", "ok")]
    assert house.metrics.fetches == {("DE", "latest", "no-recent-data"): 5, ("DE", "latest", "ok"): 5}


def test_one_zone_in_trouble_stops_no_other(house: House) -> None:
    house.server.set_faults(Fault("http-503", zone="DE"))
    results = {fetch.zone: fetch.result for fetch in house.feed.poll_latest(ZONES)}
    assert results == {"DE": "transient", "SE": "ok", "PL": "ok"}


def test_a_refused_forecast_does_not_stop_the_poll_of_latest(house: House) -> None:
    house.server.set_faults(Fault("not-in-plan", endpoint="forecast"))
    house.feed.poll_history(["DE"])
    house.feed.poll_forecast(["DE"])
    assert house.rung() is Rung.OWN_FORECAST
    for _ in range(3):
        house.clock.now += 15 * MINUTE
        assert [fetch.result for fetch in house.feed.poll_latest(["DE"])] == ["ok"]
        house.feed.poll_forecast(["DE"])
    assert house.server.requests["forecast", 401] == 1


def test_a_restated_hour_replaces_the_first_value_and_keeps_it_for_audit(house: House) -> None:
    house.server.set_faults(Fault("restated"))
    house.feed.poll_latest(["DE"])
    first = house.feed.observed("DE", THIS_HOUR, THIS_HOUR + HOUR).values[0]
    house.clock.now += 3 * HOUR
    (fetch,) = [each for each in house.feed.poll_history(["DE"]) if each.endpoint == "history"]
    assert fetch.recorded.restated == 1
    assert house.feed.observed("DE", THIS_HOUR, THIS_HOUR + HOUR).values[0] == house.truth(THIS_HOUR) != first
    with house.database.read() as connection:
        (audited,) = connection.execute(select(replaced_reading).where(replaced_reading.c.start == THIS_HOUR)).all()
    assert (audited.g_per_kwh, audited.estimated) == (first, True)


def test_a_frozen_feed_is_found_out_and_no_longer_believed(house: House) -> None:
    house.poll_everything()
    house.server.set_faults(Fault("frozen"))
    for _ in range(5):
        house.clock.now += 10 * HOUR
        house.feed.poll_history(["DE"])
    age = house.feed.status("DE", house.clock.now).newest_value_age
    assert age is not None
    assert age >= 48 * HOUR
    frozen_at = house.clock.now - age - HOUR
    assert f"DE: frozen from {frozen_at:%Y-%m-%dT%H}" in house.feed.outlook("DE", THIS_HOUR - HOUR, HOUR, 3, house.clock.now).sources[0]
    assert np.isnan(house.feed.observed("DE", house.clock.now - 10 * HOUR, house.clock.now).values).all()


def test_a_feed_that_hangs_for_six_hours_is_doubted_and_forecasts_start_before_it(house: House) -> None:
    house.poll_everything()
    house.server.set_faults(Fault("frozen"))
    house.clock.now += 7 * HOUR
    house.feed.poll_history(["DE"])
    assert np.isnan(house.feed.observed("DE", THIS_HOUR + HOUR, house.clock.now).values[1:]).all()
    own = house.new_feed().outlook("DE", THIS_HOUR + 2 * HOUR, HOUR, 8, house.clock.now)
    assert set(own.rung) == {Rung.OWN_FORECAST}


def test_zeros_of_a_failed_collector_never_win_a_minimum(house: House) -> None:
    house.poll_everything()
    told = [
        replace(one, g_per_kwh=0.0, known_at=house.clock.now)
        for one in house.store.readings("DE", LIFECYCLE_AVERAGE, THIS_HOUR, THIS_HOUR + HOUR)
    ]
    house.store.put_readings(told, house.clock.now)
    outlook = house.new_feed().outlook("DE", THIS_HOUR, HOUR, 2, house.clock.now)
    assert (outlook.g_per_kwh > 50).all()
    assert outlook.rung[0] == Rung.VENDOR_FORECAST


def test_the_estimated_tail_has_width_and_settled_hours_have_none(house: House) -> None:
    house.poll_everything()
    outlook = house.feed.outlook("DE", THIS_HOUR - 4 * HOUR, HOUR, 5, START)
    width = outlook.high - outlook.low
    assert (width[:3] == 0).all()
    assert (width[3:] > 0.1 * outlook.g_per_kwh[3:]).all()


def test_our_forecast_starts_from_the_newest_settled_hour_and_not_from_its_estimates(house: House) -> None:
    house.server.set_faults(Fault("restated"))
    house.feed.poll_history(["DE"])
    estimated = house.store.readings("DE", LIFECYCLE_AVERAGE, THIS_HOUR - HOUR, THIS_HOUR + HOUR)
    assert [one.estimated for one in estimated] == [True, True]
    forecaster = TrainedForecaster()
    feed = IntensityFeed([house.client] if house.client else [], house.store, LIFECYCLE_AVERAGE, lambda: START, forecaster=forecaster)
    feed.poll_forecast(["DE"])
    issued = house.store.latest_vintage("DE", LIFECYCLE_AVERAGE, Rung.OWN_FORECAST, START)
    assert issued is not None
    assert issued.start == THIS_HOUR - HOUR

    def said() -> Vintage:
        return forecaster.forecast(feed.observed("DE", START - timedelta(days=20), START + HOUR), START, timedelta(days=1))

    before = said()
    house.store.put_readings([replace(one, g_per_kwh=one.g_per_kwh * 3, known_at=START + MINUTE) for one in estimated], START)
    np.testing.assert_array_equal(said().g_per_kwh, before.g_per_kwh)


def test_what_the_record_has_not_is_missing_and_not_filled(house: House) -> None:
    recorded = house.feed.observed("DE", THIS_HOUR - HOUR, THIS_HOUR + HOUR)
    assert len(recorded.values) == 2
    assert np.isnan(recorded.values).all()
    house.feed.poll_latest(["DE"])
    assert np.isnan(house.feed.observed("DE", THIS_HOUR - HOUR, THIS_HOUR + HOUR).values).tolist() == [True, False]
    assert house.feed.observed("DE", START + 10 * MINUTE, START + 20 * MINUTE).start == THIS_HOUR


def test_forecasts_are_archived_as_they_were_issued(house: House) -> None:
    house.feed.poll_history(["DE"])
    house.feed.poll_forecast(["DE"])
    house.clock.now += 2 * HOUR
    house.feed.poll_forecast(["DE"])
    for rung in (Rung.VENDOR_FORECAST, Rung.OWN_FORECAST):
        first = house.store.latest_vintage("DE", LIFECYCLE_AVERAGE, rung, START)
        second = house.store.latest_vintage("DE", LIFECYCLE_AVERAGE, rung, house.clock.now)
        assert first is not None
        assert second is not None
        assert (first.issued_at, second.issued_at) == (START, START + 2 * HOUR)


def test_a_stale_vendor_forecast_gives_way_to_our_own(house: House) -> None:
    house.poll_everything()
    house.server.set_faults(Fault("no-recent-data", endpoint="forecast"))
    house.clock.now += FORECAST_MAX_AGE + MINUTE
    house.feed.poll_forecast(["DE"])
    assert house.rung() is Rung.OWN_FORECAST
    assert house.metrics.falls["DE"] == 1


def test_monthly_means_are_recorded_where_the_plan_has_them(house: House) -> None:
    house.feed.poll_means(["DE"])
    months = house.store.period_means("DE", LIFECYCLE_AVERAGE)
    assert [mean.interval.start.month for mean in months] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert house.rung() is Rung.MONTHLY_MEAN
    assert house.metrics.fetches == {("DE", "past-range", "ok"): 2}


def test_of_the_years_the_last_whole_one_is_asked_for_and_recorded(recording: Recording, database: Database) -> None:
    years = [Interval(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)) for year in (2020, 2022, 2023)]
    told = tuple(PeriodMean("DE", year, 400.0, LIFECYCLE_AVERAGE, "a file") for year in years)
    house = House(replace(recording, means={"DE": told}), database)
    with house.server:
        house.feed.poll_means(["DE"])
    house.close()
    assert [mean.interval for mean in house.store.period_means("DE", LIFECYCLE_AVERAGE)] == [years[1]]


def test_a_plan_without_monthly_means_is_not_asked_for_yearly_ones(free_house: House) -> None:
    told = free_house.feed.poll_means(["DE"])
    assert [(fetch.endpoint, fetch.result) for fetch in told] == [("past-range-monthly", "not-in-plan")]


def test_a_restart_knows_what_was_recorded_before(house: House) -> None:
    house.poll_everything()
    house.server.set_faults(Fault("http-503"))
    house.feed = house.new_feed()
    assert house.rung() is Rung.VENDOR_FORECAST
    assert not np.isnan(house.feed.observed("DE", THIS_HOUR - 23 * HOUR, THIS_HOUR).values).any()


def test_another_kind_is_never_answered_with_what_is_recorded(house: House) -> None:
    house.poll_everything()
    direct = IntensityFeed([], house.store, DIRECT, lambda: house.clock.now)
    assert np.isnan(direct.outlook("DE", THIS_HOUR, HOUR, 24, START).g_per_kwh).all()
    assert np.isnan(direct.observed("DE", THIS_HOUR, THIS_HOUR + HOUR).values).all()
    assert direct.status("DE", START).rung is None


def test_an_outlook_of_long_ago_reads_the_old_record(house: House) -> None:
    archive = read_intensity_file(DEMO / "DE_2023-08_hourly.csv.gz")
    house.store.put_readings(archive.readings(START), START)
    long_after = START + timedelta(days=200)
    outlook = house.feed.outlook("DE", THIS_HOUR, HOUR, 3, long_after)
    assert outlook.g_per_kwh.tolist() == [house.truth(THIS_HOUR + offset * HOUR) for offset in range(3)]
    assert set(outlook.rung) == {Rung.OBSERVED}


def test_an_outlook_of_long_ago_looks_for_forecasts_of_its_own_hours_only(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, find, long_after = list[datetime](), house.store.latest_vintage, START + timedelta(days=200)

    def watched(zone: str, kind: IntensityKind, rung: Rung, now: datetime) -> Vintage | None:
        asked.append(now)
        return find(zone, kind, rung, now)

    monkeypatch.setattr(house.store, "latest_vintage", watched)
    house.feed.outlook("DE", THIS_HOUR, HOUR, 10, long_after)
    assert sorted(set(asked)) == [THIS_HOUR, THIS_HOUR + FORECAST_MAX_AGE, long_after]


def test_half_an_hour_of_long_ago_stands_on_what_was_forecast_of_its_hour(house: House) -> None:
    house.poll_everything()
    for start in (THIS_HOUR + 2 * HOUR, THIS_HOUR + 2 * HOUR + 30 * MINUTE):
        outlook = house.feed.outlook("DE", start, HOUR / 2, 1, START + timedelta(days=40))
        assert list(outlook.rung) == [Rung.VENDOR_FORECAST]


def test_half_hour_steps_hold_the_value_of_their_hour(house: House) -> None:
    house.poll_everything()
    hours = house.feed.outlook("DE", THIS_HOUR, HOUR, 24, START)
    halves = house.feed.outlook("DE", THIS_HOUR, HOUR / 2, 48, START)
    assert np.array_equal(halves.g_per_kwh, np.repeat(hours.g_per_kwh, 2))


def test_a_settled_mean_is_the_recorded_one_to_the_last_digit(house: House) -> None:
    house.feed.poll_history(["DE"])
    worked = Interval(THIS_HOUR - 5 * HOUR + 10 * MINUTE, THIS_HOUR - 3 * HOUR + 30 * MINUTE)
    parts = [(50, -5), (60, -4), (30, -3)]
    expected = sum(minutes * house.truth(THIS_HOUR + offset * HOUR) for minutes, offset in parts) / 140
    assert house.feed.observed("DE", worked.start, worked.end).mean(worked) == pytest.approx(expected, rel=1e-12)


def test_a_daemon_without_a_key_loads_no_http_client() -> None:
    seen = "import sys, daemon.feed; print([name for name in ('httpx', 'torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, cwd=DEMO.parents[2])
    assert done.stdout.strip() == "[]"


def test_no_answer_whatever_leaves_a_poll_by_an_exception_or_a_value_in_the_record(database: Database) -> None:
    bodies = [
        "",
        "null",
        "[]",
        "{}",
        '{"zone": []}',
        '{"zone": "DE", "history": 5}',
        '{"zone": "DE", "forecast": [{"datetime": 7}]}',
        "<html>",
    ]
    bodies += [
        '{"zone": "DE", "carbonIntensity": -5, "datetime": "2023-09-06T15:00:00Z"}',
        '{"error": {"deep": 1}}',
        "[" * 99_999,
        "\x00\xff",
    ]
    store, clock = RecordedIntensity(database), Moving()
    for status in (200, 204, 302, 401, 404, 599):
        for body in bodies:
            http = httpx.Client(transport=httpx.MockTransport(lambda _, status=status, body=body: httpx.Response(status, text=body)))
            client = ElectricityMaps("https://api.example/v4", "any-key", now=lambda: clock.now, http=http, budget=TokenBucket(10_000))
            feed = IntensityFeed([client], store, LIFECYCLE_AVERAGE, lambda: clock.now)
            told = [*feed.poll_latest(["DE"]), *feed.poll_forecast(["DE"]), *feed.poll_means(["DE"])]
            assert all(fetch.result not in ("ok", "no-key") for fetch in told)
            client.close()
    assert store.readings("DE", LIFECYCLE_AVERAGE, START - timedelta(days=99), START + timedelta(days=99)) == []
    assert store.period_means("DE", LIFECYCLE_AVERAGE) == []
