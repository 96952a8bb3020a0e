"""The hindsight optimum: the least a job alone could have emitted, had it known the intensity as it turned out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.domain.accounting import Place
from forecast.intensity import Series
from forecast.timeline import Interval


@dataclass(frozen=True, slots=True)
class HindsightSite:
    """One admissible site in hindsight: the work's cost there and its settled intensity."""

    place: Place
    series: Series
    seconds: float
    kwh: float
    transfer_kwh: float = 0.0  # facility energy, paid where the work begins
    places: int = 1  # runs of the job that its GPUs hold side by side


def best_in_hindsight_g(sites: Sequence[HindsightSite], window: Interval, mode: str, width: int = 1) -> float | None:
    """The least grams CO2e the job alone could have emitted, with the intensity as settled and constant power.

    `mode`: "contiguous" (one piece), "interruptible" (pieces on one site) or "divisible" (pieces anywhere, `width` of them
    side by side). Hours without a value are not used. None if no site has enough hours with one in the window.
    """
    if mode == "contiguous":
        costs = [_best_window_g(site, window) for site in sites]
    elif mode == "interruptible":
        costs = [_cheapest_hours_g([site], window) for site in sites]
    else:
        costs = [_cheapest_hours_g(sites, window, width), *(_cheapest_hours_g([site], window, width) for site in sites)]
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


def _cheapest_hours_g(sites: Sequence[HindsightSite], window: Interval, width: int = 1) -> float | None:
    """Fill the work into the cheapest steps; with several sites, each step runs at the cheapest of them, as far as they have places."""
    rates: dict[Interval, list[tuple[float, float, int]]] = {}  # step -> grams for all of the work, share one place holds, places
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
            rates.setdefault(piece, []).append((site.kwh * site.place.pue * value, piece.seconds / site.seconds, site.places))
    remaining, total = 1.0, sum(transfer for transfer in transfers if transfer is not None)
    for grams, share in sorted(chosen for offers in rates.values() for chosen in _side_by_side(offers, width)):
        used = min(share, remaining)
        total += grams * used
        remaining -= used
        if remaining <= 1e-12:
            return total
    return None


def _side_by_side(offers: Sequence[tuple[float, float, int]], width: int) -> Iterator[tuple[float, float]]:
    """The cheapest places of one step, `width` of them at most: grams for all of the work, and the share they hold together."""
    for grams, share, places in sorted(offers):
        used = min(places, width)
        if used > 0:
            yield grams, share * used
        width -= used
