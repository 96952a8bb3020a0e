"""The arithmetic of the ledger: pure functions from metered slices and intensity to emissions.

Equation 1 of the Latent Pollution Model paper, CO2e = P x t x N x PUE x CI, integrated:
CO2e = sum over slices of component kWh x PUE(site) x CI(zone, interval). PUE is applied here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from forecast.intensity import Series
from forecast.timeline import Interval

JOULES_PER_KWH = 3.6e6

SeriesOf = Callable[[str], Series]  # zone -> settled intensity that covers what is asked


class MissingIntensity(LookupError):
    """An hour that is needed has no carbon intensity; the sum is unknown, not smaller."""

    def __init__(self, zone: str, interval: Interval) -> None:
        super().__init__(f"no carbon intensity for {zone} in [{interval.start.isoformat()}, {interval.end.isoformat()})")
        self.zone, self.interval = zone, interval


class Purpose(StrEnum):
    USEFUL = "useful"  # what an uninterrupted run at home would have needed too
    WASTE = "waste"  # steps done twice, failed or thrown away
    OVERHEAD = "overhead"  # restarts


@dataclass(frozen=True, slots=True)
class Place:
    """Where energy was used: what the ledger must know of a site."""

    site: str
    zone: str
    pue: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Component energy (kWh, without PUE) of one interval of grid time at one place, spread evenly over it.

    All components together: two slices of one interval would count its time twice in a baseline.
    """

    place: Place
    interval: Interval
    kwh: float
    purpose: Purpose
    provenance: Mapping[str, float]  # "measured", "estimated", "simulated" -> share of the energy; they add up to 1
    is_metered: bool = True  # False where some of it was filled in, because no meter told of it

    def kwh_by(self, provenance: str) -> float:
        """The part of the energy that came about so."""
        return self.kwh * self.provenance.get(provenance, 0.0)

    def split(self, fraction: float, first: Purpose, second: Purpose) -> list[Slice]:
        """The slice cut in time: its first `fraction` for one purpose, the rest for the other."""
        if fraction >= 1.0:
            return [replace(self, purpose=first)]
        if fraction <= 0.0:
            return [replace(self, purpose=second)]
        middle = self.interval.start + timedelta(seconds=self.interval.seconds * fraction)
        if not self.interval.start < middle < self.interval.end:  # shorter than the clock's resolution
            return [replace(self, purpose=first)]
        return [
            replace(self, interval=Interval(self.interval.start, middle), kwh=self.kwh * fraction, purpose=first),
            replace(self, interval=Interval(middle, self.interval.end), kwh=self.kwh * (1 - fraction), purpose=second),
        ]


def mean_intensity(series: Series, interval: Interval) -> float:
    """gCO2e/kWh over the interval. Raises MissingIntensity."""
    mean = series.mean(interval)
    if mean is None:
        raise MissingIntensity(series.zone, interval)
    return mean


def slice_emissions_g(piece: Slice, series: Series, pue: float) -> float:
    return piece.kwh * pue * mean_intensity(series, piece.interval)


def emissions_g(slices: Iterable[Slice], series_of: SeriesOf) -> float:
    """Grams CO2e of the slices where they were used. Raises MissingIntensity."""
    return sum(slice_emissions_g(piece, series_of(piece.place.zone), piece.place.pue) for piece in slices)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What useful work done at a site would have cost on the home site's hardware; (1, 1) on equal hardware."""

    energy: float = 1.0
    duration: float = 1.0


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Useful work as home would have done it: consecutive stretches of (seconds, kWh), no gaps."""

    stretches: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        return sum(seconds for seconds, _ in self.stretches)

    @property
    def kwh(self) -> float:
        return sum(kwh for _, kwh in self.stretches)

    def emissions_g(self, start: datetime, series: Series, pue: float) -> float:
        """Grams CO2e if begun at `start` and run without a break. Raises MissingIntensity."""
        total, elapsed = 0.0, 0.0
        for seconds, kwh in self.stretches:
            begin = start + timedelta(seconds=elapsed)
            elapsed += seconds
            end = start + timedelta(seconds=elapsed)
            if begin < end:
                total += kwh * pue * mean_intensity(series, Interval(begin, end))
        return total


def home_profile(useful: Sequence[Slice], conversions: Mapping[str, Conversion]) -> LoadProfile:
    """The useful slices in order of time, gaps removed, converted to the home site's hardware."""
    ordered = sorted(useful, key=lambda piece: piece.interval)
    return LoadProfile(
        tuple(
            (piece.interval.seconds * conversions[piece.place.site].duration, piece.kwh * conversions[piece.place.site].energy)
            for piece in ordered
        )
    )
