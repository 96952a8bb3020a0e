"""The client of the national API against a server that speaks its format over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecast.gb_national.client import NationalGB
from forecast.gb_national.parse import HALF_HOUR, KIND, classify, half_hours, vintage
from forecast.intensity import LIFECYCLE_AVERAGE, Rung
from forecast.source.answers import JsonObject
from forecast.source.errors import BadRequest, HeldBack, Malformed, NotInPlan, RateLimited, SourceError, Transient, WrongHost, WrongZone
from forecast.timeline import Interval
from tests.forecast.gb_national.server import Moving, NationalServer, asking

NOW = datetime(2024, 3, 1, 10, 40, tzinfo=UTC)


def truth(start: datetime) -> float:
    return 100 + start.hour + (0.5 if start.minute else 0) * 2


@pytest.fixture
def clock() -> Moving:
    return Moving(NOW)


@pytest.fixture
def server(clock: Moving) -> Iterator[NationalServer]:
    with NationalServer(lambda: clock.now, truth).serving() as serving:
        yield serving


@pytest.fixture
def client(server: NationalServer, clock: Moving) -> Iterator[NationalGB]:
    with asking(server, clock) as client:
        yield client


def test_its_kind_is_direct_and_not_flow_traced_and_never_ours_by_default(client: NationalGB) -> None:
    assert client.kind == KIND != LIFECYCLE_AVERAGE
    assert client.kind.label == "direct/average/production"
    assert {reading.kind for reading in client.history("GB")} == {KIND}


def test_history_holds_the_half_hours_of_a_day_that_were_measured(client: NationalGB) -> None:
    told = client.history("GB")
    assert [told[0].interval, told[-1].interval] == [
        Interval(datetime(2024, 2, 29, 10, 30, tzinfo=UTC), datetime(2024, 2, 29, 11, tzinfo=UTC)),
        Interval(datetime(2024, 3, 1, 10, tzinfo=UTC), datetime(2024, 3, 1, 10, 30, tzinfo=UTC)),
    ]
    assert [reading.g_per_kwh for reading in told] == [truth(reading.interval.start) for reading in told]
    assert {reading.known_at for reading in told} == {NOW}


def test_what_is_not_measured_yet_is_missing_and_not_its_forecast(client: NationalGB) -> None:
    assert [reading.interval.start for reading in client.latest("GB")][-1] == datetime(2024, 3, 1, 10, tzinfo=UTC)


def test_a_long_past_is_asked_for_in_pieces_without_overlap_or_gap(client: NationalGB, server: NationalServer) -> None:
    start = NOW.replace(minute=0) - timedelta(days=30)
    told = client.past_range("GB", start, start + timedelta(days=28))
    assert [reading.interval.start for reading in told] == [start + index * HALF_HOUR for index in range(28 * 48)]
    assert len(server.asked) == 3


def test_the_forecast_begins_with_the_running_half_hour_and_reaches_two_days(client: NationalGB) -> None:
    issued = client.forecast("GB")
    assert (issued.rung, issued.step, issued.issued_at, issued.kind) == (Rung.VENDOR_FORECAST, HALF_HOUR, NOW, KIND)
    assert issued.start == NOW.replace(minute=30)
    assert len(issued.g_per_kwh) in (95, 96)
    assert issued.g_per_kwh[0] == round(1.1 * truth(issued.start))
    assert not np.isnan(issued.g_per_kwh).any()


@pytest.mark.parametrize(
    ("status", "expected"), [(400, BadRequest), (404, WrongHost), (429, RateLimited), (500, Transient), (503, Transient)]
)
def test_each_refusal_is_told_apart(client: NationalGB, server: NationalServer, status: int, expected: type[SourceError]) -> None:
    server.status = status
    with pytest.raises(expected):
        client.history("GB")


def test_after_a_failure_it_pauses_and_asks_again_later(client: NationalGB, server: NationalServer, clock: Moving) -> None:
    server.status = 503
    with pytest.raises(Transient):
        client.latest("GB")
    with pytest.raises(HeldBack):
        client.latest("GB")
    assert len(server.asked) == 1
    server.status = 200
    clock.now += timedelta(hours=2)
    assert client.latest("GB")


def test_it_knows_one_zone_and_no_months(client: NationalGB, server: NationalServer) -> None:
    assert client.serves("GB")
    assert not client.serves("DE")
    with pytest.raises(WrongZone, match="GB only, not DE"):
        client.history("DE")
    with pytest.raises(NotInPlan, match="no monthly means"):
        client.period_means("GB", NOW - timedelta(days=60), NOW)
    assert server.asked == []


ROW = {"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z", "intensity": {"forecast": 266, "actual": 263, "index": "moderate"}}


def test_the_documented_row_is_read() -> None:
    (row,) = half_hours({"data": [ROW]})
    assert (row.start, row.actual, row.forecast) == (datetime(2018, 1, 20, 12, tzinfo=UTC), 263.0, 266.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "no list of half hours"),
        ({"data": [7]}, "no list of half hours"),
        ({"data": [ROW | {"from": "noon"}]}, "'noon' is not a time"),
        ({"data": [ROW | {"from": "2018-01-20T12:00"}]}, "is not a time"),
        ({"data": [ROW | {"to": "2018-01-20T13:00Z"}]}, "is not a half hour"),
        ({"data": [ROW | {"from": "2018-01-20T11:50Z", "to": "2018-01-20T12:20Z"}]}, "is not a half hour"),
        ({"data": [ROW | {"intensity": 12}]}, "has no intensity"),
        ({"data": [ROW | {"intensity": {"actual": -1}}]}, "'-1' is not a carbon intensity"),
        ({"data": [ROW | {"intensity": {"actual": "263"}}]}, "'263' is not a carbon intensity"),
    ],
)
def test_an_answer_of_another_shape_is_refused(body: JsonObject, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        half_hours(body)


def test_a_forecast_of_nulls_is_refused_and_a_missing_half_hour_stays_missing() -> None:
    now = datetime(2018, 1, 20, 12, 5, tzinfo=UTC)
    with pytest.raises(Malformed, match="no values"):
        vintage(half_hours({"data": [ROW | {"intensity": {"forecast": None, "actual": 4}}]}), now)
    later = {"from": "2018-01-20T13:00Z", "to": "2018-01-20T13:30Z", "intensity": {"forecast": 200}}
    assert vintage(half_hours({"data": [later, ROW]}), now).g_per_kwh.tolist() == pytest.approx([266, np.nan, 200], nan_ok=True)


def test_an_error_in_a_normal_answer_is_an_error() -> None:
    error = classify(200, {"error": {"code": "400 Bad Request", "message": "Please enter a valid date"}}, None)
    assert isinstance(error, BadRequest)
    assert "Please enter a valid date" in str(error)
    assert classify(200, {"data": []}, None) is None
