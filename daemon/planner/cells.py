"""Jobs that pause for free hold cells: which lie in their windows, which are held, and the pieces that cells make."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray
from daemon.planner.field import Field, Held
from daemon.planner.task import Choice, Piece, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain

BoolArray = NDArray[np.bool_]


@dataclass(slots=True)
class Share:
    """What a job holds: seconds in whole cells, which may be swapped, and stretches in cells cut by now or by its window."""

    seconds: float
    fixed: list[Piece]


def windows_of(field: Field, rows: IntArray, first: int, cells: IntArray) -> BoolArray:
    """Which of the cells, none before `first`, lie wholly within each job's window; [job, cell]."""
    edges = field.terrain.edges
    after = np.searchsorted(edges, field.due[rows] + EDGE_TOLERANCE_SECONDS, side="right") - 1
    before = np.maximum(np.searchsorted(edges, field.release[rows] - EDGE_TOLERANCE_SECONDS, side="left"), first)
    return np.asarray((cells >= before[:, None]) & (cells < after[:, None]))


def whole_cells(terrain: Terrain, task: Task, first: int) -> tuple[int, int]:
    """Cells [begin, after) lie wholly within the job's window, none before `first`."""
    begin = int(np.searchsorted(terrain.edges, task.release - EDGE_TOLERANCE_SECONDS, side="left"))
    after = int(np.searchsorted(terrain.edges, task.due + EDGE_TOLERANCE_SECONDS, side="right")) - 1
    begin = min(max(begin, first), terrain.count)
    return begin, max(after, begin)


def by_rate(terrain: Terrain, site: int, first: int, last: int, most: float = np.inf) -> IntArray:
    """Cells [first, last) of the site of at most `most` grams per kWh, the cleanest first, the earlier of equal ones before the later."""
    rate = terrain.rate[site, first:last]
    within = np.flatnonzero(rate <= most)
    return within[np.argsort(rate[within].round(9), kind="stable")] + first


def cells_for(seconds: float, step: float) -> int:
    """How many cells hold so much work."""
    return math.ceil((seconds - EDGE_TOLERANCE_SECONDS) / step)


def first_whole(terrain: Terrain, now: float) -> int:
    """The first cell that has not begun: what is in the present one stays."""
    cell = terrain.cell(now)
    return cell + 1 if now > terrain.edges[cell] + EDGE_TOLERANCE_SECONDS or cell == 0 else cell


def share_of(held: Held, now: float, first: int, terrain: Terrain) -> Share:
    """What the job holds from `now` on, whole cells from `first` on apart from the rest."""
    begin, end = terrain.edges[list(whole_cells(terrain, held.task, first))].tolist()
    fixed: list[Piece] = []
    seconds = 0.0
    for piece in held.rest(now):
        start, stop = max(piece.start, begin), min(piece.end, end)
        if piece.start < begin - EDGE_TOLERANCE_SECONDS:
            fixed.append(replace(piece, end=min(piece.end, begin)))
        if piece.end > end + EDGE_TOLERANCE_SECONDS:
            fixed.append(replace(piece, start=max(piece.start, end)))
        if stop > start + EDGE_TOLERANCE_SECONDS:
            seconds += stop - start
    return Share(seconds, fixed)


def pieces_of(choice: Choice, cells: IntArray, share: Share, terrain: Terrain) -> list[Piece]:
    """As many of the cells as the work needs, the cleanest, all used whole but the dearest; and the stretches that stayed."""
    spans = [(piece.start, piece.end) for piece in share.fixed]
    needed = cells_for(share.seconds, terrain.step)
    if needed > 0:
        chosen = cells[np.argsort(terrain.rate[choice.site, cells].round(9), kind="stable")[:needed]].tolist()
        spans += _spans(sorted(chosen), chosen[-1], share.seconds - (needed - 1) * terrain.step, terrain)
    spans.sort()
    pieces: list[Piece] = []
    for start, end in spans:
        if pieces and start - pieces[-1].end < EDGE_TOLERANCE_SECONDS:
            start = pieces.pop().start
        pieces.append(Piece(choice, start, end))
    return pieces


def _spans(cells: list[int], partial: int, used: float, terrain: Terrain) -> list[tuple[float, float]]:
    """Runs of cells; the partial one is used at its start, or at its end where work follows but none comes before."""
    held = set(cells)
    breaks = [position for position in range(1, len(cells)) if cells[position] != cells[position - 1] + 1]
    edge = terrain.edges.item
    spans: list[tuple[float, float]] = []
    for begin, after in zip([0, *breaks], [*breaks, len(cells)], strict=True):
        first, last = cells[begin], cells[after - 1] + 1
        if not first <= partial < last:
            spans.append((edge(first), edge(last)))
        elif partial == first and partial + 1 in held:
            spans.append((edge(first + 1) - used, edge(last)))
        else:
            spans.append((edge(first), edge(partial) + used))
            if partial + 1 < last:
                spans.append((edge(partial + 1), edge(last)))
    return spans
