"""Prices of GPUs per site and cell, and the proven lower bound they give (Lagrangian relaxation of capacity).

For any prices >= 0, letting every job take its cheapest start at emissions + prices, and taking off what all the
capacity would have earned, is a lower bound on the emissions of every plan that respects capacity. A plain subgradient
ascent swings: at any prices all jobs flock to the same hours. So jobs choose softly, with a temperature that falls, and
a price moves with the logarithm of its over-use, which needs no tuning to the scale of the instance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.columns import Columns
from daemon.planner.terrain import Terrain
from forecast.intensity import FloatArray

WARMEST, COLDEST = 1.0, 0.001  # temperature as a share of the mean cost of one GPU in one cell
STEP = 17.0  # price moves in temperatures per e-fold of over-use
INERTIA = 0.8  # share of the last direction kept
LARGEST_LOG = 2.0  # e-folds of over-use or idleness beyond which a price moves no faster
REACH = 14.0  # starts that cost this many temperatures more than the best are left out until the next look
SAMPLE_JOBS = 1000  # a longer queue is looked at through about so many of its jobs at first
SAMPLED_SHARE = 0.5  # of the rounds
LOOK_EVERY = 10  # rounds between two looks at all starts
LEAST_USE = 1e-3  # idle cells count as used by this share, to have a logarithm


@dataclass(frozen=True, slots=True)
class Prices:
    """Grams per GPU and full cell, [site, cell], and the bound in grams they prove for the jobs of the columns."""

    grams: FloatArray
    bound_g: float


@dataclass(frozen=True, slots=True)
class Kept:
    """Some of the rows, where each job's begin among them, and whose each is."""

    rows: IntArray
    first: IntArray
    job: IntArray


class Market:
    """The columns with what does not change while prices are sought."""

    def __init__(self, columns: Columns, terrain: Terrain, free: IntArray | FloatArray) -> None:
        self.shape = (len(terrain.sites), terrain.count + 1)
        self.capacity = np.maximum(free, 0).astype(np.float64)
        self.scale = np.maximum(self.capacity, LEAST_USE)
        self.columns = columns
        self.gpus = np.array([task.gpus for task in columns.tasks], dtype=np.float64)
        # A job holds its GPUs on the clock: cells at its ends count by the share it uses, so that the bound also
        # holds for plans that hand a GPU over within a cell.
        self.enter = _position(columns.start, columns.site, terrain)
        self.leave = _position(columns.end, columns.site, terrain)
        self.weight = self.gpus[columns.job] * np.maximum(self.leave.cells - self.enter.cells, 1e-9)
        self.unit = float(columns.cost[columns.first[:-1]].sum() / max(self.weight[columns.first[:-1]].sum(), 1e-9))

    def charges(self, prices: FloatArray, rows: IntArray | slice) -> FloatArray:
        """Emissions plus prices of the given rows."""
        prefix = np.zeros(self.shape)
        np.cumsum(prices, axis=1, out=prefix[:, 1:])
        padded = np.concatenate([prices, np.zeros((self.shape[0], 1))], axis=1).ravel()
        flat = prefix.ravel()
        held = self.leave.at(flat, padded, rows) - self.enter.at(flat, padded, rows)
        charges: FloatArray = self.columns.cost[rows] + self.gpus[self.columns.job[rows]] * held
        return charges

    def use(self, gpus: FloatArray, rows: IntArray | slice) -> FloatArray:
        """GPUs held per site and cell when each of the rows holds `gpus`."""
        size = self.shape[0] * self.shape[1]
        steps = self.enter.steps(gpus, rows, size) - self.leave.steps(gpus, rows, size)
        held: FloatArray = np.cumsum(steps.reshape(self.shape), axis=1)[:, :-1]
        return held

    def least(self, prices: FloatArray) -> float:
        """What all jobs cost together when each takes its cheapest start at these prices, capacity aside."""
        if len(self.columns.cost) == 0:
            return 0.0
        return float(np.minimum.reduceat(self.charges(prices, slice(None)), self.columns.first[:-1]).sum())


@dataclass(frozen=True, slots=True)
class _Position:
    """Instants as index of their cell in the padded [site, cell + 1] arrays and the share of it that has passed."""

    index: IntArray
    share: FloatArray
    cells: FloatArray  # whole and part cells since now
    is_even: bool  # all instants lie on edges

    def at(self, prefix: FloatArray, prices: FloatArray, rows: IntArray | slice) -> FloatArray:
        index = self.index[rows]
        if self.is_even:
            return np.asarray(prefix[index])
        return np.asarray(prefix[index] + self.share[rows] * prices[index])

    def steps(self, gpus: FloatArray, rows: IntArray | slice, size: int) -> FloatArray:
        """What entering at these instants adds to the use of each cell over the cell before."""
        index = self.index[rows]
        if self.is_even:
            return np.asarray(np.bincount(index, gpus, minlength=size), dtype=np.float64)
        late = gpus * self.share[rows]
        return np.asarray(np.bincount(index, gpus - late, minlength=size) + np.bincount(index + 1, late, minlength=size + 1)[:size])


def _position(x: FloatArray, site: IntArray, terrain: Terrain) -> _Position:
    passed = (x - terrain.first_edge) / terrain.step
    cell = np.clip(np.floor(passed + 1e-9).astype(np.int64) + 1, 0, terrain.count)
    begin = np.where(cell == 0, 0.0, terrain.first_edge + (cell - 1) * terrain.step)
    length = np.where(cell == 0, terrain.first_edge, terrain.step)
    share = np.clip((x - begin) / length, 0.0, 1.0)
    share[(share < 1e-9) | (cell == terrain.count)] = 0.0
    return _Position(site * (terrain.count + 1) + cell, share, cell + share, not share.any())


def find_prices(columns: Columns, terrain: Terrain, free: IntArray | FloatArray, rounds: int) -> Prices:
    """The best prices found in `rounds` rounds, with the bound evaluated over all starts. Every task must have rows."""
    market = Market(columns, terrain, free)
    prices = np.zeros_like(market.capacity)
    best = Prices(prices, _bound(market, prices))
    if len(columns.cost) == 0 or market.unit <= 0:
        return best
    drift = np.zeros_like(prices)
    nth = max(1, len(columns.tasks) // SAMPLE_JOBS)
    # Every n-th job in an n-th of the capacity asks about the same prices, in an n-th of the time; all jobs settle the rest.
    stage, switch = (Market(columns.every(nth), terrain, free / nth), round(SAMPLED_SHARE * rounds)) if nth > 1 else (market, 0)
    for round_ in range(rounds):
        temperature = market.unit * WARMEST * (COLDEST / WARMEST) ** (round_ / rounds)
        if round_ == switch:
            stage = market
        if round_ % LOOK_EVERY == 0 or round_ == switch:
            kept, bound = _look(stage, prices, temperature)
            best = Prices(prices, bound) if stage is market and bound > best.bound_g else best
        over = np.log(np.maximum(_soft_use(stage, prices, temperature, kept), LEAST_USE * stage.scale) / stage.scale)
        drift = INERTIA * drift + (1 - INERTIA) * np.clip(over, -LARGEST_LOG, LARGEST_LOG)
        prices = np.maximum(prices + STEP * temperature * drift, 0.0)
    bound = _bound(market, prices)
    return Prices(prices, bound) if bound > best.bound_g else best


def _look(market: Market, prices: FloatArray, temperature: float) -> tuple[Kept, float]:
    """The rows that matter at this temperature, and the bound over all rows."""
    columns = market.columns
    charges = market.charges(prices, slice(None))
    least = np.minimum.reduceat(charges, columns.first[:-1])
    bound = float(least.sum() - (prices * market.capacity).sum())
    rows = np.flatnonzero(charges - least[columns.job] <= REACH * temperature * market.weight)
    job = columns.job[rows]
    return Kept(rows, np.searchsorted(job, np.arange(len(columns.tasks))), job), bound


def _soft_use(market: Market, prices: FloatArray, temperature: float, kept: Kept) -> FloatArray:
    """GPUs held per cell when jobs spread over their starts like a gas: by exp(-charge / temperature of its size)."""
    charges = market.charges(prices, kept.rows)
    least = np.minimum.reduceat(charges, kept.first)
    share = np.exp((least[kept.job] - charges) / (temperature * market.weight[kept.rows]))
    total = np.add.reduceat(share, kept.first)
    return market.use(share * (market.gpus / total)[kept.job], kept.rows)


def _bound(market: Market, prices: FloatArray) -> float:
    return market.least(prices) - float((prices * market.capacity).sum())
