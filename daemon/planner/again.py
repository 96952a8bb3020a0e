"""Planning again when only a few jobs have come: the last plan stands, and what is new joins it as jobs arrive in a replay.

A whole plan is made where anything else has changed, where a new job would be late or has a budget to keep, and every so often,
so that many small steps do not add up to a bad plan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from time import perf_counter

import numpy as np

from daemon.domain.plan import Placement, Plan, PlanJob, PlanSite, Snapshot
from daemon.planner.bound import least_of
from daemon.planner.joined import joined
from daemon.planner.options import PlannerOptions
from daemon.planner.residual import REACH
from daemon.planner.task import task_of
from daemon.planner.terrain import Terrain, terrain_of
from forecast.intensity import FloatArray, ZoneOutlook

MOST_NEW = 8  # jobs that are new at once; more deserve a plan of their own
MOST_ADDED_SHARE = 0.02  # of the jobs of the last whole plan, before the next one is made
FEWEST_ADDED = 1  # so that a short queue does not wait for its next whole plan

_FACTS = attrgetter(
    "id", "mode", "gpus", "accepted_at", "earliest", "deadline", "options", "home", "after", "priority",
    "price_of_waiting_g_per_hour", "max_width", "running_at", "beside", "state_at", "project", "user",
)  # fmt: skip  # all of a job but what was planned for it


@dataclass(frozen=True, slots=True)
class Standing:
    """The last plan with what it was made from, and how many jobs were added since it was made as a whole."""

    snapshot: Snapshot
    plan: Plan
    added: int = 0


class Planner:
    """Plans snapshot after snapshot. Equal sequences of snapshots give equal plans. Safe from several threads."""

    def __init__(self, whole: Callable[[Snapshot], Plan], options: PlannerOptions) -> None:
        """`whole` makes a plan from nothing but the snapshot."""
        self._whole, self._options = whole, options
        self._lock = threading.Lock()
        self._standing: Standing | None = None

    def __call__(self, snapshot: Snapshot) -> Plan:
        """Raises what `whole` raises."""
        with self._lock:
            standing = None if self._standing is None else with_new_jobs(self._standing, snapshot, self._options)
            self._standing = standing or Standing(snapshot, self._whole(snapshot))
            return self._standing.plan


def with_new_jobs(standing: Standing, snapshot: Snapshot, options: PlannerOptions) -> Standing | None:
    """The standing plan with the snapshot's new jobs beside it, or None where a whole plan is due."""
    began = perf_counter()
    new = _new_jobs(standing, snapshot)
    if new is None or not _is_same_world(standing.snapshot, snapshot):
        return None
    added = standing.added + len(new)
    if added > max(FEWEST_ADDED, MOST_ADDED_SHARE * len(standing.snapshot.jobs)):
        return None
    plan = standing.plan
    for job in new:
        grown = _with(plan, job, snapshot, options)
        if grown is None:
            return None
        plan = grown
    prices = _prices(plan, terrain_of(snapshot))
    carried = {site.name: tuple(row) for site, row in zip(snapshot.sites, prices.tolist(), strict=True)}
    return Standing(snapshot, replace(plan, made_at=snapshot.now, planner_seconds=perf_counter() - began, prices_g=carried), added)


def _with(plan: Plan, job: PlanJob, snapshot: Snapshot, options: PlannerOptions) -> Plan | None:
    """The plan with one job more, a few others moved for it where that pays; None where somebody would be late."""
    ends = {p.job_id: max(s.end for s in p.segments) for p in plan.placements if p.job_id in job.after}
    # A whole plan looks no further than the outlook either, and would move what lies beyond.
    begins = replace(job, earliest=max([job.earliest, *ends.values()]), deadline=min(job.deadline, snapshot.grid.end))
    moved = joined(plan, begins, snapshot, options)
    if moved is None:
        return None
    terrain = terrain_of(snapshot, REACH * (snapshot.grid.end - snapshot.now).total_seconds())
    alone, prices = task_of(job, terrain), _prices(plan, terrain)
    least = least_of(alone, terrain, prices) if alone is not None else 0.0
    new = moved.pop(job.id)
    more = new.expected_g + sum(moved[p.job_id].expected_g - p.expected_g for p in plan.placements if p.job_id in moved)
    placements = (*(moved.get(placement.job_id, placement) for placement in plan.placements), new)
    cost = plan.cost_g + more
    return replace(plan, placements=placements, cost_g=cost, bound_g=min(plan.bound_g + min(least, new.expected_g), cost))


def _prices(plan: Plan, terrain: Terrain) -> FloatArray:
    """The plan's prices on a terrain that begins in the same slot, of which less may be left by now."""
    prices = np.zeros((len(terrain.sites), terrain.count))
    for row, site in enumerate(terrain.sites):
        known = np.array(plan.prices_g.get(site.name, ())[: terrain.count])
        prices[row, : len(known)] = known
    began = (plan.made_at - terrain.now).total_seconds()
    prices[:, 0] *= terrain.first_edge / (terrain.first_edge - began)
    return prices


def _new_jobs(standing: Standing, snapshot: Snapshot) -> Sequence[PlanJob] | None:
    """Jobs the standing plan knows nothing of; None if an old one is gone, has changed, or is about to start."""
    placed = {placement.job_id: placement for placement in standing.plan.placements}
    old = {job.id: job for job in standing.snapshot.jobs}
    new = [job for job in snapshot.jobs if job.id not in old]
    if len(new) > MOST_NEW or len(snapshot.jobs) - len(new) != len(old) or len(placed) != len(old):
        return None
    if any(job.price_of_waiting_g_per_hour or any(name not in placed for name in job.after) for job in new):
        return None
    if any(job.project in snapshot.spending.budgets for job in new):
        return None  # whether it may run at all, a whole plan knows
    for job in snapshot.jobs:
        if job.id in old and not _stands(old[job.id], job, placed[job.id], standing.snapshot, snapshot):
            return None
    return new


def _stands(before: PlanJob, job: PlanJob, placement: Placement, earlier: Snapshot, now: Snapshot) -> bool:
    """Whether the job is as it was, its placement was taken over and nothing of it falls between the two snapshots."""
    is_as_it_was = job is before or _FACTS(job) == _FACTS(before)
    is_ahead = placement.segments[0].start >= now.now or earlier.now == now.now
    return is_as_it_was and is_ahead and not placement.is_late and job.previous in (placement.segments, before.previous)


def _is_same_world(before: Snapshot, now: Snapshot) -> bool:
    """Whether sites, outlooks and shares are as they were, as far as both snapshots reach, and no time has been given back."""
    if now.now < before.now:
        return False  # what the bound was proven for has become more
    if (before.grid.start, before.grid.step) != (now.grid.start, now.grid.step) or now.grid.count < before.grid.count:
        return False
    if (before.now - before.grid.start) // before.grid.step != (now.now - now.grid.start) // now.grid.step:
        return False
    if now.spending != before.spending or now.standings != before.standings or now.shares_kept != before.shares_kept:
        return False
    if len(before.sites) != len(now.sites) or before.outlooks.keys() != now.outlooks.keys():
        return False
    sites = all(_is_same_site(a, b) for a, b in zip(before.sites, now.sites, strict=True))
    return sites and all(_is_same_outlook(before.outlooks[zone], now.outlooks[zone]) for zone in before.outlooks)


def _is_same_site(before: PlanSite, now: PlanSite) -> bool:
    is_same = (before.name, before.zone, before.pue) == (now.name, now.zone, now.pue)
    return is_same and np.array_equal(before.free_gpus, now.free_gpus[: len(before.free_gpus)])


def _is_same_outlook(before: ZoneOutlook, now: ZoneOutlook) -> bool:
    count = len(before.g_per_kwh)
    pairs = ((before.g_per_kwh, now.g_per_kwh), (before.low, now.low), (before.high, now.high))
    return before.kind == now.kind and all(np.array_equal(a, b[:count], equal_nan=True) for a, b in pairs)
