"""Room in a daemon's plans for jobs that may still come, by what came in the weeks before: what `guard` does for a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot
from daemon.planner.answer import placement_for
from daemon.planner.field import Field, Held
from daemon.planner.guard import keep_room
from daemon.planner.options import PlannerOptions
from daemon.planner.previous import pieces_of_placement
from daemon.planner.reasons import room_text
from daemon.planner.reserve import Demand
from daemon.planner.residual import Residual
from daemon.planner.task import Piece, Task, offer_of, task_of
from daemon.planner.terrain import Terrain, terrain_of
from forecast.intensity import FloatArray


@dataclass(frozen=True, slots=True)
class _Since:
    """What is known of arrivals, asked in seconds since a snapshot's moment instead of their own beginning."""

    demand: Demand
    seconds: float

    def to_come(self, starts: FloatArray, due: float, now: float) -> FloatArray:
        return self.demand.to_come(starts + self.seconds, due + self.seconds, now + self.seconds)


class Coming:
    """The jobs that were seen to come since the first snapshot, and what they ask to be kept free."""

    def __init__(self) -> None:
        self._demand = Demand()
        self._began: datetime | None = None
        self._newest = datetime.min.replace(tzinfo=UTC)  # acceptance of the last job noted

    def note(self, snapshot: Snapshot) -> None:
        """Take notice of the jobs that came since the snapshot before. Snapshots come in the order of time."""
        if self._began is None:
            self._began, self._newest = snapshot.now, snapshot.now - snapshot.grid.step
        new = sorted((job for job in snapshot.jobs if job.accepted_at > self._newest), key=lambda job: (job.accepted_at, job.id))
        if not new:
            return
        terrain, step = terrain_of(snapshot), snapshot.grid.step_seconds
        since = (snapshot.now - self._began).total_seconds()
        for task in (task for job in new if (task := task_of(job, terrain)) is not None):
            self._demand.note(replace(task, release=terrain.seconds(task.job.accepted_at) + since, due=task.due + since), step)
        self._newest = new[-1].accepted_at

    def with_room(self, plan: Plan, snapshot: Snapshot, options: PlannerOptions) -> Plan:
        """The plan with work brought forward, as little and as cheaply as it goes, where what may come would find no room in time.

        Nobody is moved who runs and cannot pause for free, waits for others or is waited for, or has a price or a budget to keep.
        """
        if self._began is None or not self._demand.is_known((snapshot.now - self._began).total_seconds()):
            return plan
        residual = Residual.of(snapshot, plan, options)
        field = Field(residual.terrain, residual.free.copy())
        movable = _on_field(field, plan, snapshot)
        keep_room(field, _Since(self._demand, (snapshot.now - self._began).total_seconds()), 0.0)
        moved = {job: _placement(held, residual.terrain) for job, (held, before) in movable.items() if held.ahead != before}
        more = sum(moved[p.job_id].expected_g - p.expected_g for p in plan.placements if p.job_id in moved)
        placements = tuple(moved.get(placement.job_id, placement) for placement in plan.placements)
        return replace(plan, placements=placements, cost_g=plan.cost_g + more, bound_g=min(plan.bound_g, plan.cost_g + more))


def _on_field(field: Field, plan: Plan, snapshot: Snapshot) -> Mapping[str, tuple[Held, list[Piece]]]:
    """Let the jobs that may be moved onto the field; each with the pieces it holds."""
    jobs = {job.id: job for job in snapshot.jobs}
    waited_for = {name for job in snapshot.jobs for name in job.after}
    movable: dict[str, tuple[Held, list[Piece]]] = {}
    for placement in plan.placements:
        job = jobs[placement.job_id]
        task = task_of(job, field.terrain)
        if task is None or job.id in waited_for or not _is_free_to_move(job, placement, snapshot):
            continue
        held, pieces = Held(_due_on_the_hour(task, placement, field.terrain)), pieces_of_placement(placement, task, field.terrain)
        if (task.running < 0 or held.swaps_hours) and not field.hands_over(pieces):
            field.adopt(held, pieces)
            movable[job.id] = held, pieces
    return movable


def _is_free_to_move(job: PlanJob, placement: Placement, snapshot: Snapshot) -> bool:
    is_bound = job.after or job.price_of_waiting_g_per_hour or job.project in snapshot.spending.budgets
    return not (is_bound or placement.is_late or placement.end > snapshot.grid.end)


def _due_on_the_hour(task: Task, placement: Placement, terrain: Terrain) -> Task:
    """The task due at the last full hour before its deadline that it keeps now: what may come is summed up for each deadline."""
    hour = terrain.instant(task.due).replace(minute=0, second=0, microsecond=0)
    return replace(task, due=max(terrain.seconds(hour), terrain.seconds(placement.end)))


def _placement(held: Held, terrain: Terrain) -> Placement:
    task = task_of(held.task.job, terrain) or held.task
    pieces = tuple(replace(piece, fresh=piece.start > 0.0 or not task.runs_at(piece.choice.site)) for piece in held.ahead)
    placement = placement_for(task, offer_of(pieces, task, terrain), terrain, task.release, None)
    return replace(placement, reason=room_text(placement.segments, terrain.now))
