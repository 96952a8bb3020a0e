"""Room in a daemon's plans for jobs that may still come, by what came in the weeks before: what `guard` does for a replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from daemon.domain.plan import Placement, Plan, Snapshot
from daemon.planner.guard import keep_room
from daemon.planner.on_field import OnField
from daemon.planner.options import PlannerOptions
from daemon.planner.reasons import room_text
from daemon.planner.reserve import Demand
from daemon.planner.task import Task, task_of
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
        """The plan with work brought forward, as little and as cheaply as it goes, where what may come would find no room in time."""
        if self._began is None or not self._demand.is_known((snapshot.now - self._began).total_seconds()):
            return plan
        on_field = OnField(plan, snapshot, options, _due_on_the_hour)
        keep_room(on_field.field, _Since(self._demand, (snapshot.now - self._began).total_seconds()), 0.0)
        return on_field.plan(lambda placement: replace(placement, reason=room_text(placement.segments, snapshot.now)))


def _due_on_the_hour(task: Task, placement: Placement, terrain: Terrain) -> float:
    """The last full hour before the job's deadline that it keeps now: what may come is summed up for each deadline."""
    hour = terrain.instant(task.due).replace(minute=0, second=0, microsecond=0)
    return max(terrain.seconds(hour), terrain.seconds(placement.end))
