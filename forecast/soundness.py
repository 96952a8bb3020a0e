"""A recorded series with what must not be believed made missing, and in words what that was.

What is to be believed is decided in one place, `forecast.anomalies`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.anomalies import Mark, mark
from forecast.intensity import Series


def sound(series: Series) -> tuple[Series, tuple[str, ...]]:
    """The series with untrustworthy values made missing, and one sentence for each kind of value that was dropped.

    Dropped: life-cycle values of exactly zero (no power source has none), and a frozen feed's repeats. Estimates that may still be
    restated stay: they are the best there is about an hour gone by, and carry their flag.
    """
    marks = mark(series.values, zero_is_a_value=series.kind.has_honest_zeros)
    zeros, frozen = np.flatnonzero(marks == Mark.ZERO), np.flatnonzero(marks == Mark.FROZEN)
    notes = []
    if len(zeros):
        notes.append(f"{series.zone}: {len(zeros)} values of zero taken as missing")
    if len(frozen):
        since = series.start + int(frozen[0] - 1) * series.step
        notes.append(f"{series.zone}: frozen from {since:%Y-%m-%dT%H:%MZ} on, {len(frozen)} repeats taken as missing")
    if not notes:
        return series, ()
    values = series.values.copy()
    values[zeros], values[frozen] = np.nan, np.nan
    return replace(series, values=values), tuple(notes)
