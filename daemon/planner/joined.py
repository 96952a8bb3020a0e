"""One job more in a standing plan: at its best in what is free, after trading places with a few where that saves or a deadline asks it.

These are the moves of `arrival`, as a replay makes them, with limits for the sake of people who have seen the plan. Who was planned before
moves for a clear saving only, and never for a newcomer whom a whole plan would place after it. Where the newcomer finds no room, others
move only if a few moves are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from heapq import nsmallest

import numpy as np

from daemon.domain.plan import IntArray, Placement, Plan, PlanJob, Snapshot
from daemon.planner.arrival import settle_in
from daemon.planner.exchange import room_by_swaps
from daemon.planner.field import Field, Held
from daemon.planner.on_field import is_free_to_move, placement_on_field
from daemon.planner.options import PlannerOptions
from daemon.planner.previous import pieces_of_placement
from daemon.planner.residual import Residual, preview
from daemon.planner.task import Piece, Task, task_of
from daemon.planner.terrain import Terrain
from daemon.planner.trade import room_by_trade

MOST_IN_REACH = 48  # jobs that a newcomer may trade places with

Moved = dict[str, Placement]


def joined(plan: Plan, job: PlanJob, snapshot: Snapshot, options: PlannerOptions) -> Moved | None:
    """The placement of the new job and new ones of those that moved for it; None where somebody would be late.

    `job` may begin at its `earliest`: jobs it waits for have ended by then. The snapshot's priorities hold its users' turns, too.
    """
    residual = Residual.of(snapshot, plan, options)
    alone, task = preview(job, residual), task_of(job, residual.terrain)
    if task is None or not isinstance(alone, Placement):
        return None
    is_prompt = alone.segments[0].start <= max(job.earliest, snapshot.now)
    if is_prompt and not alone.is_late:
        return {job.id: alone}
    field = Field(residual.terrain, residual.free.copy())
    # Hours that somebody of higher priority chose first are given up for a deadline only.
    first = frozenset() if alone.is_late else frozenset(one.id for one in snapshot.jobs if one.priority > job.priority)
    others = [placement for placement in plan.placements if placement.job_id not in first]
    before = _those_in_reach(field, task, others, snapshot, options.deadline_margin)
    held = Held(replace(task, due=task.due - options.deadline_margin * task.shortest))
    field.add(held)
    if alone.is_late:
        if not _finds_room(field, held, task):
            return None
    else:
        field.hold(held, pieces_of_placement(alone, task, residual.terrain))
        settle_in(field, held, 0.0, options.keep_threshold)
    moved = {name: placement_on_field(field.live[name], residual.terrain) for name in before if field.live[name].ahead != before[name]}
    unmoved = pieces_of_placement(alone, task, residual.terrain) == held.ahead
    return {**moved, job.id: alone if unmoved else placement_on_field(held, residual.terrain)}


def _finds_room(field: Field, held: Held, task: Task) -> bool:
    """Room for a job that has none in time: with the margin before its deadline if it can, else without."""
    for due in dict.fromkeys((held.task.due, task.due)):
        held.task = replace(task, due=due)
        field.due[held.row] = due
        if room_by_swaps(field, held, 0.0) or room_by_trade(field, held, 0.0):
            return True
    return False


def _those_in_reach(
    field: Field, newcomer: Task, others: Iterable[Placement], snapshot: Snapshot, margin: float
) -> Mapping[str, list[Piece]]:
    """Let onto the field those of the others in the newcomer's way that have the most time to spare; what they hold, by job.

    They may move within the snapshot's grid: beyond it nobody knows the hours.
    """
    terrain, horizon = field.terrain, field.terrain.seconds(snapshot.grid.end)
    jobs = {job.id: job for job in snapshot.jobs}
    waited_for = {name for job in snapshot.jobs for name in job.after}
    full = _full_before(newcomer, field)
    those = [
        (task, placement)
        for placement in others
        if placement.job_id not in waited_for
        and _may_move(jobs[placement.job_id], placement, snapshot)
        and _is_in(placement, full, terrain)
        and (task := task_of(jobs[placement.job_id], terrain)) is not None
    ]
    before: dict[str, list[Piece]] = {}
    for task, placement in nsmallest(MOST_IN_REACH, those, key=lambda one: (-one[0].latest_start, one[0].job.id)):
        end = terrain.seconds(placement.end)
        if end > min(task.due, terrain.end):
            continue
        pieces = pieces_of_placement(placement, task, terrain)
        if not field.hands_over(pieces):
            before[task.job.id] = pieces
            field.adopt(Held(replace(task, due=max(end, min(task.due - margin * task.shortest, horizon)))), pieces)
    return before


def _full_before(newcomer: Task, field: Field) -> Mapping[str, IntArray]:
    """By site, how many cells of the newcomer's window are too full for it, counted up to each edge."""
    terrain = field.terrain
    first, last = terrain.cell(newcomer.release), terrain.cell_after(min(newcomer.due, terrain.end))
    counts: dict[str, IntArray] = {}
    for choice in newcomer.choices:
        full = np.zeros(terrain.count + 1, dtype=np.int64)
        full[first + 1 : last + 1] = field.free[choice.site, first:last] < newcomer.gpus
        counts[terrain.sites[choice.site].name] = np.cumsum(full)
    return counts


def _is_in(placement: Placement, full: Mapping[str, IntArray], terrain: Terrain) -> bool:
    """Whether the placement holds one of the full cells."""
    for segment in placement.segments:
        start, end = terrain.seconds(segment.start), terrain.seconds(segment.end)
        count = full.get(segment.site)
        if count is not None and count[terrain.cell(start)] < count[terrain.cell_after(end)]:
            return True
    return False


def _may_move(job: PlanJob, placement: Placement, snapshot: Snapshot) -> bool:
    """It has not begun, and nothing speaks against another time."""
    is_under_way = job.running_at is not None or bool(job.beside) or placement.segments[0].start <= snapshot.now
    return not is_under_way and is_free_to_move(job, placement, snapshot)
