"""What a zone's own record adds to the linear forecast: a map of its own, learnt again every week from all that is known by then.

With x the columns of a past origin (`forecast.model.map_columns`), r what the shipped linear forecast missed by there, and w weights that
halve every HALF_LIFE_WEEKS, a map is M = (X'WX + P)^-1 X'WR. This is ridge regression towards the shipped forecast: without any record,
that is what is left. How strong P should be differs between zones, so two maps are learnt and mixed.

Sums are carried from week to week (recursive least squares with forgetting). One walk along the record therefore gives the maps of all past
weeks, which `forecast.model.calibration` needs to tell how good such forecasts were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from forecast.intensity import FloatArray
from forecast.model.calibration import LEADS
from forecast.model.features import DAY_HOURS, HORIZON_HOURS, WEEK_HOURS, WINDOW_HOURS, SingleArray
from forecast.model.linear import Linear
from forecast.model.map_columns import MAP_COLUMNS, STEADY_PENALTIES, SUPPLE_PENALTIES, YOUTH_PENALTIES, map_columns
from forecast.model.network import WARM_HOURS
from forecast.model.record import Record
from forecast.model.trust import Trust, known_weeks
from forecast.scoring import IntArray, targets

HALF_LIFE_WEEKS = 104
"""Half as long errs 0.1 % more on zones never seen (second half of 2022)."""

LATER_PENALTY = 3.0
"""How much more the penalties count after the first day, of which the past says less. With all penalties doubled, the first day errs
0.2 % more (second half of 2022, with one map, as the figures of `map_columns`); learning from every third hour only makes it 0.6 % more."""

PENALTIES = (SUPPLE_PENALTIES, STEADY_PENALTIES)
"""Two maps are learnt, and each counts as far as it was right lately (`forecast.model.trust`). Instead of one with penalties between the
two, zones err 0.15 % less in the first day, those without corrections 0.2 %, and odd ones up to 1 % (BR-CS, IN-NO, US-SE-SOCO; 27 zones,
all of 2022, by a model of 2021)."""

YOUNG_WEEKS = 40
"""Weeks of record at which YOUTH_PENALTIES are added once; by the cube more before, less after: weather that lasts a month looks like a
habit. Until three months the two maps so err as one with these penalties does, from half a year on less (linear forecast alone, zones
without corrections, 2022)."""

LARGEST_TARGET = 5.0
"""As in training: outcomes further than this many spreads from the level are drawn in."""

JUDGED_STRIDE_HOURS = 5  # between the origins by which a week's maps are judged; it shares no factor with 24

Maps = Mapping[int, SingleArray]
"""By week since the epoch: (MAP_COLUMNS, HORIZON_HOURS), in scaled units."""


def learn_maps(linear: Linear, zone_row: int, record: Record, weeks: Collection[int]) -> Maps:
    """The zone's map in each of `weeks`, learnt from origins whose every outcome was known when the week began."""
    if not weeks:
        return {}
    sums, trust = _Sums(), Trust(len(PENALTIES), len(LEADS))
    maps: dict[int, SingleArray] = {}
    first_judged, last = known_weeks(min(weeks)).start, max(weeks)
    seen_until = WINDOW_HOURS
    for week in range(int(record.weeks(np.array([0]))[0]), last + 1):
        begins = week * WEEK_HOURS - record.first_hour
        sums.forget()
        known_until = min(begins, len(record.values)) - HORIZON_HOURS + 1
        sums.see(_seen(linear, zone_row, record, np.arange(seen_until, known_until)))
        seen_until = max(seen_until, known_until)
        if week < first_judged:
            continue  # too long ago to be wanted, or to count
        learnt = sums.maps()
        if week in weeks:
            maps[week] = _mixed(learnt, trust.weights(week))
        if week < known_weeks(last).stop:
            trust.judge(week, _missed(learnt, _seen(linear, zone_row, record, _now_and_then(begins, len(record.values)))))
    return maps


def added_by(maps: Maps, record: Record, origins: IntArray, inputs: SingleArray) -> SingleArray:
    """(origins, HORIZON_HOURS): what the map of each origin's week adds to the linear forecast."""
    weeks = record.weeks(origins)
    added = np.zeros((len(origins), HORIZON_HOURS), dtype=np.float32)
    for week in np.unique(weeks):
        chosen = np.flatnonzero(weeks == week)
        added[chosen] = map_columns(inputs[chosen], record.passing[origins[chosen]]) @ maps[int(week)]
    return added


class _Seen(NamedTuple):
    """Of some origins: their `columns` (origins, MAP_COLUMNS), what the shipped linear forecast `missed` by (origins, HORIZON_HOURS) in
    scaled units, NaN where an hour is missing, and their `spread` in gCO2e/kWh."""

    columns: SingleArray
    missed: FloatArray
    spread: FloatArray


def _seen(linear: Linear, zone_row: int, record: Record, origins: IntArray) -> _Seen:
    """Of those of `origins` with enough record before them."""
    origins = origins[record.known[origins] >= WARM_HOURS]
    if not len(origins):
        return _Seen(np.zeros((0, MAP_COLUMNS), dtype=np.float32), np.zeros((0, HORIZON_HOURS)), np.zeros(0))
    features = record.features(origins)
    truth = (targets(record.values, origins, HORIZON_HOURS) - features.level[:, None]) / features.spread[:, None]
    missed = np.clip(truth, -LARGEST_TARGET, LARGEST_TARGET) - linear.forecast(features.inputs, zone_row)
    return _Seen(map_columns(features.inputs, record.passing[origins]), missed, features.spread)


def _now_and_then(begins: int, hours: int) -> IntArray:
    """Some origins of the week that `begins` at that hour of a record of so many."""
    return np.arange(max(begins, WINDOW_HOURS), min(begins + WEEK_HOURS, hours), JUDGED_STRIDE_HOURS)


def _missed(maps: SingleArray, seen: _Seen) -> FloatArray:
    """(maps, LEADS): the mean absolute errors in gCO2e/kWh that each of `maps` (maps, MAP_COLUMNS, HORIZON_HOURS) leaves, from outcomes
    drawn in to LARGEST_TARGET; zero where none is known."""
    left = np.abs(seen.missed - seen.columns @ maps) * seen.spread[:, None]
    known = np.isfinite(left)
    totals = [np.nansum(left[..., leads], axis=(1, 2)) for leads in LEADS]
    counts = [known[..., leads].sum(axis=(1, 2)) for leads in LEADS]
    means: FloatArray = np.stack(totals, axis=1) / np.maximum(np.stack(counts, axis=1), 1)
    return means


def _mixed(maps: SingleArray, weights: FloatArray) -> SingleArray:
    """One map, in which each of `maps` has its share of `weights` (maps, LEADS)."""
    hours = [leads.stop - leads.start for leads in LEADS]
    mixed: SingleArray = (maps * np.repeat(weights, hours, axis=1)[:, None, :]).sum(axis=0, dtype=np.float32)
    return mixed


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

    def see(self, seen: _Seen) -> None:
        """Learn from what came after some origins; a missing hour counts as one that was forecast rightly."""
        if not len(seen.spread):
            return
        self._spreads += float(seen.spread.sum())
        self._count += len(seen.spread)
        roots = np.sqrt(seen.spread / (self._spreads / self._count)).astype(np.float32)[:, None]
        rows = seen.columns * roots
        self._squares += rows.T @ rows
        self._products += rows.T @ (np.nan_to_num(seen.missed).astype(np.float32) * roots)

    def maps(self) -> SingleArray:
        """(PENALTIES, MAP_COLUMNS, HORIZON_HOURS): the maps that these sums call for; as long as they are empty, nothing is added."""
        if not self._count:
            return np.zeros((len(PENALTIES), MAP_COLUMNS, HORIZON_HOURS), dtype=np.float32)
        youth = (YOUNG_WEEKS * WEEK_HOURS / self._count) ** 3 * YOUTH_PENALTIES
        parts = ((slice(DAY_HOURS), 1.0), (slice(DAY_HOURS, None), LATER_PENALTY))
        solved = [[self._solved(leads, strength * (each + youth)) for leads, strength in parts] for each in PENALTIES]
        return np.stack([np.concatenate(each, axis=1) for each in solved])

    def _solved(self, leads: slice, penalties: FloatArray) -> SingleArray:
        solved: SingleArray = np.linalg.solve(self._squares + np.diag(penalties), self._products[:, leads]).astype(np.float32)
        return solved
