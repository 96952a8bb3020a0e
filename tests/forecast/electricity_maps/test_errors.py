from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.electricity_maps.errors import classify
from forecast.source.answers import parse_retry_after
from forecast.source.errors import BadKey, BadRequest, NoRecentData, NotInPlan, RateLimited, SourceError, Transient, WrongHost
from tests.forecast.grids import NOON

NOT_IN_PLAN = {
    "error": "Request unauthorized for zoneKey=DK-DK2,requestType=past,dataType=carbon-intensity.",
    "message": "You do not have access to this specific endpoint for this specific zone. ...",
}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": 'Missing or invalid date parameter "start"'}, BadRequest),
        (400, {"error": "Valid breakdown types are: normal, flow-traced"}, BadRequest),
        (400, {"error": "Expected one of latest, past, past-range"}, BadRequest),
        (400, {"error": 'Missing arguments "node"'}, BadRequest),
        (401, {"error": "Invalid auth-token"}, BadKey),
        (401, {"error": "Token is invalid"}, BadKey),
        (401, NOT_IN_PLAN, NotInPlan),
        (401, {"error": "Token unauthorized for zoneKey=DE"}, NotInPlan),
        (401, {"error": "Endpoint not available"}, NotInPlan),
        (401, None, BadKey),
        (403, None, BadKey),
        (403, NOT_IN_PLAN, NotInPlan),
        (404, {"error": 'No recent data for zone "US-MIDW-MISO"'}, NoRecentData),
        (404, {"message": "no Route matched with those values"}, WrongHost),
        (404, None, WrongHost),
        (404, {"error": 'Zone "XX" does not exist.'}, BadRequest),
        (422, {"error": "Unprocessable"}, BadRequest),
        (429, {"error": "Too many requests"}, RateLimited),
        (429, None, RateLimited),
        (500, None, Transient),
        (503, None, Transient),
        (522, None, Transient),
        (408, None, Transient),
        (302, None, WrongHost),
        (200, {"error": "Invalid auth-token"}, BadKey),
        (200, {"error": 'No recent data for zone "DE"'}, NoRecentData),
        (200, {"error": "something else"}, BadRequest),
    ],
)
def test_each_recorded_error_is_told_apart(status: int, body: dict[str, object] | None, expected: type[SourceError]) -> None:
    assert type(classify(status, body)) is expected


def test_a_normal_answer_is_no_error() -> None:
    assert classify(200, {"zone": "DE", "carbonIntensity": 75}) is None


def test_what_the_provider_said_is_in_the_message() -> None:
    assert str(classify(401, {"error": "Invalid auth-token"})) == "HTTP 401: Invalid auth-token"
    assert str(classify(500, None)) == "HTTP 500: no explanation"


def test_a_very_long_explanation_is_cut() -> None:
    assert len(str(classify(400, {"error": "x" * 10_000}))) < 400


def test_the_pause_asked_for_travels_with_the_error() -> None:
    error = classify(429, None, timedelta(seconds=90))
    assert isinstance(error, RateLimited)
    assert error.retry_after == timedelta(seconds=90)


@given(
    st.integers(100, 999), st.none() | st.dictionaries(st.sampled_from(["error", "message", "zone"]), st.none() | st.text() | st.integers())
)
def test_any_status_with_any_body_is_an_answer_or_an_error_of_ours(status: int, body: dict[str, object] | None) -> None:
    error = classify(status, body)
    assert error is None or isinstance(error, SourceError)
    assert error is not None or status == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("120", timedelta(minutes=2)),
        ("0", timedelta(0)),
        ("99999999999", timedelta(days=1)),
        ("Sun, 10 May 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 10 May 2026 11:00:00 GMT", timedelta(0)),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(header: str | None, expected: timedelta | None) -> None:
    assert parse_retry_after(header, NOON) == expected


@given(st.text())
def test_any_retry_after_header_is_survived(header: str) -> None:
    pause = parse_retry_after(header, NOON)
    assert pause is None or timedelta(0) <= pause <= timedelta(days=1)
