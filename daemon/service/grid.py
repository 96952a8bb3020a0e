"""The intensity that accounts are settled on: observed hours, and honest stand-ins where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import IntensityKind, Rung, Series, ZoneOutlook
from forecast.timeline import HOUR, Interval, ceil_to, floor_to

BEYOND_REACH = timedelta(hours=24)
"""A free key reads 24 hours back: an hour still missing this long after it should be final will never be measured."""

ObservedOf = Callable[[str, datetime, datetime], Series]
OutlookOf = Callable[[str, datetime, timedelta, int, datetime], ZoneOutlook]


@dataclass(frozen=True, slots=True)
class GridRecord:
    """One zone's hours: `observed` has NaN where nothing was measured, `filled` the best stand-in there."""

    observed: Series
    filled: Series
    rung: NDArray[np.int8]
    is_final: NDArray[np.bool_]  # measured, no longer estimated, and old enough
    is_beyond_reach: NDArray[np.bool_]  # will never be measured

    def _hours(self, interval: Interval) -> slice:
        first = int((interval.start - self.filled.start) // HOUR)
        return slice(max(first, 0), int((interval.end - self.filled.start - timedelta(microseconds=1)) // HOUR) + 1)

    def is_closed(self, interval: Interval) -> bool:
        """No hour of the interval can change the account any more."""
        hours = self._hours(interval)
        return bool(np.all(self.is_final[hours] | self.is_beyond_reach[hours]))

    def unsettled_hours(self, interval: Interval) -> set[datetime]:
        """The hours of the interval that are not final."""
        hours = self._hours(interval)
        return {self.filled.start + HOUR * index for index in range(hours.start, hours.stop) if not self.is_final[index]}

    def worst_rung(self, interval: Interval) -> int:
        hours = self.rung[self._hours(interval)]
        return int(hours.max()) if len(hours) else Rung.OBSERVED


class SettledGrid:
    """Hourly records per zone for one settlement, read once each."""

    def __init__(self, observed: ObservedOf, outlook: OutlookOf, kind: IntensityKind, final_after: timedelta) -> None:
        self._observed, self._outlook, self._kind, self._final_after = observed, outlook, kind, final_after

    def record(self, zone: str, window: Interval, now: datetime) -> GridRecord:
        """The hours of `window` as known at `now`."""
        start, end = floor_to(window.start, HOUR), ceil_to(window.end, HOUR)
        count = int((end - start) / HOUR)
        observed = aligned(self._observed(zone, start, end), start, count)
        missing = np.isnan(observed.values)
        outlook = self._outlook(zone, start, HOUR, count, now)
        filled = np.where(missing, outlook.g_per_kwh, observed.values)
        rung = np.where(missing, np.maximum(outlook.rung, Rung.VENDOR_FORECAST), Rung.OBSERVED).astype(np.int8)
        ages = np.array([(now - (start + HOUR * (index + 1))).total_seconds() for index in range(count)])
        estimated = observed.estimated if observed.estimated is not None else np.zeros(count, dtype=np.bool_)
        is_old = ages >= self._final_after.total_seconds()
        is_final = ~missing & ~estimated & is_old
        is_beyond_reach = ~is_final & (ages >= (self._final_after + BEYOND_REACH).total_seconds())
        return GridRecord(observed, Series(zone, self._kind, start, filled), rung, is_final, is_beyond_reach)


def aligned(series: Series, start: datetime, count: int) -> Series:
    """The series on exactly these hours; hours it does not have are NaN. Finer steps become hourly means."""
    values = np.full(count, np.nan)
    estimated = np.zeros(count, dtype=np.bool_)
    for index in range(count):
        hour = Interval(start + HOUR * index, start + HOUR * (index + 1))
        mean = series.mean(hour)
        if mean is not None:
            values[index] = mean
            estimated[index] = _is_estimated(series, hour)
    return Series(series.zone, series.kind, start, values, HOUR, estimated)


def _is_estimated(series: Series, hour: Interval) -> bool:
    if series.estimated is None:
        return False
    first = int((hour.start - series.start) // series.step)
    last = int((hour.end - series.start - timedelta(microseconds=1)) // series.step)
    return bool(series.estimated[first : last + 1].any())
