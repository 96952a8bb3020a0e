"""Carbon intensity: gCO2e per kWh, the mean of a half-open UTC interval, of one kind.

A missing value is missing: never 0, never -1, never the last value for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecast.timeline import HOUR, Interval, as_utc

FloatArray = NDArray[np.float64]

HIGHEST_PLAUSIBLE = 10_000.0
"""gCO2e/kWh; the dirtiest plants emit about 1,700, so anything above this is not an intensity."""


class MixedKinds(ValueError):
    """Two different kinds of carbon intensity were about to be put into one series, plan or ledger line."""


@dataclass(frozen=True, slots=True)
class IntensityKind:
    """What a number of gCO2e/kWh counts. Two kinds are never mixed."""

    factors: Literal["lifecycle", "direct"] = "lifecycle"
    signal: Literal["average", "marginal"] = "average"
    flow_traced: bool = True

    @property
    def label(self) -> str:
        return f"{self.factors}/{self.signal}/{'flow-traced' if self.flow_traced else 'production'}"

    @property
    def has_honest_zeros(self) -> bool:
        """Direct factors know hours without any emission; every source has some life-cycle emissions."""
        return self.factors == "direct"

    @classmethod
    def from_label(cls, label: str) -> IntensityKind:
        """The kind with that label. Raises ValueError, in a sentence that tells how labels are written."""
        match label.split("/"):
            case [("lifecycle" | "direct") as factors, ("average" | "marginal") as signal, ("flow-traced" | "production") as tracing]:
                return cls(factors, signal, tracing == "flow-traced")
        raise ValueError(
            f"{label!r} is not a kind of carbon intensity: write lifecycle or direct, average or marginal, flow-traced or production, "
            f"with slashes between, for example {LIFECYCLE_AVERAGE.label!r}"
        )


LIFECYCLE_AVERAGE = IntensityKind()


class Rung(IntEnum):
    """Where a value stands on the ladder of sources; lower is better. OBSERVED is a recorded past value, not a forecast."""

    OBSERVED = 0
    VENDOR_FORECAST = 1
    OWN_FORECAST = 2
    CLIMATOLOGY = 3
    MONTHLY_MEAN = 4
    YEARLY_MEAN = 5

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value as a source gave it, for one zone and interval, in gCO2e/kWh.

    `known_at` is when we could have known it; `estimated` is the source's own flag;
    `release` tells revisions of an archive apart (an API's `updatedAt`, a portal file's release).
    """

    zone: str
    interval: Interval
    g_per_kwh: float
    kind: IntensityKind
    source: str
    known_at: datetime
    estimated: bool = False
    estimation_method: str | None = None
    release: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.g_per_kwh) or self.g_per_kwh < 0:
            raise ValueError(f"{self.zone} {self.interval.start.isoformat()}: {self.g_per_kwh} is not a carbon intensity")
        object.__setattr__(self, "known_at", as_utc(self.known_at))


@dataclass(frozen=True, slots=True)
class PeriodMean:
    """The mean of a whole month or year in gCO2e/kWh, as a source states it.

    Sources restate: a monthly value need not equal the mean of its hours, so the two are never mixed in one series.
    `release` tells revisions apart (a portal release, an API's `updatedAt`), None where it is unknown.
    """

    zone: str
    interval: Interval
    g_per_kwh: float
    kind: IntensityKind
    source: str
    release: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.g_per_kwh) or self.g_per_kwh < 0:
            raise ValueError(f"{self.zone} {self.interval.start.isoformat()}: {self.g_per_kwh} is not a carbon intensity")


@dataclass(frozen=True, slots=True)
class RecordedCounts:
    """What recording some readings changed: hours never seen before, hours whose value moved, hours told again unchanged."""

    new: int = 0
    restated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Vintage:
    """A whole forecast as it was issued: hourly (or finer) means in gCO2e/kWh from `start` on, NaN where missing.

    `issued_at` is when it was made, `known_at` when we could have known it (equal for our own).
    `low` and `high` bound the central 80 % where the forecaster gives them.
    """

    zone: str
    kind: IntensityKind
    source: str
    rung: Rung
    issued_at: datetime
    known_at: datetime
    start: datetime
    step: timedelta
    g_per_kwh: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Means of consecutive equal steps from `start` on, in gCO2e/kWh; NaN is a missing step."""

    zone: str
    kind: IntensityKind
    start: datetime
    values: FloatArray
    step: timedelta = HOUR
    estimated: NDArray[np.bool_] | None = field(default=None, compare=False)

    @property
    def end(self) -> datetime:
        return self.start + self.step * len(self.values)

    def at(self, instant: datetime) -> float | None:
        """The mean of the step that contains `instant`, or None where it is missing."""
        index = int((as_utc(instant) - self.start) // self.step)
        if not 0 <= index < len(self.values) or math.isnan(self.values[index]):
            return None
        return float(self.values[index])

    def mean(self, interval: Interval) -> float | None:
        """The time-weighted mean over `interval`, or None if any part of it is missing."""
        total = 0.0
        for piece in interval.cut(self.step):
            value = self.at(piece.start)
            if value is None:
                return None
            total += value * piece.seconds
        return total / interval.seconds


@dataclass(frozen=True, slots=True)
class ZoneOutlook:
    """What one zone's intensity is expected to be on a regular grid, as known at `known_at`.

    Arrays are per step and of equal length: the mean in gCO2e/kWh (NaN only where no rung has a value),
    `low`/`high` the central 80 % interval, `rung` the ladder rung of each value (as Rung integers).
    """

    zone: str
    kind: IntensityKind
    known_at: datetime
    start: datetime
    step: timedelta
    g_per_kwh: FloatArray
    low: FloatArray
    high: FloatArray
    rung: NDArray[np.int8]
    sources: tuple[str, ...] = ()

    @property
    def end(self) -> datetime:
        return self.start + self.step * len(self.g_per_kwh)

    def series(self) -> Series:
        return Series(self.zone, self.kind, self.start, self.g_per_kwh, self.step)
