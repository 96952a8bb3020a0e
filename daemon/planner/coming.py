"""Room in a daemon's plans for jobs that may still come, by what came in the weeks before: what `guard` does for a replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.domain.plan import Placement, Plan, Snapshot
from daemon.planner.guard import keep_room
from daemon.planner.on_field import OnField
from daemon.planner.options import PlannerOptions
from daemon.planner.reasons import room_text
from daemon.planner.reserve import FORGOTTEN_SECONDS, Demand
from daemon.planner.task import Task, task_of
from daemon.planner.terrain import Terrain, terrain_of
from forecast.intensity import FloatArray

REMEMBERED = timedelta(seconds=FORGOTTEN_SECONDS)  # for so long it matters that a job came


@dataclass(frozen=True, slots=True)
class _Since:
    """What is known of arrivals, asked in seconds since a snapshot's moment instead of their own beginning."""

    demand: Demand
    seconds: float

    def to_come(self, starts: FloatArray, due: float, now: float) -> FloatArray:
        return self.demand.to_come(starts + self.seconds, due + self.seconds, now + self.seconds)


class Coming:
    """The jobs that were seen to come, each once, and what they ask to be kept free."""

    def __init__(self) -> None:
        self._demand = Demand()
        self._began: datetime | None = None  # from when on the demand's seconds count
        self._noted: dict[str, datetime] = {}  # when the jobs came, by id

    def note(self, snapshot: Snapshot) -> None:
        """Take notice of jobs that are new in the snapshot, whenever they came. Snapshots come in the order of time."""
        self._began = self._began or snapshot.now
        new = sorted((job for job in snapshot.jobs if job.id not in self._noted), key=lambda job: (job.accepted_at, job.id))
        if not new:
            return
        terrain, step = terrain_of(snapshot), snapshot.grid.step_seconds
        since = (snapshot.now - self._began).total_seconds()
        for task in (task for job in new if (task := task_of(job, terrain)) is not None):
            self._demand.note(replace(task, release=terrain.seconds(task.job.accepted_at) + since, due=task.due + since), step)
        known = self._noted | {job.id: job.accepted_at for job in new}
        live = {job.id for job in snapshot.jobs}  # of the others only those that came lately turn up again
        self._noted = {name: came for name, came in known.items() if came >= snapshot.now - REMEMBERED or name in live}

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
