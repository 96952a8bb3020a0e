"""A linear forecast: one map from the record to all hours ahead for each local hour of day, and what known zones add to it.

What the newest hours say of those to come depends on the time of day at which one looks, so each local hour has weights of its own. The
hours ahead vary together in a few directions; the maps lead to these instead of to each hour, which keeps them small. Trained by
`forecast.model.ridge`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.model.features import DAY_HOURS, HORIZON_HOURS, SingleArray, local_hours


@dataclass(frozen=True, slots=True)
class Linear:
    """`maps` (local hour, inputs + 1, directions) end in a constant; `zone_maps` (zone row, inputs + 1, directions) are added,
    row 0, for any zone not known, being nothing; `directions` (directions, HORIZON_HOURS) lead to the hours ahead."""

    maps: SingleArray
    zone_maps: SingleArray
    directions: SingleArray

    def forecast(self, inputs: SingleArray, zone_row: int) -> SingleArray:
        """(windows, HORIZON_HOURS) in scaled units."""
        extended = with_constant(inputs)
        hours = local_hours(inputs)
        reduced = extended @ self.zone_maps[zone_row]
        for hour in range(DAY_HOURS):
            rows = np.flatnonzero(hours == hour)
            if len(rows):
                reduced[rows] += extended[rows] @ self.maps[hour]
        ahead: SingleArray = reduced @ self.directions
        return ahead

    def forecast_each(self, inputs: SingleArray, zone_rows: np.ndarray) -> SingleArray:
        """The same with a zone row per window, as training needs it."""
        ahead = np.empty((len(inputs), HORIZON_HOURS), dtype=np.float32)
        for row in np.unique(zone_rows):
            chosen = zone_rows == row
            ahead[chosen] = self.forecast(inputs[chosen], int(row))
        return ahead


def with_constant(inputs: SingleArray) -> SingleArray:
    """The inputs with a column of ones at the end."""
    return np.concatenate([inputs, np.ones((len(inputs), 1), dtype=np.float32)], axis=1)
