"""Telling recorded values that carry information from those that only look like it.

A feed that hangs repeats its last number; a collector that failed writes zero. Both would win every minimum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray, Series

FROZEN_AFTER_STEPS = 24
"""Equal values in a row after which a varying zone counts as frozen; the longest real run in 14 months of polled integers was 17."""

_MINIMUM_DISTINCT = 5
"""Distinct values a zone must have shown to count as varying: some zones without live data are honestly constant all year."""


def sound(series: Series) -> tuple[Series, tuple[str, ...]]:
    """The series with untrustworthy values made missing, and one sentence for each kind of value that was dropped.

    Dropped: life-cycle values of exactly zero (no power source has none), and a frozen end: the repeats of the newest value
    where at least FROZEN_AFTER_STEPS equal values close a series that varied before. The first of the equal values stays.
    """
    values = series.values.copy()
    notes = []
    zeros = np.flatnonzero(values == 0.0) if series.kind.factors == "lifecycle" else np.empty(0, dtype=np.int64)
    if len(zeros):
        values[zeros] = np.nan
        notes.append(f"{series.zone}: {len(zeros)} values of zero taken as missing")
    repeats = _frozen_repeats(values)
    if len(repeats):
        since = series.start + int(repeats[0] - 1) * series.step
        values[repeats] = np.nan
        notes.append(f"{series.zone}: frozen since {since:%Y-%m-%dT%H:%MZ}, {len(repeats)} repeats taken as missing")
    return (replace(series, values=values), tuple(notes)) if notes else (series, ())


def _frozen_repeats(values: FloatArray) -> NDArray[np.int64]:
    """Positions that only repeat the newest value, all but the first of them; empty where the end is not frozen."""
    present = np.flatnonzero(~np.isnan(values))
    nothing = np.empty(0, dtype=np.int64)
    if len(present) < FROZEN_AFTER_STEPS or len(np.unique(values[present])) < _MINIMUM_DISTINCT:
        return nothing
    differing = np.flatnonzero(values[present] != values[present[-1]])
    run = present[differing[-1] + 1 :]
    return run[1:].astype(np.int64) if len(run) >= FROZEN_AFTER_STEPS else nothing
