"""The cheapest, or the first, free hours for work that may pause at no cost: sorted cells, no search."""

from __future__ import annotations

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.task import Choice, Offer, Piece, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, HOUR_SECONDS, Terrain


def pauses_for_free(task: Task) -> bool:
    """Whether a start costs this job nothing anywhere and only its emissions count."""
    return not task.job.price_of_waiting_g_per_hour and all(c.startup == 0 and c.fresh_kwh <= 0 for c in task.choices)


def cheapest_hours(
    task: Task, choice: Choice, terrain: Terrain, free: IntArray, release: float, due: float, first_ones: bool = False
) -> Offer | None:
    """The cells of least emissions within [release, due], the earlier of equal ones; or simply the `first_ones` that are free.

    Only the last cell taken is used in part. None where the free cells do not hold the work.
    """
    due = min(due, terrain.end)
    if due <= release + EDGE_TOLERANCE_SECONDS:
        return None
    first, last = terrain.cell(release), terrain.cell_after(due)
    rate = terrain.rate[choice.site, first:last]
    open_ = np.flatnonzero(free[choice.site, first:last] >= task.gpus)
    order = open_ if first_ones else open_[np.argsort(rate[open_], kind="stable")]
    # Cells are whole but for the first and the last of the window: two more than the work fills are enough.
    order = order[: int(choice.work // terrain.step) + 3]
    seconds = np.minimum(terrain.edges[first + 1 : last + 1][order], due) - np.maximum(terrain.edges[first:last][order], release)
    done = np.cumsum(seconds)
    needed = int(np.searchsorted(done, choice.work - EDGE_TOLERANCE_SECONDS))
    if needed >= len(done):
        return None
    seconds[needed] -= done[needed] - choice.work
    grams = float(rate[order[: needed + 1]] @ seconds[: needed + 1]) * choice.power / HOUR_SECONDS
    grams += choice.once_kwh * float(rate[order[: needed + 1].min()])
    pieces = _pieces(choice, terrain, first + order[: needed + 1], float(seconds[needed]), release, due)
    return Offer(pieces, grams, grams, pieces[0].start, pieces[-1].end)


def _pieces(choice: Choice, terrain: Terrain, cells: IntArray, seconds_in_last: float, release: float, due: float) -> tuple[Piece, ...]:
    """Consecutive cells as one piece. The cell taken last is used at its start, or at its end where work follows it."""
    partial = int(cells[-1])
    cells = np.sort(cells)
    breaks = np.flatnonzero(np.diff(cells) > 1) + 1
    firsts, lasts = cells[np.concatenate(([0], breaks))], cells[np.concatenate((breaks - 1, [len(cells) - 1]))]
    pieces: list[Piece] = []
    for begin, final in zip(firsts.tolist(), lasts.tolist(), strict=True):
        start, end = max(_edge(terrain, begin), release), min(_edge(terrain, final + 1), due)
        if partial == final:
            end = max(_edge(terrain, final), release) + seconds_in_last
        elif partial == begin:
            start = min(_edge(terrain, begin + 1), due) - seconds_in_last
        elif begin < partial < final:
            middle = _edge(terrain, partial) + seconds_in_last
            pieces.append(Piece(choice, start, middle))
            start = _edge(terrain, partial + 1)
            if start - middle < EDGE_TOLERANCE_SECONDS:
                start = pieces.pop().start
        pieces.append(Piece(choice, start, end))
    return tuple(pieces)


def _edge(terrain: Terrain, index: int) -> float:
    return 0.0 if index == 0 else terrain.first_edge + (index - 1) * terrain.step
