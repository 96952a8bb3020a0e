"""How a job is placed when it arrives, and what happens to the others then: the policies of a replay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Protocol

from daemon.backtest.tasks import choice_at
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, WorldProblem
from daemon.domain.plan import Mode
from daemon.planner.arrival import arrive, look_again, soonest
from daemon.planner.field import Field, Held
from daemon.planner.guard import keep_room
from daemon.planner.offers import best_offer
from daemon.planner.options import PlannerOptions
from daemon.planner.reserve import Demand
from daemon.planner.task import Offer, Piece, Task
from daemon.planner.windows import best_window


class Policy(Protocol):
    """Places arriving jobs on a field; `renew` is called when the outlook has changed."""

    def arrive(self, field: Field, held: Held, now: float) -> None: ...

    def renew(self, field: Field, now: float) -> None: ...


class LowestWindow:
    """Each job takes the cheapest unbroken window that is free when it arrives, and keeps it."""

    def arrive(self, field: Field, held: Held, now: float) -> None:
        offer = best_window(held.task, field.terrain, field.free, now, held.task.due)
        field.take(held, offer or at_once(field, held.task, now))

    def renew(self, field: Field, now: float) -> None:
        """Windows stay."""


class LowestSlots:
    """Each job, taken as interruptible, takes the cheapest free hours when it arrives, and keeps them."""

    def arrive(self, field: Field, held: Held, now: float) -> None:
        task = replace(held.task, job=replace(held.task.job, mode=Mode.INTERRUPTIBLE))
        offer = best_offer(task, field.terrain, field.free, now, task.due)
        field.take(held, offer or at_once(field, task, now))

    def renew(self, field: Field, now: float) -> None:
        """Hours stay."""


class WholeQueue:
    """The daemon's own planner for a queue that jobs arrive at: swapped hours, room where a deadline needs it, waits that pay."""

    def __init__(self, options: PlannerOptions, gpus: int | None) -> None:
        """`gpus`: of all sites, None without limit."""
        self._confidence, self._keep, self._gpus = options.wait_confidence, options.keep_threshold, gpus
        self._demand = Demand()

    def arrive(self, field: Field, held: Held, now: float) -> None:
        self._demand.note(held.task, field.terrain.step)
        if not arrive(field, held, now, self._confidence):
            field.take(held, at_once(field, held.task, now))
        self._keep_room(field, now)

    def renew(self, field: Field, now: float) -> None:
        look_again(field, now, self._confidence, self._keep)
        self._keep_room(field, now)

    def _keep_room(self, field: Field, now: float) -> None:
        if self._gpus is not None:
            keep_room(field, self._demand, now)


def at_once(field: Field, task: Task, now: float) -> Offer:
    """As early as there is room. Raises WorldProblem where the record ends before that."""
    offer = soonest(field, task, now)
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
