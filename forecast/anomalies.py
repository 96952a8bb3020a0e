"""Recognising recorded values that must not be believed: zeros, frozen feeds, estimates that are still being restated.

Pure: values in, marks out. A marked value is treated as missing by the forecaster; nothing is ever put in its place here.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray

MarkArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]

FROZEN_HOURS = 6
"""Equal values in a row from which a feed may be frozen."""

FROZEN_CHANCE = 1e-6
"""A run of equal values counts as frozen if the zone's own habit of repeating a value makes it less likely than this.

Six equal hours are impossible in two decimals on a moving grid, and ordinary in whole grams on a quiet one.
"""

RESTATED_HOURS = 12
"""Estimates newer than the newest settled value are set aside if that value is at most this old: settled values follow about
two hours behind, and the model's own first hours miss by 3 % where a first estimate is restated by 12-16 % (recorded answers)."""


class Mark(IntEnum):
    """What is wrong with a recorded value; SOUND means nothing is."""

    SOUND = 0
    MISSING = 1
    ZERO = 2
    FROZEN = 3
    UNSETTLED = 4


def mark(values: FloatArray, estimated: BoolArray | None = None) -> MarkArray:
    """One mark per consecutive hourly value in gCO2e/kWh; `estimated` is the source's own flag, None if it gives none."""
    marks = np.full(len(values), Mark.SOUND, dtype=np.int8)
    marks[_frozen(values)] = Mark.FROZEN
    if estimated is not None:
        marks[_unsettled(values, estimated)] = Mark.UNSETTLED
    marks[values == 0] = Mark.ZERO
    marks[~np.isfinite(values)] = Mark.MISSING
    return marks


def believed(values: FloatArray, estimated: BoolArray | None = None) -> FloatArray:
    """The values with every marked one made missing (NaN)."""
    return np.where(mark(values, estimated) == Mark.SOUND, values, np.nan)


def _frozen(values: FloatArray) -> BoolArray:
    """The repeats (all but the first value) of every run of equal values that is too long for this zone."""
    repeats = np.zeros(len(values), dtype=np.bool_)
    if len(values) < 2:
        return repeats
    repeats[1:] = values[1:] == values[:-1]
    starts, lengths = _runs(repeats)
    chance = _repeat_chance(repeats, lengths)
    frozen = np.zeros(len(values), dtype=np.bool_)
    for start, length in zip(starts, lengths, strict=True):
        if length + 1 >= FROZEN_HOURS and chance**length < FROZEN_CHANCE:
            frozen[start : start + length] = True
    return frozen


def _runs(flags: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def _repeat_chance(repeats: BoolArray, run_lengths: NDArray[np.int64]) -> float:
    """How often an hour repeats the one before in this zone, the longest run left out, as it may be the fault looked for.

    A record that is all one run (a zone without live data) gets certainty, so it is never called frozen.
    """
    longest = int(run_lengths.max(initial=0))
    others = len(repeats) - 1 - longest
    if others < FROZEN_HOURS:
        return 1.0
    return (int(repeats.sum()) - longest + 1) / (others + 2)


def _unsettled(values: FloatArray, estimated: BoolArray) -> BoolArray:
    """The estimates after the newest settled value, unless that lies so far back that estimates are all there is."""
    settled = np.flatnonzero(np.isfinite(values) & ~estimated)
    tail = np.zeros(len(values), dtype=np.bool_)
    if len(settled) and len(values) - 1 - settled[-1] <= RESTATED_HOURS:
        tail[settled[-1] + 1 :] = True
    return tail
