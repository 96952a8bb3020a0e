"""The best unbroken window for one job: prefix sums over the cells, one pass per site."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Offer, Piece, Task, restarts_g
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from daemon.planner.together import TIE_SHARE, cheapest_at, cheapest_start, takes_equally_long

BoolArray = NDArray[np.bool_]


def best_window(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> Offer | None:
    """The cheapest start in [release, due - duration] over all sites where the GPUs are free throughout, or None.

    Of equal costs the first choice wins, then the earliest start.
    """
    if takes_equally_long(task):
        found = cheapest_start(task, terrain, free, release, due)
        return None if found is None else window_offer(task, task.choices[found[0]], found[1], terrain)
    best: Offer | None = None
    for choice in task.choices:
        for offer in _windows_at(task, choice, terrain, free, release, due):
            if best is None or offer.score < best.score * (1 - TIE_SHARE):
                best = offer
    return best


def _windows_at(task: Task, choice: Choice, terrain: Terrain, free: IntArray, release: float, due: float) -> Iterator[Offer]:
    """The cheapest window of one site and, where the job runs there, that of going on without a start-up."""
    if release <= 0.0 and task.runs_at(choice.site):
        going_on = window_offer(task, choice, 0.0, terrain)
        if going_on.end <= min(due, terrain.end) + EDGE_TOLERANCE_SECONDS and _is_free(task, choice, terrain, free, 0.0):
            yield going_on
    found = cheapest_start(replace(task, choices=(choice,)), terrain, free, release, due)
    if found is not None:
        yield window_offer(task, choice, found[1], terrain)


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
    if takes_equally_long(task):
        if release + task.choices[0].startup + task.choices[0].work > due + EDGE_TOLERANCE_SECONDS:
            return None
        position = cheapest_at(task, terrain, free, release)
        return None if position is None else window_offer(task, task.choices[position], release, terrain)
    offers = [
        window_offer(task, choice, release, terrain)
        for choice in task.choices
        if release + task.startup_of(choice, release) + choice.work <= due + EDGE_TOLERANCE_SECONDS
        and _is_free(task, choice, terrain, free, release)
    ]
    return min(offers, key=lambda offer: offer.score, default=None)


def window_offer(task: Task, choice: Choice, start: float, terrain: Terrain) -> Offer:
    """All of the work on one site from `start` on, without a pause."""
    fresh = start > 0.0 or not task.runs_at(choice.site)
    startup = choice.startup if fresh else 0.0
    end = start + startup + choice.work
    grams = choice.power * terrain.grams_per_kw(choice.site, start, end)
    extra = choice.once_kwh + (choice.fresh_kwh if fresh else 0.0)
    if extra:
        grams += extra * float(terrain.rate[choice.site, terrain.cell(start)])
    wait = task.job.price_of_waiting_g_per_hour * max(0.0, start + startup / 2 - task.release) / HOUR_SECONDS
    pieces = (Piece(choice, start, end, fresh),)
    if task.beside:
        grams += restarts_g(pieces, task, terrain)
    return Offer(pieces, grams, grams + wait, start, end)


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
