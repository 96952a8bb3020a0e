"""What a snapshot shows after a plan was followed for a while: jobs begin, work, pause and end as it says, or a little slower."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.job import PlannedSegment
from daemon.domain.plan import Mode, Placement, Plan, PlanJob, PlanSite, Snapshot
from tests.daemon.planner.builders import HOUR


def followed(snapshot: Snapshot, plan: Plan, span: timedelta, pace: float = 1.0) -> Snapshot:
    """The snapshot `span` later, as a tick takes it: unbroken jobs leave it when they begin. `pace`: work done by that of the plan.

    Slots that are over are dropped, and as many are added at the far end, where it is as it was a day before.
    """
    now = snapshot.now + span
    placed = {placement.job_id: placement for placement in plan.placements}
    left = [_left(job, placed.get(job.id), snapshot.now, now, pace) for job in snapshot.jobs]
    names = {job.id for job in left if job is not None}
    jobs = tuple(replace(job, after=tuple(name for name in job.after if name in names)) for job in left if job is not None)
    past = (now - snapshot.grid.start) // snapshot.grid.step
    grid = replace(snapshot.grid, start=snapshot.grid.start + past * snapshot.grid.step)
    unbroken = {job.id: job.gpus for job in snapshot.jobs if job.mode is Mode.CONTIGUOUS}
    taken = [segment for name in unbroken.keys() & placed.keys() for segment in placed[name].segments if segment.start < now < segment.end]
    sites = tuple(_rolled(site, past, taken, now, snapshot) for site in snapshot.sites)
    outlooks = {
        zone: replace(one, start=grid.start, g_per_kwh=_roll(one.g_per_kwh, past), low=_roll(one.low, past), high=_roll(one.high, past))
        for zone, one in snapshot.outlooks.items()
    }
    return replace(snapshot, now=now, grid=grid, sites=sites, jobs=jobs, outlooks=outlooks)


def _roll(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], past: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.concatenate((values[past:], np.resize(values[-24:], past)))


def _rolled(site: PlanSite, past: int, taken: list[PlannedSegment], now: datetime, snapshot: Snapshot) -> PlanSite:
    """The site without the past and without what unbroken jobs hold that have begun."""
    free = site.free_gpus.copy()
    for segment in (segment for segment in taken if segment.site == site.name):
        free[past : int(np.ceil((segment.end - snapshot.grid.start) / HOUR))] -= segment.gpus
    return replace(site, free_gpus=np.concatenate((free[past:], np.resize(site.free_gpus[-24:], past))))


def _left(job: PlanJob, placement: Placement | None, before: datetime, now: datetime, pace: float) -> PlanJob | None:
    """The job with what is left of it; None where it has ended, or runs in one piece."""
    if placement is None:
        return job
    if placement.segments[0].start >= now:
        return replace(job, running_at=None, beside=(), previous=placement.segments)
    if job.mode is Mode.CONTIGUOUS:
        return None
    options, share = {option.site: option for option in job.options}, 0.0
    for segment in placement.segments:
        option, is_running = options[segment.site], segment.start <= before and segment.site in (job.running_at, *job.beside)
        worked = (min(segment.end, now) - segment.start).total_seconds() - (0.0 if is_running else option.startup_seconds)
        share += pace * max(worked, 0.0) / option.work_seconds
    if share >= 1 - 1e-9:
        return None
    busy = [segment.site for segment in placement.segments if segment.start < now < segment.end]
    stays = placement.segments[0].site if job.mode is Mode.INTERRUPTIBLE else None
    kept = [option for option in job.options if stays in (None, option.site)]
    return replace(
        job,
        options=tuple(replace(option, work_seconds=option.work_seconds * (1 - share)) for option in kept),
        running_at=busy[0] if busy else None,
        beside=tuple(busy[1:]),
        state_at=stays,
        previous=placement.segments,
    )
