"""The standing plan that jobs arrive at: what each job has done and holds, and what is free from now on.

Time only goes forward. A replay moves along one field for a year; the daemon makes one of its last plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np
from numpy.typing import NDArray

from daemon.domain.plan import IntArray, Mode
from daemon.planner.hours import pauses_for_free
from daemon.planner.task import Offer, Piece, Task, starting_g
from daemon.planner.terrain import Terrain
from daemon.planner.terrain_part import part_of

FEWEST_ROWS = 64
DAY_SECONDS = 86400.0
LEAST_WORK_SECONDS = 1e-3  # less is none: what subtracting long spans leaves
LOOK_SECONDS = 4 * DAY_SECONDS  # how far beyond now a view reaches at least


@dataclass(slots=True, eq=False)
class Held:
    """A job on the field: finished pieces, pieces ahead, and what it is to the planner."""

    task: Task
    past: list[Piece] = field(default_factory=list)
    ahead: list[Piece] = field(default_factory=list)
    version: int = 0  # counts changes of `ahead`, so that ends noted before are known to be stale
    row: int = -1  # of `Field.held`, where it is kept
    end: float = -inf  # of the last of `ahead` to end: pieces may lie side by side
    is_pausable: bool = field(init=False)
    swaps_hours: bool = field(init=False)  # its hours are worth the same in any order
    work: float = field(init=False)  # GPU-seconds at least

    def __post_init__(self) -> None:
        self.is_pausable = self.task.job.mode is not Mode.CONTIGUOUS
        self.work = self.task.gpus * self.task.shortest
        self.swaps_hours = self.task.job.mode is Mode.INTERRUPTIBLE and pauses_for_free(self.task)

    @property
    def id(self) -> str:
        return self.task.job.id

    def is_movable(self, now: float) -> bool:
        """Work ahead that may still be placed elsewhere: an unbroken job only until it starts."""
        if self.end <= now:
            return False
        return self.is_pausable or self.ahead[0].start > now

    def rest(self, now: float) -> list[Piece]:
        """What the job still holds from `now` on."""
        return [piece if piece.start >= now else replace(piece, start=now) for piece in self.ahead if piece.end > now]

    def rest_g(self, now: float, terrain: Terrain) -> float:
        """What that emits by the outlook; data is moved for a job before it begins."""
        pieces = self.rest(now)
        if self.past or (self.ahead and self.ahead[0].start < now):
            pieces = [replace(piece, choice=replace(piece.choice, once_kwh=0.0)) for piece in pieces]
        return grams_of(pieces, terrain)

    def pieces(self) -> list[Piece]:
        return [*self.past, *self.ahead]


class Field:
    """Sites with what is free on them, and the jobs that hold the rest.

    `terrain`, `free` [site, cell] and `held` [row of a job, cell] show the cells that matter now; `whole` has all of them.
    `gpus`, `power` (kilowatts where the job is), `release` and `due` are by row.
    """

    def __init__(self, terrain: Terrain, free: IntArray | None = None) -> None:
        """`free`: what jobs that will never be on the field leave; they leave everything where it is None."""
        self.whole = self.terrain = terrain
        self.live: dict[str, Held] = {}
        self._all_free = self.free = terrain.free.copy() if free is None else free
        self._all_held: NDArray[np.bool_] = np.zeros((FEWEST_ROWS, terrain.count), dtype=np.bool_)
        self.held = self._all_held
        self.gpus, self.power, self.release, self.due = np.zeros((4, FEWEST_ROWS))
        self._rows = list(range(FEWEST_ROWS))
        self._view = slice(0, terrain.count)
        self._ends: list[tuple[float, int, Held, int, Piece]] = []
        self._number = count()

    def add(self, held: Held) -> None:
        """Let the job onto the field; it holds nothing yet."""
        if not self._rows:
            many = len(self._all_held)
            self._all_held = np.concatenate((self._all_held, np.zeros_like(self._all_held)))
            facts = (np.concatenate((fact, np.zeros(many))) for fact in (self.gpus, self.power, self.release, self.due))
            self.gpus, self.power, self.release, self.due = facts
            self._rows = list(range(many, 2 * many))
            self.held = self._all_held[:, self._view]
        held.row = self._rows.pop()
        self._all_held[held.row] = False
        self.gpus[held.row], self.release[held.row], self.due[held.row] = held.task.gpus, held.task.release, held.task.due
        self.live[held.id] = held

    def adopt(self, held: Held, pieces: Iterable[Piece]) -> None:
        """Let a job onto the field with pieces whose GPUs are not in `free` any more."""
        self.add(held)
        self.hold(held, pieces)
        for piece in held.ahead:
            self.free[piece.choice.site, self._cells(piece, piece.start)] += held.task.gpus

    def hands_over(self, pieces: Iterable[Piece]) -> bool:
        """Whether a piece shares GPUs with another job within a cell, one before the other: moves count in cells and cannot tell when."""
        cell, after = self.terrain.cell, self.terrain.cell_after
        return any(self.free[piece.choice.site, cell(piece.start) : after(piece.end)].min() < 0 for piece in pieces)

    def look(self, now: float, due: float) -> None:
        """Show the cells around [now, due); nothing before `now` is looked at any more."""
        if now - self.terrain.first_edge < DAY_SECONDS and due <= self.terrain.end and self.terrain is not self.whole:
            return
        reach = max(now + LOOK_SECONDS, due, *(live.end for live in self.live.values())) + DAY_SECONDS
        first = max(1, self.whole.cell(now))
        last = self.whole.cell_after(min(reach, self.whole.end))
        self.terrain = part_of(self.whole, first, max(last, first + 1))
        self._view = slice(first - 1, max(last, first + 1))
        self.free, self.held = self._all_free[:, self._view], self._all_held[:, self._view]

    def hold(self, held: Held, pieces: Iterable[Piece]) -> None:
        """Give the job these pieces ahead."""
        held.ahead = list(pieces)
        held.end = max(piece.end for piece in held.ahead)
        held.version += 1
        self.power[held.row] = held.ahead[-1].choice.power
        for piece in held.ahead:
            self._change(held, piece, piece.start, -held.task.gpus)
            heappush(self._ends, (piece.end, next(self._number), held, held.version, piece))

    def take(self, held: Held, offer: Offer) -> None:
        """Give the job what it was offered."""
        self.hold(held, offer.pieces)

    def take_ahead(self, held: Held, now: float) -> Task:
        """Free everything the job holds from `now` on; what is done is done. The job as it is now, its rest of work."""
        ahead, held.ahead, held.end = held.ahead, [], -inf
        held.version += 1
        for piece in ahead:
            if piece.end <= now:
                held.past.append(piece)
                continue
            if piece.start < now:
                held.past.append(replace(piece, end=now))
            self._change(held, piece, max(piece.start, now), held.task.gpus)
        return rest_of(held)

    def advance(self, now: float) -> None:
        """Let what has ended in the cell of `now` free its GPUs for the rest of that cell; forget finished jobs."""
        cell = self.terrain.cell(now)
        begin = float(self.terrain.edges[cell])
        while self._ends and self._ends[0][0] <= now:
            end, _, held, version, piece = heappop(self._ends)
            if version == held.version and end > begin:
                self.free[piece.choice.site, cell] += held.task.gpus
        for held in [held for held in self.live.values() if held.ahead and held.end <= now]:
            del self.live[held.id]
            self._rows.append(held.row)

    def _cells(self, piece: Piece, start: float) -> slice:
        return slice(self.terrain.cell(start), self.terrain.cell_after(piece.end))

    def _change(self, held: Held, piece: Piece, start: float, gpus: int) -> None:
        cells = self._cells(piece, start)
        self.free[piece.choice.site, cells] += gpus
        self.held[held.row, cells] = gpus < 0


def rest_of(held: Held) -> Task:
    """The job with the work its past pieces have left, on the site where its checkpoint lies."""
    if not held.past:
        return held.task
    done = sum(piece.useful for piece in held.past)
    here = held.past[-1].choice.site
    choices = tuple(replace(c, work=max(c.work - done, LEAST_WORK_SECONDS), once_kwh=0.0) for c in held.task.choices if c.site == here)
    return replace(held.task, choices=choices)


def movable(held: Iterable[Held], now: float) -> list[Held]:
    return [one for one in held if one.is_movable(now)]


def grams_of(pieces: Sequence[Piece], terrain: Terrain) -> float:
    """What the pieces emit by the outlook, their starts and data that is moved for them included."""
    work = sum(p.choice.power * terrain.grams_per_kw(p.choice.site, p.start, p.end) for p in pieces)
    moved = sum(starting_g(p.choice, p.choice.once_kwh, p.start, terrain) for p in first_on_site(pieces))
    return work + moved + sum(starting_g(p.choice, p.choice.fresh_kwh, p.start, terrain) for p in pieces if p.fresh)


def first_on_site(pieces: Sequence[Piece]) -> list[Piece]:
    """The first piece on each site to which data had to be moved."""
    moved = sorted((piece for piece in pieces if piece.choice.once_kwh), key=lambda piece: piece.start, reverse=True)
    return list({piece.choice.site: piece for piece in moved}.values())
