"""How a job is placed when it arrives, and what happens to the others then: the policies of a replay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Protocol

from daemon.backtest.field import Field, LiveJob
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, WorldProblem
from daemon.domain.plan import Mode
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.regret import compare
from daemon.planner.task import Choice, Offer, Piece, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS
from daemon.planner.windows import TIE_SHARE, best_window, prompt_window

RIVALS = 3  # jobs that a new one may trade hours with


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

    def __init__(self, wait_confidence: float) -> None:
        self._confidence = wait_confidence

    def arrive(self, field: Field, live: LiveJob, now: float) -> None:
        offer = self._best(field, live.task, now)
        if offer is None:
            if not self._make_room(field, live, now):
                field.hold(live, soonest(field, live.task, now))
            return
        field.hold(live, offer)
        self._trade(field, live, now)

    def renew(self, field: Field, now: float) -> None:
        """Look again at every job that may still move: the outlook has changed."""
        for live in sorted(field.live.values(), key=lambda live: (live.task.due, live.trace.id)):
            if live.is_movable(now):
                before = [replace(p, start=max(p.start, now)) for p in live.ahead if p.end > now]
                offer = self._best(field, field.take_ahead(live, now), now)
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
        """Place all movable jobs anew, the most urgent first; undone and False if that makes any of them late."""
        others = [other for other in field.live.values() if other is not live and other.is_movable(now)]
        before = {other.trace.id: [replace(p, start=max(p.start, now)) for p in other.ahead if p.end > now] for other in others}
        tasks = {other.trace.id: field.take_ahead(other, now) for other in others} | {live.trace.id: live.task}
        urgent = sorted([*others, live], key=lambda one: (tasks[one.trace.id].due - tasks[one.trace.id].shortest, one.trace.id))
        placed: list[LiveJob] = []
        for one in urgent:
            offer = best_offer(tasks[one.trace.id], field.terrain, field.free, now, one.task.due)
            if offer is None:
                break
            field.hold(one, offer)
            placed.append(one)
        if len(placed) == len(urgent):
            return True
        for one in placed:
            field.take_ahead(one, now)
        for other in others:
            field.hold(other, _offer(before[other.trace.id]))
        return False

    def _trade(self, field: Field, live: LiveJob, now: float) -> None:
        """Take the new job and a few that overlap it out, put them back by power: the hungriest deserve the cleanest hours."""
        rivals = self._rivals(field, live, now)
        if not rivals:
            return
        group = [live, *rivals]
        before = {one.trace.id: [replace(p, start=max(p.start, now)) for p in one.ahead if p.end > now] for one in group}
        tasks = {one.trace.id: field.take_ahead(one, now) for one in group}
        cost = sum(_grams(field, before[one.trace.id]) for one in group)
        offers: list[Offer] = []
        for one in sorted(group, key=lambda one: (-one.trace.power_watts / one.trace.gpus, one.task.due)):
            offer = best_offer(tasks[one.trace.id], field.terrain, field.free, now, one.task.due)
            if offer is None:
                break
            field.hold(one, offer)
            offers.append(offer)
        if len(offers) == len(group) and sum(offer.grams for offer in offers) < cost * (1 - TIE_SHARE):
            return
        for one in group:
            if one.ahead:
                field.take_ahead(one, now)
        for one in group:
            field.hold(one, _offer(before[one.trace.id]))

    def _rivals(self, field: Field, live: LiveJob, now: float) -> list[LiveJob]:
        """Movable jobs whose hours the new one would rather have, those with the most room to give way first."""
        start, end = live.task.release, live.task.due
        wishes = [
            other
            for other in field.live.values()
            if other is not live and other.is_movable(now) and other.ahead[0].start < end and other.ahead[-1].end > start
        ]
        if not wishes or not _is_crowded(field, live):
            return []
        return sorted(wishes, key=lambda other: (other.task.shortest - other.task.due, other.trace.id))[:RIVALS]


def _is_crowded(field: Field, live: LiveJob) -> bool:
    """Whether any cell of the job's window on its sites is too full for it."""
    first, last = field.terrain.cell(live.task.release), field.terrain.cell_after(min(live.task.due, field.terrain.end))
    return any(bool((field.free[c.site, first:last] < live.trace.gpus).any()) for c in live.task.choices)


def _grams(field: Field, pieces: Sequence[Piece]) -> float:
    return sum(p.choice.power * field.terrain.grams_per_kw(p.choice.site, p.start, p.end) for p in pieces)


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
    """First come, first served at home: nobody overtakes, each starts as soon as its GPUs are free."""
    free, clock = world.capacity[0], -math.inf
    ends: list[tuple[float, int]] = []
    pieces: dict[str, list[Piece]] = {}
    for job in jobs:
        if job.gpus > world.capacity[0]:
            raise WorldProblem(
                f"job {job.id} needs {job.gpus} GPUs, home {world.sites[0].name} has {world.capacity[0]}: raise the capacity"
            )
        clock = max(clock, world.seconds(job.arrival))
        while ends and (ends[0][0] <= clock or free < job.gpus):
            end, gpus = heappop(ends)
            clock, free = max(clock, end), free + gpus
        finish = clock + job.duration.total_seconds()
        free -= job.gpus
        heappush(ends, (finish, job.gpus))
        pieces[job.id] = [Piece(Choice(0, finish - clock, job.power_watts / 1000, 0.0, 0.0, 0.0), clock, finish)]
    return pieces
