"""Room for a job that the free hours cannot hold in time: everything that may still move is placed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from daemon.domain.plan import IntArray
from daemon.planner.exchange import improve_by_swaps, room_by_swaps
from daemon.planner.field import Field, Held, movable
from daemon.planner.laxity import least_laxity
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.task import Offer, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain

Finder = Callable[[Task, Terrain, IntArray, float, float], Offer | None]


def make_room(field: Field, held: Held, now: float) -> bool:
    """Place a job that found no room in time, by swapped hours or else by placing all movable jobs anew, the most urgent first.

    Undone and False if that makes any of them late.
    """
    if room_by_swaps(field, held, now):
        return True
    others = movable((other for other in field.live.values() if other is not held), now)
    before = {other.id: other.rest(now) for other in others}
    tasks = {other.id: field.take_ahead(other, now) for other in others} | {held.id: held.task}
    urgent = sorted([*others, held], key=lambda one: (tasks[one.id].latest_start, one.id))
    if placed_all(field, urgent, tasks, now, best_offer) or _squeezed(field, urgent, tasks, now):
        for one in reversed(urgent):
            _move(field, one, now)
        return True
    for other in others:
        field.hold(other, before[other.id])
    return False


def _move(field: Field, held: Held, now: float) -> None:
    """Put one job at its cheapest."""
    before = held.rest(now)
    task = field.take_ahead(held, now)
    offer = best_offer(task, field.terrain, field.free, max(now, task.release), task.due)
    field.hold(held, before if offer is None else offer.pieces)
    improve_by_swaps(field, held, now)


def placed_all(field: Field, order: Sequence[Held], tasks: Mapping[str, Task], now: float, finder: Finder) -> bool:
    """Place the jobs one after the other; if one finds no room in time, all are taken out again."""
    for position, one in enumerate(order):
        task = tasks[one.id]
        offer = finder(task, field.terrain, field.free, max(now, task.release), task.due)
        if offer is None:
            for placed in order[:position]:
                field.take_ahead(placed, now)
            return False
        field.take(one, offer)
    return True


def _squeezed(field: Field, urgent: Sequence[Held], tasks: Mapping[str, Task], now: float) -> bool:
    """Place all by least laxity, unbroken jobs before the others as early as they can or among them; nothing if one would be late."""
    unbroken = [one for one in urgent if not one.is_pausable]
    if placed_all(field, unbroken, tasks, now, _early_offer):
        if _by_laxity(field, [one for one in urgent if one.is_pausable], tasks, now):
            return True
        for one in unbroken:
            field.take_ahead(one, now)
    return _by_laxity(field, urgent, tasks, now)


def _by_laxity(field: Field, jobs: Sequence[Held], tasks: Mapping[str, Task], now: float) -> bool:
    offers = least_laxity({one.id: tasks[one.id] for one in jobs}, field.terrain, field.free, now)
    if offers is None:
        return False
    for one in jobs:
        field.take(one, offers[one.id])
    return True


def _early_offer(task: Task, terrain: Terrain, free: IntArray, now: float, due: float) -> Offer | None:
    """As early as there is room, if that is in time."""
    offer = soonest_offer(task, terrain, free, now)
    return offer if offer is not None and offer.end <= due + EDGE_TOLERANCE_SECONDS else None
