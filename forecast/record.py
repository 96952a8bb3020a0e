"""Readings as columns: years of five-minute values without an object for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from forecast.intensity import FloatArray, IntensityKind, MixedKinds, Reading, Series

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

IntArray = NDArray[np.int64]
Origin = tuple[str, str | None]
"""A source, and of an archive its release."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One zone's readings of one kind, at least one, ordered by start; of two for one interval the later counts.

    Columns are of equal length: `start` and `duration` in microseconds (starts since 1970 in UTC), values in gCO2e/kWh, the source's
    own flag, and where each value is from as an index into `origins`.
    """

    zone: str
    kind: IntensityKind
    start: IntArray
    duration: IntArray
    g_per_kwh: FloatArray
    estimated: NDArray[np.bool_]
    origin: IntArray
    origins: tuple[Origin, ...]

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> Record | None:
        """The latest known value of an interval counts; None for no readings. Raises MixedKinds on more than one zone or kind."""
        ordered = sorted(readings, key=lambda reading: (reading.interval.start, reading.known_at))
        if not ordered:
            return None
        first = ordered[0]
        if any((reading.zone, reading.kind) != (first.zone, first.kind) for reading in ordered):
            raise MixedKinds(f"readings of several zones or kinds cannot form one series (first: {first.zone}, {first.kind.label})")
        origins: dict[Origin, int] = {}
        return cls(
            first.zone,
            first.kind,
            np.array([(reading.interval.start - EPOCH) // MICROSECOND for reading in ordered], dtype=np.int64),
            np.array([reading.interval.duration // MICROSECOND for reading in ordered], dtype=np.int64),
            np.array([reading.g_per_kwh for reading in ordered], dtype=np.float64),
            np.array([reading.estimated for reading in ordered], dtype=np.bool_),
            np.array([origins.setdefault((each.source, each.release), len(origins)) for each in ordered], dtype=np.int64),
            tuple(origins),
        )

    def series(self, step: timedelta) -> Series | None:
        """The values whose interval is that long, on their own regular grid; None where there are none."""
        micros = step // MICROSECOND
        mine = self.duration == micros
        if not mine.any():
            return None
        starts = self.start[mine]
        index = (starts - starts[0]) // micros
        values, estimated = np.full(int(index[-1]) + 1, np.nan), np.zeros(int(index[-1]) + 1, dtype=np.bool_)
        values[index], estimated[index] = self.g_per_kwh[mine], self.estimated[mine]
        return Series(self.zone, self.kind, EPOCH + int(starts[0]) * MICROSECOND, values, step, estimated)

    @property
    def steps(self) -> list[timedelta]:
        """How long its intervals are, shortest first."""
        return [int(micros) * MICROSECOND for micros in np.unique(self.duration)]

    def split(self, name_of: Callable[[str, str | None], str]) -> dict[str, Record]:
        """By what `name_of` calls a source and release, in the order of their first values."""
        names = [name_of(*origin) for origin in self.origins]
        found: dict[str, Record] = {}
        for name in dict.fromkeys(names):
            wanted = np.array([each == name for each in names])[self.origin]
            columns = (self.start, self.duration, self.g_per_kwh, self.estimated, self.origin)
            start, duration, values, estimated, origin = (column[wanted] for column in columns)
            found[name] = replace(self, start=start, duration=duration, g_per_kwh=values, estimated=estimated, origin=origin)
        return found
