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
    """Component energy (kWh, without PUE) of one interval of grid time at one place, spread evenly over it."""

    place: Place
    interval: Interval
    kwh: float
    purpose: Purpose
    provenance: str  # "measured", "estimated" or "simulated"

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


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """A job in the baseline's first-come queue at its home site."""

    job_id: str
    site: str
    ready: datetime  # accepted, or its earliest start
    seconds: float
    gpus: int
    after: tuple[str, ...] = ()


def first_come_starts(work: Sequence[QueuedWork], capacity: Mapping[str, int]) -> dict[str, datetime]:
    """When each job would have started if every site served its queue strictly first come, first served.

    A job joins the queue when it is ready and its predecessors (those given here) have ended; nobody overtakes.
    A job larger than its site starts when the site is empty.
    """
    ends: dict[str, datetime] = {}
    starts: dict[str, datetime] = {}
    busy: dict[str, list[tuple[datetime, int]]] = {}
    frontier: dict[str, datetime] = {}
    waiting = {item.job_id: item for item in work}
    while waiting:
        ready = [item for item in waiting.values() if not any(name in waiting for name in item.after)]
        if not ready:  # a cycle cannot be accepted; if one is here nevertheless, serve it in order of arrival
            ready = list(waiting.values())
        joins = {item.job_id: max([item.ready, *(ends[name] for name in item.after if name in ends)]) for item in ready}
        item = min(ready, key=lambda entry: (joins[entry.job_id], entry.ready, entry.job_id))
        del waiting[item.job_id]
        limit = capacity[item.site]
        start = max(joins[item.job_id], frontier.get(item.site, joins[item.job_id]))
        held = busy.setdefault(item.site, [])
        start = _first_room(held, start, min(item.gpus, limit), limit)
        end = start + timedelta(seconds=item.seconds)
        if item.seconds > 0:
            held.append((end, min(item.gpus, limit)))
        frontier[item.site] = start
        starts[item.job_id], ends[item.job_id] = start, end
    return starts


def _first_room(held: list[tuple[datetime, int]], start: datetime, gpus: int, limit: int) -> datetime:
    """The first instant from `start` on with `gpus` free; forgets what ended before it (queues only move forward)."""
    for instant in sorted({start, *(end for end, _ in held if end > start)}):
        if sum(count for end, count in held if end > instant) + gpus <= limit:
            held[:] = [(end, count) for end, count in held if end > instant]
            return instant
    return start


@dataclass(frozen=True, slots=True)
class HindsightSite:
    """One admissible site in hindsight: the work's cost there and its settled intensity."""

    place: Place
    series: Series
    seconds: float
    kwh: float
    transfer_kwh: float = 0.0  # facility energy, paid where the work begins


def best_in_hindsight_g(sites: Sequence[HindsightSite], window: Interval, mode: str) -> float | None:
    """The least grams CO2e the job alone could have emitted, with the intensity as settled and constant power.

    `mode`: "contiguous" (one piece), "interruptible" (pieces on one site) or "divisible" (pieces anywhere).
    None if no site has both the time and complete intensity in the window.
    """
    if mode == "contiguous":
        costs = [_best_window_g(site, window) for site in sites]
    elif mode == "interruptible":
        costs = [_cheapest_hours_g([site], window) for site in sites]
    else:
        costs = [_cheapest_hours_g(sites, window), *(_cheapest_hours_g([site], window) for site in sites)]
    known = [cost for cost in costs if cost is not None]
    return min(known) if known else None


def _best_window_g(site: HindsightSite, window: Interval) -> float | None:
    """Emissions are piecewise linear in the start, so the minimum lies where the start or the end meets a step's edge."""
    span = timedelta(seconds=site.seconds)
    latest = window.end - span
    if latest < window.start or site.seconds <= 0:
        return None
    edges = [piece.end for piece in window.cut(site.series.step)]
    starts = {window.start, latest}
    starts |= {edge for edge in edges if edge <= latest}
    starts |= {edge - span for edge in edges if edge - span >= window.start}
    best = None
    for start in starts:
        mean, transfer = site.series.mean(Interval(start, start + span)), _transfer_g(site, start)
        if mean is None or transfer is None:
            continue
        cost = site.kwh * site.place.pue * mean + transfer
        best = cost if best is None else min(best, cost)
    return best


def _transfer_g(site: HindsightSite, start: datetime) -> float | None:
    if site.transfer_kwh == 0:
        return 0.0
    intensity = site.series.at(start)
    return None if intensity is None else site.transfer_kwh * intensity


def _cheapest_hours_g(sites: Sequence[HindsightSite], window: Interval) -> float | None:
    """Fill the work into the cheapest steps; with several sites, each step runs at the cheapest of them."""
    rates: dict[Interval, tuple[float, float]] = {}  # step -> (grams for all of the work, share of the work the step holds)
    transfers = [_transfer_g(site, window.start) for site in sites]
    if any(transfer is None for transfer in transfers):
        return None
    for site in sites:
        if site.seconds <= 0:
            continue
        for piece in window.cut(site.series.step):
            value = site.series.at(piece.start)
            if value is None:
                continue
            grams = site.kwh * site.place.pue * value
            if piece not in rates or grams < rates[piece][0]:
                rates[piece] = (grams, piece.seconds / site.seconds)
    remaining, total = 1.0, sum(transfer for transfer in transfers if transfer is not None)
    for grams, share in sorted(rates.values()):
        used = min(share, remaining)
        total += grams * used
        remaining -= used
        if remaining <= 1e-12:
            return total
    return None
