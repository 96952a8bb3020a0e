"""The proven lower bound of a plan: what its jobs would emit at least, at prices for the GPUs they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from daemon.domain.plan import Mode
from daemon.planner.bulk import has_room, in_parts, rows_of
from daemon.planner.columns import columns_of
from daemon.planner.draft import Draft
from daemon.planner.lanes import FULL
from daemon.planner.prices import Market, Prices, find_prices
from daemon.planner.task import Task
from daemon.planner.terrain import HOUR_SECONDS, Terrain
from forecast.intensity import FloatArray


def bound_of(draft: Draft) -> Prices:
    """Prices, and the lower bound in grams (price of waiting included) that they prove for every plan as punctual as this one.

    The bound is lenient: jobs that are late in the draft may be as late in it, precedence is left out, and work in pieces pays no second
    start. It holds for plans within the terrain, with one exception. Where a start takes no time, what it draws is charged at the rate of
    its moment; plans that begin a job a moment before a dearer slot for that alone are not covered.
    """
    terrain, placed = draft.terrain, list(draft.offers)
    windows = {job: (draft.tasks[job].release, max(draft.tasks[job].due, draft.offers[job].end)) for job in placed}
    unbroken = [job for job in placed if _is_unbroken(draft, job) and has_room(draft.tasks[job], *windows[job], terrain.end)]
    pausing = [job for job in placed if draft.tasks[job].job.mode is not Mode.CONTIGUOUS]
    pinned_g = sum(draft.offers[job].score for job in placed if draft.tasks[job].is_pinned)
    proven = []
    for prices in _prices(draft, {job: windows[job] for job in unbroken}, bool(pausing)):
        in_pieces = sum(least_in_pieces(draft.tasks[job], terrain, prices.grams, *windows[job]) for job in pausing)
        proven.append(Prices(prices.grams, prices.bound_g + in_pieces + pinned_g))
    return max(proven, key=lambda one: one.bound_g)


def least_of(task: Task, terrain: Terrain, prices: FloatArray) -> float:
    """What one more job adds to the bound at these prices: its least grams plus prices by its deadline; 0 where nothing fits."""
    if task.job.mode is not Mode.CONTIGUOUS:
        least = least_in_pieces(task, terrain, prices, task.release, task.due)
    else:
        least = Market(columns_of([task], terrain, [(task.release, task.due)]), terrain, terrain.free).least(prices)
    return least if least < float("inf") else 0.0


def _prices(draft: Draft, windows: Mapping[str, tuple[float, float]], others: bool) -> list[Prices]:
    """Prices worth trying, with what they prove of the unbroken jobs under the whole capacity.

    The draft's own prices do where nothing else was placed in it. Where `others` share the GPUs, they are tried beside new ones, because
    they reflect these, too.
    """
    quote, terrain = draft.quote, draft.terrain
    if quote is not None and quote.windows == windows and len(windows) == len(draft.offers):
        return [quote.prices]
    known = [] if quote is None else [quote.prices.grams]
    parts = in_parts(list(windows), [rows_of(draft.tasks[job], *window, terrain) for job, window in windows.items()])
    if len(parts) > 1:
        return _at([np.zeros(terrain.free.shape), *known], draft, windows, parts)
    columns = columns_of([draft.tasks[job] for job in windows], terrain, list(windows.values()))
    found = find_prices(columns, terrain, terrain.free, draft.options.price_rounds)
    return [found, *(_at(known, draft, windows, parts) if others and known else [])]


def _at(
    tried: Sequence[FloatArray], draft: Draft, windows: Mapping[str, tuple[float, float]], parts: Sequence[Sequence[str]]
) -> list[Prices]:
    """What each of these prices proves: any do, whatever jobs they were found for."""
    terrain = draft.terrain
    bounds = [-float((prices * np.maximum(terrain.free, 0)).sum()) for prices in tried]
    for part in parts:
        market = Market(columns_of([draft.tasks[job] for job in part], terrain, [windows[job] for job in part]), terrain, terrain.free)
        bounds = [bound + market.least(prices) for bound, prices in zip(bounds, tried, strict=True)]
    return [Prices(prices, bound) for prices, bound in zip(tried, bounds, strict=True)]


def _is_unbroken(draft: Draft, job: str) -> bool:
    return draft.tasks[job].job.mode is Mode.CONTIGUOUS and not draft.tasks[job].is_pinned


def least_in_pieces(task: Task, terrain: Terrain, prices: FloatArray, release: float, due: float) -> float:
    """The least grams plus prices of work that may be cut at will within the window, starts after the first one free."""
    begin = np.maximum(terrain.edges[:-1], release)
    seconds = np.maximum(np.minimum(terrain.edges[1:], due) - begin, 0.0)
    per_cell = np.diff(terrain.edges)
    units, shares = [], []
    for choice in task.choices:
        rent = prices[choice.site] / per_cell * task.gpus * choice.work
        units.append(terrain.rate[choice.site] * (choice.power * choice.work / HOUR_SECONDS) + rent)
        shares.append(seconds * task.width / choice.work)
    if task.job.mode is Mode.DIVISIBLE:
        return _cheapest_share(np.concatenate(units), np.concatenate(shares))
    return min(_cheapest_share(unit, share) for unit, share in zip(units, shares, strict=True))


def _cheapest_share(unit: FloatArray, share: FloatArray) -> float:
    """The cost of one whole from the cheapest cells; infinite where the cells do not add up to one."""
    order = unit.argsort()
    done = np.minimum(share[order].cumsum(), 1.0)
    if len(done) == 0 or done[-1] < FULL:
        return float("inf")
    done[1:] -= done[:-1].copy()
    return float(done @ unit[order])
