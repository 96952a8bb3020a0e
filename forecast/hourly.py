"""Hours from readings of any length: what the rest of Lowtide plans, learns and accounts with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from forecast.grid import Grid, regrid
from forecast.intensity import Reading, Series
from forecast.record import Record
from forecast.timeline import HOUR, ceil_to, floor_to


def hourly_series(readings: Iterable[Reading]) -> Series | None:
    """One zone's readings of one kind as hourly means; see `hours_of`. Raises MixedKinds on more than one zone or kind."""
    record = Record.of(readings)
    return None if record is None else hours_of(record)


def hours_of(record: Record) -> Series | None:
    """A record as hourly means; None where it holds no whole hour.

    Half and quarter hours become the mean of the hours they fill completely; an hour told as such counts before one made of parts.
    Longer means are left out. An hour is estimated if any part of it is.
    """
    series = [record.series(step) for step in record.steps if step <= HOUR and not HOUR % step]
    parts = [in_hours(each) for each in series if each is not None]
    whole = [part for part in parts if np.isfinite(part.values).any()]
    return _laid_over(whole) if whole else None


def in_hours(series: Series) -> Series:
    """Means of whole hours; an hour with a part missing is missing."""
    if series.step == HOUR:
        return series
    start, end = floor_to(series.start, HOUR), ceil_to(series.end, HOUR)
    grid = Grid(start, HOUR, (end - start) // HOUR)
    return Series(series.zone, series.kind, start, regrid(series.values, series.start, series.step, grid), HOUR, estimated_on(grid, series))


def estimated_on(grid: Grid, series: Series) -> NDArray[np.bool_]:
    """Which steps of `grid` are estimated in any part, by the source's own flag; none where it gives none."""
    if series.estimated is None:
        return np.zeros(grid.steps, dtype=np.bool_)
    return regrid(series.estimated.astype(np.float64), series.start, series.step, grid) > 0


def _laid_over(parts: list[Series]) -> Series:
    """The parts on one grid; of two values the later part's counts."""
    if len(parts) == 1:
        return parts[0]
    start, end = min(part.start for part in parts), max(part.end for part in parts)
    values, estimated = np.full((end - start) // HOUR, np.nan), np.zeros((end - start) // HOUR, dtype=np.bool_)
    for part in parts:
        place = slice((part.start - start) // HOUR, (part.end - start) // HOUR)
        known = np.isfinite(part.values)
        values[place] = np.where(known, part.values, values[place])
        if part.estimated is not None:
            estimated[place] = np.where(known, part.estimated, estimated[place])
    return Series(parts[0].zone, parts[0].kind, start, values, HOUR, estimated)
