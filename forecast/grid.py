"""Regular grids of half-open UTC steps, and moving interval means from one grid to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray
from forecast.timeline import as_utc

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Grid:
    """`steps` consecutive intervals of length `step` from `start` on. Raises ValueError on a step or count that is not positive."""

    start: datetime
    step: timedelta
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_utc(self.start))
        if self.step <= timedelta(0) or self.steps < 1:
            raise ValueError(f"a grid needs a positive step and at least one of them, got {self.steps} steps of {self.step}")

    @property
    def end(self) -> datetime:
        return self.start + self.step * self.steps

    def starts(self) -> list[datetime]:
        """The instant at which each step begins."""
        return [self.start + index * self.step for index in range(self.steps)]

    def offsets_microseconds(self, origin: datetime) -> NDArray[np.int64]:
        """How far each step's start lies after `origin`: integers, so that no step boundary is lost to rounding."""
        first = (self.start - as_utc(origin)) // _MICROSECOND
        return first + np.arange(self.steps, dtype=np.int64) * (self.step // _MICROSECOND)


def regrid(values: FloatArray, start: datetime, step: timedelta, grid: Grid) -> FloatArray:
    """Time-weighted means on `grid` of interval means given from `start` on every `step`.

    A grid step that touches a missing (NaN) value, or reaches outside the given span, is NaN: nothing is filled in.
    A grid step inside one given interval keeps its value exactly.
    """
    result = np.full(grid.steps, np.nan)
    if len(values) == 0:
        return result
    cell = step // _MICROSECOND
    begins = grid.offsets_microseconds(start)
    ends = begins + grid.step // _MICROSECOND
    first, last = begins // cell, (ends - 1) // cell
    covered = (first >= 0) & (last < len(values))
    single = covered & (first == last)
    result[single] = values[first[single]]
    several = covered & (first != last)
    if several.any():
        result[several] = _means_across(values, cell, begins[several], ends[several])
    return result


def _means_across(values: FloatArray, cell: int, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> FloatArray:
    """Means over [begins, ends) in microseconds from the first value, by differences of one running integral."""
    missing = np.isnan(values)
    filled = np.where(missing, 0.0, values)
    integral = np.concatenate(([0.0], np.cumsum(filled)))
    missing_before = np.concatenate(([0], np.cumsum(missing)))
    first, last = begins // cell, (ends - 1) // cell
    head = filled[first] * (cell - (begins - first * cell)) / cell
    tail = filled[last] * (ends - last * cell) / cell
    middle = integral[last] - integral[first + 1]
    means = (head + middle + tail) * cell / (ends - begins)
    return np.where(missing_before[last + 1] > missing_before[first], np.nan, means)
