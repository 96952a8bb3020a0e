"""Ruin and recreate for unbroken jobs: take a few jobs out around a place one of them would like, put them back cheaper.

(Schrimpf et al. 2000.) Works on the rows of Columns only. Jobs are put back at prices or at true cost, in turn: prices
keep scarce hours for those who need them most. Steps are counted, never timed: same input, same answer.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice, pairwise
from random import Random
from typing import cast

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.bits import BitShelf, span
from daemon.planner.columns import Columns
from daemon.planner.prices import Market, Prices
from forecast.intensity import FloatArray

Test = tuple[int, int, int]  # site, cells that must be free, row

NOWHERE = -1
FIRST_THRESHOLD = 0.5  # worsening accepted at first, as a share of the mean cost of a job; falls to 0
MOST_RUINED = 10
SEEDS_AT_ONCE = 256  # seeds drawn from one look at who sits how badly
WISH_RATE = 0.25  # a wish at prices is among the first four rows on average
HEAD = 48  # rows of a job that are nearly always enough to find a free one
MOST_TAILS = 2000  # jobs of which all rows are kept ready: about 50 MB
TARGET_ROWS = 40  # a seed's wish is among this many of its cheapest rows
ORDER_NOISE = 0.6  # jobs are put back by size, times a factor up to this much apart


class Preference:
    """The rows of every job in one order. The first of each are kept ready as masks of cells; the rest are looked up when needed."""

    def __init__(self, rows: IntArray, columns: Columns, masks: list[int]) -> None:
        self._rows, self._masks = rows, masks
        self._bounds: list[int] = columns.first.tolist()
        self._site = columns.site
        self.head: list[list[Test]] = [self._tests(a, min(b, a + HEAD)) for a, b in pairwise(self._bounds)]
        self._tails: dict[int, list[Test]] = {}

    def tail(self, job: int) -> list[Test]:
        """What the head leaves out; kept for the next time while memory allows."""
        tail = self._tails.get(job)
        if tail is None:
            first, last = self._bounds[job], self._bounds[job + 1]
            tail = self._tests(first + HEAD, last) if last - first > HEAD else []
            if len(self._tails) < MOST_TAILS:
                self._tails[job] = tail
        return tail

    def row(self, job: int, position: int) -> int:
        """The job's row at this position, or its last one."""
        return int(self._rows[min(self._bounds[job] + position, self._bounds[job + 1] - 1)])

    def _tests(self, first: int, last: int) -> list[Test]:
        """(site, cells, row) of the rows at these places in the order."""
        rows = self._rows[first:last]
        masks = self._masks
        return [(site, masks[row], row) for site, row in zip(self._site[rows].tolist(), rows.tolist(), strict=True)]


class Board:
    """Which row every job takes and what is free."""

    def __init__(self, columns: Columns, free: IntArray) -> None:
        self.columns = columns
        self.gpus = [task.gpus for task in columns.tasks]
        self.masks = _masks(columns, free.shape[1])
        self._sites: list[int] = columns.site.tolist()
        self._shelves = [BitShelf(row, max(1, sum(self.gpus))) for row in free]
        self._short: dict[int, list[int | None]] = {gpus: [None] * len(free) for gpus in set(self.gpus)}
        self._short_lists = list(self._short.values())
        self.row = np.full(len(columns.tasks), NOWHERE, dtype=np.int64)
        self._low = np.zeros(len(columns.tasks), dtype=np.int64)
        self._high = np.zeros(len(columns.tasks), dtype=np.int64)

    def cheapest(self, job: int, preference: Preference, count: int | None = None) -> int:
        """The job's first row, of all or of `count`, in the order of preference, whose GPUs are free; NOWHERE if there is none."""
        short = self._short_of(self.gpus[job])
        for site, cells, row in islice(preference.head[job], count):
            if not short[site] & cells:
                return row
        if count is None or count > HEAD:
            for site, cells, row in islice(preference.tail(job), None if count is None else count - HEAD):
                if not short[site] & cells:
                    return row
        return NOWHERE

    def _short_of(self, gpus: int) -> list[int]:
        """The cells of every site that have too few GPUs free, brought up to date where something changed."""
        short = self._short[gpus]
        while None in short:
            site = short.index(None)
            short[site] = self._shelves[site].short_of(gpus)
        return cast("list[int]", short)

    def _touch(self, site: int) -> None:
        for short in self._short_lists:
            short[site] = None

    def put(self, job: int, row: int) -> None:
        site = self._sites[row]
        self._shelves[site].take(self.gpus[job], self.masks[row])
        self._touch(site)
        self.row[job], self._low[job], self._high[job] = row, self.columns.low[row], self.columns.high[row]

    def take_out(self, job: int) -> int:
        """The row the job gave up."""
        row = int(self.row[job])
        site = self._sites[row]
        self._shelves[site].give(self.gpus[job], self.masks[row])
        self._touch(site)
        self.row[job], self._high[job], self._low[job] = NOWHERE, 0, 0
        return row

    def neighbours(self, row: int) -> list[int]:
        """Jobs that hold GPUs in any of the cells of this row."""
        low, high = self.columns.low[row], self.columns.high[row]
        found: list[int] = np.flatnonzero((self._low < high) & (self._high > low)).tolist()
        return found

    def clear(self) -> None:
        for job in np.flatnonzero(self.row != NOWHERE).tolist():
            self.take_out(job)

    def total(self) -> float:
        return float(self.columns.cost[self.row].sum())


def _masks(columns: Columns, cells: int) -> list[int]:
    """The cells of each row within its site; rows over the same cells share one integer."""
    low, high = columns.low - columns.site * cells, columns.high - columns.site * cells
    codes, inverse = np.unique(low * (cells + 1) + high, return_inverse=True)
    shared = np.empty(len(codes), dtype=object)
    shared[:] = [span(*divmod(int(code), cells + 1)) for code in codes]
    masks: list[int] = shared[inverse].tolist()
    return masks


class Search:
    """Improves a full assignment of rows. `reduced` is what a row costs above its job's best at the prices."""

    def __init__(self, board: Board, market: Market, prices: Prices, seed: int) -> None:
        columns = board.columns
        charges = market.charges(prices.grams, slice(None))
        least = np.minimum.reduceat(charges, columns.first[:-1])
        most = np.maximum.reduceat(charges, columns.first[:-1])
        self.reduced: FloatArray = charges - least[columns.job]
        share = self.reduced / np.maximum(most - least, 1e-9)[columns.job]
        self.board, self._random = board, Random(seed)
        self.by_cost = Preference(np.arange(len(columns.cost)), columns, board.masks)
        self.by_price = Preference(np.argsort(columns.job + 0.9 * share), columns, board.masks)
        self.size: list[float] = market.weight[columns.first[:-1]].tolist()
        self._cost: list[float] = columns.cost.tolist()
        self._first: list[int] = columns.first.tolist()
        self._least: list[float] = columns.cost[columns.first[:-1]].tolist()

    def by_size(self) -> list[int]:
        """All jobs, the largest first: they fit nowhere once the small ones are spread."""
        return sorted(range(len(self.size)), key=lambda job: (-self.size[job], job))

    def fill(self, order: list[int]) -> list[int]:
        """Place the jobs in this order, each at its best at prices; those that found no room."""
        homeless = []
        for job in order:
            row = self.board.cheapest(job, self.by_price)
            if row == NOWHERE:
                homeless.append(job)
            else:
                self.board.put(job, row)
        return homeless

    def polish(self) -> bool:
        """One round of putting each job at its cheapest free row, those that would gain most first; whether any moved."""
        placed = np.flatnonzero(self.board.row >= 0)
        regret = self.board.columns.cost[self.board.row[placed]] - self.board.columns.cost[self.board.columns.first[placed]]
        moved = False
        for job in placed[np.argsort(-regret, kind="stable")].tolist():
            before = self.board.take_out(job)
            row = self.board.cheapest(job, self.by_cost)
            self.board.put(job, row)
            moved |= row != before
        return moved

    def run(self, steps: int) -> None:
        """Take that many steps and leave the board at the best assignment seen. Jobs that have no row stay out."""
        current = best = self.board.total()
        best_rows = self.board.row.copy()
        threshold = FIRST_THRESHOLD * current / max(1, len(best_rows))
        seeds: list[int] = []
        for step in range(steps):
            if not seeds:
                seeds = self._seeds()
            left = 1.0 - step / steps
            current += self._step(seeds.pop(), threshold * left * left)
            if current < best - 1e-9:
                best, best_rows = current, self.board.row.copy()
        self._restore(best_rows)

    def _seeds(self) -> list[int]:
        """Jobs drawn by how much their row costs above their best at prices."""
        weight = np.cumsum(self.reduced[self.board.row] + 1e-9)
        draws = [self._random.random() * float(weight[-1]) for _ in range(SEEDS_AT_ONCE)]
        seeds: list[int] = np.searchsorted(weight, draws).tolist()
        return seeds

    def _step(self, seed: int, threshold: float) -> float:
        """Ruin around a wish of `seed` and recreate; what the total changed by."""
        board, random, cost = self.board, self._random, self._cost
        wish = self._wish(seed)
        if wish == NOWHERE:
            return 0.0
        out = self._ruined(seed, board.neighbours(wish))
        old = [board.take_out(job) for job in out]
        preference = self.by_price if random.random() < 0.5 else self.by_cost
        # What is put back costs at least each job's cheapest row: hopeless steps end early.
        change = sum(self._least[job] for job in out) - sum(cost[row] for row in old)
        done: list[int] = []
        for job in self._order(out):
            row = board.cheapest(job, preference, self._worth_trying(job, threshold - change) if preference is self.by_cost else None)
            change += cost[row] - self._least[job]
            if row == NOWHERE or change > threshold:
                break
            board.put(job, row)
            done.append(job)
        if len(done) == len(out):
            return change
        for job in done:
            board.take_out(job)
        for job, row in zip(out, old, strict=True):
            board.put(job, row)
        return 0.0

    def _worth_trying(self, job: int, most: float) -> int:
        """How many of the job's rows, the cheapest first, cost at most `most` above its cheapest."""
        first = self._first[job]
        return bisect_right(self._cost, most + self._least[job], first, self._first[job + 1]) - first

    def _ruined(self, seed: int, neighbours: list[int]) -> list[int]:
        """The seed and a few of the jobs in its way."""
        others = [job for job in neighbours if job != seed]
        count, draw = min(len(others), 1 + int(self._random.random() * (MOST_RUINED - 1))), self._random.random
        for place in range(count):
            other = place + int(draw() * (len(others) - place))
            others[place], others[other] = others[other], others[place]
        return [seed, *others[:count]]

    def _wish(self, seed: int) -> int:
        """A row the seed would like better: one of its best at prices, or any of its cheaper ones."""
        if self._random.random() < 0.5:
            return self.by_price.row(seed, int(self._random.expovariate(WISH_RATE)))
        first = self._first[seed]
        cheaper = int(self.board.row[seed]) - first
        return first + self._random.randrange(min(cheaper, TARGET_ROWS)) if cheaper else NOWHERE

    def _order(self, jobs: list[int]) -> list[int]:
        """The seed first, or by size, or as drawn."""
        draw, random = self._random.random(), self._random
        if draw < 0.5:
            return sorted(jobs, key=lambda job: -self.size[job] * (1.0 + ORDER_NOISE * (random.random() - 0.5)))
        return jobs if draw < 0.8 else random.sample(jobs, len(jobs))

    def _restore(self, rows: IntArray) -> None:
        moved: list[int] = np.flatnonzero(rows != self.board.row).tolist()
        for job in moved:
            self.board.take_out(job)
        for job in moved:
            self.board.put(job, int(rows[job]))
