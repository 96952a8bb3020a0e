"""What the last plan left free, kept ready so that a preview takes microseconds."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.domain.plan import IntArray, Mode, Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.answer import placement_for, without_room
from daemon.planner.fares import Shortage
from daemon.planner.offers import soonest_offer
from daemon.planner.options import PlannerOptions
from daemon.planner.quick import quick_offer
from daemon.planner.regret import Comparison, compare
from daemon.planner.task import Offer, Task, task_of
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain, terrain_of
from daemon.planner.windows import prompt_window

REACH = 2.0  # the grid is continued to this many times its length, for jobs longer than the plan looks


@dataclass(frozen=True, slots=True)
class Residual:
    """The free GPUs behind one plan. It does not change: previews of several jobs do not see each other."""

    terrain: Terrain
    shortage: Shortage
    options: PlannerOptions

    @property
    def free(self) -> IntArray:
        return self.shortage.free

    @classmethod
    def of(cls, snapshot: Snapshot, plan: Plan, options: PlannerOptions | None = None, reach_seconds: float | None = None) -> Residual:
        """What `plan`, made from `snapshot`, leaves until `reach_seconds` from now, by default REACH times the grid's length."""
        terrain = terrain_of(snapshot, reach_seconds or REACH * (snapshot.grid.end - snapshot.now).total_seconds())
        free = terrain.free.copy()
        pinned = {job.id for job in snapshot.jobs if job.mode is Mode.CONTIGUOUS and job.running_at is not None}
        for placement in plan.placements:
            for segment in placement.segments if placement.job_id not in pinned else ():
                start = terrain.seconds(segment.start)
                if start < terrain.end:  # a season's window may lie beyond
                    free[terrain.index[segment.site], terrain.cell(start) : terrain.cell_after(terrain.seconds(segment.end))] -= (
                        segment.gpus
                    )
        return cls(terrain, Shortage(free), options or PlannerOptions())


def preview(job: PlanJob, where: Residual | Snapshot, options: PlannerOptions | None = None) -> Placement | Unplaced:
    """Where one new job would go in the capacity the last plan left. A Snapshot stands for a plan without any job.

    The job's predecessors are not looked up: give the end of the last one as its `earliest`.
    """
    residual = where if isinstance(where, Residual) else Residual.of(where, Plan(where.now, ()), options)
    task = task_of(job, residual.terrain)
    if task is None:
        return Unplaced(job.id, "no site admits this job, or none has as many GPUs as it needs")
    offer = _within_deadline(task, residual) or soonest_offer(task, residual.terrain, residual.free, task.release)
    if offer is None:
        return without_room([task], residual.terrain, residual.free)[0]
    offer, not_worth = _waited(task, offer, residual)
    return placement_for(task, offer, residual.terrain, task.release, not_worth)


def _within_deadline(task: Task, residual: Residual) -> Offer | None:
    margin = residual.options.deadline_margin * task.shortest
    offer = quick_offer(task, residual.terrain, residual.shortage, task.release, task.due - margin) if margin else None
    return offer or quick_offer(task, residual.terrain, residual.shortage, task.release, task.due)


def _waited(task: Task, offer: Offer, residual: Residual) -> tuple[Offer, Comparison | None]:
    """The offer, or running at once where waiting does not beat its uncertainty."""
    confidence = residual.options.wait_confidence
    starts_at_once = offer.start <= task.release + EDGE_TOLERANCE_SECONDS and len(offer.pieces) == 1
    if confidence <= 0 or starts_at_once:
        return offer, None
    instead = prompt_window(task, residual.terrain, residual.shortage, task.release, task.due)
    if instead is None:
        return offer, None
    comparison = compare(offer, instead, residual.terrain)
    return (offer, None) if comparison.is_worth(confidence) else (instead, comparison)
