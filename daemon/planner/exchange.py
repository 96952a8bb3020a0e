"""Swapping hours: a job takes an hour that others fill, and one of them moves that hour to where there is room.

Jobs that pause for free hold cells, not windows, and what a cell costs is its rate times the job's power. So the best plan
with one job more is the old one changed along cheapest chains of such swaps (successive shortest paths; Ahuja, Magnanti,
Orlin, *Network Flows*, 1993, chapter 9). Chains of one swap are looked for, all pairs of a job and a cell at once: on a year of
jobs of equal power they come within 0.02 points of the linear programme that is solved anew at every arrival.
"""

from __future__ import annotations

import numpy as np

from daemon.domain.plan import IntArray
from daemon.planner.cells import BoolArray, Share, by_rate, cells_for, first_whole, pieces_of, share_of, whole_cells, windows_of
from daemon.planner.field import Field, Held
from daemon.planner.task import Choice, Piece
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, TIE_SHARE

MOST_SWAPS = 400  # a safeguard: every swap gains, so they end by themselves
PRICELESS = 1e9  # grams per kWh that an hour is worth to a job which lacks it
LACKING = -1  # stands for the hour that a job would give up where it has too few


def improve_by_swaps(field: Field, held: Held, now: float, keep: float = 0.0) -> bool:
    """Let the job swap its dearest hours for cleaner ones as long as both sides together gain; True if anything moved.

    The gain must exceed the share `keep` of what was emitted in the hours that are left; a job that is new to the plan leaves none. Nobody
    gives an hour to a job of lower priority.
    """
    choice, first = held.ahead[-1].choice, first_whole(field.terrain, now)
    mine = field.held[held.row, first:]
    others = [other for other in partners(field, held, choice.site, now) if other.task.job.priority <= held.task.job.priority]
    if not others or not mine.any():
        return False
    # Hours dirtier than the dearest one held are nothing to swap for.
    board = Exchange(field, held, others, choice, first, float(field.terrain.rate[choice.site, first:][mine].max()))
    board.mine[:] = field.held[held.row, board.cells] & board.window
    board.keep = keep
    if not board.swap():
        return False
    touched = board.touched()
    before, grams = {one.id: one.rest(now) for one in touched}, sum(one.rest_g(now, field.terrain) for one in touched)
    board.settle(field, now, share_of(held, now, first, field.terrain))
    if not any(piece.choice.once_kwh for pieces in before.values() for piece in pieces):
        return True
    # Swaps count hours; data that is moved for a job is paid at the rate of its first one.
    if sum(one.rest_g(now, field.terrain) for one in touched) <= grams:
        return True
    for one in touched:
        field.take_ahead(one, now)
    for one in touched:
        field.hold(one, before[one.id])
    return False


def room_by_swaps(field: Field, held: Held, now: float) -> bool:
    """Place a job that the free hours cannot hold: in all of these, and in hours that others can give. Nothing changes if it fails."""
    for choice in held.task.choices:
        others = partners(field, held, choice.site, now)
        if not others:
            continue
        board = Exchange(field, held, others, choice, first_whole(field.terrain, now))
        share = _ends_of_window(board, field, now)
        board.mine[:] = board.window & (board.free >= held.task.gpus)
        cut = np.array([field.terrain.cell(piece.start) for piece in share.fixed], dtype=np.int64)
        board.free[board.mine | np.isin(board.cells, cut)] -= held.task.gpus
        lacking = cells_for(share.seconds, field.terrain.step) - int(board.mine.sum())
        if lacking > 0 and board.swap(lacking):
            board.settle(field, now, share)
            return True
    return False


def partners(field: Field, held: Held, site: int, now: float) -> list[Held]:
    """The jobs that hold hours of the site and may swap them with this one."""
    if not held.swaps_hours:
        return []
    return [
        other
        for other in field.live.values()
        if other.swaps_hours and other is not held and other.end > now and other.ahead[-1].choice.site == site
    ]


def _ends_of_window(board: Exchange, field: Field, now: float) -> Share:
    """What the job can do in the cut cells at both ends of its window, and how much that leaves to whole ones."""
    terrain, task, choice = field.terrain, board.held.task, board.choice
    start, end = max(now, task.release), min(task.due, terrain.end)
    head, tail = terrain.edges[list(whole_cells(terrain, task, board.first))].tolist()
    spans = [(start, min(end, head)), (max(start, tail), end)]
    fixed = [
        Piece(choice, begin, stop)
        for begin, stop in spans
        if stop - begin > EDGE_TOLERANCE_SECONDS and field.free[choice.site, terrain.cell(begin)] >= task.gpus
    ]
    return Share(choice.work - sum(piece.end - piece.start for piece in fixed), fixed)


class Exchange:
    """The whole cells of one site in a job's reach, cleanest first, and which jobs hold them. Arrays are [job, cell].

    `theirs`: cells that others hold; `room`: those they could move to; `gives`: those they hold and the job could take over.
    """

    def __init__(self, field: Field, held: Held, others: list[Held], choice: Choice, first: int, most: float = np.inf) -> None:
        """Cells of more than `most` grams per kWh are left out."""
        terrain = field.terrain
        rows = np.array([*(other.row for other in others), held.row])
        last = terrain.cell_after(float(field.due[rows].max()))
        self.held, self.others, self.choice, self.first = held, others, choice, first
        self.cells = by_rate(terrain, choice.site, first, max(last, first), most)
        self.rate = terrain.rate[choice.site, self.cells]
        self.free = field.free[choice.site, self.cells]
        self.mine: BoolArray = np.zeros(len(self.cells), dtype=np.bool_)
        windows = windows_of(field, rows, first, self.cells)
        self.windows, self.window, rows = windows[:-1], windows[-1], rows[:-1]
        self.power, self.gpus = field.power[rows], field.gpus[rows]
        self.theirs = field.held[rows[:, None], self.cells] & self.windows
        self.room = self.gives = self.theirs
        self.moved: set[int] = set()
        self.keep = 0.0

    def swap(self, lacking: int = 0) -> bool:
        """Swap until nothing gains any more; True if anything moved, or where cells are `lacking` if all were found."""
        if not len(self.cells):
            return False
        self.room = self._room(np.arange(len(self.cells)))
        self.gives = self._gives(np.arange(len(self.cells)))
        for _ in range(MOST_SWAPS):
            mine = np.flatnonzero(self.mine)
            if not lacking and not len(mine):
                break
            dearest = LACKING if lacking else int(mine[-1])
            best = self._best(dearest)
            if best is None:
                break
            self._apply(*best, dearest)
            lacking -= dearest == LACKING
        return lacking == 0 and bool(self.moved)

    def _best(self, dearest: int) -> tuple[int, int, int] | None:
        """Who gives which cell and moves where, so that the job may leave its dearest; None where nothing gains."""
        rows, power = np.arange(len(self.others)), self.choice.power
        to = self.room.argmax(axis=1)
        price, worth = np.where(self.room[rows, to], self.rate[to], np.inf), PRICELESS
        if dearest != LACKING:
            worth = float(self.rate[dearest])
            open_ = self.windows[:, dearest] & ~self.theirs[:, dearest]
            here = open_ & (self.gpus <= self.free[dearest] + self.held.task.gpus) & (price > worth)
            to, price = np.where(here, dearest, to), np.where(here, worth, price)
        # From a thriftier job the cleanest hour is taken, from a hungrier one the dirtiest.
        take, hungrier = self.gives.argmax(axis=1), self.power > power
        if hungrier.any():
            take = np.where(hungrier, len(self.cells) - 1 - self.gives[:, ::-1].argmax(axis=1), take)
        gain = power * worth + (self.power - power - self.keep * self.power) * self.rate[take] - self.power * price
        if self.held.task.job.previous and dearest != LACKING:  # people saw its hours planned, too
            gain -= self.keep * power * worth
        gain[~self.gives[rows, take]] = -np.inf
        who = int(gain.argmax())
        return (who, int(take[who]), int(to[who])) if gain[who] > TIE_SHARE * power * max(worth, 1.0) else None

    def _apply(self, who: int, take: int, to: int, dearest: int) -> None:
        gpus, me = self.gpus[who], self.held.task.gpus
        self.theirs[who, take], self.theirs[who, to] = False, True
        self.free[take] += gpus - me
        self.free[to] -= gpus
        self.mine[take] = True
        if dearest != LACKING:
            self.mine[dearest] = False
            self.free[dearest] += me
        self.moved.add(who)
        touched = np.array([take, to, take if dearest == LACKING else dearest])
        self.room[:, touched], self.gives[:, touched] = self._room(touched), self._gives(touched)

    def _room(self, cells: IntArray) -> BoolArray:
        """Where others could move to."""
        return np.asarray(self.windows[:, cells] & ~self.theirs[:, cells] & (self.free[cells] >= self.gpus[:, None]))

    def _gives(self, cells: IntArray) -> BoolArray:
        """Where another job's leaving would let this one in."""
        mine = self.window[cells] & ~self.mine[cells]
        return np.asarray(self.theirs[:, cells] & mine & (self.free[cells] + self.gpus[:, None] >= self.held.task.gpus))

    def touched(self) -> list[Held]:
        """The job, and all who moved."""
        return [self.held, *(self.others[who] for who in sorted(self.moved))]

    def settle(self, field: Field, now: float, share: Share) -> None:
        """Give all who moved their new pieces."""
        plans = [(self.held, self.choice, self._all_cells(field, self.held, self.mine), share)]
        for who in sorted(self.moved):
            other = self.others[who]
            cells = self._all_cells(field, other, self.theirs[who])
            plans.append((other, other.ahead[-1].choice, cells, share_of(other, now, self.first, field.terrain)))
        for held, *_ in plans:
            field.take_ahead(held, now)
        for held, choice, cells, before in plans:
            field.hold(held, pieces_of(choice, cells, before, field.terrain))

    def _all_cells(self, field: Field, held: Held, chosen: BoolArray) -> IntArray:
        """What the job holds by the board, and what it holds in cells that are not on it."""
        cells = field.held[held.row].copy()
        begin, after = whole_cells(field.terrain, held.task, self.first)
        cells[:begin] = False
        cells[after:] = False
        cells[self.cells] = chosen
        return np.flatnonzero(cells)
