"""The best unbroken window for one job: prefix sums over the cells, one pass per site."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from daemon.planner.together import TIE_SHARE, cheapest_start, takes_equally_long
from forecast.intensity import FloatArray

BoolArray = NDArray[np.bool_]


def best_window(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Offer | None:
    """The cheapest start in [release, due - duration] over all sites where the GPUs are free throughout, or None.

    Starts are `release` itself and every cell edge after it; of equal costs the earliest wins.
    """
    if takes_equally_long(task):
        found = cheapest_start(task, terrain, free, release, due)
        return None if found is None else window_offer(task, task.choices[found[0]], found[1], terrain)
    best: Offer | None = None
    for choice in task.choices:
        for start in _cheapest_starts(task, choice, terrain, free, release, due):
            offer = window_offer(task, choice, start, terrain)
            if best is None or offer.score < best.score * (1 - TIE_SHARE):
                best = offer
    return best


def soonest_window(task: Task, terrain: Terrain, free: IntArray, release: float, due: float = math.inf) -> Offer | None:
    """The unbroken window that ends first; the cheaper site decides between equal ends."""
    best: Offer | None = None
    for choice in task.choices:
        start = _first_start(task, choice, terrain, free, release)
        if start is None:
            continue
        offer = window_offer(task, choice, start, terrain)
        if offer.end > due + EDGE_TOLERANCE_SECONDS:
            continue
        if best is None or (round(offer.end, 3), offer.score) < (round(best.end, 3), best.score):
            best = offer
    return best


def prompt_window(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Offer | None:
    """The cheapest unbroken window that begins at `release` itself, or None where nothing is free then."""
    offers = [
        window_offer(task, choice, release, terrain)
        for choice in task.choices
        if release + task.startup_of(choice, release) + choice.work <= due + EDGE_TOLERANCE_SECONDS
        and _is_free(task, choice, terrain, free, release)
    ]
    return min(offers, key=lambda offer: offer.score, default=None)


def window_offer(task: Task, choice: Choice, start: float, terrain: Terrain) -> Offer:
    """All of the work on one site from `start` on, without a pause."""
    startup = task.startup_of(choice, start)
    fresh = not (choice.site == task.running and start <= 0.0)
    return offer_of((Piece(choice, start, start + startup + choice.work, fresh),), task, terrain)


def _cheapest_starts(task: Task, choice: Choice, terrain: Terrain, free: IntArray, release: float, due: float) -> Iterator[float]:
    """The few starts worth pricing: both ends of the window, the cheapest on an edge and the cheapest that ends on one.

    Emissions are piecewise linear in the start with their kinks there, so no other start is cheaper.
    """
    due = min(due, terrain.end)
    duration = task.startup_of(choice, release) + choice.work
    if release + duration <= due + EDGE_TOLERANCE_SECONDS and _is_free(task, choice, terrain, free, release):
        yield release
    duration = choice.startup + choice.work
    latest = due - duration
    if latest <= release + EDGE_TOLERANCE_SECONDS:
        return
    whole, rest = _cells_of(duration, terrain.step)
    first = terrain.cell(release) + 1
    count = min(_last_edge(latest, terrain), terrain.count - whole - (rest > 0)) - first + 1
    if count > 0:
        costs = _edge_costs(task, choice, terrain, first, count, whole, rest)
        yield from _cheapest_open(costs, open_starts(free[choice.site], task.gpus, first, count, whole + (rest > 0)), terrain, first, 0.0)
    if rest > 0:
        yield from _ending_on_edges(task, choice, terrain, free, release, due)
    if _is_free(task, choice, terrain, free, latest):
        yield latest


def _ending_on_edges(task: Task, choice: Choice, terrain: Terrain, free: IntArray, release: float, due: float) -> Iterator[float]:
    """The cheapest start after `release`, not in the first cell, whose end lies on an edge."""
    duration = choice.startup + choice.work
    whole, rest = _cells_of(duration, terrain.step)
    first = max(terrain.cell(release + duration) + 1, whole + 2)
    count = min(_last_edge(due, terrain), terrain.count) - first + 1
    if count <= 0:
        return
    begin = first - whole - 1
    costs = _end_costs(task, choice, terrain, first, count, whole, rest)
    yield from _cheapest_open(costs, open_starts(free[choice.site], task.gpus, begin, count, whole + 1), terrain, first, duration)


def _cheapest_open(costs: FloatArray, open_: BoolArray, terrain: Terrain, first: int, before: float) -> Iterator[float]:
    """`before` seconds ahead of the cheapest open edge, the first of equals; nothing if all are closed."""
    costs[~open_] = np.inf
    cheapest = float(costs.min())
    if cheapest < np.inf:
        yield float(terrain.edges[first + int(np.argmax(costs <= cheapest + TIE_SHARE * abs(cheapest)))]) - before


def _last_edge(x: float, terrain: Terrain) -> int:
    """Index of the last edge that is not after `x`."""
    return math.floor((x - terrain.first_edge + EDGE_TOLERANCE_SECONDS) / terrain.step) + 1


def _cells_of(duration: float, step: float) -> tuple[int, float]:
    """The duration as whole cells and seconds left over."""
    whole = int((duration + EDGE_TOLERANCE_SECONDS) // step)
    rest = duration - whole * step
    return whole, rest if rest > EDGE_TOLERANCE_SECONDS else 0.0


def _edge_costs(task: Task, choice: Choice, terrain: Terrain, first: int, count: int, whole: int, rest: float) -> FloatArray:
    """Score of starting at each of `count` edges from `first` on."""
    site, last = choice.site, first + count
    paid, rate = terrain.paid[site], terrain.rate[site]
    costs: FloatArray = (paid[first + whole : last + whole] - paid[first:last]) * choice.power
    if rest > 0:
        costs += rate[first + whole : last + whole] * (choice.power * rest / HOUR_SECONDS)
    extra = choice.fresh_kwh + choice.once_kwh
    if extra:
        costs += rate[first:last] * extra
    price = task.job.price_of_waiting_g_per_hour
    if price:
        costs += (terrain.edges[first:last] - task.release) * (price / HOUR_SECONDS)
    return costs


def _end_costs(task: Task, choice: Choice, terrain: Terrain, first: int, count: int, whole: int, rest: float) -> FloatArray:
    """Score of ending at each of `count` edges from `first` on; the start lies `rest` seconds before an edge."""
    last, paid, rate = first + count, terrain.paid[choice.site], terrain.rate[choice.site]
    begin_rate = rate[first - whole - 1 : last - whole - 1]
    costs: FloatArray = (paid[first:last] - paid[first - whole : last - whole]) * choice.power
    costs += begin_rate * (choice.power * rest / HOUR_SECONDS + choice.fresh_kwh + choice.once_kwh)
    price = task.job.price_of_waiting_g_per_hour
    if price:
        costs += (terrain.edges[first:last] - (choice.startup + choice.work) - task.release) * (price / HOUR_SECONDS)
    return costs


def open_starts(free: IntArray, gpus: int, first: int, count: int, reach: int) -> BoolArray:
    """For each of `count` cells from `first` on: are `gpus` free in it and the `reach` - 1 cells after it?"""
    blocked = np.empty(count + reach, dtype=np.int64)
    blocked[0] = 0
    np.cumsum(free[first : first + count + reach - 1] < gpus, out=blocked[1:])
    return np.equal(blocked[reach:], blocked[:count])


def _is_free(task: Task, choice: Choice, terrain: Terrain, free: IntArray, start: float) -> bool:
    """Whether the unbroken window from `start` on finds its GPUs, inside the grid."""
    end = start + task.startup_of(choice, start) + choice.work
    if end > terrain.end + EDGE_TOLERANCE_SECONDS:
        return False
    cells = free[choice.site, terrain.cell(start) : terrain.cell_after(end)]
    return int(cells.min()) >= task.gpus


def _first_start(task: Task, choice: Choice, terrain: Terrain, free: IntArray, release: float) -> float | None:
    """The earliest start at `release` or an edge after it, deadline or not."""
    if _is_free(task, choice, terrain, free, release):
        return release
    whole, rest = _cells_of(choice.startup + choice.work, terrain.step)
    reach, first = whole + (rest > 0), terrain.cell(release) + 1
    count = terrain.count - reach - first + 1
    if count <= 0:
        return None
    open_ = open_starts(free[choice.site], task.gpus, first, count, reach)
    return float(terrain.edges[first + int(np.argmax(open_))]) if open_.any() else None
