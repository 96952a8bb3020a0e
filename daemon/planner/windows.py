"""The best unbroken window for one job: prefix sums over the cells, one pass per site."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.cheapest_start import cheapest_at, cheapest_start
from daemon.planner.fares import Shortage
from daemon.planner.task import Choice, Offer, Piece, Task, restarts_g, starting_g
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, TIE_SHARE, Terrain

BoolArray = NDArray[np.bool_]


def best_window(task: Task, terrain: Terrain, free: IntArray | Shortage, release: float, due: float) -> Offer | None:
    """The cheapest start in [release, due - duration] over all sites where the GPUs are free throughout, or None.

    Of equal costs going on where the job runs wins, then the first choice, then the earliest start.
    """
    return _best(task, terrain, free, release, due, cheapest_start)


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


def prompt_window(task: Task, terrain: Terrain, free: IntArray | Shortage, release: float, due: float) -> Offer | None:
    """The cheapest unbroken window that begins at `release` itself, or None where nothing is free then."""
    return _best(task, terrain, free, release, due, cheapest_at)


Search = Callable[[Task, Terrain, IntArray | Shortage, float, float], tuple[int, float] | None]


def _best(task: Task, terrain: Terrain, free: IntArray | Shortage, release: float, due: float, search: Search) -> Offer | None:
    """What the search finds on all sites together; where the job runs, also going on, if that costs no more."""
    if task.beside:  # what stopping further runs costs depends on the site, and fares do not know it
        alone = [replace(task, choices=(choice,)) for choice in task.choices]
        found = [_found(one, terrain, search(one, terrain, free, release, due)) for one in alone]
    else:
        found = [_found(task, terrain, search(task, terrain, free, release, due))]
    if task.running < 0 or release > 0.0:
        return found[0] if len(found) == 1 else cheapest(found)
    return cheapest([*_going_on(task, terrain, free, due), *found])


def _found(task: Task, terrain: Terrain, window: tuple[int, float] | None) -> Offer | None:
    return None if window is None else window_offer(task, task.choices[window[0]], window[1], terrain)


def _going_on(task: Task, terrain: Terrain, free: IntArray | Shortage, due: float) -> list[Offer]:
    """The windows of a job that just goes on where it runs, without another start-up."""
    due = min(due, terrain.end) + EDGE_TOLERANCE_SECONDS
    here = [choice for choice in task.choices if choice.work <= due and task.runs_at(choice.site)]
    return [window_offer(task, choice, 0.0, terrain) for choice in here if _is_free(task, choice, terrain, free, 0.0)]


def cheapest(offers: Iterable[Offer | None]) -> Offer | None:
    """The lowest score; the first of equals."""
    best: Offer | None = None
    for offer in offers:
        if offer is not None and (best is None or offer.score < best.score * (1 - TIE_SHARE)):
            best = offer
    return best


def window_offer(task: Task, choice: Choice, start: float, terrain: Terrain) -> Offer:
    """All of the work on one site from `start` on, without a pause."""
    fresh = start > 0.0 or not task.runs_at(choice.site)
    startup = choice.startup if fresh else 0.0
    end = start + startup + choice.work
    grams = _window_grams(choice, start, end, fresh, terrain)
    wait = task.job.price_of_waiting_g_per_hour * max(0.0, start + startup / 2 - task.release) / HOUR_SECONDS
    pieces = (Piece(choice, start, end, fresh),)
    if task.beside:
        grams += restarts_g(pieces, task, terrain)
    return Offer(pieces, grams, grams + wait, start, end)


def run_now_g(task: Task, choice: Choice, terrain: Terrain) -> float:
    """Emissions in grams of all of the work on one site as soon as the job may start, whatever is free there."""
    fresh = task.release > 0.0 or not task.runs_at(choice.site)
    end = task.release + (choice.startup if fresh else 0.0) + choice.work
    return _window_grams(choice, task.release, end, fresh, terrain)


def _window_grams(choice: Choice, start: float, end: float, fresh: bool, terrain: Terrain) -> float:
    grams = choice.power * terrain.grams_per_kw(choice.site, start, end)
    return grams + starting_g(choice, choice.once_kwh + (choice.fresh_kwh if fresh else 0.0), start, terrain)


def _cells_of(duration: float, step: float) -> tuple[int, float]:
    """The duration as whole cells and seconds left over."""
    whole = int((duration + EDGE_TOLERANCE_SECONDS) // step)
    rest = duration - whole * step
    return whole, rest if rest > EDGE_TOLERANCE_SECONDS else 0.0


def open_starts(free: IntArray, gpus: int, first: int, count: int, reach: int) -> BoolArray:
    """For each of `count` cells from `first` on: are `gpus` free in it and the `reach` - 1 cells after it?"""
    blocked = np.empty(count + reach, dtype=np.int64)
    blocked[0] = 0
    np.cumsum(free[first : first + count + reach - 1] < gpus, out=blocked[1:])
    return np.equal(blocked[reach:], blocked[:count])


def _is_free(task: Task, choice: Choice, terrain: Terrain, free: IntArray | Shortage, start: float) -> bool:
    """Whether the unbroken window from `start` on finds its GPUs, inside the grid."""
    end = start + task.startup_of(choice, start) + choice.work
    if end > terrain.end + EDGE_TOLERANCE_SECONDS:
        return False
    gpus = free.free if isinstance(free, Shortage) else free
    cells = gpus[choice.site, terrain.cell(start) : terrain.cell_after(end)]
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
