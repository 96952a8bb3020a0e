"""What is known around one zone: its own hourly record and, where there are some, those of its neighbours.

Weather travels: wind that reaches Denmark at night was in Britain in the morning. A neighbour is therefore described by how far it stands
from its own usual day, in its own usual deviations. That shows what is passing through, and not how clean its grid is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray, Series
from forecast.model.features import DAY_HOURS, WEEK_HOURS, WINDOW_HOURS, Features, SingleArray, build
from forecast.model.places import place_of
from forecast.scoring import IntArray
from forecast.timeline import HOUR

Number = TypeVar("Number", np.int64, np.float64)

NEIGHBOURS = 6
REACH_KM = 2500.0
SPANS_HOURS = (1, 3, 12, 24, 72)
NEIGHBOUR_COLUMNS = NEIGHBOURS * len(SPANS_HOURS)
USUAL_DAYS = 7
SWING_HOURS = 480
"""Over which it is told how much a neighbour swings; with the week before, that is what four weeks of record allow."""


@dataclass(frozen=True, slots=True)
class Record:
    """`values` in gCO2e/kWh from `first_hour` (since the Unix epoch) on, NaN where missing. For each hour, and the one after the
    last: `passing` holds NEIGHBOUR_COLUMNS, what its neighbours did before, `known` how many hours are known of the four weeks before."""

    zone: str
    values: FloatArray
    first_hour: int
    passing: SingleArray
    known: IntArray

    @staticmethod
    def of(zone: str, values: FloatArray, first_hour: int, neighbours: Sequence[FloatArray] = ()) -> Record:
        """`neighbours` are records of the same hours, nearest first; only the first NEIGHBOURS count."""
        passing = np.zeros((len(values) + 1, NEIGHBOUR_COLUMNS), dtype=np.float32)
        for index, each in enumerate(neighbours[:NEIGHBOURS]):
            first = index * len(SPANS_HOURS)
            passing[:, first : first + len(SPANS_HOURS)] = _unusual(each)
        known = _sum_before(np.isfinite(values).astype(np.int64), WINDOW_HOURS)
        return Record(zone, values, first_hour, passing, known)

    def weeks(self, origins: IntArray) -> IntArray:
        """The number of the week since the epoch in which each origin lies."""
        return (origins + self.first_hour) // WEEK_HOURS

    def features(self, origins: IntArray, known_hours: int = WINDOW_HOURS) -> Features:
        """What the model sees at each origin, the index in `values` of the first hour forecast.

        A window that reaches before the record, or further back than `known_hours`, is unknown there.
        """
        padded = np.concatenate([np.full(WINDOW_HOURS, np.nan), self.values])
        windows = padded[origins[:, None] + np.arange(WINDOW_HOURS)]
        windows[:, : WINDOW_HOURS - known_hours] = np.nan
        return build(windows, origins + self.first_hour, place_of(self.zone))


def nearest(zone: str, others: Iterable[str]) -> list[str]:
    """The NEIGHBOURS of `zone` among `others`, nearest first."""
    here = place_of(zone)
    distances = sorted((here.distance_km(place_of(other)), other) for other in others if other != zone)
    return [other for distance, other in distances if distance < REACH_KM][:NEIGHBOURS]


def aligned(record: Series, start: datetime, hours: int) -> FloatArray:
    """The hourly values of `record` on the `hours` from `start` on, NaN where it has none."""
    values = np.full(hours, np.nan)
    offset = int((record.start - start) // HOUR)
    first, last = max(offset, 0), min(offset + len(record.values), hours)
    if first < last:
        values[first:last] = record.values[first - offset : last - offset]
    return values


def _unusual(values: FloatArray) -> FloatArray:
    """How far the mean over each span before an hour lies from the same hours of the week before, in usual distances."""
    distance = values - _usual(values)
    known = np.isfinite(distance).astype(np.float64)
    swing = np.sqrt(_mean_before(np.square(distance), known, SWING_HOURS))
    means = [_mean_before(distance, known, span) for span in SPANS_HOURS]
    return np.stack([np.divide(mean, swing, out=np.zeros_like(mean), where=swing > 0) for mean in means], axis=1)


def _usual(values: FloatArray) -> FloatArray:
    """The mean of the same hour on the USUAL_DAYS days before each hour, NaN where none is known."""
    padded = np.concatenate([np.full(USUAL_DAYS * DAY_HOURS, np.nan), values])
    days = np.stack([padded[DAY_HOURS * day : DAY_HOURS * day + len(values)] for day in range(USUAL_DAYS)])
    known = np.isfinite(days).sum(axis=0)
    return np.where(known > 0, np.nansum(days, axis=0) / np.maximum(known, 1), np.nan)


def _mean_before(values: FloatArray, known: FloatArray, hours: int) -> FloatArray:
    """The mean of what is known in the `hours` before each hour, and before the one after the last; zero where nothing is."""
    counts = np.maximum(_sum_before(known, hours), 1.0)
    return _sum_before(np.nan_to_num(values), hours) / counts


def _sum_before(values: NDArray[Number], hours: int) -> NDArray[Number]:
    sums = np.concatenate([np.zeros(hours + 1, dtype=values.dtype), np.cumsum(values)])
    difference: NDArray[Number] = sums[hours:] - sums[:-hours]
    return difference
