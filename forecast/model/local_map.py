"""What a zone's own record adds to the linear forecast: a map of its own, learnt again every week from all that is known by then.

With x the columns of a past origin (`forecast.model.map_columns`), r what the shipped linear forecast missed by there, and w weights that
halve every HALF_LIFE_WEEKS, the map is M = (X'WX + P)^-1 X'WR. This is ridge regression towards the shipped forecast: without any record,
that is what is left.

Sums are carried from week to week (recursive least squares with forgetting). One walk along the record therefore gives the maps of all past
weeks, which `forecast.model.calibration` needs to tell how good such forecasts were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WEEK_HOURS, WINDOW_HOURS, SingleArray
from forecast.model.linear import Linear
from forecast.model.map_columns import MAP_COLUMNS, map_columns, map_penalties
from forecast.model.network import WARM_HOURS
from forecast.model.record import Record
from forecast.scoring import IntArray, targets

HALF_LIFE_WEEKS = 104
"""Half as long errs 0.1 % more on zones never seen (second half of 2022)."""

LATER_PENALTY = 3.0
"""How much more the penalties count after the first day, of which the past says less. With all penalties doubled, the first day errs
0.2 % more (second half of 2022, as the figures of `map_columns`); learning from every third hour only makes it 0.6 % more."""

YOUNG_WEEKS = 40
"""Weeks of record at which the penalties are twice their final value, and more by the cube before: weather that lasts a month looks like a
habit. After one to three months of record, zones without corrections err 2.5 % less in the first day than with penalties that grow by the
inverse of a record's age, twice as high after 16 weeks (14 zones, three times in 2022)."""

LARGEST_TARGET = 5.0
"""As in training: outcomes further than this many spreads from the level are drawn in."""

Maps = Mapping[int, SingleArray]
"""By week since the epoch: (MAP_COLUMNS, HORIZON_HOURS), in scaled units."""


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
        origins = origins[record.known[origins] >= WARM_HOURS]
        if len(origins):
            sums.see(linear, zone_row, record, origins)
        seen_until = max(seen_until, known_until)
        if week in wanted:
            maps[week] = sums.map()
    return maps


def added_by(maps: Maps, record: Record, origins: IntArray, inputs: SingleArray) -> SingleArray:
    """(origins, HORIZON_HOURS): what the map of each origin's week adds to the linear forecast."""
    weeks = record.weeks(origins)
    added = np.zeros((len(origins), HORIZON_HOURS), dtype=np.float32)
    for week in np.unique(weeks):
        chosen = np.flatnonzero(weeks == week)
        added[chosen] = map_columns(inputs[chosen], record.passing[origins[chosen]]) @ maps[int(week)]
    return added


class _Sums:
    """Weighted sums over the origins seen so far."""

    def __init__(self) -> None:
        self._squares, self._products = np.zeros((MAP_COLUMNS, MAP_COLUMNS)), np.zeros((MAP_COLUMNS, HORIZON_HOURS))
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
        roots = np.sqrt(features.spread / (self._spreads / self._count)).astype(np.float32)[:, None]
        rows = map_columns(features.inputs, record.passing[origins]) * roots
        self._squares += rows.T @ rows
        self._products += rows.T @ (misses * roots)

    def map(self) -> SingleArray:
        """The map that these sums call for; as long as they are empty, nothing is added."""
        if not self._count:
            return np.zeros((MAP_COLUMNS, HORIZON_HOURS), dtype=np.float32)
        near, later = self._solved(slice(DAY_HOURS), 1.0), self._solved(slice(DAY_HOURS, None), LATER_PENALTY)
        return np.concatenate([near, later], axis=1)

    def _solved(self, leads: slice, strength: float) -> SingleArray:
        youth = 1 + (YOUNG_WEEKS * WEEK_HOURS / self._count) ** 3
        penalised = self._squares + np.diag(strength * youth * map_penalties())
        solved: SingleArray = np.linalg.solve(penalised, self._products[:, leads]).astype(np.float32)
        return solved
