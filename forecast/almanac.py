"""What a zone's months usually are, with the spread across years: for campaigns that may wait weeks for a cleaner month.

Values of different kinds or releases, and monthly and hourly ones, disagree by up to 14 % on the same month, so an almanac is
made of one of them alone: the one that tells of most months. What was left out is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.csv_rows import PORTAL
from forecast.hourly import hours_of
from forecast.intensity import FloatArray, IntensityKind, PeriodMean, Series
from forecast.record import Record
from forecast.soundness import sound
from forecast.timeline import HOUR

LEAST_SHARE = 0.9
"""Share of a month's hours that must be recorded for their mean to stand for the month."""

SHORTEST_MONTH, LONGEST_MONTH = timedelta(days=28), timedelta(days=31)


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """One month of the year: its mean in gCO2e/kWh by year. `cleanest_hour_utc` is the hour of day with the lowest mean, None where
    only monthly values are known."""

    month: int
    by_year: Mapping[int, float]
    cleanest_hour_utc: int | None = None

    @property
    def mean(self) -> float:
        """Of all years."""
        return float(np.mean(list(self.by_year.values())))

    @property
    def low(self) -> float | None:
        """The cleanest year; None with a single one: its spread is unknown, not zero."""
        return min(self.by_year.values()) if len(self.by_year) > 1 else None

    @property
    def high(self) -> float | None:
        """The dirtiest year; None with a single one."""
        return max(self.by_year.values()) if len(self.by_year) > 1 else None


@dataclass(frozen=True, slots=True)
class Almanac:
    """The known months of the year in order, all from one `basis`; `left_out` says in words what was not mixed in."""

    zone: str
    kind: IntensityKind
    basis: str
    months: tuple[CalendarMonth, ...]
    left_out: tuple[str, ...] = ()

    def month(self, number: int) -> CalendarMonth | None:
        """January is 1; None where nothing is known."""
        return next((each for each in self.months if each.month == number), None)

    @property
    def best(self) -> CalendarMonth:
        """The month with the lowest mean; of equals the first in the year."""
        return min(self.months, key=lambda each: each.mean)


def years_cleaner(one: CalendarMonth, other: CalendarMonth) -> tuple[int, int]:
    """In how many of the years that both months are known for `one` was the cleaner, and of how many.

    Compared within years: what moves a whole year (a drought, a crisis) tells nothing about its months.
    """
    both = one.by_year.keys() & other.by_year.keys()
    return sum(one.by_year[year] < other.by_year[year] for year in both), len(both)


@dataclass(frozen=True, slots=True)
class _Basis:
    """One source's months: mean by (year, month), and the cleanest hour of day by month."""

    name: str
    means: dict[tuple[int, int], float]
    cleanest: dict[int, int]

    @property
    def rank(self) -> tuple[int, int, bool]:
        """More months of the year, then more years, then the finer values."""
        return len({month for _, month in self.means}), len(self.means), bool(self.cleanest)


def almanac_of(zone: str, kind: IntensityKind, record: Record | None, means: Sequence[PeriodMean], now: datetime) -> Almanac | None:
    """The almanac of one zone and kind from its record up to `now`; None where no whole month of them is known.

    Means of another zone or kind are left out, and counted in `left_out`.
    """
    fitting = [mean for mean in means if (mean.zone, mean.kind) == (zone, kind)]
    bases = [*_from_hours(record, now), *_from_months(fitting, now)]
    if not bases:
        return None
    chosen = max(bases, key=lambda basis: basis.rank)
    left_out = [f"{_months_text(len(basis.means))} of {basis.name} left out" for basis in bases if basis is not chosen]
    others = len(means) - len(fitting)
    if others:
        left_out.append(f"{others} values of another zone or kind left out")
    return Almanac(zone, kind, chosen.name, tuple(_calendar(chosen)), tuple(left_out))


def _from_hours(record: Record | None, now: datetime) -> list[_Basis]:
    """One basis per source and release with at least one whole month."""
    found = []
    for name, part in ({} if record is None else record.split(origin_name)).items():
        series = hours_of(part)
        if series is not None:
            basis = _basis_of_series(f"hourly values, {name}", sound(series)[0], now)
            if basis.means:
                found.append(basis)
    return found


def _basis_of_series(name: str, series: Series, now: datetime) -> _Basis:
    starts = [series.start + index * HOUR for index in range(len(series.values))]
    month = np.array([(start.year - 1970) * 12 + start.month - 1 for start in starts])
    hour = np.array([start.hour for start in starts])
    means: dict[tuple[int, int], float] = {}
    for number in np.unique(month):
        year, index = 1970 + int(number) // 12, int(number) % 12 + 1
        values = series.values[month == number]
        if _end_of(year, index) <= now and np.isfinite(values).sum() >= LEAST_SHARE * _hours_of(year, index):
            means[year, index] = float(np.nanmean(values))
    cleanest = {index: _cleanest_hour(series.values, hour, month % 12 == index - 1) for index in {month for _, month in means}}
    return _Basis(name, means, cleanest)


def _cleanest_hour(values: FloatArray, hour: np.ndarray, in_month: np.ndarray) -> int:
    return int(np.argmin([np.nanmean(values[in_month & (hour == each)]) for each in range(24)]))


def _from_months(means: Iterable[PeriodMean], now: datetime) -> list[_Basis]:
    """One basis per source and release; of two values for one month the last given counts, as everywhere."""
    groups: dict[str, dict[tuple[int, int], float]] = {}
    for mean in means:
        is_month = SHORTEST_MONTH <= mean.interval.duration <= LONGEST_MONTH
        if is_month and mean.interval.end <= now:
            name = f"monthly values, {origin_name(mean.source, mean.release)}"
            groups.setdefault(name, {})[mean.interval.start.year, mean.interval.start.month] = mean.g_per_kwh
    return [_Basis(name, values, {}) for name, values in groups.items()]


def origin_name(source: str, release: str | None) -> str:
    """What may be mixed: one source and, of an archive, one release. An API restates in place, so its stamps are no releases."""
    if source.startswith(PORTAL):
        return f"{source}, release {release}" if release else f"{source}, release not given"
    return "plain files, release unknown" if source.startswith("file ") else source


def _calendar(basis: _Basis) -> Iterable[CalendarMonth]:
    for number in range(1, 13):
        by_year = {year: mean for (year, month), mean in sorted(basis.means.items()) if month == number}
        if by_year:
            yield CalendarMonth(number, by_year, basis.cleanest.get(number))


def _end_of(year: int, month: int) -> datetime:
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _hours_of(year: int, month: int) -> float:
    return (_end_of(year, month) - datetime(year, month, 1, tzinfo=UTC)) / HOUR


def _months_text(count: int) -> str:
    return f"{count} month" if count == 1 else f"{count} months"
