"""Planning again when all goes as planned and only a few jobs have come: the last plan stands, and what is new joins it.

A whole plan is made where anything else has changed, and where a new job would be the first that is late or has a budget to keep. It is
also made every so often, so that many small steps do not add up to a bad plan: within minutes where a job is late or has no place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from daemon.domain.plan import Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.bound import least_of
from daemon.planner.coming import Coming
from daemon.planner.fairness import with_turns
from daemon.planner.in_need import behind_others
from daemon.planner.joined import Moved, joined
from daemon.planner.onward import moved_on
from daemon.planner.options import PlannerOptions
from daemon.planner.residual import REACH
from daemon.planner.standing import Standing, prices_on, promises_of
from daemon.planner.swapped import with_swapped_hours
from daemon.planner.task import task_of
from daemon.planner.terrain import terrain_of

MOST_NEW = 8  # jobs that are new at once; more deserve a plan of their own
MOST_ADDED_SHARE = 0.02  # of the jobs of the last whole plan, before the next one is made; in need that comes within minutes anyway
FEWEST_ADDED = 1  # so that a short queue does not wait for its next whole plan


class Planner:
    """Plans snapshot after snapshot. Equal sequences of snapshots give equal plans. Safe from several threads."""

    def __init__(self, whole: Callable[[Snapshot], Plan], options: PlannerOptions) -> None:
        """`whole` makes a plan from nothing but the snapshot."""
        self._whole, self._options = whole, options
        self._coming = Coming()
        self._lock = threading.Lock()
        self._standing: Standing | None = None

    def remember(self, snapshot: Snapshot) -> None:
        """Learn from jobs that came before the first plan: those of `snapshot`, as they were when they came, and the first one ever."""
        with self._lock:
            self._coming.note(snapshot)

    def __call__(self, snapshot: Snapshot) -> Plan:
        """Raises what `whole` raises."""
        with self._lock:
            self._coming.note(snapshot)
            standing = None if self._standing is None else with_new_jobs(self._standing, snapshot, self._options)
            self._standing = standing or Standing.of(snapshot, self._anew(snapshot), self._options)
            return self._standing.plan

    def _anew(self, snapshot: Snapshot) -> Plan:
        """A whole plan, its hours swapped, with room for jobs that may still come."""
        plan = self._whole(snapshot)
        began = perf_counter()
        swapped = with_swapped_hours(plan, snapshot, self._options)
        with_room = self._coming.with_room(swapped, snapshot, self._options)
        return replace(with_room, planner_seconds=plan.planner_seconds + perf_counter() - began)


def with_new_jobs(standing: Standing, snapshot: Snapshot, options: PlannerOptions) -> Standing | None:
    """The standing plan at the snapshot's moment with its new jobs beside it, or None where a whole plan is due."""
    began = perf_counter()
    new = _new_jobs(standing, snapshot)
    if new is None:
        return None
    added = standing.added + len(new)
    if added > max(FEWEST_ADDED, MOST_ADDED_SHARE * len(standing.snapshot.jobs)) and not standing.is_in_need:
        return None
    on_course = moved_on(standing, snapshot)
    if on_course is None:
        return None
    plan = on_course.plan
    for job in new:
        grown = _with(plan, job, snapshot, options, may_be_late=standing.is_in_need)
        if grown is None:
            return None
        plan = grown
    old = {placement.job_id: placement for placement in on_course.plan.placements}
    moved = [placement for placement in plan.placements if placement is not old.get(placement.job_id)]
    promises = {**on_course.promises, **promises_of(moved, snapshot, options)}
    return replace(on_course, plan=replace(plan, planner_seconds=perf_counter() - began), promises=promises, added=added)


def _with(plan: Plan, job: PlanJob, snapshot: Snapshot, options: PlannerOptions, *, may_be_late: bool) -> Plan | None:
    """The plan with one job more, a few others moved for it where that pays; None where a whole plan has to place it."""
    ends = {p.job_id: p.end for p in plan.placements if p.job_id in job.after}
    begins = replace(job, earliest=max([job.earliest, *ends.values()]))
    in_turn = with_turns(snapshot)
    # A whole plan looks no further than the outlook either, and would move what lies beyond.
    moved = joined(plan, replace(begins, deadline=min(job.deadline, snapshot.grid.end)), in_turn, options)
    if moved is None and may_be_late:
        behind = behind_others(plan, begins, in_turn, options)
        if isinstance(behind, Unplaced):
            return replace(plan, unplaced=(*plan.unplaced, behind))
        moved = None if behind is None else {job.id: behind}
    return None if moved is None else _grown(plan, moved, job, snapshot)


def _grown(plan: Plan, moved: Moved, job: PlanJob, snapshot: Snapshot) -> Plan:
    """The plan with the placement of a new job, and new ones of those that moved for it."""
    new = moved[job.id]
    reach_seconds = max(REACH * (snapshot.grid.end - snapshot.now).total_seconds(), (new.end - snapshot.now).total_seconds())
    terrain = terrain_of(snapshot, reach_seconds)
    alone = task_of(job, terrain)
    # A late job may be as late in the bound, too.
    least = least_of(replace(alone, due=max(alone.due, terrain.seconds(new.end))), terrain, prices_on(plan, terrain)) if alone else 0.0
    more = new.expected_g + sum(moved[p.job_id].expected_g - p.expected_g for p in plan.placements if p.job_id in moved)
    placements = (*(moved.get(placement.job_id, placement) for placement in plan.placements), new)
    cost = plan.cost_g + more
    return replace(plan, placements=placements, cost_g=cost, bound_g=min(plan.bound_g + min(least, new.expected_g), cost))


def _new_jobs(standing: Standing, snapshot: Snapshot) -> Sequence[PlanJob] | None:
    """Jobs the standing plan knows nothing of, in the order in which a whole plan would place them; None where it has to place them."""
    placed = {placement.job_id for placement in standing.plan.placements}
    known = placed | {answer.job_id for answer in standing.plan.unplaced}
    new = [job for job in with_turns(snapshot).jobs if job.id not in known]
    if len(new) > MOST_NEW or any(job.price_of_waiting_g_per_hour for job in new):
        return None
    if any(name not in placed for job in new for name in job.after):
        return None
    if any(job.project in snapshot.spending.budgets for job in new):
        return None  # whether it may run at all, a whole plan knows
    return sorted(new, key=lambda job: (-job.priority, job.deadline, job.id))
