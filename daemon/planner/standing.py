"""The last plan with what it was made from, and what it promised: as long as that comes true, nothing is planned anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot
from daemon.planner.expected import Expected
from daemon.planner.options import PlannerOptions
from daemon.planner.terrain import Terrain
from forecast.intensity import FloatArray

LEAST_LEEWAY_SECONDS = 120.0  # a launch and a report of progress are no delay


@dataclass(frozen=True, slots=True)
class Promise:
    """When a job was said to end, and how far from that its end may drift."""

    end: datetime
    leeway_seconds: float

    def holds(self, end: datetime) -> bool:
        return abs((end - self.end).total_seconds()) <= self.leeway_seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """The last plan and its snapshot, and since when they go back to one plan made as a whole.

    `promises` by job; `expected`: free GPUs as that plan saw them; `least_g`: what jobs that have begun since add to the bound;
    `added`: how many jobs have joined since.
    """

    snapshot: Snapshot
    plan: Plan
    whole_at: datetime
    promises: Mapping[str, Promise]
    expected: Expected
    least_g: Mapping[str, float] = field(default_factory=dict)
    added: int = 0

    @property
    def is_in_need(self) -> bool:
        """Whether a job is late or has no place."""
        return bool(self.plan.unplaced) or any(placement.is_late for placement in self.plan.placements)

    @classmethod
    def of(cls, snapshot: Snapshot, plan: Plan, options: PlannerOptions) -> Standing:
        """A plan made as a whole."""
        return cls(snapshot, plan, snapshot.now, promises_of(plan.placements, snapshot, options), Expected.of(snapshot))


def promises_of(placements: Iterable[Placement], snapshot: Snapshot, options: PlannerOptions) -> dict[str, Promise]:
    """What the placements promise."""
    leeways = {job.id: _leeway_seconds(job, options) for job in snapshot.jobs}
    return {placement.job_id: Promise(placement.end, leeways[placement.job_id]) for placement in placements}


def _leeway_seconds(job: PlanJob, options: PlannerOptions) -> float:
    """The margin kept before deadlines, because estimates err, and a start-up, because nobody knows how much of one under way is left."""
    work = min((option.work_seconds for option in job.options), default=0.0)
    startup = max((option.startup_seconds for option in job.options), default=0.0)
    return max(LEAST_LEEWAY_SECONDS, options.deadline_margin * work) + startup


def prices_on(plan: Plan, terrain: Terrain) -> FloatArray:
    """The plan's prices on a terrain that begins no sooner: of the running slot the share that is left, none where none is known."""
    prices = np.zeros((len(terrain.sites), terrain.count))
    to_edge = terrain.first_edge - terrain.seconds(plan.made_at)  # from the plan to the end of the running slot
    past = max(0, int(np.ceil(to_edge / terrain.step - 1e-9)) - 1)
    for row, site in enumerate(terrain.sites):
        known = plan.prices_g.get(site.name, ())[past : past + terrain.count]
        prices[row, : len(known)] = known
    prices[:, 0] *= terrain.first_edge / (terrain.step if past else to_edge)
    return prices
