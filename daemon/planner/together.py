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
    return task.running < 0 and all(c.work == first.work and c.startup == first.startup for c in task.choices)


def cheapest_start(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> tuple[int, float] | None:
    """Index of the choice and the start of the cheapest window, or None where none is free.

    Of equal costs the first choice wins, then the earliest start. The starts tried are both ends of the window, and every
    start that puts itself or the end on a cell's edge. They hold the optimum of what the work itself emits. What is paid
    once (start-up, transfer) is charged at the rate of the first cell: a start a moment before an edge might dodge a
    dearer cell on paper, and is not tried.
    """
    duration = task.choices[0].startup + task.choices[0].work
    due = min(due, terrain.end)
    if due - duration < release - EDGE_TOLERANCE_SECONDS:
        return None
    fares = Fares(task, terrain, free)
    runs = fares.all_starts(release, max(due - duration, release))
    lowest = [float(costs.min()) for _, costs in runs]
    cheapest = min(lowest)
    if cheapest == np.inf:
        return None
    most = cheapest + TIE_SHARE * abs(cheapest)
    return min(_first_within(*run, most) for run, low in zip(runs, lowest, strict=True) if low <= most)


def cheapest_at(task: Task, terrain: Terrain, free: IntArray, start: float) -> int | None:
    """Index of the choice where an unbroken window from `start` on costs least, the first of equals; None where none is free."""
    if start + task.choices[0].startup + task.choices[0].work > terrain.end + EDGE_TOLERANCE_SECONDS:
        return None
    costs = Fares(task, terrain, free).at([start])[:, 0]
    cheapest = float(costs.min())
    return None if cheapest == np.inf else int(np.argmax(costs <= cheapest + TIE_SHARE * abs(cheapest)))


class Fares:
    """What the window of one job costs on each of its sites, [choice, start]; infinite where GPUs are short."""

    def __init__(self, task: Task, terrain: Terrain, free: IntArray) -> None:
        choices = task.choices
        sites = np.array([choice.site for choice in choices])
        self._task, self._terrain = task, terrain
        self._duration = choices[0].startup + choices[0].work
        self._paid, self._rate = terrain.paid.take(sites, axis=0), terrain.rate.take(sites, axis=0)
        power = [choice.power for choice in choices]
        self._power = np.array(power)[:, None] if len(set(power)) > 1 else power[0]
        extra = [choice.fresh_kwh + choice.once_kwh for choice in choices]
        self._extra = np.array(extra)[:, None] if any(extra) else None
        short = free.take(sites, axis=0) < task.gpus
        self._short = _counted(short) if short.any() else None

    def all_starts(self, release: float, latest: float) -> list[tuple[FloatArray, FloatArray]]:
        """Starts in [release, latest] that hold the optimum, with their costs: those on edges, those that end on edges, the two ends."""
        terrain, duration = self._terrain, self._duration
        step, edge = terrain.step, terrain.first_edge - EDGE_TOLERANCE_SECONDS
        whole = int((duration + EDGE_TOLERANCE_SECONDS) // step)
        rest = max(duration - whole * step, 0.0)
        rest = rest if rest > EDGE_TOLERANCE_SECONDS else 0.0
        first, last = terrain.cell(release) + 1, int((latest - edge) // step) + 1
        if self._is_on_edge(release, first - 1):
            first -= 1
        singles = [] if first <= last and self._is_on_edge(release, first) else [release]
        if latest > release and not self._is_on_edge(latest, last):
            singles.append(latest)
        runs = [(np.array(singles), self.at(singles))] if singles else []
        if first <= last:
            runs.append((terrain.edges[first : last + 1], self._from_edges(first, last + 1, whole, rest)))
        if rest:
            first, last = terrain.cell(release + duration) + 1, int((latest + duration - edge) // step) + 1
            if first <= last:
                runs.append((terrain.edges[first : last + 1] - duration, self._to_edges(first, last + 1, whole, rest)))
        return runs

    def at(self, starts: list[float]) -> FloatArray:
        """Costs of windows at arbitrary starts inside the grid."""
        terrain, many = self._terrain, len(starts)
        instants = [*starts, *(start + self._duration for start in starts)]
        cells = [terrain.cell(x) for x in instants]
        inside = np.array(instants) - terrain.edges.take(cells)
        upto = self._paid.take(cells, axis=1)
        if inside.any():
            upto += self._rate.take(cells, axis=1) * (inside / HOUR_SECONDS)
        costs = (upto[:, many:] - upto[:, :many]) * self._power
        self._add_once(costs, self._rate.take(cells[:many], axis=1), np.array(starts))
        if self._short is not None:
            after = [terrain.cell_after(x) for x in instants[many:]]
            costs[self._short.take(after, axis=1) > self._short.take(cells[:many], axis=1)] = np.inf
        return costs

    def _is_on_edge(self, x: float, edge: int) -> bool:
        """Whether `x` is this edge and all cells from it on are of one length."""
        is_regular = edge > 0 or self._terrain.first_edge == self._terrain.step
        return is_regular and abs(float(self._terrain.edges[edge]) - x) <= EDGE_TOLERANCE_SECONDS

    def _from_edges(self, first: int, after: int, whole: int, rest: float) -> FloatArray:
        """Costs of starts at edges [first, after); the end lies `rest` seconds behind an edge."""
        costs = self._paid[:, first + whole : after + whole] - self._paid[:, first:after]
        if rest:
            costs += self._rate[:, first + whole : after + whole] * (rest / HOUR_SECONDS)
        costs *= self._power
        self._add_once(costs, self._rate[:, first:after], self._terrain.edges[first:after])
        reach = whole + (rest > 0)
        if self._short is not None:
            costs[self._short[:, first + reach : after + reach] > self._short[:, first:after]] = np.inf
        return costs

    def _to_edges(self, first: int, after: int, whole: int, rest: float) -> FloatArray:
        """Costs of windows that end at edges [first, after); the start lies `rest` seconds before an edge."""
        begin = self._rate[:, first - whole - 1 : after - whole - 1]
        costs = self._paid[:, first:after] - self._paid[:, first - whole : after - whole]
        costs += begin * (rest / HOUR_SECONDS)
        costs *= self._power
        self._add_once(costs, begin, self._terrain.edges[first:after] - self._duration)
        if self._short is not None:
            costs[self._short[:, first:after] > self._short[:, first - whole - 1 : after - whole - 1]] = np.inf
        return costs

    def _add_once(self, costs: FloatArray, rate: FloatArray, starts: FloatArray) -> None:
        """Start and transfer at the rate of the first cell, and the price of waiting."""
        if self._extra is not None:
            costs += self._extra * rate
        if self._task.job.price_of_waiting_g_per_hour:
            costs += (starts - self._task.release) * (self._task.job.price_of_waiting_g_per_hour / HOUR_SECONDS)


def _first_within(starts: FloatArray, costs: FloatArray, most: float) -> tuple[int, float]:
    """The first choice with a start that costs at most `most`, and its earliest such start."""
    choice, position = divmod(int(np.argmax(costs <= most)), len(starts))
    return choice, float(starts[position])


def _counted(short: NDArray[np.bool_]) -> IntArray:
    """How many cells before each one are short of GPUs, by site."""
    before = np.zeros((len(short), short.shape[1] + 1), dtype=np.int64)
    np.cumsum(short, axis=1, out=before[:, 1:])
    return before
