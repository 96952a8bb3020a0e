"""The best unbroken window over all sites at once, where the job takes equally long everywhere: a handful of array operations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.task import Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from forecast.intensity import FloatArray

TIE_SHARE = 1e-9  # costs closer than this share are equal; sums of the same cells differ in their last bits


def takes_equally_long(task: Task) -> bool:
    """Whether one duration serves all sites; not where the job runs, since going on saves it a start-up."""
    first = task.choices[0]
    return task.running < 0 and all(c.work == first.work and c.startup == first.startup for c in task.choices[1:])


def cheapest_start(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> tuple[int, float] | None:
    """Index of the choice and the start of the cheapest window, or None where none is free.

    Of equal costs the first choice wins, then the earliest start. The starts tried are those that hold the optimum: both
    ends of the window, and every start that puts itself or the end on a cell's edge.
    """
    duration = task.choices[0].startup + task.choices[0].work
    starts = _starts(terrain, release, min(due, terrain.end) - duration, duration)
    if starts is None:
        return None
    ends = starts + duration
    begin, end = _cells(terrain, starts), _cells(terrain, ends)
    sites = np.array([choice.site for choice in task.choices])
    low, high = int(begin[0]), min(int(end[-1]) + 1, terrain.count)
    rate = terrain.rate[sites, low:high]
    paid = terrain.paid[sites, low : high + 1]
    costs = _integral(paid, rate, terrain, ends, end, low) - _integral(paid, rate, terrain, starts, begin, low)
    costs *= np.array([[choice.power] for choice in task.choices])
    extra = [choice.fresh_kwh + choice.once_kwh for choice in task.choices]
    if any(extra):
        costs += np.array(extra)[:, None] * rate.take(begin - low, axis=1)
    if task.job.price_of_waiting_g_per_hour:
        costs += (starts - task.release) * (task.job.price_of_waiting_g_per_hour / HOUR_SECONDS)
    short = free[sites, low:high] < task.gpus
    if short.any():
        after = np.where(ends > _edges(terrain, end) + EDGE_TOLERANCE_SECONDS, end + 1, end)
        costs[_is_blocked(short, begin - low, after - low)] = np.inf
    cheapest = float(costs.min())
    if cheapest == np.inf:
        return None
    position = int(np.argmax(costs <= cheapest + TIE_SHARE * abs(cheapest)))
    return position // len(starts), float(starts[position % len(starts)])


def _starts(terrain: Terrain, release: float, latest: float, duration: float) -> FloatArray | None:
    """The starts worth trying, in order; None where the window is too short."""
    if latest < release - EDGE_TOLERANCE_SECONDS:
        return None
    step = terrain.step
    first, last = terrain.cell(release) + 1, int((latest - terrain.first_edge + EDGE_TOLERANCE_SECONDS) // step) + 1
    on_edges = terrain.edges[first : last + 1]
    if duration % step < EDGE_TOLERANCE_SECONDS:
        return np.concatenate(([release], on_edges, [max(latest, release)]))
    first, last = terrain.cell(release + duration) + 1, int((latest + duration - terrain.first_edge + EDGE_TOLERANCE_SECONDS) // step) + 1
    return np.sort(np.concatenate(([release], on_edges, terrain.edges[first : last + 1] - duration, [max(latest, release)])))


def _cells(terrain: Terrain, x: FloatArray) -> IntArray:
    """The cell of each instant; an instant on an edge belongs to the later cell, the grid's end to none (`count`)."""
    cells = ((x - terrain.first_edge + EDGE_TOLERANCE_SECONDS) // terrain.step).astype(np.int64)
    cells += 1
    return np.minimum(cells, terrain.count, out=cells)


def _edges(terrain: Terrain, cells: IntArray) -> FloatArray:
    return np.asarray(terrain.edges.take(cells), dtype=np.float64)


def _integral(paid: FloatArray, rate: FloatArray, terrain: Terrain, x: FloatArray, cells: IntArray, low: int) -> FloatArray:
    """Grams per kW up to each instant, by site; rates only matter for instants inside a cell."""
    whole: FloatArray = paid.take(cells - low, axis=1)
    inside = x - _edges(terrain, cells)
    if inside.any():
        whole += rate.take(np.minimum(cells - low, rate.shape[1] - 1), axis=1) * (inside / HOUR_SECONDS)
    return whole


def _is_blocked(short: NDArray[np.bool_], begin: IntArray, after: IntArray) -> NDArray[np.bool_]:
    """Whether any cell of [begin, after) is short of GPUs, by site."""
    before = np.zeros((len(short), short.shape[1] + 1), dtype=np.int64)
    np.cumsum(short, axis=1, out=before[:, 1:])
    return np.asarray(before.take(after, axis=1) > before.take(begin, axis=1))
