"""Every start worth considering of every unbroken job, as flat arrays: what prices and search work on.

Expected emissions are piecewise linear in the start, with kinks where the start, the end of the start-up or the end meets a
cell's edge. So the ends of a job's window and those kinks hold its optimum over all starts, on the clock and not only on the grid.
What is charged at one moment is the exception (a transfer where starting takes no time): no start a moment before an edge is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Offer, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from daemon.planner.windows import window_offer
from forecast.intensity import FloatArray

TIE_RANGE = 1e-3  # a job whose rows all cost the same but for rounding is ordered as if they differed by this share


@dataclass(frozen=True, slots=True)
class Columns:
    """One row per (job, site, start), jobs in order, each job's rows from the cheapest on; equal costs by start.

    Rows of job j are [first[j], first[j + 1]). `cost` is the score in grams; `choice` counts the job's choices.
    Cells [low, high) of the flattened [site, cell] arrays are those the row touches.
    """

    tasks: tuple[Task, ...]
    first: IntArray
    job: IntArray
    site: IntArray
    choice: IntArray
    start: FloatArray
    end: FloatArray
    low: IntArray
    high: IntArray
    cost: FloatArray

    def offer(self, row: int, terrain: Terrain) -> Offer:
        task = self.tasks[int(self.job[row])]
        return window_offer(task, task.choices[int(self.choice[row])], float(self.start[row]), terrain)

    def every(self, nth: int) -> Columns:
        """The rows of every `nth` job."""
        rows = np.flatnonzero(self.job % nth == 0)
        first = np.concatenate(([0], np.cumsum(np.diff(self.first)[::nth])))
        whole = (self.site[rows], self.choice[rows], self.start[rows], self.end[rows], self.low[rows], self.high[rows], self.cost[rows])
        return Columns(self.tasks[::nth], first, self.job[rows] // nth, *whole)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One row per (job, site) before its starts are laid out. Seconds; `latest` is the last start that meets the deadline."""

    job: IntArray
    choice: IntArray
    site: IntArray
    release: FloatArray
    latest: FloatArray
    duration: FloatArray
    power: FloatArray
    fresh: FloatArray  # kWh that a start draws beyond plain work
    once: FloatArray
    price: FloatArray
    asked: FloatArray
    startup: FloatArray
    saved: FloatArray  # seconds that going on running saves at `release`


def columns_of(tasks: Sequence[Task], terrain: Terrain, windows: Sequence[tuple[float, float]]) -> Columns:
    """Rows of all `tasks`; `windows` gives each task's first start and last end. A task without room has no rows."""
    pairs = _pairs(tasks, terrain, windows)
    pair, start = _starts(pairs, terrain)
    going_on = (start <= 0.0) & (pairs.saved[pair] > 0)
    end = start + pairs.duration[pair] - np.where(going_on, pairs.saved[pair], 0.0)
    site = pairs.site[pair]
    begin_cell, last_cell = _cell(start, terrain), _cell_after(end, terrain)
    cost = pairs.power[pair] * (_paid(terrain, site, end) - _paid(terrain, site, start))
    extra = pairs.once[pair] + np.where(going_on, 0.0, pairs.fresh[pair])
    if extra.any():
        cost += extra * _starting(terrain, site, start, pairs.startup[pair])
    if pairs.price.any():
        startup = np.where(going_on, 0.0, pairs.startup[pair])
        cost += pairs.price[pair] * np.maximum(start + startup / 2 - pairs.asked[pair], 0.0) / HOUR_SECONDS
    job = pairs.job[pair]
    order = np.argsort(_rank(job, cost, start, pairs.choice[pair], len(tasks), terrain))
    rows = job[order]
    base = site[order] * terrain.count
    return Columns(
        tasks=tuple(tasks),
        first=np.searchsorted(rows, np.arange(len(tasks) + 1)),
        job=rows,
        site=site[order],
        choice=pairs.choice[pair][order],
        start=start[order],
        end=end[order],
        low=base + begin_cell[order],
        high=base + last_cell[order],
        cost=cost[order],
    )


def _rank(job: IntArray, cost: FloatArray, start: FloatArray, choice: IntArray, jobs: int, terrain: Terrain) -> FloatArray:
    """One number that orders by job, then cost, then start, then choice: far quicker to sort than four keys.

    Within a job, costs that differ by less than a billionth of the job's range count as equal.
    """
    least, most = np.full(jobs, np.inf), np.full(jobs, -np.inf)
    np.minimum.at(least, job, cost)
    np.maximum.at(most, job, cost)
    span = np.maximum(most - least, np.maximum(TIE_RANGE * np.abs(least), 1e-9))
    share = (cost - least[job]) / span[job] + 1e-9 * start / terrain.end + 1e-11 * choice
    return np.asarray(job + 0.9 * share, dtype=np.float64)


def _pairs(tasks: Sequence[Task], terrain: Terrain, windows: Sequence[tuple[float, float]]) -> _Pairs:
    rows = [
        _pair(number, position, task, choice, release, min(due, terrain.end))
        for number, (task, (release, due)) in enumerate(zip(tasks, windows, strict=True))
        for position, choice in enumerate(task.choices)
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 13).T
    whole = [column.astype(np.int64) for column in table[:3]]
    return _Pairs(*whole, *table[3:])


def _pair(number: int, position: int, task: Task, choice: Choice, release: float, due: float) -> tuple[float, ...]:
    duration = choice.startup + choice.work
    saved = choice.startup if choice.site == task.running and release <= 0.0 else 0.0
    price = task.job.price_of_waiting_g_per_hour
    fixed = (number, position, choice.site, release, due - duration, duration, choice.power, choice.fresh_kwh, choice.once_kwh)
    return (*fixed, price, task.release, choice.startup, saved)


def _starts(pairs: _Pairs, terrain: Terrain) -> tuple[IntArray, FloatArray]:
    """Both ends of each pair's window, and the starts within it that put their start, the end of their start-up or their end on an edge."""
    room = pairs.latest >= pairs.release - np.maximum(pairs.saved, EDGE_TOLERANCE_SECONDS)
    at_once = np.flatnonzero(room)
    loose = np.flatnonzero(pairs.latest > pairs.release + EDGE_TOLERANCE_SECONDS)
    rest = np.mod(pairs.duration + EDGE_TOLERANCE_SECONDS, terrain.step) > 2 * EDGE_TOLERANCE_SECONDS
    on_edge, edge_starts = _edges_between(pairs.release, pairs.latest, loose, terrain)
    uneven = loose[rest[loose]]
    to_edge, edge_ends = _edges_between(pairs.release + pairs.duration, pairs.latest + pairs.duration, uneven, terrain)
    warming = loose[(pairs.startup[loose] > 0) & (pairs.fresh[loose] + pairs.once[loose] != 0)]
    around, edge_middles = _edges_between(pairs.release + pairs.startup, pairs.latest + pairs.startup, warming, terrain)
    pair = np.concatenate([at_once, loose, on_edge, to_edge, around])
    ends_and_middles = (edge_ends - pairs.duration[to_edge], edge_middles - pairs.startup[around])
    return pair, np.concatenate([pairs.release[at_once], pairs.latest[loose], edge_starts, *ends_and_middles])


def _edges_between(low: FloatArray, high: FloatArray, which: IntArray, terrain: Terrain) -> tuple[IntArray, FloatArray]:
    """All cell edges strictly inside (low, high) of each pair in `which`."""
    above = np.floor((low[which] + EDGE_TOLERANCE_SECONDS - terrain.first_edge) / terrain.step) + 1
    below = np.ceil((high[which] - EDGE_TOLERANCE_SECONDS - terrain.first_edge) / terrain.step) - 1
    above = np.maximum(above, 0).astype(np.int64)
    count = np.maximum(below.astype(np.int64) - above + 1, 0)
    pair = np.repeat(which, count)
    offset = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    return pair, terrain.first_edge + (np.repeat(above, count) + offset) * terrain.step


def _cell(x: FloatArray, terrain: Terrain) -> IntArray:
    later = 1 + np.floor((x - terrain.first_edge + EDGE_TOLERANCE_SECONDS) / terrain.step).astype(np.int64)
    return np.clip(later, 0, terrain.count - 1)


def _cell_after(x: FloatArray, terrain: Terrain) -> IntArray:
    after = 1 + np.ceil((x - terrain.first_edge - EDGE_TOLERANCE_SECONDS) / terrain.step).astype(np.int64)
    return np.clip(after, 1, terrain.count)


def _paid(terrain: Terrain, site: IntArray, x: FloatArray) -> FloatArray:
    cell = _cell(x, terrain)
    return terrain.paid[site, cell] + terrain.rate[site, cell] * (x - terrain.edges[cell]) / HOUR_SECONDS


def _starting(terrain: Terrain, site: IntArray, start: FloatArray, startup: FloatArray) -> FloatArray:
    """Grams per kWh that is spread over the start-up, or drawn at once where that takes no time."""
    hours = startup / HOUR_SECONDS
    spread = (_paid(terrain, site, start + startup) - _paid(terrain, site, start)) / np.where(hours > 0, hours, 1.0)
    return np.where(hours > 0, spread, terrain.rate[site, _cell(start, terrain)])
