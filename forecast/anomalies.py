"""Recognising recorded values that must not be believed: zeros, frozen feeds, estimates that are still being restated.

Pure: values in, marks out. A marked value is treated as missing by everyone who reads the record; nothing is ever put in its
place here. A feed that hangs repeats its last number and a collector that failed writes zero: both would win every minimum.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray

MarkArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

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


def mark(values: FloatArray, estimated: BoolArray | None = None, *, zero_is_a_value: bool = False) -> MarkArray:
    """One mark per consecutive hourly value in gCO2e/kWh; `estimated` is the source's own flag, None if it gives none.

    A zero is marked unless the kind has honest zeros (`IntensityKind.has_honest_zeros`).
    """
    marks = np.full(len(values), Mark.SOUND, dtype=np.int8)
    missing = ~np.isfinite(values)
    zeros = (values == 0) & (not zero_is_a_value)
    marks[_frozen(values, ~missing & ~zeros)] = Mark.FROZEN
    if estimated is not None:
        marks[_unsettled(values, estimated)] = Mark.UNSETTLED
    marks[zeros] = Mark.ZERO
    marks[missing] = Mark.MISSING
    return marks


def believed(values: FloatArray, estimated: BoolArray | None = None, *, zero_is_a_value: bool = False) -> FloatArray:
    """The values with every marked one made missing (NaN)."""
    return np.where(mark(values, estimated, zero_is_a_value=zero_is_a_value) == Mark.SOUND, values, np.nan)


def _frozen(values: FloatArray, present: BoolArray) -> BoolArray:
    """The repeats (all but the first value) of every run of equal values that is too long for this zone; a gap ends no run."""
    frozen = np.zeros(len(values), dtype=np.bool_)
    places = np.flatnonzero(present)
    if len(places) > FROZEN_HOURS:
        frozen[places[_frozen_repeats(values[places])]] = True
    return frozen


def _frozen_repeats(values: FloatArray) -> BoolArray:
    """Repeats in runs that the rest of the record makes all but impossible.

    What was found frozen says nothing about the zone's habit, so the rest is judged again without it until no more is found:
    several stretches do not excuse each other, and a record cleaned of them is clean.
    """
    repeats = np.concatenate([[False], values[1:] == values[:-1]])
    starts, lengths = runs(repeats)
    is_frozen, others, repeated = np.zeros(len(lengths), dtype=np.bool_), len(repeats) - 1, int(repeats.sum())
    while True:
        hours, habit = others - lengths, repeated - lengths
        chance = np.where(hours >= FROZEN_HOURS, (habit + 1) / np.maximum(hours + 2, 1), 1.0)
        found = ~is_frozen & (lengths + 1 >= FROZEN_HOURS) & (chance**lengths < FROZEN_CHANCE)
        if not found.any():
            break
        is_frozen |= found
        others, repeated = others - int(lengths[found].sum()), repeated - int(lengths[found].sum())
    frozen = np.zeros(len(values), dtype=np.bool_)
    for start, length in zip(starts[is_frozen], lengths[is_frozen], strict=True):
        frozen[start : start + length] = True
    return frozen


def runs(flags: BoolArray) -> tuple[IntArray, IntArray]:
    """Starts and lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def _unsettled(values: FloatArray, estimated: BoolArray) -> BoolArray:
    """The estimates after the newest settled value, unless that lies so far back that estimates are all there is."""
    settled = np.flatnonzero(np.isfinite(values) & ~estimated)
    tail = np.zeros(len(values), dtype=np.bool_)
    if len(settled) and len(values) - 1 - settled[-1] <= RESTATED_HOURS:
        tail[settled[-1] + 1 :] = True
    return tail
