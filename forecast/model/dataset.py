"""What the network learns from: past moments of several zones' records, with what came after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray, Series
from forecast.model.features import HORIZON_HOURS, WINDOW_HOURS, SingleArray, build
from forecast.model.forecaster import epoch_hours
from forecast.model.places import place_of
from forecast.scoring import IntArray, persistence, targets

STRIDE_HOURS = 5
"""Between the moments taken from a record; it shares no factor with 24, so that every hour of day takes its turn."""

NEAR_HOURS = 24
SHORTEST_RECORD_HOURS, LONGEST_RECORD_HOURS = 24, 600


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of `inputs` with scaled `targets` (rows, HORIZON_HOURS), the row of the zone among the corrections (0: none),
    and weights that turn a scaled error into a share of what persistence misses by, for leads up to a day and beyond."""

    inputs: SingleArray
    targets: SingleArray
    zone_rows: IntArray
    near_weight: SingleArray
    far_weight: SingleArray

    def __len__(self) -> int:
        return len(self.inputs)

    def chosen(self, rows: slice | NDArray[np.bool_]) -> Examples:
        """Some of the rows."""
        return Examples(*(getattr(self, each.name)[rows] for each in fields(self)))


def examples(records: Sequence[Series], zones: tuple[str, ...], cold: bool, seed: int, stride_hours: int = STRIDE_HOURS) -> Examples:
    """Examples from gap-free hourly `records`. `cold` cuts each window to between one and 25 days of known hours.

    Raises ValueError on a record shorter than a window and a horizon.
    """
    random = np.random.default_rng(seed)
    return _joined([_from_record(record, zones, cold, random, stride_hours) for record in records])


def _from_record(record: Series, zones: tuple[str, ...], cold: bool, random: np.random.Generator, stride_hours: int) -> Examples:
    values = record.values
    origins = np.arange(WINDOW_HOURS + int(random.integers(stride_hours)), len(values) - HORIZON_HOURS + 1, stride_hours)
    if not len(origins) or np.isnan(values).any():
        raise ValueError(
            f"{record.zone}: training needs at least {WINDOW_HOURS + HORIZON_HOURS + STRIDE_HOURS} hours without a gap, got {len(values)}"
        )
    windows = values[origins[:, None] + np.arange(-WINDOW_HOURS, 0)]
    if cold:
        windows = _shortened(windows, random)
    features = build(windows, origins + epoch_hours(record.start), place_of(record.zone))
    truth = targets(values, origins, HORIZON_HOURS)
    misses = np.abs(truth - persistence(values, origins, HORIZON_HOURS)).mean(axis=0)
    row = zones.index(record.zone) + 1 if record.zone in zones else 0
    return Examples(
        features.inputs,
        ((truth - features.level[:, None]) / features.spread[:, None]).astype(np.float32),
        np.full(len(origins), row),
        (features.spread / misses[:NEAR_HOURS].mean()).astype(np.float32),
        (features.spread / misses[NEAR_HOURS:].mean()).astype(np.float32),
    )


def _shortened(windows: FloatArray, random: np.random.Generator) -> FloatArray:
    """The windows with all but their newest hours unknown; half of them keep a single day, the hardest case and a common one."""
    logs = random.uniform(np.log(SHORTEST_RECORD_HOURS), np.log(LONGEST_RECORD_HOURS), len(windows))
    hours = np.where(random.random(len(windows)) < 0.5, SHORTEST_RECORD_HOURS, np.exp(logs).astype(np.int64))
    return np.where(np.arange(WINDOW_HOURS) >= WINDOW_HOURS - hours[:, None], windows, np.nan)


def _joined(parts: Sequence[Examples]) -> Examples:
    return Examples(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.zone_rows for part in parts]),
        np.concatenate([part.near_weight for part in parts]),
        np.concatenate([part.far_weight for part in parts]),
    )
