"""Files of recorded intensity as history: hourly values, monthly and yearly means, with their gaps and repeats told.

Aggregates restate: a portal's monthly value need not equal the mean of its hours, so the two come out as different things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from forecast.csv_rows import CsvProblem, CsvRow, iterate_rows
from forecast.hourly import in_hours
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Reading, Series
from forecast.local_time import doubt_about_utc
from forecast.timeline import HOUR, Interval, floor_to

_GRANULARITY = re.compile(r"_(5_minute|15_minute|30_minute|hourly|daily|monthly|yearly)(?![a-z])")
_FIXED_STEPS = {
    "5_minute": timedelta(minutes=5),
    "15_minute": timedelta(minutes=15),
    "30_minute": timedelta(minutes=30),
    "hourly": HOUR,
    "daily": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class IntensityFile:
    """One zone's recorded values of one kind, in time order. `gaps` are missing steps in a row, `repeats` starts given more than once
    (the last value counts), `empty` the number of empty fields, `doubt` what speaks against times in UTC: all reported, none hidden."""

    path: Path
    zone: str
    kind: IntensityKind
    granularity: str
    source: str
    release: str | None
    rows: tuple[CsvRow, ...]
    gaps: tuple[Interval, ...]
    repeats: tuple[datetime, ...]
    empty: int
    doubt: str | None

    @property
    def step(self) -> timedelta | None:
        """The length of an interval; None for months and years."""
        return _FIXED_STEPS.get(self.granularity)

    def series(self) -> Series:
        """The values on the file's own regular grid. Raises ValueError for monthly and yearly files."""
        if self.step is None:
            raise ValueError(f"{self.path.name} holds {self.granularity} means, not a regular series")
        start = self.rows[0].start
        length = (self.rows[-1].start - start) // self.step + 1
        values, estimated = np.full(length, np.nan), np.zeros(length, dtype=np.bool_)
        for row in self.rows:
            index = (row.start - start) // self.step
            values[index] = np.nan if row.g_per_kwh is None else row.g_per_kwh
            estimated[index] = row.estimated
        return Series(self.zone, self.kind, start, values, self.step, estimated)

    def hourly(self) -> Series:
        """The values per hour: finer files are averaged over hours they fill completely. Raises ValueError for coarser files."""
        if self.step is None or self.step > HOUR:
            raise ValueError(
                f"{self.path.name} holds {self.granularity} means, hourly or finer values are needed: "
                f"give hourly files of zone {self.zone} in its place"
            )
        return in_hours(self.series())

    def readings(self, known_at: datetime) -> list[Reading]:
        """Hourly readings known since `known_at` (the time of import); none for daily, monthly and yearly files."""
        if self.step is None or self.step > HOUR:
            return []
        series = self.hourly()
        methods = {row.start: row.method for row in self.rows}
        flags = np.zeros(len(series.values), dtype=np.bool_) if series.estimated is None else series.estimated
        readings = []
        for index in np.flatnonzero(~np.isnan(series.values)):
            start = series.start + int(index) * HOUR
            interval = Interval(start, start + HOUR)
            value, estimated = float(series.values[index]), bool(flags[index])
            readings.append(
                Reading(self.zone, interval, value, self.kind, self.source, known_at, estimated, methods.get(start), self.release)
            )
        return readings

    def period_means(self) -> list[PeriodMean]:
        """The means of a daily, monthly or yearly file; none for finer files."""
        if self.step is not None and self.step <= HOUR:
            return []
        means = []
        for row in self.rows:
            if row.g_per_kwh is not None:
                period = Interval(row.start, _end(row.start, self.granularity))
                means.append(PeriodMean(self.zone, period, row.g_per_kwh, self.kind, self.source, self.release))
        return means


def read_intensity_file(path: Path, kind: IntensityKind = LIFECYCLE_AVERAGE, release: str | None = None) -> IntensityFile:
    """Read one file. `release` names the portal release, which is not written inside. Raises CsvProblem; OSError if unreadable."""
    if kind.signal != "average" or not kind.flow_traced:
        held = f"{kind.factors}/average/flow-traced"
        raise ValueError(f"{path.name} holds flow-traced average intensity, not {kind.label}: ask for {held}")
    rows: dict[datetime, CsvRow] = {}
    repeats: list[datetime] = []
    moved: list[CsvRow] = []
    for row in iterate_rows(path, kind):
        if row.start in rows:
            repeats.append(row.start)
            moved += [row] if row.g_per_kwh != rows[row.start].g_per_kwh else []
        rows[row.start] = row
    if not rows:
        raise CsvProblem(path, 1, "no values below the header")
    ordered = tuple(rows[start] for start in sorted(rows))
    first = ordered[0]
    granularity = _granularity(path, ordered)
    gaps = _gaps(path, ordered, granularity)
    doubt = doubt_about_utc(path, ordered, gaps, repeats, moved)
    empty = sum(row.g_per_kwh is None for row in ordered)
    return IntensityFile(path, first.zone, kind, granularity, first.source, release, ordered, gaps, tuple(repeats), empty, doubt)


def _granularity(path: Path, rows: tuple[CsvRow, ...]) -> str:
    """What the file name says, checked against the lines; without a word there, what the closest two lines say."""
    named = _GRANULARITY.search(path.name)
    if named is not None:
        return named.group(1)
    if len(rows) < 2:
        raise CsvProblem(path, rows[0].line, "one line only: the length of its interval is not known", "add '_hourly' to the file name")
    closest = min(later.start - earlier.start for earlier, later in pairwise(rows))
    for word, step in _FIXED_STEPS.items():
        if step == closest:
            return word
    raise CsvProblem(path, rows[0].line, f"lines {closest} apart are not a known step", "add '_monthly' or '_yearly' to the file name")


def _gaps(path: Path, rows: tuple[CsvRow, ...], granularity: str) -> tuple[Interval, ...]:
    """Spans without a line. Raises CsvProblem for a line that does not begin where an interval of the file may begin."""
    for row in rows:
        if _floor(row.start, granularity) != row.start:
            raise CsvProblem(path, row.line, f"{row.start:%Y-%m-%d %H:%M} does not begin an interval of a file with {granularity} values")
    ends = [(_end(earlier.start, granularity), later.start) for earlier, later in pairwise(rows)]
    return tuple(Interval(end, start) for end, start in ends if start > end)


def _floor(start: datetime, granularity: str) -> datetime:
    step = _FIXED_STEPS.get(granularity)
    if step is not None:
        return floor_to(start, step)
    return start.replace(month=start.month if granularity == "monthly" else 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _end(start: datetime, granularity: str) -> datetime:
    if granularity == "monthly":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start.replace(year=start.year + 1) if granularity == "yearly" else start + _FIXED_STEPS[granularity]
