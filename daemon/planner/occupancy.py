"""Who holds how many GPUs in which cell. A piece holds its GPUs in every cell it touches."""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np

from daemon.domain.plan import IntArray, Placement
from daemon.planner.task import Offer, Piece, Task
from daemon.planner.terrain import Terrain

ROUNDING_SECONDS = 1e-5  # a placement read from a plan has been through datetimes, which resolve microseconds


class Occupancy:
    """Free GPUs per site and cell while a plan is being made."""

    def __init__(self, terrain: Terrain) -> None:
        self.terrain = terrain
        self.free: IntArray = terrain.free.copy()

    def add(self, task: Task, offer: Offer) -> None:
        self._change(task, offer, -task.gpus)

    def remove(self, task: Task, offer: Offer) -> None:
        self._change(task, offer, task.gpus)

    def fits(self, task: Task, pieces: Iterable[Piece]) -> bool:
        """Whether all pieces together find their GPUs free; a pinned job's are not counted."""
        return task.is_pinned or fits_in(self.free, task, pieces, self.terrain)

    def _change(self, task: Task, offer: Offer, gpus: int) -> None:
        for piece in offer.pieces:
            if not task.is_pinned:
                self.free[piece.choice.site, _cells(piece, self.terrain)] += gpus


def fits_in(free: IntArray, task: Task, pieces: Iterable[Piece], terrain: Terrain) -> bool:
    """Whether all pieces together find their GPUs in `free`, cell by cell."""
    wanted = np.zeros_like(free)
    for piece in pieces:
        wanted[piece.choice.site, _cells(piece, terrain)] += task.gpus
    return bool(np.all((wanted == 0) | (wanted <= free)))


def fits_by_clock(placements: Iterable[Placement], terrain: Terrain, unmovable: Container[str] = ()) -> bool:
    """Whether all the placements find their GPUs free at every moment: jobs may follow each other within a cell.

    Free GPUs are without those of the `unmovable` jobs.
    """
    held: list[tuple[list[float], list[float], list[int]]] = [([], [], []) for _ in terrain.sites]
    for segment in (segment for placement in placements if placement.job_id not in unmovable for segment in placement.segments):
        starts, ends, gpus = held[terrain.index[segment.site]]
        starts.append(terrain.seconds(segment.start))
        ends.append(terrain.seconds(segment.end))
        gpus.append(segment.gpus)
    for free, (starts, ends, gpus) in zip(terrain.free, held, strict=True):
        # A little short of both ends: datetimes resolve microseconds.
        times = np.concatenate((np.add(starts, ROUNDING_SECONDS), np.subtract(ends, ROUNDING_SECONDS), terrain.edges[:-1]))
        order = np.argsort(times, kind="stable")
        used = np.cumsum(np.concatenate((gpus, np.negative(gpus), np.zeros(terrain.count, dtype=np.int64)))[order])
        cells = np.clip(np.searchsorted(terrain.edges, times[order], side="right") - 1, 0, terrain.count - 1)
        if np.any(used > free[cells]):
            return False
    return True


def _cells(piece: Piece, terrain: Terrain) -> slice:
    return slice(terrain.cell(piece.start), terrain.cell_after(piece.end))
