"""Small builders of intensity values for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Reading, Rung, Series, Vintage
from forecast.timeline import HOUR, Interval

NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)
DIRECT = IntensityKind("direct")


def series(values: Sequence[float], start: datetime = NOON, zone: str = "DE", kind: IntensityKind = LIFECYCLE_AVERAGE) -> Series:
    return Series(zone, kind, start, np.array(values, dtype=np.float64))


def daily_wave(days: int, end: datetime = NOON, zone: str = "DE") -> Series:
    """Days of a regular swing between 200 and 400 g/kWh, lowest at midnight, the last hour ending at `end`."""
    start = end - timedelta(days=days)
    hours = np.array([(start + index * HOUR).hour for index in range(24 * days)])
    return Series(zone, LIFECYCLE_AVERAGE, start, 300 - 100 * np.cos(2 * np.pi * hours / 24))


def reading(start: datetime, value: float, known_at: datetime, zone: str = "DE", *, estimated: bool = False) -> Reading:
    return Reading(zone, Interval(start, start + HOUR), value, LIFECYCLE_AVERAGE, "a source", known_at, estimated)


def vintage(
    values: Sequence[float],
    rung: Rung = Rung.VENDOR_FORECAST,
    issued_at: datetime = NOON,
    start: datetime = NOON,
    kind: IntensityKind = LIFECYCLE_AVERAGE,
) -> Vintage:
    return Vintage("DE", kind, "a forecast", rung, issued_at, issued_at, start, HOUR, np.array(values, dtype=np.float64))


def month(year: int, number: int, value: float, zone: str = "DE", kind: IntensityKind = LIFECYCLE_AVERAGE) -> PeriodMean:
    start = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return PeriodMean(zone, Interval(start, end), value, kind, "a source")


def year(number: int, value: float, zone: str = "DE", kind: IntensityKind = LIFECYCLE_AVERAGE) -> PeriodMean:
    return PeriodMean(zone, Interval(datetime(number, 1, 1, tzinfo=UTC), datetime(number + 1, 1, 1, tzinfo=UTC)), value, kind, "a source")
