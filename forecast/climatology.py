"""Climatology: what a zone's intensity usually is in a given month at a given hour of the day (UTC)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.grid import Grid
from forecast.intensity import FloatArray, IntensityKind, Series

MINIMUM_VALUES = 10
"""Values a month-and-hour cell needs before its mean and its 10 % and 90 % quantiles mean anything."""


@dataclass(frozen=True, slots=True)
class Climatology:
    """Means and central 80 % bounds in gCO2e/kWh by month (rows, January first) and UTC hour (columns); NaN where unknown."""

    zone: str
    kind: IntensityKind
    source: str
    mean: FloatArray
    low: FloatArray
    high: FloatArray

    def on(self, grid: Grid) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, low and high for each step of `grid`, read at the step's middle."""
        middles = [start + grid.step / 2 for start in grid.starts()]
        months = np.array([middle.month - 1 for middle in middles])
        hours = np.array([middle.hour for middle in middles])
        return self.mean[months, hours], self.low[months, hours], self.high[months, hours]


def climatology_of(history: Series) -> Climatology | None:
    """The climatology of a recorded series, or None if no month-and-hour cell has MINIMUM_VALUES values."""
    grid = Grid(history.start, history.step, len(history.values))
    starts = grid.starts()
    cells = np.array([(start.month - 1) * 24 + start.hour for start in starts])
    mean, low, high = (np.full(288, np.nan) for _ in range(3))
    present = ~np.isnan(history.values)
    for cell in np.unique(cells[present]):
        values = history.values[present & (cells == cell)]
        if len(values) >= MINIMUM_VALUES:
            mean[cell] = values.mean()
            low[cell], high[cell] = np.minimum(np.quantile(values, 0.1), mean[cell]), np.maximum(np.quantile(values, 0.9), mean[cell])
    if np.isnan(mean).all():
        return None
    span = f"{starts[0]:%Y-%m}..{starts[-1]:%Y-%m}"
    return Climatology(
        history.zone, history.kind, f"climatology of {span}", mean.reshape(12, 24), low.reshape(12, 24), high.reshape(12, 24)
    )
