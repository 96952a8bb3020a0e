"""Least laxity first: cell by cell, whoever can wait least works. It keeps deadlines where placing one job after the other cannot.

With more long jobs than GPUs, each must pause for a while (McNaughton 1959), and no order of whole jobs finds that. Jobs that may
not pause go on once they have begun.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.domain.plan import IntArray, Mode
from daemon.planner.task import Choice, Offer, Piece, Task, offer_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain


class _Worker:
    """One job on its way: what is left, where it works, the pieces so far."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.choice: Choice | None = None
        self.left = min(choice.work for choice in task.choices)
        self.pieces: list[Piece] = []

    @property
    def goes_on(self) -> bool:
        """It has begun and may not be stopped."""
        return bool(self.pieces) and self.task.job.mode is Mode.CONTIGUOUS

    def laxity(self, now: float) -> float:
        return self.task.due - max(now, self.task.release) - self.left

    def work(self, choice: Choice, start: float, end: float) -> None:
        if self.choice is None:
            self.choice, self.left = choice, choice.work
        end = min(end, start + self.left)
        self.left -= end - start
        if self.pieces and abs(self.pieces[-1].end - start) < EDGE_TOLERANCE_SECONDS:
            start = self.pieces.pop().start
        self.pieces.append(Piece(choice, start, end))


def least_laxity(tasks: Mapping[str, Task], terrain: Terrain, free: IntArray, now: float) -> dict[str, Offer] | None:
    """A placement of all these jobs in time, each on one site, or None if this order misses a deadline."""
    workers = {name: _Worker(task) for name, task in tasks.items()}
    active, cell, instant = list(workers.values()), terrain.cell(now), now
    while active:
        if cell >= terrain.count:
            return None
        edge = float(terrain.edges[cell + 1])
        room = free[:, cell].tolist()
        active.sort(key=lambda worker: (not worker.goes_on, worker.laxity(instant)))
        if any(worker.laxity(instant) < -EDGE_TOLERANCE_SECONDS for worker in active):
            return None
        for worker in active:
            start = max(instant, worker.task.release)
            choice = _place(worker, room) if start < edge else None
            if choice is not None:
                room[choice.site] -= worker.task.gpus
                worker.work(choice, start, min(edge, worker.task.due))
            elif worker.goes_on:
                return None
        active = [worker for worker in active if worker.left > EDGE_TOLERANCE_SECONDS]
        cell, instant = cell + 1, edge
    return {name: offer_of(tuple(worker.pieces), worker.task, terrain) for name, worker in workers.items()}


def _place(worker: _Worker, room: list[int]) -> Choice | None:
    """The site it has begun on, or the first with room."""
    choices = (worker.choice,) if worker.choice is not None else worker.task.choices
    return next((choice for choice in choices if room[choice.site] >= worker.task.gpus), None)
