"""Plans the near future, and keeps jobs with months of slack for a cleaner season where the climatology is clear enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.plan import Placement, Plan, PlanJob, PlanSite, SlotGrid, Snapshot
from daemon.service.snapshot import OutlookOf
from forecast.timeline import HOUR, ceil_to, floor_to

SEASON_STEP = timedelta(hours=3)  # a month's usual day has hours; finer ones would only cost time
LONGEST_SEASON = timedelta(days=366)

# The jobs of the first snapshot's months that should wait, given the second's near future.
HeldBack = Callable[[Sequence[PlanJob], Snapshot, Snapshot], Mapping[str, Placement]]


class Seasons:
    """A planner around another. What is held is decided anew once an hour: climatology does not change faster."""

    def __init__(self, plan: Callable[[Snapshot], Plan], held_back: HeldBack, outlook: OutlookOf) -> None:
        self._plan, self._held_back, self._outlook = plan, held_back, outlook
        self._decided: dict[tuple[str, datetime], Placement | None] = {}  # by job and the hour in which it was looked at

    def __call__(self, snapshot: Snapshot) -> Plan:
        """The plan; the cost, bound and gap in it are of the work that is not held."""
        held = self._held(_campaigns(snapshot), snapshot)
        if not held:
            return self._plan(snapshot)
        plan = self._plan(replace(snapshot, jobs=tuple(job for job in snapshot.jobs if job.id not in held)))
        return replace(plan, placements=(*plan.placements, *held.values()))

    def _held(self, campaigns: Sequence[PlanJob], snapshot: Snapshot) -> dict[str, Placement]:
        hour = floor_to(snapshot.now, HOUR)
        fresh = [job for job in campaigns if (job.id, hour) not in self._decided]
        self._decided = {key: answer for key, answer in self._decided.items() if key[1] == hour}
        if fresh:
            held = self._held_back(fresh, self._seasonal(fresh, snapshot), snapshot)
            self._decided |= {(job.id, hour): held.get(job.id) for job in fresh}
        answers = {job.id: self._decided[job.id, hour] for job in campaigns}
        return {name: answer for name, answer in answers.items() if answer is not None}

    def _seasonal(self, jobs: Sequence[PlanJob], snapshot: Snapshot) -> Snapshot:
        """The same sites, empty, until the last of the deadlines."""
        start = floor_to(snapshot.now, SEASON_STEP)
        end = ceil_to(min(max(job.deadline for job in jobs), snapshot.now + LONGEST_SEASON), SEASON_STEP)
        grid = SlotGrid(start, SEASON_STEP, int((end - start) / SEASON_STEP))
        sites = tuple(
            PlanSite(site.name, site.zone, site.pue, np.full(grid.count, int(site.free_gpus.max(initial=0)), dtype=np.int64))
            for site in snapshot.sites
        )
        outlooks = {zone: self._outlook(zone, start, SEASON_STEP, grid.count, snapshot.now) for zone in {site.zone for site in sites}}
        return Snapshot(snapshot.now, grid, sites, (), outlooks)


def _campaigns(snapshot: Snapshot) -> list[PlanJob]:
    """Jobs with slack beyond the plan's horizon that do not run, and that nobody waits for or is waited for."""
    followed = {name for job in snapshot.jobs for name in job.after}
    return [
        job
        for job in snapshot.jobs
        if job.deadline > snapshot.grid.end and job.running_at is None and not job.after and job.id not in followed
    ]
