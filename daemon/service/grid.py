"""The intensity that accounts are settled on: observed hours, and honest stand-ins where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forecast.grid import Grid, regrid
from forecast.hourly import estimated_on
from forecast.intensity import IntensityKind, Rung, Series, ZoneOutlook
from forecast.timeline import HOUR, Interval, ceil_to, floor_to

BEYOND_REACH = timedelta(hours=24)
"""A free key reads 24 hours back: an hour still missing this long after it should be final will never be measured."""

DAY = timedelta(days=1)
HOURS_A_DAY = 24


class GridView(Protocol):
    """Who tells of the grid: what is recorded of a zone, and what is expected."""

    def outlook(self, zone: str, start: datetime, step: timedelta, steps: int, now: datetime) -> ZoneOutlook:
        """What `zone` is expected to be (and, for hours gone by, was) on the given grid, as known at `now`."""
        ...

    def observed(self, zone: str, start: datetime, end: datetime) -> Series:
        """The recorded hours that cover [start, end), NaN where nothing is recorded."""
        ...


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
    """Where settlements get the hours of the grid from."""

    def __init__(self, observed: ObservedOf, outlook: OutlookOf, kind: IntensityKind, final_after: timedelta) -> None:
        self._observed, self._outlook, self._kind, self._final_after = observed, outlook, kind, final_after

    def as_known_at(self, now: datetime) -> KnownGrid:
        """One settlement's view of the grid: the same for all of its jobs."""
        return KnownGrid(self._observed, self._outlook, self._kind, self._final_after, now)


class KnownGrid:
    """Hourly records as known at `now`. Each day of a zone is read once, however many jobs ask for it."""

    def __init__(self, observed: ObservedOf, outlook: OutlookOf, kind: IntensityKind, final_after: timedelta, now: datetime) -> None:
        self._observed, self._outlook, self._kind, self._final_after = observed, outlook, kind, final_after
        self.now = now
        self._days: dict[tuple[str, datetime], _Day] = {}

    def record(self, zone: str, window: Interval) -> GridRecord:
        """The hours of `window`."""
        start, end = floor_to(window.start, HOUR), ceil_to(window.end, HOUR)
        first = floor_to(start, DAY)
        days = self._days_of(zone, [first + DAY * index for index in range(int((ceil_to(end, DAY) - first) / DAY))])
        hours = slice(int((start - first) / HOUR), int((end - first) / HOUR))
        values, estimated, filled, rung = (np.concatenate([getattr(day, name) for day in days])[hours] for name in _Day.__slots__)
        observed = Series(zone, self._kind, start, values, HOUR, estimated)
        ages = (self.now - start).total_seconds() - 3600.0 * np.arange(1, len(values) + 1)
        is_final = ~np.isnan(values) & ~estimated & (ages >= self._final_after.total_seconds())
        is_beyond_reach = ~is_final & (ages >= (self._final_after + BEYOND_REACH).total_seconds())
        return GridRecord(observed, Series(zone, self._kind, start, filled), rung, is_final, is_beyond_reach)

    def _days_of(self, zone: str, starts: list[datetime]) -> list[_Day]:
        """Consecutive days. Those not at hand are read in one go: every question about hours gone by reads all the record since."""
        missing = [start for start in starts if (zone, start) not in self._days]
        if missing:
            read = self._read(zone, missing[0], int((missing[-1] - missing[0]) / DAY) + 1)
            self._days.update(((zone, missing[0] + DAY * index), day) for index, day in enumerate(read))
        return [self._days[zone, start] for start in starts]

    def _read(self, zone: str, start: datetime, days: int) -> list[_Day]:
        count = days * HOURS_A_DAY
        observed = aligned(self._observed(zone, start, start + DAY * days), start, count)
        missing = np.isnan(observed.values)
        outlook = self._outlook(zone, start, HOUR, count, self.now)
        filled = np.where(missing, outlook.g_per_kwh, observed.values)
        rung = np.where(missing, np.maximum(outlook.rung, Rung.VENDOR_FORECAST), Rung.OBSERVED).astype(np.int8)
        estimated = observed.estimated if observed.estimated is not None else np.zeros(count, dtype=np.bool_)
        hours = [slice(HOURS_A_DAY * index, HOURS_A_DAY * (index + 1)) for index in range(days)]
        return [_Day(observed.values[day], estimated[day], filled[day], rung[day]) for day in hours]


@dataclass(frozen=True, slots=True)
class _Day:
    """Twenty-four hours of one zone."""

    values: NDArray[np.float64]
    estimated: NDArray[np.bool_]
    filled: NDArray[np.float64]
    rung: NDArray[np.int8]


def aligned(series: Series, start: datetime, count: int) -> Series:
    """The series on exactly these hours; hours it does not have are NaN. Finer steps become hourly means."""
    hours = Grid(start, HOUR, count)
    values = regrid(series.values, series.start, series.step, hours)
    return Series(series.zone, series.kind, start, values, HOUR, estimated_on(hours, series) & ~np.isnan(values))
