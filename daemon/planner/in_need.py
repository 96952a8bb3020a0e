"""One job more where others are late or have no place already: it goes behind what stands, unless a whole plan could keep its deadline.

Where more is asked than the GPUs can do in time, most newcomers are late from the first, and a whole plan for each would find nothing
better. Whether a newcomer should come before those who are late already is left to the next whole plan.
"""

from __future__ import annotations

from dataclasses import replace

from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.answer import placement_for
from daemon.planner.engine import LONGEST_EXTENSION
from daemon.planner.options import PlannerOptions
from daemon.planner.orders import in_time_between
from daemon.planner.residual import REACH, Residual, preview
from daemon.planner.task import task_of


def behind_others(plan: Plan, job: PlanJob, snapshot: Snapshot, options: PlannerOptions) -> Placement | Unplaced | None:
    """A new job's place in what the plan leaves, in time where there is one, be it between others within a cell; or why it has none.

    None where a whole plan has to answer: where the job might be in time if those gave way that such a plan places after it, and where no
    site has its GPUs, which a whole plan puts into words.

    `job` may begin at its `earliest`: jobs it waits for have ended by then. The snapshot's priorities hold its users' turns, too.
    """
    reach_seconds = _reach_seconds(plan, job, snapshot)
    residual = Residual.of(snapshot, plan, options, reach_seconds)
    terrain, task = residual.terrain, task_of(job, residual.terrain)
    if task is None:
        return None
    behind = preview(job, residual)
    if _is_in_time(behind):
        return behind
    between = in_time_between(terrain, task, (segment for placement in plan.placements for segment in placement.segments))
    if between is not None:
        return placement_for(task, between, terrain, task.release, None)
    first = replace(plan, placements=tuple(_those_before(plan, job, snapshot)))
    return None if _is_in_time(preview(job, Residual.of(snapshot, first, options, reach_seconds))) else behind


def _is_in_time(answer: Placement | Unplaced) -> bool:
    return isinstance(answer, Placement) and not answer.is_late


def _those_before(plan: Plan, newcomer: PlanJob, snapshot: Snapshot) -> list[Placement]:
    """Placements under way, and those that a whole plan would make before the newcomer's."""
    jobs = {job.id: job for job in snapshot.jobs}
    return [
        placement
        for placement in plan.placements
        if placement.segments[0].start <= snapshot.now or _turn(jobs[placement.job_id]) < _turn(newcomer)
    ]


def _turn(job: PlanJob) -> tuple[int, float, str]:
    return -job.priority, job.deadline.timestamp(), job.id


def _reach_seconds(plan: Plan, job: PlanJob, snapshot: Snapshot) -> float:
    """As far as the job may have to go behind all others, within what a whole plan looks at."""
    grid = (snapshot.grid.end - snapshot.now).total_seconds()
    last = max((placement.end for placement in plan.placements), default=snapshot.now)
    work = max((option.work_seconds + option.startup_seconds for option in job.options), default=0.0)
    behind = (max(last, job.earliest) - snapshot.now).total_seconds() + work
    return max(REACH * grid, min(behind, LONGEST_EXTENSION * grid))
