from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.electricity_maps.parse import (
    parse_forecast,
    parse_latest,
    parse_period_means,
    parse_rows,
    parse_zones,
)
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, Rung
from forecast.source.answers import JsonObject, parse_json
from forecast.source.errors import Malformed, SandboxData, UnusableAnswer, WrongKind, WrongZone
from forecast.timeline import HOUR, Interval
from tests.forecast.grids import DIRECT

FETCHED = datetime(2026, 8, 22, 17, 34, tzinfo=UTC)
THIS_HOUR = datetime(2026, 8, 22, 17, tzinfo=UTC)
LATEST: JsonObject = {
    "zone": "DK-DK2",
    "carbonIntensity": 75,
    "datetime": "2026-08-22T17:00:00.000Z",
    "updatedAt": "2026-08-22T17:24:08.708Z",
    "createdAt": "2026-08-21T22:35:11.365Z",
    "emissionFactorType": "lifecycle",
    "flowTraced": True,
    "isEstimated": True,
    "estimationMethod": "FORECASTS_HIERARCHY",
    "temporalGranularity": "hourly",
}


def row(start: str, value: object, **more: object) -> JsonObject:
    return {
        "zone": "DK-DK2",
        "carbonIntensity": value,
        "datetime": start,
        "emissionFactorType": "lifecycle",
        "isEstimated": False,
        "estimationMethod": None,
    } | more


def latest(body: JsonObject, kind: IntensityKind = LIFECYCLE_AVERAGE) -> Any:
    return parse_latest(body, "DK-DK2", kind, FETCHED)


def test_a_v4_answer_becomes_a_reading_with_everything_it_says() -> None:
    (reading,) = latest(LATEST)
    assert reading.interval == Interval(THIS_HOUR, THIS_HOUR + HOUR)
    assert (reading.g_per_kwh, reading.estimated, reading.estimation_method) == (75.0, True, "FORECASTS_HIERARCHY")
    assert (reading.release, reading.known_at) == ("2026-08-22T17:24:08.708Z", FETCHED)


def test_a_v3_answer_without_the_newer_keys_is_read_the_same() -> None:
    older = {key: value for key, value in LATEST.items() if key not in ("flowTraced", "temporalGranularity")}
    assert latest(older) == latest(LATEST)


def test_unknown_keys_are_ignored() -> None:
    assert latest(LATEST | {"somethingNew": {"deep": [1, 2]}}) == latest(LATEST)


def test_the_creation_of_the_row_is_not_taken_for_its_time() -> None:
    (reading,) = latest(LATEST)
    assert reading.interval.start == THIS_HOUR


def test_a_null_intensity_is_no_reading() -> None:
    assert latest(LATEST | {"carbonIntensity": None}) == []


def test_history_keeps_settled_and_estimated_rows_apart() -> None:
    body: JsonObject = {
        "zone": "DK-DK2",
        "history": [
            row("2026-08-22T15:00:00.000Z", 72),
            row("2026-08-22T16:00:00.000Z", 70, isEstimated=True),
            row("2026-08-22T17:00:00Z", None),
        ],
        "temporalGranularity": "hourly",
    }
    settled, estimated = parse_rows(body, "history", "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)
    assert (settled.g_per_kwh, settled.estimated) == (72.0, False)
    assert (estimated.g_per_kwh, estimated.estimated) == (70.0, True)


def test_quarter_hours_have_their_own_length() -> None:
    (reading,) = latest(LATEST | {"temporalGranularity": "15_minutes"})
    assert reading.interval.duration == timedelta(minutes=15)


def test_a_row_from_the_future_is_not_a_measurement() -> None:
    body: JsonObject = {"zone": "DK-DK2", "history": [row("2099-01-01T00:00:00.000Z", 3), row("2026-08-22T17:00:00.000Z", 70)]}
    (reading,) = parse_rows(body, "history", "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)
    assert reading.interval.start == THIS_HOUR


@pytest.mark.parametrize("body", [LATEST | {"zone": "DE"}, {"zone": "DK-DK2", "history": [row("2026-08-22T15:00:00.000Z", 72, zone="DE")]}])
def test_an_answer_about_another_zone_is_refused(body: JsonObject) -> None:
    with pytest.raises(WrongZone, match="asked for zone DK-DK2, the answer is about 'DE'"):
        parse_rows(body, "history", "DK-DK2", LIFECYCLE_AVERAGE, FETCHED) if "history" in body else latest(body)


@pytest.mark.parametrize(
    "body",
    [
        LATEST | {"estimationMethod": "SANDBOX_MODE_DATA"},
        LATEST | {"_disclaimer": "This data is from SANDBOX MODE and must not be used in production"},
    ],
)
def test_sandbox_values_are_refused(body: JsonObject) -> None:
    with pytest.raises(SandboxData, match="made up"):
        latest(body)


def test_a_forecast_of_a_sandbox_key_is_refused() -> None:
    body: JsonObject = {
        "zone": "DK-DK2",
        "forecast": [{"carbonIntensity": 7, "datetime": "2026-08-22T17:00:00.000Z"}],
        "_disclaimer": "sandbox mode",
    }
    with pytest.raises(SandboxData):
        parse_forecast(body, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)


def test_values_of_another_kind_are_refused() -> None:
    with pytest.raises(WrongKind, match="asked for direct/average/flow-traced, got lifecycle"):
        latest(LATEST, DIRECT)
    with pytest.raises(WrongKind, match="flowTraced=False"):
        latest(LATEST | {"flowTraced": False})


@pytest.mark.parametrize(
    "changed",
    [
        {"carbonIntensity": "75"},
        {"carbonIntensity": True},
        {"carbonIntensity": -1},
        {"carbonIntensity": 10**400},
        {"carbonIntensity": 1e9},
        {"carbonIntensity": [75]},
        {"datetime": None},
        {"datetime": "2026-08-22T17:00:00"},
        {"datetime": "22/08/2026 17:00"},
        {"datetime": "2026-08-22T17:20:00.000Z"},
        {"datetime": "0001-01-01T00:00:00Z"},
        {"datetime": "9999-12-31T23:59:59-23:00"},
        {"temporalGranularity": "monthly"},
        {"temporalGranularity": None},
    ],
)
def test_an_answer_of_another_shape_is_malformed(changed: JsonObject) -> None:
    with pytest.raises(Malformed, match="DK-DK2"):
        latest(LATEST | changed)


@pytest.mark.parametrize("rows", [None, {}, "rows", [1, 2], [None]])
def test_rows_that_are_not_a_list_of_objects_are_malformed(rows: object) -> None:
    with pytest.raises(Malformed, match="no list of rows under 'history'"):
        parse_rows({"zone": "DK-DK2", "history": rows}, "history", "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)


def forecast_rows(count: int, first: object = 77) -> list[JsonObject]:
    return [{"carbonIntensity": first if index == 0 else 76, "datetime": (THIS_HOUR + index * HOUR).isoformat()} for index in range(count)]


@pytest.mark.parametrize("count", [25, 73])
def test_a_forecast_has_one_row_more_than_its_hours_and_is_issued_when_we_got_it(count: int) -> None:
    body: JsonObject = {
        "zone": "DK-DK2",
        "forecast": forecast_rows(count),
        "updatedAt": "2026-08-22T17:30:00.000Z",
        "temporalGranularity": "hourly",
    }
    vintage = parse_forecast(body, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)
    assert (vintage.start, vintage.step, len(vintage.g_per_kwh)) == (THIS_HOUR, HOUR, count)
    assert vintage.g_per_kwh[0] == 77
    assert vintage.issued_at == vintage.known_at == FETCHED
    assert vintage.rung is Rung.VENDOR_FORECAST


def test_holes_in_a_forecast_stay_holes() -> None:
    rows = forecast_rows(5)
    rows[2]["carbonIntensity"] = None
    del rows[3]
    vintage = parse_forecast({"zone": "DK-DK2", "forecast": rows}, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)
    assert np.isnan(vintage.g_per_kwh).tolist() == [False, False, True, True, False]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        forecast_rows(1, None),
        [*forecast_rows(2), {"carbonIntensity": 5, "datetime": "2026-08-22T17:20:00Z"}],
        [*forecast_rows(2), {"carbonIntensity": 5, "datetime": "2900-08-22T17:00:00Z"}],
        [{"carbonIntensity": 5, "datetime": "9999-12-31T23:00:00Z"}],
        [{"carbonIntensity": 5, "datetime": "0001-01-01T00:00:00Z"}],
    ],
)
def test_a_forecast_without_a_regular_series_of_values_is_malformed(rows: list[JsonObject]) -> None:
    with pytest.raises(Malformed):
        parse_forecast({"zone": "DK-DK2", "forecast": rows}, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED)


def test_monthly_means_span_calendar_months() -> None:
    body: JsonObject = {
        "zone": "DK-DK2",
        "data": [row("2025-12-01T00:00:00.000Z", 161, updatedAt="2026-01-16T00:00:00Z"), row("2026-01-01T00:00:00.000Z", None)],
        "temporalGranularity": "monthly",
    }
    (mean,) = parse_period_means(body, "DK-DK2", LIFECYCLE_AVERAGE)
    assert mean.interval == Interval(datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert (mean.g_per_kwh, mean.release) == (161.0, "2026-01-16T00:00:00Z")


def test_yearly_means_span_calendar_years() -> None:
    body: JsonObject = {"zone": "DK-DK2", "data": [row("2025-01-01T00:00:00.000Z", 161)], "temporalGranularity": "yearly"}
    assert parse_period_means(body, "DK-DK2", LIFECYCLE_AVERAGE)[0].interval.duration == timedelta(days=365)


def test_a_month_that_begins_in_its_middle_is_malformed() -> None:
    with pytest.raises(Malformed, match="does not begin a period"):
        parse_period_means({"data": [row("2025-12-05T00:00:00.000Z", 161)]}, "DK-DK2", LIFECYCLE_AVERAGE)


def test_the_zone_list_is_read_in_both_versions() -> None:
    v4: JsonObject = {
        "AE": {"zoneName": "United Arab Emirates", "tier": "TIER_C", "access": ["carbon-intensity/latest", "carbon-intensity/latest"]}
    }
    v3: JsonObject = {"DE": {"zoneName": "Germany", "access": ["*"]}, "FR": {}, "odd": 5}
    assert parse_zones(v4)["AE"].access == frozenset({"carbon-intensity/latest"})
    assert {zone: (entry.name, entry.access) for zone, entry in parse_zones(v3).items()} == {"DE": ("Germany", None), "FR": ("FR", None)}
    assert parse_zones({}) == {}


@pytest.mark.parametrize(
    "text", ["<html><body>503</body></html>", "", "[1]", "75", '{"a": NaN}', "[" * 100_000, '{"a": ' * 50_000, "{'a': 1}"]
)
def test_what_is_not_a_json_object_is_none(text: str) -> None:
    assert parse_json(text) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*LATEST, "history", "data", "forecast", "_disclaimer"]), json_values))
def test_any_object_is_parsed_or_refused_as_unusable(changed: JsonObject) -> None:
    body = parse_json(json.dumps(LATEST | changed, default=str)) or LATEST
    rows = parse_json(json.dumps({"history": [LATEST | changed], "data": [LATEST | changed], "forecast": [LATEST | changed]})) or {}
    for answer in (body, rows):
        for read in (
            lambda told: parse_latest(told, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED),
            lambda told: parse_rows(told, "history", "DK-DK2", LIFECYCLE_AVERAGE, FETCHED),
            lambda told: parse_forecast(told, "DK-DK2", LIFECYCLE_AVERAGE, FETCHED),
            lambda told: parse_period_means(told, "DK-DK2", LIFECYCLE_AVERAGE),
            parse_zones,
        ):
            try:
                read(answer)
            except UnusableAnswer:
                continue
