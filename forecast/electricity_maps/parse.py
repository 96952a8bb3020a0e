"""Answers of the provider, parsed: pure functions from JSON to readings and forecasts.

Unknown keys are ignored, newer keys may be missing (v3 rows have neither `flowTraced` nor `temporalGranularity`).
A null intensity is a missing value. What must not be used raises an UnusableAnswer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from forecast.intensity import IntensityKind, PeriodMean, Reading, Rung, Vintage
from forecast.source.answers import JsonObject, instant_of, intensity_of
from forecast.source.errors import Malformed, SandboxData, WrongKind, WrongZone
from forecast.timeline import HOUR, Interval, floor_to

SOURCE = "Electricity Maps API"
LONGEST_FORECAST_STEPS = 2_000

_STEPS = {"5_minutes": timedelta(minutes=5), "15_minutes": timedelta(minutes=15), "hourly": HOUR}


@dataclass(frozen=True, slots=True)
class ZoneAccess:
    """One entry of the zone list: its name, and what the key may read there as `signal/temporality` (None: not told)."""

    name: str
    access: frozenset[str] | None


def check_answer(body: JsonObject, zone: str) -> None:
    """Raise SandboxData or WrongZone if nothing in this answer may be used for `zone`."""
    if "sandbox" in str(body.get("_disclaimer", "")).lower():
        raise SandboxData(f"{zone}: the key is a sandbox key, its values are made up: use a real key or none")
    _check_zone(body, zone)


def _check_zone(holder: JsonObject, zone: str) -> None:
    answered = holder.get("zone", zone)
    if answered != zone:
        raise WrongZone(f"asked for zone {zone}, the answer is about {str(answered)[:40]!r}")


def parse_latest(body: JsonObject, zone: str, kind: IntensityKind, now: datetime) -> list[Reading]:
    """The reading of a `latest` answer; empty where the intensity is null."""
    check_answer(body, zone)
    return _readings([body], body, zone, kind, now)


def parse_rows(body: JsonObject, key: str, zone: str, kind: IntensityKind, now: datetime) -> list[Reading]:
    """The readings under `history` or `data`, in the order given; null intensities are left out."""
    check_answer(body, zone)
    return _readings(_rows(body, key), body, zone, kind, now)


def parse_period_means(body: JsonObject, zone: str, kind: IntensityKind) -> list[PeriodMean]:
    """Monthly or yearly means of a `past-range` answer with a coarse granularity."""
    check_answer(body, zone)
    means = []
    for row in _rows(body, "data"):
        value = _checked_value(row, zone, kind)
        if value is not None:
            interval = _period(_instant(row, zone), str(body.get("temporalGranularity", "monthly")), zone)
            means.append(PeriodMean(zone, interval, value, kind, SOURCE, _text(row, "updatedAt")))
    return means


def parse_forecast(body: JsonObject, zone: str, kind: IntensityKind, now: datetime) -> Vintage:
    """The forecast in an answer, on a regular grid with NaN where a row is null or missing.

    Issued `now`: the answer's own `updatedAt` is merely about the time of the request. Raises Malformed without any value.
    """
    check_answer(body, zone)
    step = _step(body, zone)
    values = {_instant(row, zone): _checked_value(row, zone, kind) for row in _rows(body, "forecast")}
    present = sorted(start for start, value in values.items() if value is not None)
    if not present:
        raise Malformed(f"{zone}: the forecast has no values")
    if abs(present[0] - now) > LONGEST_FORECAST_STEPS * step:
        raise Malformed(f"{zone}: the forecast begins at {present[0]:%Y-%m-%dT%H:%MZ}, nowhere near {now:%Y-%m-%dT%H:%MZ}")
    count = (present[-1] - present[0]) // step + 1
    if count > LONGEST_FORECAST_STEPS or any((start - present[0]) % step for start in present):
        raise Malformed(f"{zone}: the forecast rows from {present[0]:%Y-%m-%dT%H:%MZ} on are not a regular series of {step} steps")
    numbers = np.full(count, np.nan)
    for start in present:
        numbers[(start - present[0]) // step] = values[start]
    return Vintage(zone, kind, "Electricity Maps forecast", Rung.VENDOR_FORECAST, now, now, present[0], step, numbers)


def parse_zones(body: JsonObject) -> dict[str, ZoneAccess]:
    """The zone list, keyed by zone; entries that are not objects are skipped. `["*"]` means everything: access is not told."""
    zones = {}
    for zone, entry in body.items():
        if isinstance(entry, dict):
            access = entry.get("access")
            told = frozenset(str(item) for item in access) if isinstance(access, list) and "*" not in access else None
            zones[zone] = ZoneAccess(str(entry.get("zoneName", zone)), told)
    return zones


def _readings(rows: list[JsonObject], body: JsonObject, zone: str, kind: IntensityKind, now: datetime) -> list[Reading]:
    """Readings of what has begun: a row later than an hour from now cannot have been measured (clocks may differ a little)."""
    step = _step(body, zone)
    readings = []
    for row in rows:
        value, start = _checked_value(row, zone, kind), _instant(row, zone)
        if floor_to(start, step) != start:
            raise Malformed(f"{zone}: {start:%Y-%m-%dT%H:%M:%SZ} does not begin an interval of {step}")
        if value is None or start > now + HOUR:
            continue
        method = _text(row, "estimationMethod")
        estimated = row.get("isEstimated") is True
        interval = Interval(start, start + step)
        readings.append(Reading(zone, interval, value, kind, SOURCE, now, estimated, method, _text(row, "updatedAt")))
    return readings


def _rows(body: JsonObject, key: str) -> list[JsonObject]:
    rows = body.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed(f"the answer has no list of rows under {key!r}")
    return rows


def _checked_value(row: JsonObject, zone: str, kind: IntensityKind) -> float | None:
    """The row's intensity in gCO2e/kWh, None where it is null; raises if the row is sandbox data, of another zone or kind."""
    if "sandbox" in str(row.get("estimationMethod", "")).lower():
        raise SandboxData(f"{zone}: the key is a sandbox key, its values are made up: use a real key or none")
    _check_zone(row, zone)
    if row.get("emissionFactorType", kind.factors) != kind.factors or row.get("flowTraced", kind.flow_traced) != kind.flow_traced:
        raise WrongKind(f"{zone}: asked for {kind.label}, got {row.get('emissionFactorType')} with flowTraced={row.get('flowTraced')}")
    return intensity_of(row.get("carbonIntensity"), zone)


def _instant(row: JsonObject, zone: str) -> datetime:
    return instant_of(row.get("datetime"), zone, "with an offset, as in 2026-08-22T17:00:00.000Z")


def _step(body: JsonObject, zone: str) -> timedelta:
    granularity = body.get("temporalGranularity", "hourly")
    if not isinstance(granularity, str) or granularity not in _STEPS:
        raise Malformed(f"{zone}: values per {str(granularity)[:40]!r} where hourly or finer ones were asked for")
    return _STEPS[granularity]


def _period(start: datetime, granularity: str, zone: str) -> Interval:
    """The calendar month or year that begins at `start`."""
    if granularity == "monthly" and start.day == 1:
        return Interval(start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1))
    if granularity == "yearly" and (start.month, start.day) == (1, 1):
        return Interval(start, start.replace(year=start.year + 1))
    raise Malformed(f"{zone}: {start:%Y-%m-%d} does not begin a period of granularity {granularity[:20]!r}")


def _text(row: JsonObject, key: str) -> str | None:
    value = row.get(key)
    return value[:100] if isinstance(value, str) else None
