"""Reading the plan off a draft: segments in grid time, expected grams with their interval, and the reason."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import IntArray, Placement, Unplaced
from daemon.planner.draft import Draft
from daemon.planner.orders import ends_behind
from daemon.planner.reasons import held_text, late_text, no_room_text, not_worth_text, prompt_text, wait_text
from daemon.planner.regret import Comparison, deviation
from daemon.planner.task import Offer, Piece, Task
from daemon.planner.terrain import EDGE_TOLERANCE_SECONDS, Terrain
from daemon.planner.windows import run_now_g
from forecast.regret import Z80


def placement_of(draft: Draft, job: str, not_worth: Comparison | None) -> Placement:
    """The placement a draft holds for the job; `not_worth` is the wait it was spared."""
    return placement_for(draft.tasks[job], draft.offers[job], draft.terrain, draft.release(job), not_worth)


def placement_for(task: Task, offer: Offer, terrain: Terrain, release: float, not_worth: Comparison | None) -> Placement:
    """The offer in the words and units of the plan."""
    segments = segments_of(task, offer, terrain)
    run_now = at_home_g(task, terrain)
    half = Z80 * deviation(offer, terrain)
    is_late = offer.end > task.due + EDGE_TOLERANCE_SECONDS
    if is_late:
        reason = late_text(task, offer, terrain)
    elif not_worth is not None:
        reason = not_worth_text(not_worth, offer)
    else:
        reason = reason_of(task, offer, segments, run_now, terrain, release)
    return Placement(task.job.id, segments, offer.grams, run_now, max(0.0, offer.grams - half), offer.grams + half, reason, is_late)


def reason_of(task: Task, offer: Offer, segments: tuple[PlannedSegment, ...], run_now: float, terrain: Terrain, release: float) -> str:
    """The sentence for a placement within its deadline."""
    if task.is_pinned or (offer.start <= 0 and task.running >= 0 and len(offer.pieces) == 1):
        return f"keeps running at {terrain.sites[offer.pieces[0].choice.site].name}"
    if offer.start <= release + EDGE_TOLERANCE_SECONDS and len(offer.pieces) == 1:
        return prompt_text(offer, task, run_now, terrain)
    if offer.grams < run_now:
        return wait_text(offer, segments, run_now, terrain)
    return held_text(offer, terrain)


def segments_of(task: Task, offer: Offer, terrain: Terrain) -> tuple[PlannedSegment, ...]:
    """One segment per piece; the time a piece holds its GPUs, start-up included."""
    pieces: Sequence[Piece] = offer.pieces
    if len(pieces) > 1:
        pieces = sorted(pieces, key=lambda p: (p.start, p.choice.site, p.end))
    return tuple(
        [PlannedSegment(terrain.sites[p.choice.site].name, terrain.instant(p.start), terrain.instant(p.end), task.gpus) for p in pieces]
    )


def at_home_g(task: Task, terrain: Terrain) -> float:
    """The remaining work started as soon as it may, at home, whatever is free there."""
    home = terrain.index.get(task.job.home)
    return run_now_g(task, next((choice for choice in task.choices if choice.site == home), task.choices[0]), terrain)


def without_room(tasks: Sequence[Task], terrain: Terrain, free: IntArray) -> list[Unplaced]:
    """Jobs that find no room as far as the planner looks, with the deadlines they could keep together in what is `free`."""
    ends = ends_behind(terrain, free, tasks)
    nearest = {task.job.id: terrain.instant(ends[task.job.id]) if task.job.id in ends else None for task in tasks}
    return [Unplaced(job, no_room_text(deadline, terrain.now), deadline) for job, deadline in nearest.items()]
