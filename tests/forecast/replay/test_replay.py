"""The real client against the real replay, over a real socket."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from forecast.electricity_maps.client import ElectricityMaps
from forecast.intensity import Series
from forecast.replay import Fault, Recording, ReplayServer
from forecast.replay.__main__ import main
from forecast.replay.recording import NothingToReplay, joined
from forecast.replay.vendor_forecast import synthetic_forecast
from forecast.source.budget import TokenBucket
from forecast.source.errors import (
    BadKey,
    BadRequest,
    NoRecentData,
    NotInPlan,
    RateLimited,
    SandboxData,
    SourceError,
    Transient,
    WrongZone,
)
from forecast.timeline import HOUR
from tests.forecast.grids import NOON, series

DEMO = Path(__file__).parents[3] / "forecast" / "data" / "demo"
START = datetime(2023, 9, 6, 15, 20, tzinfo=UTC)
THIS_HOUR = datetime(2023, 9, 6, 15, tzinfo=UTC)


class Moving:
    def __init__(self) -> None:
        self.now = START


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.load([DEMO])


@pytest.fixture
def clock() -> Moving:
    return Moving()


@pytest.fixture
def server(recording: Recording, clock: Moving) -> Iterator[ReplayServer]:
    with ReplayServer(recording, lambda: clock.now) as running:
        yield running


@pytest.fixture
def client(server: ReplayServer, clock: Moving) -> Iterator[ElectricityMaps]:
    asking = connect(server, clock)
    yield asking
    asking.close()


TRUST = ssl.create_default_context()  # reading the certificates once instead of for every client


def connect(server: ReplayServer, clock: Moving, *, timeout_seconds: float = 10.0, key: str = "any-key") -> ElectricityMaps:
    http_client = httpx.Client(timeout=timeout_seconds, verify=TRUST)
    return ElectricityMaps(server.base_url, key, now=lambda: clock.now, http=http_client, budget=TokenBucket(10_000))


def truth(recording: Recording, zone: str, start: datetime) -> float:
    value = recording.hourly[zone].at(start)
    assert value is not None
    return value


def test_latest_is_the_running_hour_estimated(client: ElectricityMaps, recording: Recording) -> None:
    (reading,) = client.latest("DE")
    assert reading.interval.start == THIS_HOUR
    assert reading.g_per_kwh == truth(recording, "DE", THIS_HOUR)
    assert reading.estimated
    assert reading.known_at == START


def test_history_is_a_day_of_rows_with_the_newest_two_estimated(client: ElectricityMaps, recording: Recording) -> None:
    readings = client.history("PL")
    assert [reading.interval.start for reading in readings] == [THIS_HOUR - age * HOUR for age in range(23, -1, -1)]
    assert [reading.estimated for reading in readings] == [False] * 22 + [True] * 2
    assert [reading.g_per_kwh for reading in readings] == [truth(recording, "PL", reading.interval.start) for reading in readings]


@pytest.mark.parametrize("horizon", [24, 72])
def test_a_forecast_has_one_row_more_than_hours_and_is_not_the_truth(client: ElectricityMaps, recording: Recording, horizon: int) -> None:
    vintage = client.forecast("DE", horizon)
    assert (vintage.start, len(vintage.g_per_kwh)) == (THIS_HOUR, horizon + 1)
    actual = np.array([truth(recording, "DE", THIS_HOUR + index * HOUR) for index in range(horizon + 1)])
    assert 0.01 < np.mean(np.abs(vintage.g_per_kwh - actual) / actual) < 0.35


def test_past_range_is_what_was_recorded(client: ElectricityMaps, recording: Recording) -> None:
    readings = client.past_range("SE", THIS_HOUR - timedelta(days=12), THIS_HOUR)
    assert len(readings) == 12 * 24
    assert all(reading.g_per_kwh == truth(recording, "SE", reading.interval.start) for reading in readings)


def test_past_range_ends_at_the_present(client: ElectricityMaps) -> None:
    readings = client.past_range("SE", THIS_HOUR - 2 * HOUR, THIS_HOUR + 30 * HOUR)
    assert [reading.interval.start for reading in readings] == [THIS_HOUR - 2 * HOUR, THIS_HOUR - HOUR, THIS_HOUR]


def test_an_inclusive_server_gives_the_same_series(recording: Recording, clock: Moving) -> None:
    series = []
    for end_inclusive in (False, True):
        with ReplayServer(recording, lambda: clock.now, end_inclusive=end_inclusive) as server:
            asking = connect(server, clock)
            series.append(asking.past_range("DE", THIS_HOUR - timedelta(days=10), THIS_HOUR))
            asking.close()
    assert series[0] == series[1]
    assert len(series[0]) == 240


def test_ten_whole_days_in_one_request_are_refused(server: ReplayServer) -> None:
    query = {"zone": "DE", "start": "2023-08-22T00:00:00Z", "end": "2023-09-01T00:00:00Z"}
    answer = httpx.get(f"{server.base_url}/carbon-intensity/past-range", params=query, headers={"auth-token": "any"})
    assert answer.status_code == 400


def test_monthly_means_are_those_of_finished_months(client: ElectricityMaps) -> None:
    means = client.period_means("DE", datetime(2023, 1, 1, tzinfo=UTC), START)
    assert [mean.interval.start.month for mean in means] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert means[0].g_per_kwh == 475.2


def test_v3_rows_without_the_newer_keys_are_read(server: ReplayServer, clock: Moving) -> None:
    older = ElectricityMaps(server.base_url.replace("/v4", "/v3"), "any-key", now=lambda: clock.now)
    raw = httpx.get(f"{older.base_url}/carbon-intensity/latest", params={"zone": "DE"}, headers={"auth-token": "any"}).json()
    assert "flowTraced" not in raw
    assert "temporalGranularity" not in raw
    assert len(older.latest("DE")) == 1
    older.close()


def test_zones_are_listed_without_a_key_and_access_only_with_one(server: ReplayServer, client: ElectricityMaps) -> None:
    assert sorted(client.zones()) == ["DE", "GB", "PL", "SE"]
    assert "carbon-intensity/forecast" in (client.zones()["DE"].access or ())
    assert "access" not in httpx.get(f"{server.base_url}/zones").json()["DE"]
    assert httpx.get(f"{server.base_url}/health").json()["status"] == "ok"


def test_a_free_plan_reads_latest_and_history_only(recording: Recording, clock: Moving) -> None:
    with ReplayServer(recording, lambda: clock.now, plan="free") as server:
        asking = connect(server, clock)
        assert len(asking.latest("DE")) == 1
        assert len(asking.history("DE")) == 24
        with pytest.raises(NotInPlan, match="zoneKey=DE,requestType=forecast"):
            asking.forecast("DE")
        with pytest.raises(NotInPlan, match="requestType=past-range"):
            asking.past_range("DE", THIS_HOUR - HOUR, THIS_HOUR)
        asking.close()


def test_a_key_reads_its_own_zone_only(recording: Recording, clock: Moving) -> None:
    with ReplayServer(recording, lambda: clock.now, keys={"german-key": {"DE"}}) as server:
        asking = connect(server, clock, key="german-key")
        assert len(asking.latest("DE")) == 1
        with pytest.raises(NotInPlan, match="zoneKey=SE"):
            asking.latest("SE")
        stranger = connect(server, clock, key="another-key")
        with pytest.raises(BadKey, match="Invalid auth-token"):
            stranger.latest("DE")
        asking.close()
        stranger.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("not-in-plan"), NotInPlan),
        (Fault("bad-key"), BadKey),
        (Fault("no-recent-data"), NoRecentData),
        (Fault("rate-limited"), RateLimited),
        (Fault("http-500"), Transient),
        (Fault("http-503"), Transient),
        (Fault("cut"), Transient),
        (Fault("other-zone"), WrongZone),
        (Fault("sandbox"), SandboxData),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else value.__name__,
)
@pytest.mark.parametrize("endpoint", ["latest", "history", "forecast"])
def test_each_fault_is_met_as_what_it_is_and_ends_when_switched_off(
    server: ReplayServer, clock: Moving, fault: Fault, expected: type[SourceError], endpoint: str
) -> None:
    server.set_faults(fault)
    asking = connect(server, clock)
    ask = getattr(asking, endpoint)
    with pytest.raises(expected) as met:
        ask("DE")
    assert type(met.value) is expected
    server.set_faults()
    clock.now += timedelta(days=2)
    assert ask("DE")
    asking.close()


def test_a_slow_answer_runs_into_the_time_limit(server: ReplayServer, clock: Moving) -> None:
    server.set_faults(Fault("slow", seconds=30))
    hasty = connect(server, clock, timeout_seconds=0.1)
    with pytest.raises(Transient, match="ReadTimeout"):
        hasty.latest("DE")
    hasty.close()


def test_a_client_that_does_not_wait_leaves_no_traceback(server: ReplayServer, clock: Moving, capfd: pytest.CaptureFixture[str]) -> None:
    server.set_faults(Fault("slow", seconds=0.2))
    for _ in range(3):
        hasty = connect(server, clock, timeout_seconds=0.02)
        with pytest.raises(Transient):
            hasty.history("DE")
        hasty.close()
    patient = connect(server, clock)
    assert len(patient.history("DE")) == 24
    patient.close()
    assert capfd.readouterr().err == ""


def test_a_server_that_is_gone_is_transient(recording: Recording, clock: Moving) -> None:
    with ReplayServer(recording, lambda: clock.now) as server:
        asking = connect(server, clock)
    with pytest.raises(Transient, match="ConnectError"):
        asking.latest("DE")
    asking.close()


def test_a_null_intensity_is_no_value(server: ReplayServer, client: ElectricityMaps) -> None:
    server.set_faults(Fault("null-intensity"))
    assert client.latest("DE") == []
    assert client.history("DE") == []


@pytest.mark.parametrize("seconds", [None, 90])
def test_a_rate_limit_carries_its_pause_where_it_has_one(server: ReplayServer, client: ElectricityMaps, seconds: int | None) -> None:
    server.set_faults(Fault("rate-limited", retry_after_seconds=seconds))
    with pytest.raises(RateLimited) as met:
        client.latest("DE")
    assert met.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_a_fault_concerns_only_its_zone_and_endpoint(server: ReplayServer, client: ElectricityMaps) -> None:
    server.set_faults(Fault("http-503", zone="DE", endpoint="latest"))
    with pytest.raises(Transient):
        client.latest("DE")
    assert client.latest("SE")
    assert client.history("DE")


def test_estimated_hours_are_restated_to_what_was_measured(
    server: ReplayServer, client: ElectricityMaps, clock: Moving, recording: Recording
) -> None:
    server.set_faults(Fault("restated"))
    (first,) = client.latest("DE")
    clock.now += 3 * HOUR
    later = {reading.interval.start: reading for reading in client.history("DE")}[THIS_HOUR]
    assert first.g_per_kwh != later.g_per_kwh == truth(recording, "DE", THIS_HOUR)
    assert (first.estimated, later.estimated) == (True, False)
    assert abs(first.g_per_kwh / later.g_per_kwh - 1) <= 0.2


def test_a_frozen_feed_repeats_the_hour_at_which_it_froze(
    server: ReplayServer, client: ElectricityMaps, clock: Moving, recording: Recording
) -> None:
    server.set_faults(Fault("frozen"))
    clock.now += 5 * HOUR
    readings = client.history("DE")
    assert [reading.g_per_kwh for reading in readings[-6:]] == [truth(recording, "DE", THIS_HOUR)] * 6
    assert readings[-7].g_per_kwh == truth(recording, "DE", THIS_HOUR - HOUR)


def test_faults_are_switched_and_shown_over_http(server: ReplayServer, client: ElectricityMaps) -> None:
    address = server.base_url.removesuffix("/v4") + "/_faults"
    told = httpx.post(address, json={"faults": [{"name": "http-503", "zone": "DE"}]})
    assert told.json()["faults"][0]["name"] == "http-503"
    assert httpx.get(address).json() == told.json()
    with pytest.raises(Transient):
        client.latest("DE")
    assert httpx.post(address, json={"faults": []}).json() == {"faults": []}
    assert client.latest("SE")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"faults": [{"name": "gremlin"}]}, "unknown fault 'gremlin', known are: not-in-plan"),
        ({"faults": [{"name": "slow", "seconds": -1}]}, "seconds must be a number that is not negative"),
        ({"faults": [{"name": "slow", "colour": "red"}]}, "nothing else"),
        ({"faults": "slow"}, "an empty list clears all"),
        ([], "an empty list clears all"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused(server: ReplayServer, body: object, said: str) -> None:
    answer = httpx.post(server.base_url.removesuffix("/v4") + "/_faults", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v5/carbon-intensity/latest?zone=DE", 404),
        ("/v4/power-breakdown/latest?zone=DE", 404),
        ("/v4/carbon-intensity/latest", 400),
        ("/v4/carbon-intensity/latest?zone=ATLANTIS", 404),
        ("/v4/carbon-intensity/forecast?zone=DE&horizonHours=30", 400),
        ("/v4/carbon-intensity/forecast?zone=DE&horizonHours=x", 400),
        ("/v4/carbon-intensity/past-range?zone=DE&start=yesterday&end=2023-09-01", 400),
        ("/v4/carbon-intensity/past-range?zone=DE&end=2023-09-01", 400),
        ("/v4/carbon-intensity/past-range?zone=DE&start=2023-09-01&end=2023-09-02&temporalGranularity=weekly", 400),
        ("/v4/carbon-intensity/latest?zone=DE&emissionFactorType=direct", 400),
        ("/v4/carbon-intensity/latest?zone=DE&flowTraced=false", 400),
    ],
)
def test_a_question_out_of_contract_gets_the_error_the_provider_gives(server: ReplayServer, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.request("GET", path, headers={"auth-token": "any"})
    assert connection.getresponse().status == status
    connection.close()


def test_answers_are_counted(server: ReplayServer, client: ElectricityMaps) -> None:
    client.latest("DE")
    client.latest("SE")
    with pytest.raises(BadRequest):
        client.latest("ATLANTIS")
    assert server.requests == {("latest", 200): 2, ("latest", 404): 1}


def test_after_the_recording_there_is_no_recent_data(client: ElectricityMaps, clock: Moving) -> None:
    clock.now = datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(NoRecentData):
        client.latest("DE")
    with pytest.raises(NoRecentData):
        client.history("DE")
    with pytest.raises(NoRecentData):
        client.forecast("DE")


def test_the_synthetic_forecast_depends_on_zone_issue_and_seed_only(recording: Recording) -> None:
    germany = recording.hourly["DE"]
    first = synthetic_forecast(germany, START, 72)
    assert np.array_equal(first, synthetic_forecast(germany, START + timedelta(minutes=30), 72))
    assert not np.array_equal(first, synthetic_forecast(germany, START, 72, seed=1))
    assert not np.array_equal(first, synthetic_forecast(germany, START + HOUR, 72))


def test_the_synthetic_forecast_errs_like_a_published_one_and_more_at_longer_leads(recording: Recording) -> None:
    germany = recording.hourly["DE"]
    errors = []
    for day in range(5):
        issued = START - timedelta(days=day)
        actual = np.array([truth(recording, "DE", THIS_HOUR - timedelta(days=day) + index * HOUR) for index in range(73)])
        errors.append(np.abs(synthetic_forecast(germany, issued, 72) - actual) / actual)
    by_lead = np.mean(errors, axis=0)
    assert 0.05 < by_lead.mean() < 0.25
    assert by_lead[:12].mean() < by_lead[-24:].mean()


def test_a_recording_starts_where_every_zone_has_a_past(recording: Recording) -> None:
    assert recording.default_start() == datetime(2023, 9, 2, 12, tzinfo=UTC)
    apart = Recording({"DE": series([1.0]), "SE": Series("SE", series([1.0]).kind, NOON + HOUR, np.array([1.0]))})
    with pytest.raises(NothingToReplay, match="no period in common"):
        apart.default_start()


def test_years_of_one_zone_are_joined_and_the_gap_between_stays(tmp_path: Path) -> None:
    whole = joined(series([1.0, 2.0]), series([4.0], NOON + 3 * HOUR))
    assert whole.values[[0, 1, 3]].tolist() == [1.0, 2.0, 4.0]
    assert np.isnan(whole.values[2])
    assert joined(series([1.0, 2.0]), series([5.0])).values.tolist() == [5.0, 2.0]


def test_files_without_hours_are_nothing_to_replay() -> None:
    with pytest.raises(NothingToReplay, match="no hourly values"):
        Recording.load([DEMO / "DE_2023_monthly.csv"])


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    arguments = [
        sys.executable,
        "-m",
        "forecast.replay",
        "--data",
        str(DEMO),
        "--speed",
        "900",
        "--start",
        "2023-09-06T15:20",
        "--plan",
        "free",
    ]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=DEMO.parents[2]) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        address = greeting.split()[-1]
        answer = httpx.get(f"{address}/carbon-intensity/latest", params={"zone": "DE"}, headers={"auth-token": "any"}).json()
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert greeting.startswith("replaying DE, GB, PL, SE from 2023-09-06T15:20Z at x900 on http://127.0.0.1:")
    assert answer["zone"] == "DE"


def test_the_command_refuses_files_it_cannot_replay_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "DE_2023_hourly.csv"
    bad.write_text("a,b\n1,2\n")
    for arguments in (
        ["--data", str(bad)],
        ["--data", str(tmp_path / "none.csv")],
        ["--data", str(DEMO), "--speed", "0"],
        ["--data", str(DEMO), "--fault", "gremlin"],
    ):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("replay: ")
        assert len(said.splitlines()) == 1


def test_the_shipped_extract_is_whole_and_lively(recording: Recording) -> None:
    for zone in ("DE", "GB", "PL", "SE"):
        assert len(recording.hourly[zone].values) == 25 * 24
        assert not np.isnan(recording.hourly[zone].values).any()
        assert len(recording.means[zone]) == 12
    days = recording.hourly["DE"].values.reshape(25, 24)
    assert (days.max(axis=1) - days.min(axis=1))[14:].mean() > 250


def test_the_shipped_extract_names_its_licence() -> None:
    notice = (DEMO / "NOTICE.md").read_text(encoding="utf-8")
    for words in ("Electricity Maps", "Open Database License", "2025-01-27"):
        assert words in notice


def test_faults_are_described_as_plain_json(server: ReplayServer) -> None:
    server.set_faults(Fault("slow", zone="DE", seconds=3))
    assert json.loads(json.dumps(server.faults.described()))[0]["seconds"] == 3
