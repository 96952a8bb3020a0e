"""How a job is placed when it arrives, and what happens to the others then: the policies of a replay."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Protocol

import numpy as np

from daemon.backtest.field import Field, LiveJob, arrivals_of, choice_at
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, WorldProblem
from daemon.domain.plan import IntArray, Mode
from daemon.planner.laxity import least_laxity
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.regret import compare
from daemon.planner.task import Offer, Piece, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain
from daemon.planner.together import TIE_SHARE
from daemon.planner.windows import best_window, prompt_window

RIVALS = 3  # jobs that a new one trades hours with at once
TRADES = 2  # such trades per arrival
HURRY_AT = 1.0  # pressure from which on waiting stops: jobs yet to come may have no slack
LEAST_DEMAND = 0.4  # below this share of the capacity no week's arrivals could fill it
LEAST_LOOK_SECONDS = 6 * 3600.0  # pressure of the last hours before a deadline tells nothing about the queue

Finder = Callable[[Task, Terrain, IntArray, float, float], Offer | None]


class Policy(Protocol):
    """Places arriving jobs on a field; `renew` is called when the outlook has changed."""

    def arrive(self, field: Field, live: LiveJob, now: float) -> None: ...

    def renew(self, field: Field, now: float) -> None: ...


class LowestWindow:
    """Each job takes the cheapest unbroken window that is free when it arrives, and keeps it."""

    def arrive(self, field: Field, live: LiveJob, now: float) -> None:
        offer = best_window(live.task, field.terrain, field.free, now, live.task.due)
        field.hold(live, offer or soonest(field, live.task, now))

    def renew(self, field: Field, now: float) -> None:
        """Windows stay."""


class LowestSlots:
    """Each job, taken as interruptible, takes the cheapest free hours when it arrives, and keeps them."""

    def arrive(self, field: Field, live: LiveJob, now: float) -> None:
        task = replace(live.task, job=replace(live.task.job, mode=Mode.INTERRUPTIBLE))
        offer = best_offer(task, field.terrain, field.free, now, task.due)
        field.hold(live, offer or soonest(field, task, now))

    def renew(self, field: Field, now: float) -> None:
        """Hours stay."""


class Planner:
    """The whole queue: a new job trades hours with others, makes room where its deadline needs it; all wait only if it pays."""

    def __init__(self, wait_confidence: float, hurry_at: float = HURRY_AT) -> None:
        self._confidence, self._hurry_at = wait_confidence, hurry_at

    def arrive(self, field: Field, live: LiveJob, now: float) -> None:
        offer = self._best(field, live.task, now)
        if offer is not None:
            field.hold(live, offer)
        elif not self._make_room(field, live, now):
            field.hold(live, soonest(field, live.task, now))
        if pressure(field, now) > self._hurry_at:
            self._hurry(field, now)
        else:
            self._trade(field, live, now)

    def _hurry(self, field: Field, now: float) -> None:
        """Let no GPU idle: the queue is so full that a job yet to come might find no room before its deadline."""
        movable = [live for live in field.live.values() if live.is_movable(now) and live.trace.is_interruptible]
        before = {live.trace.id: _rest(live, now) for live in movable}
        tasks = {live.trace.id: field.take_ahead(live, now) for live in movable}
        offers = least_laxity(tasks, field.terrain, field.free, now) or {name: _offer(pieces) for name, pieces in before.items()}
        for live in movable:
            field.hold(live, offers[live.trace.id])

    def renew(self, field: Field, now: float) -> None:
        """Look again at every job that may still move: the outlook has changed. One that waits already just follows it."""
        for live in sorted(field.live.values(), key=lambda live: (live.task.due, live.trace.id)):
            if live.is_movable(now):
                before = _rest(live, now)
                task = field.take_ahead(live, now)
                waits = any(piece.start > now for piece in before)
                offer = best_offer(task, field.terrain, field.free, now, task.due) if waits else self._best(field, task, now)
                field.hold(live, offer or _offer(before))

    def _best(self, field: Field, task: Task, now: float) -> Offer | None:
        """The cheapest placement in time, or running at once where waiting does not beat its uncertainty."""
        offer = best_offer(task, field.terrain, field.free, now, task.due)
        if offer is None or field.outlook.is_static or (offer.start <= now + EDGE_TOLERANCE_SECONDS and len(offer.pieces) == 1):
            return offer
        instead = prompt_window(task, field.terrain, field.free, now, task.due)
        if instead is None or compare(offer, instead, field.terrain).is_worth(self._confidence):
            return offer
        return instead

    def _make_room(self, field: Field, live: LiveJob, now: float) -> bool:
        """Place all movable jobs anew, the most urgent first: at their cheapest, else as early as they can.

        Undone and False if that makes any of them late.
        """
        others = [other for other in field.live.values() if other is not live and other.is_movable(now)]
        before = {other.trace.id: _rest(other, now) for other in others}
        tasks = {other.trace.id: field.take_ahead(other, now) for other in others} | {live.trace.id: live.task}
        urgent = sorted([*others, live], key=lambda one: (tasks[one.trace.id].due - tasks[one.trace.id].shortest, one.trace.id))
        if _placed_all(field, urgent, tasks, now, best_offer) or _squeezed(field, urgent, tasks, now):
            for one in reversed(urgent):
                self._move(field, one, now)
            return True
        for other in others:
            field.hold(other, _offer(before[other.trace.id]))
        return False

    def _move(self, field: Field, live: LiveJob, now: float) -> None:
        """Put one job at its cheapest."""
        before = _rest(live, now)
        task = field.take_ahead(live, now)
        field.hold(live, best_offer(task, field.terrain, field.free, now, task.due) or _offer(before))

    def _trade(self, field: Field, live: LiveJob, now: float) -> None:
        """Take the new job and a few in its way out, put them back by power: the hungriest deserve the cleanest hours."""
        rivals = _rivals(field, live, now)
        for first in range(0, min(len(rivals), RIVALS * TRADES), RIVALS):
            self._trade_with(field, [live, *rivals[first : first + RIVALS]], now)

    def _trade_with(self, field: Field, group: list[LiveJob], now: float) -> None:
        before = {one.trace.id: _rest(one, now) for one in group}
        tasks = {one.trace.id: field.take_ahead(one, now) for one in group}
        cost = sum(_grams(field, before[one.trace.id]) for one in group)
        order = sorted(group, key=lambda one: (-one.trace.power_watts / one.trace.gpus, one.task.due))
        if _placed_all(field, order, tasks, now, best_offer):
            if sum(_grams(field, one.ahead) for one in group) < cost * (1 - TIE_SHARE):
                return
            for one in group:
                field.take_ahead(one, now)
        for one in group:
            field.hold(one, _offer(before[one.trace.id]))


def pressure(field: Field, now: float) -> float:
    """The largest share of the capacity until some deadline that is needed by then, jobs still to come included."""
    demand, most = 0.0, 0.0
    capacity = sum(field.world.capacity)
    for live in sorted(field.live.values(), key=lambda live: live.task.due):
        demand += live.trace.gpus * sum(piece.end - max(piece.start, now) for piece in live.ahead if piece.end > now)
        span = live.task.due - now
        if span > LEAST_LOOK_SECONDS and demand > LEAST_DEMAND * capacity * span:
            most = max(most, (demand + field.arrivals.to_come(now, live.task.due)) / (capacity * span))
    return most


def _placed_all(field: Field, order: Sequence[LiveJob], tasks: Mapping[str, Task], now: float, finder: Finder) -> bool:
    """Place the jobs one after the other; if one finds no room in time, all are taken out again."""
    for position, one in enumerate(order):
        offer = finder(tasks[one.trace.id], field.terrain, field.free, now, one.task.due)
        if offer is None:
            for placed in order[:position]:
                field.take_ahead(placed, now)
            return False
        field.hold(one, offer)
    return True


def _squeezed(field: Field, urgent: Sequence[LiveJob], tasks: Mapping[str, Task], now: float) -> bool:
    """Place unbroken jobs as early as they can, the others by least laxity; nothing is placed if one would be late."""
    unbroken = [one for one in urgent if not one.trace.is_interruptible]
    if not _placed_all(field, unbroken, tasks, now, _early_offer):
        return False
    pausable = {one.trace.id: tasks[one.trace.id] for one in urgent if one.trace.is_interruptible}
    offers = least_laxity(pausable, field.terrain, field.free, now)
    if offers is None:
        for one in unbroken:
            field.take_ahead(one, now)
        return False
    for one in urgent:
        if one.trace.is_interruptible:
            field.hold(one, offers[one.trace.id])
    return True


def _early_offer(task: Task, terrain: Terrain, free: IntArray, now: float, due: float) -> Offer | None:
    """As early as there is room, if that is in time."""
    offer = soonest_offer(task, terrain, free, now)
    return offer if offer is not None and offer.end <= due + EDGE_TOLERANCE_SECONDS else None


def _rest(live: LiveJob, now: float) -> list[Piece]:
    """What the job still holds from `now` on."""
    return [replace(piece, start=max(piece.start, now)) for piece in live.ahead if piece.end > now]


def _rivals(field: Field, live: LiveJob, now: float) -> list[LiveJob]:
    """Movable jobs in full hours that are cleaner than the dirtiest the new job got, those with the most slack first."""
    terrain, dearest = field.terrain, 0.0
    for piece in live.ahead:
        cells = slice(terrain.cell(piece.start), terrain.cell_after(piece.end))
        dearest = max(dearest, float(terrain.rate[piece.choice.site, cells].max()))
    first, last = terrain.cell(now), terrain.cell_after(min(live.task.due, terrain.end))
    wished = [(field.free[c.site, first:last] < live.trace.gpus) & (terrain.rate[c.site, first:last] < dearest) for c in live.task.choices]
    if not any(bool(wish.any()) for wish in wished):
        return []
    by_site = {c.site: np.flatnonzero(wish) + first for c, wish in zip(live.task.choices, wished, strict=True)}
    rivals = [other for other in field.live.values() if other is not live and other.is_movable(now) and _is_in(terrain, other, by_site)]
    return sorted(rivals, key=lambda other: (other.task.shortest - other.task.due, other.trace.id))


def _is_in(terrain: Terrain, live: LiveJob, cells: Mapping[int, IntArray]) -> bool:
    """Whether the job holds any of these cells, which are in order."""
    for piece in live.ahead:
        wished = cells.get(piece.choice.site)
        if wished is not None:
            after = int(np.searchsorted(wished, terrain.cell(piece.start)))
            if after < len(wished) and wished[after] < terrain.cell_after(piece.end):
                return True
    return False


def _grams(field: Field, pieces: Sequence[Piece]) -> float:
    terrain = field.terrain
    work = sum(p.choice.power * terrain.grams_per_kw(p.choice.site, p.start, p.end) for p in pieces)
    return work + sum(p.choice.once_kwh * float(terrain.rate[p.choice.site, terrain.cell(p.start)]) for p in arrivals_of(pieces))


def _offer(pieces: Sequence[Piece]) -> Offer:
    """Pieces to be held again; their price is not looked at."""
    return Offer(tuple(pieces), 0.0, 0.0, pieces[0].start, pieces[-1].end)


def soonest(field: Field, task: Task, now: float) -> Offer:
    """As early as there is room. Raises WorldProblem where the record ends before that."""
    offer = soonest_offer(task, field.terrain, field.free, now)
    if offer is None:
        raise WorldProblem(f"job {task.job.id}: the queue is longer than the intensity record; give a longer record or more capacity")
    return offer


def run_now(jobs: Sequence[TraceJob], world: World) -> dict[str, list[Piece]]:
    """First come, first served at each job's home: nobody overtakes, each starts as soon as its GPUs are free."""
    queues = [_Queue(capacity) for capacity in world.capacity]
    pieces: dict[str, list[Piece]] = {}
    for job in jobs:
        home = world.home_of(job)
        if job.gpus > world.capacity[home]:
            raise WorldProblem(
                f"job {job.id} needs {job.gpus} GPUs, home {world.sites[home].name} has {world.capacity[home]}: raise the capacity"
            )
        choice = choice_at(world, job, home)
        start = queues[home].serve(world.seconds(job.arrival), job.gpus, choice.work)
        pieces[job.id] = [Piece(choice, start, start + choice.work)]
    return pieces


class _Queue:
    """One home in the baseline: what is free, and the last start, before which nobody may start."""

    def __init__(self, capacity: int) -> None:
        self._free, self._clock = capacity, -math.inf
        self._ends: list[tuple[float, int]] = []

    def serve(self, arrival: float, gpus: int, seconds: float) -> float:
        """When the next in the queue starts."""
        self._clock = max(self._clock, arrival)
        while self._ends and (self._ends[0][0] <= self._clock or self._free < gpus):
            end, given_back = heappop(self._ends)
            self._clock, self._free = max(self._clock, end), self._free + given_back
        self._free -= gpus
        heappush(self._ends, (self._clock + seconds, gpus))
        return self._clock
