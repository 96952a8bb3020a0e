"""What a zone's own record adds to the linear forecast: a map of its own, learnt again every week from all that is known by then.

With x the inputs, a constant and the neighbours at past origins, r what the shipped linear forecast missed by there, and w weights
that halve every HALF_LIFE_WEEKS, the map is M = (X'WX + P)^-1 X'WR: ridge regression towards the shipped forecast, which is what is
left where there is no record. Sums are carried from week to week (recursive least squares with forgetting), so that the maps of
all past weeks, which tell how good such forecasts were, cost one walk along the record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.features import (
    CALENDAR_COLUMNS,
    DAY_HOURS,
    EARLIER_HOURS,
    HORIZON_HOURS,
    INPUT_COLUMNS,
    WEEK_HOURS,
    WINDOW_HOURS,
    SingleArray,
)
from forecast.model.linear import Linear, with_constant
from forecast.model.network import WARM_HOURS
from forecast.model.record import NEIGHBOUR_COLUMNS, Record
from forecast.scoring import IntArray, targets

STRIDE_HOURS = 3
"""Between the origins learnt from; every third hour teaches what every hour does, in a third of the time."""

HALF_LIFE_WEEKS = 104
"""Half as long errs 0.1 % more on zones never seen (second half of 2022)."""

INPUT_PENALTY = 500.0
CALM_PENALTY = 4000.0
"""Of daily means and the zone's state, which say the same for weeks: a single year knows little about them."""

NEIGHBOUR_PENALTY = 700.0
LARGEST_TARGET = 5.0
"""As in training: outcomes further than this many spreads from the level are drawn in."""

_CALM = slice(WEEK_HOURS + DAY_HOURS + EARLIER_HOURS, INPUT_COLUMNS - CALENDAR_COLUMNS)
"""The inputs between the hours and the calendar."""

Maps = Mapping[int, SingleArray]
"""By week since the epoch: (INPUT_COLUMNS + 1 + NEIGHBOUR_COLUMNS, HORIZON_HOURS), in scaled units."""


def learn_maps(linear: Linear, zone_row: int, record: Record, weeks: Collection[int]) -> Maps:
    """The zone's map in each of `weeks`, learnt from origins whose every outcome was known when the week began."""
    sums = _Sums()
    maps: dict[int, SingleArray] = {}
    seen_until = WINDOW_HOURS
    wanted = set(weeks)
    for week in range(int(record.weeks(np.array([0]))[0]), max(wanted, default=-1) + 1):
        begins = week * WEEK_HOURS - record.first_hour
        sums.forget()
        known_until = min(begins, len(record.values)) - HORIZON_HOURS + 1
        origins = np.arange(seen_until, known_until)
        origins = origins[((origins + record.first_hour) % STRIDE_HOURS == 0) & (record.known[origins] >= WARM_HOURS)]
        if len(origins):
            sums.see(linear, zone_row, record, origins)
        seen_until = max(seen_until, known_until)
        if week in wanted:
            maps[week] = sums.map()
    return maps


def added_by(maps: Maps, record: Record, origins: IntArray, inputs: SingleArray) -> SingleArray:
    """(origins, HORIZON_HOURS): what the map of each origin's week adds to the linear forecast."""
    rows, weeks = _rows(record, origins, inputs), record.weeks(origins)
    added = np.zeros((len(origins), HORIZON_HOURS), dtype=np.float32)
    for week in np.unique(weeks):
        added[weeks == week] = rows[weeks == week] @ maps[int(week)]
    return added


def _rows(record: Record, origins: IntArray, inputs: SingleArray) -> SingleArray:
    return np.concatenate([with_constant(inputs), record.passing[origins]], axis=1)


class _Sums:
    """Weighted sums over the origins seen so far."""

    def __init__(self) -> None:
        columns = INPUT_COLUMNS + 1 + NEIGHBOUR_COLUMNS
        self._squares, self._products = np.zeros((columns, columns)), np.zeros((columns, HORIZON_HOURS))
        self._spreads, self._count = 0.0, 0

    def forget(self) -> None:
        """A week has passed."""
        fading = 0.5 ** (1 / HALF_LIFE_WEEKS)
        self._squares *= fading
        self._products *= fading

    def see(self, linear: Linear, zone_row: int, record: Record, origins: IntArray) -> None:
        """Learn from what came after `origins`; an hour that is missing teaches nothing."""
        features = record.features(origins)
        ahead = linear.forecast(features.inputs, zone_row)
        truth = (targets(record.values, origins, HORIZON_HOURS) - features.level[:, None]) / features.spread[:, None]
        misses = np.nan_to_num(np.clip(truth, -LARGEST_TARGET, LARGEST_TARGET) - ahead).astype(np.float32)
        self._spreads += float(features.spread.sum())
        self._count += len(origins)
        weights = (features.spread / (self._spreads / self._count)).astype(np.float32)[:, None]
        rows = _rows(record, origins, features.inputs)
        self._squares += (rows * weights).T @ rows
        self._products += (rows * weights).T @ misses

    def map(self) -> SingleArray:
        """The map that these sums call for."""
        solved: SingleArray = np.linalg.solve(self._squares + np.diag(_penalties()), self._products).astype(np.float32)
        return solved


def _penalties() -> FloatArray:
    penalties = np.full(INPUT_COLUMNS + 1 + NEIGHBOUR_COLUMNS, INPUT_PENALTY)
    penalties[_CALM] = CALM_PENALTY
    penalties[INPUT_COLUMNS + 1 :] = NEIGHBOUR_PENALTY
    return penalties
