"""Trading places: a new job and a few in its way are taken out together and put back, the hungriest first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.field import Field, Held, grams_of
from daemon.planner.offers import best_offer
from daemon.planner.room import placed_all
from daemon.planner.terrain import TIE_SHARE, Terrain

RIVALS = 3  # jobs that a new one trades with at once
TRADES = 2  # such trades per arrival
ROOM_TRIES = 8  # groups that are asked to make room for one job


def trade(field: Field, held: Held, now: float, keep: float = 0.0) -> None:
    """Take the new job and a few in its way out, put them back by power: the hungriest deserve the cleanest hours.

    The gain must be more than the share `keep` of what others emitted that move for it.
    """
    rivals = _rivals(field, held, now)
    for first in range(0, min(len(rivals), RIVALS * TRADES), RIVALS):
        _trade_with(field, [held, *rivals[first : first + RIVALS]], now, keep)


def _trade_with(field: Field, group: list[Held], now: float, keep: float) -> None:
    before = {one.id: one.rest(now) for one in group}
    tasks = {one.id: field.take_ahead(one, now) for one in group}
    grams = {one.id: grams_of(before[one.id], field.terrain) for one in group}
    order = sorted(group, key=lambda one: (-one.task.choices[0].power / one.task.gpus, one.task.due))
    if placed_all(field, order, tasks, now, best_offer):
        gain = sum(grams.values()) - sum(grams_of(one.ahead, field.terrain) for one in group)
        disturbed = sum(grams[one.id] for one in group[1:] if one.ahead != before[one.id])
        if gain > TIE_SHARE * sum(grams.values()) + keep * disturbed:
            return
        for one in group:
            field.take_ahead(one, now)
    for one in group:
        field.hold(one, before[one.id])


def room_by_trade(field: Field, held: Held, now: float) -> bool:
    """Place a job that found no room in time by moving as few as it takes, those with the most slack first; False if a few do not do."""
    rivals = _rivals(field, held, now)
    for first in range(0, min(len(rivals), RIVALS * ROOM_TRIES), RIVALS):
        group = rivals[first : first + RIVALS]
        before = {one.id: one.rest(now) for one in group}
        tasks = {one.id: field.take_ahead(one, now) for one in group} | {held.id: held.task}
        if placed_all(field, [held, *sorted(group, key=lambda one: (one.task.due, one.id))], tasks, now, best_offer):
            return True
        for one in group:
            field.hold(one, before[one.id])
    return False


def _rivals(field: Field, held: Held, now: float) -> list[Held]:
    """Movable jobs in full hours that are cleaner than the dirtiest the new job got, those with the most slack first.

    For a job that got none, all full hours count.
    """
    terrain, task, dearest = field.terrain, held.task, 0.0 if held.ahead else np.inf
    for piece in held.ahead:
        cells = slice(terrain.cell(piece.start), terrain.cell_after(piece.end))
        dearest = max(dearest, float(terrain.rate[piece.choice.site, cells].max()))
    first, last = terrain.cell(max(now, task.release)), terrain.cell_after(min(task.due, terrain.end))
    wished = {c.site: (field.free[c.site, first:last] < task.gpus) & (terrain.rate[c.site, first:last] < dearest) for c in task.choices}
    by_site = {site: np.flatnonzero(wish) + first for site, wish in wished.items() if wish.any()}
    if not by_site:
        return []
    rivals = [other for other in field.live.values() if other is not held and other.is_movable(now) and _is_in(terrain, other, by_site)]
    return sorted(rivals, key=lambda other: (-other.task.latest_start, other.id))


def _is_in(terrain: Terrain, held: Held, cells: Mapping[int, IntArray]) -> bool:
    """Whether the job holds any of these cells, which are in order."""
    for piece in held.ahead:
        wished = cells.get(piece.choice.site)
        if wished is not None:
            after = int(np.searchsorted(wished, terrain.cell(piece.start)))
            if after < len(wished) and wished[after] < terrain.cell_after(piece.end):
                return True
    return False
