"""Who holds how many GPUs in which cell. A piece holds its GPUs in every cell it touches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.task import Offer, Piece, Task
from daemon.planner.terrain import Terrain


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
        """Whether all pieces together find their GPUs free."""
        wanted = np.zeros_like(self.free)
        for piece in pieces:
            if not task.is_pinned:
                wanted[piece.choice.site, self._cells(piece)] += task.gpus
        return bool(np.all((wanted == 0) | (wanted <= self.free)))

    def _change(self, task: Task, offer: Offer, gpus: int) -> None:
        for piece in offer.pieces:
            if not task.is_pinned:
                self.free[piece.choice.site, self._cells(piece)] += gpus

    def _cells(self, piece: Piece) -> slice:
        return slice(self.terrain.cell(piece.start), self.terrain.cell_after(piece.end))
