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
Span = tuple[Cells, Seconds]  # whole cells and seconds left over
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
        self._weigh(task, choices)
        self._measure(choices)

    @cached_property
    def _rate(self) -> FloatArray:
        return self._terrain.rate[:, self._low : self._after].take(self._sites, axis=0)

    def _measure(self, choices: Sequence[Choice]) -> None:
        """Durations, start-up included: numbers where they are the same everywhere, columns where not."""
        durations = [choice.startup + choice.work for choice in choices]
        self._shortest, self._is_even = min(durations), durations.count(durations[0]) == len(durations)
        if self._more:
            self._is_even &= self._startups.count(self._startups[0]) == len(choices)
            self._least_work = min([choice.work for choice in choices])
        self._duration: Seconds = durations[0] if self._is_even else self._each(durations)
        self._span = self._in_cells(self._duration)

    def _each(self, values: list[float]) -> Seconds:
        return values[0] if self._is_even else np.array(values)[:, None]

    def _in_cells(self, seconds: Seconds) -> Span:
        step = self._terrain.step
        if isinstance(seconds, float):
            whole, rest = divmod(seconds + EDGE_TOLERANCE_SECONDS, step)
            return int(whole), rest - EDGE_TOLERANCE_SECONDS if rest > 2 * EDGE_TOLERANCE_SECONDS else 0.0
        columns = np.divmod(seconds + EDGE_TOLERANCE_SECONDS, step)
        is_more = columns[1] > 2 * EDGE_TOLERANCE_SECONDS
        return columns[0].astype(np.int64), np.where(is_more, columns[1] - EDGE_TOLERANCE_SECONDS, 0.0)

    def _weigh(self, task: Task, choices: Sequence[Choice]) -> None:
        """What costs are made of besides the rates of the hours, by choice: kilowatts, kilowatts more in the start-up, kWh at once."""
        self._power = [choice.power for choice in choices]
        extra = [choice.fresh_kwh + choice.once_kwh for choice in choices]
        self._has_extra = any(extra)
        self._once = extra
        self._more: list[float] = []
        if self._has_extra and any(choice.startup for choice in choices):
            self._startups = [choice.startup for choice in choices]
            starts = list(zip(extra, self._startups, strict=True))
            self._more = [kwh * HOUR_SECONDS / startup if startup else 0.0 for kwh, startup in starts]
            self._once = [0.0 if startup else kwh for kwh, startup in starts]
        self._waiting = task.job.price_of_waiting_g_per_hour / HOUR_SECONDS
        self._since = [choice.startup / 2 - task.release for choice in choices] if self._waiting else []
        self._is_plain = not self._waiting and not self._has_extra and self._power.count(self._power[0]) == len(choices)

    def at_once(self) -> list[Single]:
        """The windows that begin at release."""
        return self._one_each(self._release, self._release + self._duration)

    def all(self) -> tuple[list[Single], list[Run]]:
        """Starts that hold the optimum: both ends of the window, all that put their start, their end, or the end of their start-up
        on an edge between, the last only where starting draws other power than work."""
        terrain, latest = self._terrain, self._due - self._shortest
        first, last = self._low, terrain.cell(latest)
        singles: list[Single] = []
        if not self._is_on_edge(self._release, first):
            first += 1
            singles += self.at_once()
        if not self._is_even or not self._is_on_edge(latest, last):
            singles += self._one_each(self._due - self._duration, self._due)
        runs = [self._from_edges(first, last + 1)] if first <= last else []
        if not self._is_even or self._span[1]:
            first, last = terrain.cell(self._release + self._shortest) + 1, terrain.edge_before(self._due)
            if first <= last:
                runs.append(self._to_edges(first, last + 1))
        if self._more:
            first = terrain.cell(self._release + min(self._startups)) + 1
            last = terrain.edge_before(self._due - self._least_work)
            if first <= last:
                runs.append(self._around_edges(first, last + 1))
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
                    cost = cost * self._power[row] + self._extra(row, starts[row], begins[row])
                singles.append((cost, row, starts[row]))
        return singles

    def _extra(self, row: int, start: float, place: Place) -> float:
        """Grams of one start besides work, with the price of waiting."""
        begin, before = place
        grams = self._once[row] * self._rate.item(row, begin)
        if self._more:
            warm, upto = self._place(start + self._startups[row])
            at_start = self._paid.item(row, begin) + self._rate.item(row, begin) * before
            grams += self._more[row] * (self._paid.item(row, warm) + self._rate.item(row, warm) * upto - at_start)
        return grams + (start + self._since[row]) * self._waiting if self._waiting else grams

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
        edges, starts = slice(first - self._low, after - self._low), self._terrain.edges[None, first:after]
        begin = self._paid[:, edges]
        costs = self._paid_after(edges, self._span) - begin
        if not self._is_plain:
            more = self._paid_after(edges, self._in_cells(self._each(self._startups))) - begin if self._more else begin
            self._add_weights(costs, starts, more, self._rate[:, edges])
        return self._masked(starts, costs, edges, 0, self._span[0] + (self._span[1] > 0))

    def _to_edges(self, first: int, after: int) -> Run:
        """Windows that end at the edges [first, after)."""
        edges, starts = slice(first - self._low, after - self._low), self._terrain.edges[None, first:after] - self._duration
        begin, earlier = self._paid_before(edges, self._span), -self._span[0] - (self._span[1] > 0)
        costs = self._paid[:, edges] - begin
        if not self._is_plain:
            more = self._paid_before(edges, self._in_cells(self._duration - self._each(self._startups))) - begin if self._more else begin
            self._add_weights(costs, starts, more, self._shifted(self._rate, edges, earlier))
        return self._masked(starts, costs, edges, earlier, 0)

    def _around_edges(self, first: int, after: int) -> Run:
        """Windows whose start-up ends at the edges [first, after)."""
        seconds = self._each(self._startups)
        edges, starts = slice(first - self._low, after - self._low), self._terrain.edges[None, first:after] - seconds
        startup, work = self._in_cells(seconds), self._in_cells(self._duration - seconds)
        begin, earlier = self._paid_before(edges, startup), -startup[0] - (startup[1] > 0)
        costs = self._paid_after(edges, work) - begin
        self._add_weights(costs, starts, self._paid[:, edges] - begin, self._shifted(self._rate, edges, earlier))
        return self._masked(starts, costs, edges, earlier, work[0] + (work[1] > 0))

    def _paid_after(self, edges: slice, span: Span) -> FloatArray:
        """Grams per kilowatt from the first cell on until so long after these edges."""
        whole, rest = span
        paid = self._shifted(self._paid, edges, whole)
        return paid + self._shifted(self._rate, edges, whole) * (rest / HOUR_SECONDS) if not self._is_even or rest else paid

    def _paid_before(self, edges: slice, span: Span) -> FloatArray:
        """The same until so long before these edges. Counted back from them: the first cell of the grid may be a short one."""
        whole, rest = span
        paid = self._shifted(self._paid, edges, -whole)
        return paid - self._shifted(self._rate, edges, -1 - whole) * (rest / HOUR_SECONDS) if not self._is_even or rest else paid

    def _masked(self, starts: FloatArray, costs: FloatArray, edges: slice, begin: Cells, after: Cells) -> Run:
        """Infinite costs for windows outside release and due, and where GPUs are short in cells [begin, after), counted from the edges."""
        if self._short is not None:
            np.putmask(costs, self._shifted(self._short, edges, after) > self._shifted(self._short, edges, begin), np.inf)
        if not self._is_even:
            early = starts < self._release - EDGE_TOLERANCE_SECONDS
            np.putmask(costs, early | (starts > self._due - self._duration + EDGE_TOLERANCE_SECONDS), np.inf)
        return starts, costs

    @staticmethod
    def _shifted(values: NDArray[Value], cells: slice, by: Cells) -> NDArray[Value]:
        """The columns `by` cells later than `cells`; where each choice has its own shift, those outside are the nearest there is."""
        if isinstance(by, int):
            return values[:, cells.start + by : cells.stop + by]
        column = np.clip(np.arange(cells.start, cells.stop) + by, 0, values.shape[1] - 1)
        shifted: NDArray[Value] = values.take(column + np.arange(len(values))[:, None] * values.shape[1])
        return shifted

    def _add_weights(self, costs: FloatArray, starts: FloatArray, startup: FloatArray, begin_rate: FloatArray) -> None:
        """Power; what starts draw beside it, spread over the start-up or at the rate of the first cell; the price of waiting."""
        costs *= np.array(self._power)[:, None]
        if self._has_extra:
            costs += np.array(self._once)[:, None] * begin_rate
        if self._more:
            costs += np.array(self._more)[:, None] * startup
        if self._waiting:
            costs += (starts + np.array(self._since)[:, None]) * self._waiting


def _counted(short: NDArray[np.bool_]) -> IntArray:
    """How many cells before each one are short of GPUs, by site."""
    before = np.zeros((len(short), short.shape[1] + 1), dtype=np.int64)
    before[:, 1:] = short
    # Only differences within a row are ever looked at, so one sum may run through all rows: far quicker than one for each.
    np.add.accumulate(before.ravel(), out=before.ravel())
    return before
