"""What the unbroken windows of one job cost on all of its sites: few array operations, since each takes about a microsecond."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain
from forecast.intensity import FloatArray

Value = TypeVar("Value", bound=np.generic)
Cells = int | IntArray  # of each choice: a number where it is the same for all, else a column
Seconds = float | FloatArray
Place = tuple[int, float]  # a cell, counted from the first, and the hours of it that have passed
Single = tuple[float, int, float]  # what one window costs, its choice, its start
Run = tuple[FloatArray, FloatArray]  # starts, [choice or 0, start], and what their windows cost, [choice, start]


class Shortage:
    """Where GPUs are short in free capacity that changes no more, counted once for each number of GPUs asked for."""

    def __init__(self, free: IntArray) -> None:
        self.free = free
        self._before: dict[int, IntArray] = {}

    def before(self, gpus: int) -> IntArray:
        """How many cells before each one have fewer than `gpus` free, by site."""
        if gpus not in self._before:
            self._before[gpus] = _counted(self.free < gpus)
        return self._before[gpus]


class Fares:
    """Windows of one job between release and due, which are far enough apart for it on each of `choices`.

    Costs are grams with the price of waiting, infinite where GPUs are short; per kilowatt where all sites draw the same
    power and nothing else is paid.
    """

    def __init__(
        self, task: Task, choices: Sequence[Choice], terrain: Terrain, free: IntArray | Shortage, release: float, due: float
    ) -> None:
        self._terrain, self._release, self._due = terrain, release, due
        self._low, self._after = low, after = terrain.cell(release), terrain.cell_after(due)
        self._sites = sites = np.array([choice.site for choice in choices])
        self._paid = terrain.paid[:, low : after + 1].take(sites, axis=0)
        self._short: IntArray | None = None
        if isinstance(free, Shortage):
            self._short = free.before(task.gpus)[:, low : after + 1].take(sites, axis=0)
        else:
            short = free[:, low:after].take(sites, axis=0) < task.gpus
            self._short = _counted(short) if short.item(short.argmax()) else None
        self._measure([choice.startup + choice.work for choice in choices])
        self._weigh(task, choices)

    @cached_property
    def _rate(self) -> FloatArray:
        return self._terrain.rate[:, self._low : self._after].take(self._sites, axis=0)

    def _measure(self, durations: list[float]) -> None:
        """Durations as whole cells and seconds left over: numbers where they are the same everywhere, columns where not."""
        step = self._terrain.step
        self._shortest, self._is_even = min(durations), durations.count(durations[0]) == len(durations)
        whole, rest = divmod(self._shortest + EDGE_TOLERANCE_SECONDS, step)
        self._duration: Seconds = self._shortest
        self._whole: Cells = int(whole)
        self._rest: Seconds = max(rest - EDGE_TOLERANCE_SECONDS, 0.0) if rest > 2 * EDGE_TOLERANCE_SECONDS else 0.0
        if not self._is_even:
            self._duration = np.array(durations)[:, None]
            columns = np.divmod(self._duration + EDGE_TOLERANCE_SECONDS, step)
            self._whole = columns[0].astype(np.int64)
            self._rest = np.where(columns[1] > 2 * EDGE_TOLERANCE_SECONDS, columns[1] - EDGE_TOLERANCE_SECONDS, 0.0)

    def _weigh(self, task: Task, choices: Sequence[Choice]) -> None:
        """What costs are made of besides the rates of the hours, by choice."""
        self._power = [choice.power for choice in choices]
        self._once = [choice.fresh_kwh + choice.once_kwh for choice in choices]
        self._waiting = task.job.price_of_waiting_g_per_hour / HOUR_SECONDS
        self._since = [choice.startup / 2 - task.release for choice in choices] if self._waiting else []
        self._is_plain = not self._waiting and not any(self._once) and self._power.count(self._power[0]) == len(choices)

    def at_once(self) -> list[Single]:
        """The windows that begin at release."""
        return self._one_each(self._release, self._release + self._duration)

    def all(self) -> tuple[list[Single], list[Run]]:
        """Starts that hold the optimum: both ends of the window, all on edges between, all whose windows end on edges."""
        terrain, latest = self._terrain, self._due - self._shortest
        first, last = self._low, terrain.cell(latest)
        singles: list[Single] = []
        if not self._is_on_edge(self._release, first):
            first += 1
            singles += self.at_once()
        if not self._is_even or not self._is_on_edge(latest, last):
            singles += self._one_each(self._due - self._duration, self._due)
        runs = [self._from_edges(first, last + 1)] if first <= last else []
        if not self._is_even or self._rest:
            first, last = terrain.cell(self._release + self._shortest) + 1, terrain.edge_before(self._due)
            if first <= last:
                runs.append(self._to_edges(first, last + 1))
        return singles, runs

    def _is_on_edge(self, x: float, edge: int) -> bool:
        """Whether `x` is this edge and all cells from it on are of one length."""
        terrain = self._terrain
        is_regular = edge > 0 or terrain.first_edge == terrain.step
        return is_regular and abs(terrain.edges.item(edge) - x) <= EDGE_TOLERANCE_SECONDS

    def _one_each(self, start: Seconds, end: Seconds) -> list[Single]:
        """One window of each choice, added up in plain numbers: for so few they are quicker than arrays."""
        starts, begins = self._places(start)
        _, finals = self._places(end)
        paid, rate, short = self._paid, self._rate, self._short
        singles: list[Single] = []
        for row, ((begin, before), (final, upto)) in enumerate(zip(begins, finals, strict=True)):
            if short is None or short.item(row, final + (upto > 0.0)) == short.item(row, begin):
                cost = paid.item(row, final) + rate.item(row, final) * upto - paid.item(row, begin) - rate.item(row, begin) * before
                if not self._is_plain:
                    cost = cost * self._power[row] + self._once[row] * rate.item(row, begin)
                if self._waiting:
                    cost += (starts[row] + self._since[row]) * self._waiting
                singles.append((cost, row, starts[row]))
        return singles

    def _places(self, x: Seconds) -> tuple[list[float], list[Place]]:
        """The instants of all choices, and where they lie."""
        if isinstance(x, float):
            return [x] * len(self._paid), [self._place(x)] * len(self._paid)
        instants: list[float] = x[:, 0].tolist()
        return instants, [self._place(one) for one in instants]

    def _place(self, x: float) -> Place:
        cell = min(self._terrain.cell(x), self._after - 1)
        passed = x - self._terrain.edges.item(cell)
        return cell - self._low, passed / HOUR_SECONDS if passed > EDGE_TOLERANCE_SECONDS else 0.0

    def _from_edges(self, first: int, after: int) -> Run:
        """Windows that start at the edges [first, after)."""
        begin, starts = slice(first - self._low, after - self._low), self._terrain.edges[None, first:after]
        costs = self._shifted(self._paid, begin, self._whole) - self._paid[:, begin]
        if not self._is_even or self._rest:
            costs += self._shifted(self._rate, begin, self._whole) * (self._rest / HOUR_SECONDS)
        if not self._is_plain:
            self._add_weights(costs, self._rate[:, begin], starts)
        if self._short is not None:
            reach = self._whole + (self._rest > 0)
            np.putmask(costs, self._shifted(self._short, begin, reach) > self._short[:, begin], np.inf)
        if not self._is_even:
            np.putmask(costs, starts > self._due - self._duration + EDGE_TOLERANCE_SECONDS, np.inf)
        return starts, costs

    def _to_edges(self, first: int, after: int) -> Run:
        """Windows that end at the edges [first, after), where that is not what those do that start on edges."""
        end, starts = slice(first - self._low, after - self._low), self._terrain.edges[None, first:after] - self._duration
        begin_rate = self._shifted(self._rate, end, -1 - self._whole)
        costs = self._paid[:, end] - self._shifted(self._paid, end, -self._whole) + begin_rate * (self._rest / HOUR_SECONDS)
        if not self._is_plain:
            self._add_weights(costs, begin_rate, starts)
        if self._short is not None:
            np.putmask(costs, self._short[:, end] > self._shifted(self._short, end, -1 - self._whole), np.inf)
        if not self._is_even:
            np.putmask(costs, (starts < self._release) | (self._rest == 0), np.inf)
        return starts, costs

    @staticmethod
    def _shifted(values: NDArray[Value], cells: slice, by: Cells) -> NDArray[Value]:
        """The columns `by` cells later than `cells`; where each choice has its own shift, those outside are the nearest there is."""
        if isinstance(by, int):
            return values[:, cells.start + by : cells.stop + by]
        column = np.clip(np.arange(cells.start, cells.stop) + by, 0, values.shape[1] - 1)
        shifted: NDArray[Value] = values.take(column + np.arange(len(values))[:, None] * values.shape[1])
        return shifted

    def _add_weights(self, costs: FloatArray, begin_rate: FloatArray, starts: FloatArray) -> None:
        """Power, what is paid once at the rate of the first cell, and the price of waiting."""
        costs *= np.array(self._power)[:, None]
        costs += np.array(self._once)[:, None] * begin_rate
        if self._waiting:
            costs += (starts + np.array(self._since)[:, None]) * self._waiting


def _counted(short: NDArray[np.bool_]) -> IntArray:
    """How many cells before each one are short of GPUs, by site."""
    before = np.zeros((len(short), short.shape[1] + 1), dtype=np.int64)
    before[:, 1:] = short
    # Only differences within a row are ever looked at, so one sum may run through all rows: far quicker than one for each.
    np.add.accumulate(before.ravel(), out=before.ravel())
    return before
