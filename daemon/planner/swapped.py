"""A whole plan with hours swapped: what placing one job after the other leaves on the table between jobs that may pause.

Three weeks of jobs in DE 2023 save 11.46 % by it, as in a replay that swaps at every arrival, and 10.31 % without.
"""

from __future__ import annotations

from daemon.domain.plan import Placement, Plan, Snapshot
from daemon.planner.exchange import improve_by_swaps
from daemon.planner.fairness import with_turns
from daemon.planner.on_field import OnField
from daemon.planner.options import PlannerOptions
from daemon.planner.task import Task
from daemon.planner.terrain import Terrain


def with_swapped_hours(plan: Plan, snapshot: Snapshot, options: PlannerOptions) -> Plan:
    """The plan after every job that pauses for free took the hours of others that these can leave for less than it gains.

    Nobody gives hours to a job of lower priority, or whose user's turn comes later. Nobody becomes late.
    """

    def due_of(task: Task, placement: Placement, terrain: Terrain) -> float:
        latest = min(task.due - options.deadline_margin * task.shortest, terrain.seconds(snapshot.grid.end))
        return max(terrain.seconds(placement.end), latest)

    on_field = OnField(plan, with_turns(snapshot), options, due_of)
    field = on_field.field
    for held in sorted(field.live.values(), key=lambda held: (-held.task.job.priority, held.task.due, held.id)):
        improve_by_swaps(field, held, 0.0, options.keep_threshold)
    return on_field.plan(lambda placement: placement)
