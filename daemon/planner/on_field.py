"""The jobs of a plan that may still be moved, let onto a field, and the plan again once some of them have moved there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from daemon.domain.plan import Mode, Placement, Plan, PlanJob, Snapshot
from daemon.planner.answer import placement_for
from daemon.planner.field import Field, Held
from daemon.planner.options import PlannerOptions
from daemon.planner.previous import pieces_of_placement
from daemon.planner.residual import Residual
from daemon.planner.task import Piece, Task, offer_of, task_of
from daemon.planner.terrain import Terrain

DueOf = Callable[[Task, Placement, Terrain], float]  # until when a job may be moved, seconds
Wording = Callable[[Placement], Placement]  # says why a job was moved


class OnField:
    """The movable jobs of a plan on `field`, where the others leave room.

    Nobody is moved who runs and may not pause, waits for others or is waited for, or has a price or a budget to keep.
    """

    def __init__(self, plan: Plan, snapshot: Snapshot, options: PlannerOptions, due_of: DueOf) -> None:
        self._plan = plan
        residual = Residual.of(snapshot, plan, options)
        self.field = Field(residual.terrain, residual.free.copy())
        self._before: dict[str, tuple[Held, list[Piece]]] = {}
        self._adopt_movable(snapshot, due_of)

    def plan(self, wording: Wording) -> Plan:
        """The plan as the jobs lie on the field now."""
        terrain = self.field.terrain
        moved = {job: wording(placement_on_field(held, terrain)) for job, (held, before) in self._before.items() if held.ahead != before}
        if not moved:
            return self._plan
        cost = self._plan.cost_g + sum(moved[p.job_id].expected_g - p.expected_g for p in self._plan.placements if p.job_id in moved)
        placements = tuple(moved.get(placement.job_id, placement) for placement in self._plan.placements)
        return replace(self._plan, placements=placements, cost_g=cost, bound_g=min(self._plan.bound_g, cost))

    def _adopt_movable(self, snapshot: Snapshot, due_of: DueOf) -> None:
        jobs = {job.id: job for job in snapshot.jobs}
        waited_for = {name for job in snapshot.jobs for name in job.after}
        terrain = self.field.terrain
        for placement in self._plan.placements:
            job = jobs[placement.job_id]
            task = task_of(job, terrain)
            if task is None or job.id in waited_for or placement.end > snapshot.grid.end or not is_free_to_move(job, placement, snapshot):
                continue
            held = Held(replace(task, due=due_of(task, placement, terrain)))
            pieces = pieces_of_placement(placement, task, terrain)
            if (task.running < 0 or task.job.mode is Mode.INTERRUPTIBLE) and not self.field.hands_over(pieces):
                self.field.adopt(held, pieces)
                self._before[job.id] = held, pieces


def is_free_to_move(job: PlanJob, placement: Placement, snapshot: Snapshot) -> bool:
    """It is in time, waits for no other job, and neither a budget nor a price of waiting speaks against another time."""
    return not (job.after or placement.is_late or job.price_of_waiting_g_per_hour or job.project in snapshot.spending.budgets)


def placement_on_field(held: Held, terrain: Terrain) -> Placement:
    """What the job holds ahead, in the words and units of the plan."""
    task = task_of(held.task.job, terrain) or held.task
    pieces = tuple(replace(piece, fresh=piece.start > 0.0 or not task.runs_at(piece.choice.site)) for piece in held.ahead)
    return placement_for(task, offer_of(pieces, task, terrain), terrain, task.release, None)
