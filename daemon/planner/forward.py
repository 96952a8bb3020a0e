"""Bringing work forward: as much of it as asked, from behind an instant to before it, where that costs least."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from daemon.planner.cells import by_rate, first_whole, pieces_of, share_of, windows_of
from daemon.planner.field import Field, Held
from daemon.planner.occupancy import fits_in
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.previous import carried_over
from daemon.planner.task import Piece
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS


def bring_forward(field: Field, jobs: list[Held], since: int, seconds: float, now: float) -> float:
    """Move GPU-seconds of these jobs from cell `since` and later to before it; how many moved."""
    moved, begin = 0.0, float(field.terrain.edges[since])
    for held in jobs:
        if moved >= seconds:
            return moved
        if held.task.job.previous:
            moved += _back_to_the_last_plan(field, held, begin, now)
    for site in sorted({held.ahead[-1].choice.site for held in jobs}):
        pausable = [held for held in jobs if held.swaps_hours and held.ahead[-1].choice.site == site]
        moved += _hours_forward(field, pausable, site, since, seconds - moved, now)
    for held in jobs:
        if moved >= seconds:
            break
        if not held.swaps_hours:
            moved += _begin_earlier(field, held, begin, now)
    return moved


def _hours_forward(field: Field, jobs: list[Held], site: int, since: int, seconds: float, now: float) -> float:
    """Hours of jobs that pause for free, the cheapest moves first."""
    terrain, first = field.terrain, first_whole(field.terrain, now)
    last = terrain.cell_after(max((job.task.due for job in jobs), default=now))
    if not jobs or since <= first or last <= since:
        return 0.0
    rows, cells = np.array([job.row for job in jobs]), by_rate(terrain, site, first, last)
    windows, rate, early = windows_of(field, rows, first, cells), terrain.rate[site, cells], cells < since
    held, free, gpus = field.held[rows[:, None], cells] & windows, field.free[site, cells], field.gpus[rows]
    numbers, moved, touched = np.arange(len(jobs)), 0.0, set()
    while moved < seconds:
        room, late = windows & ~held & early & (free >= gpus[:, None]), held & ~early
        to, out = room.argmax(axis=1), len(cells) - 1 - late[:, ::-1].argmax(axis=1)
        cost = np.where(room[numbers, to] & late[numbers, out], (rate[to] - rate[out]) * field.power[rows] / gpus, np.inf)
        who = int(cost.argmin())
        if cost[who] == np.inf:
            break
        held[who, out[who]], held[who, to[who]] = False, True
        free[to[who]] -= gpus[who]
        free[out[who]] += gpus[who]
        moved += float(gpus[who]) * terrain.step
        touched.add(who)
    plans = [(jobs[who], jobs[who].ahead[-1].choice, cells[held[who]], share_of(jobs[who], now, first, terrain)) for who in sorted(touched)]
    for job, *_ in plans:
        field.take_ahead(job, now)
    for job, choice, chosen, share in plans:
        field.hold(job, pieces_of(choice, chosen, share, terrain))
    return moved


def _begin_earlier(field: Field, held: Held, begin: float, now: float) -> float:
    """Place a job that may not be cut so that it ends before `begin`, or else as early as it can; GPU-seconds this took out behind it."""
    before, end = held.rest(now), held.end
    task = field.take_ahead(held, now)
    release = max(now, task.release)
    offer = best_offer(task, field.terrain, field.free, release, begin) or soonest_offer(task, field.terrain, field.free, release)
    if offer is None or offer.end >= end:
        field.hold(held, before)
        return 0.0
    field.take(held, offer)
    return task.gpus * (_seconds_behind(before, begin) - _seconds_behind(offer.pieces, begin))


def _back_to_the_last_plan(field: Field, held: Held, begin: float, now: float) -> float:
    """Where the last plan had the job, if that leaves less of it behind `begin`; GPU-seconds less.

    Who was brought forward once would otherwise be sent back and forth, and pay a start each time.
    """
    before = held.rest(now)
    task = field.take_ahead(held, now)
    offer = carried_over(task, field.terrain)
    gain = 0.0 if offer is None else _seconds_behind(before, begin) - _seconds_behind(offer.pieces, begin)
    if (
        offer is None
        or gain <= 0
        or offer.end > task.due + EDGE_TOLERANCE_SECONDS
        or not fits_in(field.free, task, offer.pieces, field.terrain)
    ):
        field.hold(held, before)
        return 0.0
    field.take(held, offer)
    return task.gpus * gain


def _seconds_behind(pieces: Iterable[Piece], begin: float) -> float:
    return sum(max(0.0, piece.end - max(piece.start, begin)) for piece in pieces)
