"""Swapping hours: a job takes an hour that others fill, and one of them moves that hour to where there is room.

Jobs that pause for free hold cells, not windows, and what a cell costs is its rate times the job's power. So the best plan
with one job more is the old one changed along a cheapest chain of such swaps (successive shortest paths; Ahuja, Magnanti,
Orlin, *Network Flows*, 1993, chapter 9). Chains of one swap are looked for, all pairs of a job and a cell at once: on a year of
jobs of equal power they come within 0.02 points of the linear programme that is solved anew at every arrival.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from daemon.planner.field import Field, Held
from daemon.planner.task import Choice, Piece
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain
from daemon.planner.together import TIE_SHARE

MOST_SWAPS = 400  # a safeguard: every swap gains, so they end by themselves
PRICELESS = 1e9  # grams per kWh that an hour is worth to a job which lacks it


@dataclass(slots=True)
class Share:
    """What a job holds: seconds in whole cells, which may be swapped, and stretches in cells cut by now or by its window."""

    seconds: float
    fixed: list[Piece]


def improve_by_swaps(field: Field, held: Held, now: float) -> bool:
    """Let the job swap its dearest hours for cleaner ones as long as both sides together gain; True if anything moved."""
    board = Board.around(field, held, held.ahead[-1].choice, now)
    if board is None:
        return False
    board.mine[:] = field.held[held.row, board.cells] & board.window
    if not board.swap():
        return False
    board.settle(field, now, share_of(held, now, board.first, field.terrain))
    return True


def room_by_swaps(field: Field, held: Held, now: float) -> bool:
    """Place a job that the free hours cannot hold: in all of these, and in hours that others can give. Nothing changes if it fails."""
    for choice in held.task.choices:
        board = Board.around(field, held, choice, now)
        if board is None:
            continue
        board.mine[:] = board.window & (board.free >= held.task.gpus)
        board.free[board.mine] -= held.task.gpus
        share = _ends_of_window(board, field, held, choice, now)
        lacking = cells_for(share.seconds, field.terrain.step) - int(board.mine.sum())
        if lacking <= 0:
            continue
        if board.swap(lacking):
            board.settle(field, now, share)
            return True
    return False


def _ends_of_window(board: Board, field: Field, held: Held, choice: Choice, now: float) -> Share:
    """What the job can do in the cut cells at both ends of its window, and how much that leaves to whole ones."""
    terrain, task = field.terrain, held.task
    start, end = max(now, task.release), min(task.due, terrain.end)
    spans = [(start, min(end, float(terrain.edges[board.first]))), (max(start, float(terrain.edges[terrain.cell(end)])), end)]
    if spans[1][0] < spans[0][1]:
        spans.pop()  # one cell holds the whole window
    fixed = [
        Piece(choice, begin, stop)
        for begin, stop in spans
        if stop - begin > EDGE_TOLERANCE_SECONDS and field.free[choice.site, terrain.cell(begin)] >= task.gpus
    ]
    return Share(choice.work - sum(piece.end - piece.start for piece in fixed), fixed)


def cells_for(seconds: float, step: float) -> int:
    """How many cells hold so much work."""
    return math.ceil((seconds - EDGE_TOLERANCE_SECONDS) / step)


class Board:
    """The whole cells of one site in a job's reach, cleanest first, and which jobs hold them. Arrays are [job, cell].

    `theirs` are cells that others hold, `room` those they could move to; `gives` where the job itself could take over.
    """

    def __init__(self, field: Field, held: Held, others: list[Held], choice: Choice, first: int, cells: NDArray[np.int64]) -> None:
        terrain = field.terrain
        self.held, self.others, self.choice, self.first, self.cells = held, others, choice, first, cells
        self.rate = terrain.rate[choice.site, cells]
        self.free = field.free[choice.site, cells]
        self.mine = np.zeros(len(cells), dtype=np.bool_)
        self.window = _windows([held], terrain, first, cells)[0]
        self.power = np.array([other.ahead[-1].choice.power for other in others])
        self.gpus = np.array([other.task.gpus for other in others])
        self.windows = _windows(others, terrain, first, cells)
        self.theirs = field.held[np.array([other.row for other in others])[:, None], cells] & self.windows
        self.moved: set[int] = set()

    @classmethod
    def around(cls, field: Field, held: Held, choice: Choice, now: float) -> Board | None:
        """The board of a job that works, or shall work, by `choice`; None where there is nobody or nothing to swap with."""
        terrain = field.terrain
        first = terrain.cell(now)
        if now > terrain.edges[first] + EDGE_TOLERANCE_SECONDS or first == 0:
            first += 1  # the present cell has begun: what is in it stays
        others = [other for other in field.live.values() if other is not held and _may_swap(other, choice, now)]
        if not others or not held.swaps_hours:
            return None
        last = terrain.cell_after(max(held.task.due, *(other.task.due for other in others)))
        if last <= first:
            return None
        order = np.argsort(terrain.rate[choice.site, first:last].round(9), kind="stable")
        return cls(field, held, others, choice, first, order + first)

    def swap(self, lacking: int = 0) -> bool:
        """Swap until nothing gains any more; True if anything moved, or where cells are `lacking` if all were found."""
        rows, me = np.arange(len(self.others)), self.held.task.gpus
        room = self.windows & ~self.theirs & (self.free >= self.gpus[:, None])
        gives = self._takeable(np.arange(len(self.cells)))
        low = self.power <= self.choice.power
        least = TIE_SHARE * self.choice.power * float(np.abs(self.rate).max())
        for _ in range(MOST_SWAPS):
            mine = np.flatnonzero(self.mine)
            dearest = -1 if lacking else int(mine[-1]) if len(mine) else None
            if dearest is None:
                break
            to = room.argmax(axis=1)
            price = np.where(room[rows, to], self.rate[to], np.inf)
            worth = PRICELESS
            if dearest >= 0:
                worth = float(self.rate[dearest])
                here = self.windows[:, dearest] & ~self.theirs[:, dearest] & (self.gpus <= self.free[dearest] + me) & (price > worth)
                to, price = np.where(here, dearest, to), np.where(here, worth, price)
            # Of a thriftier job the cleanest hour is taken, of a hungrier one the dirtiest.
            take = gives.argmax(axis=1)
            if not low.all():
                take = np.where(low, take, len(self.cells) - 1 - gives[:, ::-1].argmax(axis=1))
            gain = np.where(gives[rows, take], self.choice.power * worth + (self.power - self.choice.power) * self.rate[take], -np.inf)
            gain -= self.power * price
            who = int(gain.argmax())
            if not gain[who] > least:
                break
            self._apply(who, int(take[who]), int(to[who]), dearest)
            lacking -= dearest < 0
            touched = np.array([take[who], to[who], max(dearest, 0)])
            room[:, touched] = self.windows[:, touched] & ~self.theirs[:, touched] & (self.free[touched] >= self.gpus[:, None])
            gives[:, touched] = self._takeable(touched)
        return lacking == 0 and bool(self.moved)

    def _takeable(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where another job's leaving would let this one in."""
        mine = self.window[cells] & ~self.mine[cells]
        takeable: NDArray[np.bool_] = self.theirs[:, cells] & mine & (self.free[cells] + self.gpus[:, None] >= self.held.task.gpus)
        return takeable

    def _apply(self, who: int, take: int, to: int, dearest: int) -> None:
        gpus, me = int(self.gpus[who]), self.held.task.gpus
        self.theirs[who, take], self.theirs[who, to] = False, True
        self.free[take] += gpus - me
        self.free[to] -= gpus
        self.mine[take] = True
        if dearest >= 0:
            self.mine[dearest] = False
            self.free[dearest] += me
        self.moved.add(who)

    def settle(self, field: Field, now: float, share: Share) -> None:
        """Give all who moved their new pieces."""
        terrain = field.terrain
        plans = [(self.held, self.choice, self.mine, share)]
        for who in sorted(self.moved):
            other = self.others[who]
            plans.append((other, other.ahead[-1].choice, self.theirs[who], share_of(other, now, self.first, terrain)))
        for held, *_ in plans:
            field.take_ahead(held, now)
        for held, choice, chosen, before in plans:
            field.hold(held, _pieces(choice, np.flatnonzero(self._by_time(chosen)) + self.first, before, terrain))

    def _by_time(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cells of the board in order of time."""
        ordered = np.zeros(len(chosen), dtype=np.bool_)
        ordered[self.cells - self.first] = chosen
        return ordered


def _may_swap(other: Held, choice: Choice, now: float) -> bool:
    ahead = other.ahead
    return bool(ahead) and other.swaps_hours and ahead[-1].end > now and ahead[-1].choice.site == choice.site


def _windows(jobs: list[Held], terrain: Terrain, first: int, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Cells that lie wholly within each job's window."""
    begin = np.array([job.task.release for job in jobs]) - EDGE_TOLERANCE_SECONDS
    end = np.array([job.task.due for job in jobs]) + EDGE_TOLERANCE_SECONDS
    after = np.searchsorted(terrain.edges, end, side="right") - 1
    before = np.maximum(np.searchsorted(terrain.edges, begin, side="left"), first)
    return (cells >= before[:, None]) & (cells < after[:, None])


def share_of(held: Held, now: float, first: int, terrain: Terrain) -> Share:
    """What the job holds from `now` on, whole cells from `first` on apart from the rest."""
    begin = float(terrain.edges[first])
    end = float(terrain.edges[terrain.cell(held.task.due + EDGE_TOLERANCE_SECONDS)]) if held.task.due < terrain.end else terrain.end
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


def _pieces(choice: Choice, cells: NDArray[np.int64], share: Share, terrain: Terrain) -> list[Piece]:
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
