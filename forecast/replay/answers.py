"""Answers of the replay as the real service shapes them: pure functions from a recording and a moment to JSON bodies."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from forecast.intensity import IntensityKind, PeriodMean, Series
from forecast.replay.faults import Fault, FaultName
from forecast.replay.vendor_forecast import synthetic_forecast
from forecast.timeline import HOUR, floor_to

Json = dict[str, object]

ESTIMATED_HOURS = 2
"""The running hour and the one before it are estimated, as the provider's newest hours usually are."""
LONGEST_LAG = 3 * HOUR
"""Behind the running hour, before the newest value is no recent data any more."""
LONGEST_RANGE = timedelta(days=10)
HORIZONS_HOURS = (6, 24, 48, 72)


@dataclass(frozen=True, slots=True)
class Moment:
    """The circumstances of one request: grid time, the faults it meets, the API version asked."""

    now: datetime
    faults: dict[FaultName, tuple[Fault, datetime]]
    version: str = "v4"

    def has(self, name: FaultName) -> bool:
        return name in self.faults


class Refused(Exception):
    """A request that gets an error answer: its status and body."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body


def latest(series: Series, moment: Moment) -> Json:
    """`latest`: the running hour, or the newest hour known where a recording lags behind (values appear an hour or two late).
    Raises Refused (404) where that hour has no value or is no longer fresh."""
    this_hour = floor_to(moment.now, HOUR)
    newest = min(this_hour, series.end - HOUR)
    body = _row(series, newest, moment) if this_hour - newest <= LONGEST_LAG else None
    if body is None:
        raise no_recent_data(series.zone)
    return _signed(body, series.zone, moment)


def history(series: Series, moment: Moment) -> Json:
    """`history`: 24 rows, oldest first, the running hour last. Raises Refused (404) where none of them is recorded."""
    this_hour = floor_to(moment.now, HOUR)
    rows = [_row(series, this_hour - age * HOUR, moment) for age in range(23, -1, -1)]
    present = [row for row in rows if row is not None]
    if not present:
        raise no_recent_data(series.zone)
    return _signed({"zone": series.zone, "history": present}, series.zone, moment)


def past_range(series: Series, start: datetime, end: datetime, moment: Moment, *, end_inclusive: bool = False) -> Json:
    """`past-range`, hourly: rows under `data`. Raises Refused (400) for ten days or more between `start` and `end`."""
    if end <= start or end - start >= LONGEST_RANGE:
        raise Refused(400, {"error": 'Invalid date range: "end" must come after "start", less than 10 days later'})
    rows, hour = [], floor_to(start + HOUR - timedelta(microseconds=1), HOUR)
    while (hour < end or (end_inclusive and hour == end)) and hour <= moment.now:
        row = _row(series, hour, moment)
        rows += [row] if row is not None else []
        hour += HOUR
    return _signed({"zone": series.zone, "data": rows}, series.zone, moment)


def coarse_range(zone: str, means: Collection[PeriodMean], granularity: str, start: datetime, end: datetime, moment: Moment) -> Json:
    """`past-range` with `temporalGranularity` monthly or yearly: the months or years that are over."""
    rows = [
        _stamped(zone, mean.interval.start, mean.g_per_kwh, mean.kind, moment, mean.interval.end)
        for mean in means
        if (mean.interval.duration > timedelta(days=31)) == (granularity == "yearly")
        and start <= mean.interval.start < end
        and mean.interval.end <= moment.now
    ]
    return _signed({"zone": zone, "data": rows, "temporalGranularity": granularity}, zone, moment)


def forecast(series: Series, horizon_hours: int, moment: Moment) -> Json:
    """`forecast`: horizon + 1 rows of two fields from the running hour on. Synthetic, see `vendor_forecast`."""
    if horizon_hours not in HORIZONS_HOURS:
        raise Refused(400, {"error": f"Invalid horizonHours, expected one of {', '.join(map(str, HORIZONS_HOURS))}"})
    issued = _content_time(moment)
    first = floor_to(issued, HOUR)
    values = synthetic_forecast(series, issued, horizon_hours)
    rows: list[Json] = [
        {"carbonIntensity": None if moment.has("null-intensity") else round(float(value)), "datetime": stamp(first + index * HOUR)}
        for index, value in enumerate(values)
        if not np.isnan(value)
    ]
    if not rows:
        raise no_recent_data(series.zone)
    return _signed({"zone": series.zone, "forecast": rows, "updatedAt": stamp(moment.now)}, series.zone, moment)


def zone_list(zones: Collection[str], access: Collection[str] | None) -> Json:
    """`zones`: with a key, what it may read."""
    body: Json = {}
    for zone in sorted(zones):
        entry: Json = {"zoneName": zone, "zoneKey": zone, "zoneParentKey": None, "subZoneKeys": []}
        body[zone] = entry if access is None else entry | {"access": sorted(f"carbon-intensity/{endpoint}" for endpoint in access)}
    return body


def no_recent_data(zone: str) -> Refused:
    """The answer for a zone without fresh values."""
    return Refused(404, {"error": f'No recent data for zone "{zone}"'})


def stamp(moment: datetime) -> str:
    """A time as the service writes it, with milliseconds and Z."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _content_time(moment: Moment) -> datetime:
    """The grid time whose knowledge is served: a frozen feed stands still at the beginning of its fault."""
    return min(moment.now, moment.faults["frozen"][1]) if moment.has("frozen") else moment.now


def _row(series: Series, hour: datetime, moment: Moment) -> Json | None:
    """The row of one hour as it looks at this moment, None where the recording has no value."""
    known_until = _content_time(moment)
    value = series.at(min(hour, floor_to(known_until, HOUR)))
    if value is None:
        return None
    age_hours = (floor_to(known_until, HOUR) - hour) // HOUR
    estimated = age_hours < ESTIMATED_HOURS
    if estimated and moment.has("restated") and not moment.has("frozen"):
        value = round(value * _estimation_error(series.zone, hour, age_hours), 2)
    row = _stamped(series.zone, hour, value, series.kind, moment, min(known_until, hour + 20 * HOUR))
    return row | {"isEstimated": estimated, "estimationMethod": "FORECASTS_HIERARCHY" if estimated else None} | _sandbox_row(moment)


def _stamped(zone: str, start: datetime, value: float, kind: IntensityKind, moment: Moment, updated_at: datetime) -> Json:
    """A row with its times; `createdAt` lies before `datetime`, because a row begins life as a forecast."""
    row: Json = {
        "zone": "XX-OTHER" if moment.has("other-zone") else zone,
        "carbonIntensity": None if moment.has("null-intensity") else value,
        "datetime": stamp(start),
        "updatedAt": stamp(updated_at),
        "createdAt": stamp(start - 19 * HOUR),
        "emissionFactorType": kind.factors,
        "isEstimated": False,
        "estimationMethod": None,
    }
    return row if moment.version == "v3" else row | {"flowTraced": True}


def _estimation_error(zone: str, hour: datetime, age_hours: int) -> float:
    """A factor in 0.8 .. 1.2, another one for each hour and age: estimates change before they settle."""
    return 0.8 + 0.4 * (zlib.crc32(f"{zone}|{hour.isoformat()}|{age_hours}".encode()) % 1000) / 1000


def _sandbox_row(moment: Moment) -> Json:
    return {"isEstimated": True, "estimationMethod": "SANDBOX_MODE_DATA"} if moment.has("sandbox") else {}


def _signed(body: Json, zone: str, moment: Moment) -> Json:
    """What every answer carries beside its rows."""
    body = body | {"zone": "XX-OTHER" if moment.has("other-zone") else zone}
    if moment.has("sandbox"):
        body |= {"_disclaimer": "SANDBOX MODE: this data is randomised and must not be used for anything but integration tests"}
    return body if moment.version == "v3" else {"temporalGranularity": "hourly"} | body
