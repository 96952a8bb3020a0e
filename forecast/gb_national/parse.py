"""Answers of the national API, parsed: pure functions from JSON to readings and forecasts.

A row: `{"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z", "intensity": {"forecast": 266, "actual": 263, "index": "moderate"}}`
(https://carbon-intensity.github.io/api-definitions). `actual` is null until it is known: then the half hour is missing here,
and its forecast does not stand in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from forecast.intensity import IntensityKind, Reading, Rung, Vintage
from forecast.source.answers import JsonObject, instant_of, intensity_of
from forecast.source.errors import BadRequest, Malformed, RateLimited, SourceError, Transient, WrongHost
from forecast.timeline import Interval, floor_to

ZONE = "GB"
SOURCE = "GB national carbon intensity API"
KIND = IntensityKind("direct", "average", flow_traced=False)
"""Direct emissions of generation in Great Britain and of imports at fixed factors: neither life cycle nor flow-traced."""

HALF_HOUR = timedelta(minutes=30)
LONGEST_FORECAST_STEPS = 200


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One row, in gCO2/kWh; None is unknown."""

    start: datetime
    actual: float | None
    forecast: float | None


def classify(status: int, body: JsonObject | None, retry_after: timedelta | None) -> SourceError | None:
    """The error that a status and a parsed body (None: not a JSON object) stand for, or None if it is a normal answer."""
    message = f"HTTP {status}: {_words(body)}"
    if status == 200:
        return None if body is None or "error" not in body else BadRequest(message)
    if status == 429:
        return RateLimited(message, retry_after)
    if status == 408 or status >= 500:
        return Transient(message)
    if status == 404 or 300 <= status < 400:
        return WrongHost(f"{message}: check gb_national.base_url")
    return BadRequest(message)


def half_hours(body: JsonObject) -> list[HalfHour]:
    """All rows of an answer, in order of time. Raises Malformed."""
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed("the answer has no list of half hours under 'data'")
    return sorted((_half_hour(row) for row in rows), key=lambda row: row.start)


def readings(rows: list[HalfHour], span: Interval, now: datetime) -> list[Reading]:
    """What was measured in the half hours that start within `span` and have begun; servers may answer with more than was asked."""
    return [
        Reading(ZONE, Interval(row.start, row.start + HALF_HOUR), row.actual, KIND, SOURCE, now)
        for row in rows
        if row.actual is not None and span.contains(row.start) and row.start <= now
    ]


def vintage(rows: list[HalfHour], now: datetime) -> Vintage:
    """The forecast from the running half hour on, on a regular grid with NaN where a row is null or missing; issued `now`,
    for the API keeps no issue times. Raises Malformed without any value."""
    first = floor_to(now, HALF_HOUR)
    ahead = {(row.start - first) // HALF_HOUR: row.forecast for row in rows if row.forecast is not None and row.start >= first}
    steps = [step for step in ahead if step < LONGEST_FORECAST_STEPS]
    if not steps:
        raise Malformed(f"{ZONE}: the forecast has no values from {first:%Y-%m-%dT%H:%MZ} on")
    values = np.full(max(steps) + 1, np.nan)
    for step in steps:
        values[step] = ahead[step]
    return Vintage(ZONE, KIND, f"{SOURCE}, forecast", Rung.VENDOR_FORECAST, now, now, first, HALF_HOUR, values)


def _half_hour(row: JsonObject) -> HalfHour:
    start, end = _instant(row, "from"), _instant(row, "to")
    if end - start != HALF_HOUR or floor_to(start, HALF_HOUR) != start:
        raise Malformed(f"{ZONE}: {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ} is not a half hour")
    intensity = row.get("intensity")
    if not isinstance(intensity, dict):
        raise Malformed(f"{ZONE}: the half hour {start:%Y-%m-%dT%H:%MZ} has no intensity")
    return HalfHour(start, intensity_of(intensity.get("actual"), ZONE), intensity_of(intensity.get("forecast"), ZONE))


def _instant(row: JsonObject, key: str) -> datetime:
    return instant_of(row.get(key), ZONE, "like 2018-01-20T12:00Z")


def _words(body: JsonObject | None) -> str:
    """What the body says about the error (`{"error": {"code", "message"}}`), shortened to something a log line can hold."""
    error = None if body is None else body.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    return said[:300] if isinstance(said, str) and said else "no explanation"
