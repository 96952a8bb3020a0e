"""The best offer for a lone job at a glance: most windows are provably as good as anything with pauses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from daemon.domain.plan import IntArray, Mode
from daemon.planner.fares import Shortage
from daemon.planner.lanes import FULL
from daemon.planner.offers import best_offer
from daemon.planner.task import Choice, Offer, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, TIE_SHARE, Terrain
from daemon.planner.windows import best_window, cheapest
from forecast.intensity import FloatArray


def quick_offer(task: Task, terrain: Terrain, shortage: Shortage, release: float, due: float) -> Offer | None:
    """What `best_offer` answers, sooner where a window already costs no more than any placement could."""
    free = shortage.free
    if task.running >= 0:
        return best_offer(task, terrain, free, release, due)
    window = best_window(task, terrain, shortage, release, due)
    if task.job.mode is Mode.CONTIGUOUS:
        return window
    if window is None:
        return best_offer(task, terrain, free, release, due)
    if _is_unbeatable(window, _flat_grams(task, terrain, release, due)):
        return window
    hopeful = _hopeful(task, window, terrain, free, release, due)
    if not hopeful:
        return window
    return cheapest([window, best_offer(replace(task, choices=hopeful), terrain, free, release, due)])


def _hopeful(task: Task, window: Offer, terrain: Terrain, free: IntArray, release: float, due: float) -> tuple[Choice, ...]:
    """The sites where pieces might cost less than the window; divisible work may use all of them together or none."""
    if task.job.mode is Mode.DIVISIBLE:
        return () if _is_unbeatable(window, least_grams(task, terrain, free, release, due)) else task.choices
    alone = ((choice, replace(task, choices=(choice,))) for choice in task.choices)
    return tuple(choice for choice, one in alone if not _is_unbeatable(window, least_grams(one, terrain, free, release, due)))


def _is_unbeatable(window: Offer, least: float) -> bool:
    return window.score <= least * (1 + TIE_SHARE)


def _flat_grams(task: Task, terrain: Terrain, release: float, due: float) -> float:
    """A lower bound that looks only at each site's lowest rate: as if every hour were its cleanest."""
    first, last = terrain.cell(release), terrain.cell_after(min(due, terrain.end))
    if last <= first:
        return float("inf")
    rate = terrain.rate.take([choice.site for choice in task.choices], axis=0)[:, first:last]
    lowest: list[float] = rate.min(axis=1).tolist()
    starts = [_least_start(*one) for one in zip(task.choices, lowest, strict=True)]
    return min(low * choice.power * choice.work for choice, low in zip(task.choices, lowest, strict=True)) / HOUR_SECONDS + min(starts)


def least_grams(task: Task, terrain: Terrain, free: IntArray, release: float, due: float) -> float:
    """A lower bound on the emissions of every placement of a job that does not run yet, in grams.

    All of the work in the cheapest open cells, one start and one transfer at the cheapest rate; infinite where the open
    cells hold less than the work.
    """
    first, last = terrain.cell(release), terrain.cell_after(min(due, terrain.end))
    if last <= first or due <= release + EDGE_TOLERANCE_SECONDS:
        return float("inf")
    seconds = np.minimum(terrain.edges[first + 1 : last + 1], due) - np.maximum(terrain.edges[first:last], release)
    costs: list[FloatArray] = []
    shares: list[FloatArray] = []
    starts: list[float] = []
    for choice in task.choices:
        rate = terrain.rate[choice.site, first:last]
        lanes = np.clip(free[choice.site, first:last] // task.gpus, 0, task.width)
        costs.append(rate * (choice.power * choice.work / HOUR_SECONDS))
        shares.append(lanes * seconds / choice.work)
        starts.append(_least_start(choice, float(rate.min())))
    if task.job.mode is Mode.DIVISIBLE:
        return _cheapest_work(np.concatenate(costs), np.concatenate(shares)) + min(starts)
    return min(_cheapest_work(cost, share) + start for cost, share, start in zip(costs, shares, starts, strict=True))


def _least_start(choice: Choice, lowest: float) -> float:
    """Grams that a start costs at least, transfer included: all it draws at the lowest rate."""
    return (choice.power * choice.startup / HOUR_SECONDS + choice.fresh_kwh + choice.once_kwh) * lowest


def _cheapest_work(cost: FloatArray, share: FloatArray) -> float:
    """The least cost of the whole work: `cost` of all of it at the rate of each cell, `share` that fits into the cell."""
    order = np.argsort(cost)
    done = np.minimum(np.cumsum(share[order]), 1.0)
    if done[-1] < FULL:
        return float("inf")
    return float(np.dot(cost[order], np.diff(done, prepend=0.0)))
