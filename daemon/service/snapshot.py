"""The tick's third step: everything the planner may know, frozen into one value."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from daemon.domain.budget import Spending
from daemon.domain.explanation import Binding, Elsewhere
from daemon.domain.job import Job
from daemon.domain.plan import IntArray, Mode, PlanJob, PlanSite, SiteOption, SlotGrid, Snapshot
from daemon.domain.site import Site
from daemon.service.admission import admissible_sites, allowed_names, has_room, widest
from daemon.service.costs import Costs, WorkLeft
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Policy, Workplaces
from daemon.service.work import JobWork
from daemon.store import Reader
from forecast.intensity import ZoneOutlook
from forecast.timeline import ceil_to, floor_to
from jobs.energy.size import weights_gb
from jobs.spec import SynthesisWorkload

log = logging.getLogger(__name__)

OutlookOf = Callable[[str, datetime, timedelta, int, datetime], ZoneOutlook]
ShareOf = Callable[[str], float | None]  # zone -> the share of promised savings that came true lately, None where nobody knows


@dataclass(frozen=True, slots=True)
class Weights:
    """Where the weights of a synthesis lie and how big they are: what a move would transfer."""

    site: str
    gigabytes: float


def weights_of(reader: Reader, works: Mapping[str, JobWork]) -> dict[str, Weights]:
    """Where the weights that waiting syntheses need lie, or will lie, and how big they are."""
    models = {
        work.job.workload.weights.job: work.job.workload.model
        for work in works.values()
        if isinstance(work.job.workload, SynthesisWorkload) and work.job.workload.weights.job is not None
    }
    return {job_id: Weights(runs[-1].site, weights_gb(models[job_id])) for job_id, runs in reader.runs_of(list(models)).items()}


@dataclass(frozen=True, slots=True)
class Claims:
    """What projects may still emit, and what users have had of the GPUs lately."""

    spending: Spending = field(default_factory=Spending)
    standings: Mapping[str, float] = field(default_factory=dict)


class Photographer:
    """Takes snapshots: jobs, free capacity and the outlook of every zone at one instant."""

    def __init__(self, workplaces: Workplaces, costs: Costs, outlook: OutlookOf, policy: Policy, share_kept: ShareOf) -> None:
        self._sites = {name: place.site for name, place in workplaces.items()}
        self._costs, self._outlook, self._policy, self._share_kept = costs, outlook, policy, share_kept

    def take(self, now: datetime, works: Mapping[str, JobWork], weights: Mapping[str, Weights], claims: Claims) -> Snapshot:
        """`works`: every live job; `weights`: by the id of the training job that made them."""
        plannable = {job_id: work for job_id, work in works.items() if not work.job.cancel_requested and not is_fixed(work)}
        jobs: list[PlanJob] = []
        for job_id, work in plannable.items():
            with poisoned_alone("snapshot", job=job_id):
                jobs.append(self.plan_job(work, weights, frozenset(plannable)))
        grid = self._grid(now, jobs)
        taken = {job.id for job in jobs}
        fixed = [work for job_id, work in works.items() if job_id not in taken]
        sites = tuple(PlanSite(site.name, site.zone, site.pue, self._free(site, fixed, grid, now)) for site in self._sites.values())
        outlooks = {zone: self._outlook(zone, grid.start, grid.step, grid.count, now) for zone in sorted({site.zone for site in sites})}
        shares = {zone: share for zone in outlooks if (share := self._share_kept(zone)) is not None}
        return Snapshot(now, grid, sites, tuple(jobs), outlooks, claims.spending, claims.standings, shares)

    def plan_job(self, work: JobWork, weights: Mapping[str, Weights], plannable: frozenset[str]) -> PlanJob:
        job, constraints = work.job, work.job.request.constraints
        busy = [attempt.site for attempt in work.live]
        admissible = admissible_sites(job, self._sites)
        return PlanJob(
            id=job.id,
            mode=mode_of(job),
            gpus=constraints.gpus,
            accepted_at=job.accepted_at,
            earliest=max(constraints.earliest_start or job.accepted_at, job.accepted_at),
            deadline=job.deadline,
            options=self._options(work, admissible, weights),
            home=job.home,
            after=tuple(name for name in job.predecessors if name in plannable),
            priority=job.request.priority,
            price_of_waiting_g_per_hour=constraints.price_of_waiting_g_per_hour,
            max_width=widest(job, admissible, work.most_runs, self._policy.max_parallel),
            running_at=busy[0] if busy else None,
            beside=tuple(busy[1:]),
            state_at=_state_at(work),
            previous=job.planned,
            project=job.request.project,
            user=job.share_holder,
        )

    def _options(self, work: JobWork, admissible: Sequence[Site], weights: Mapping[str, Weights]) -> tuple[SiteOption, ...]:
        left, stays = WorkLeft(work.fraction_left), _state_at(work)
        sites = [site for site in admissible if stays is None or site.name == stays]
        return tuple(self._costs.option(work.job, site, left, _transfer_kwh(work, site, weights)) for site in sites)

    def elsewhere(self, work: JobWork, weights: Mapping[str, Weights]) -> tuple[Elsewhere, ...]:
        """The sites that are large enough and closed to the job, with what it would cost there and what would open them."""
        left = WorkLeft(work.fraction_left)
        barred = ((site, _barrier(work, site, self._sites)) for site in self._sites.values())
        return tuple(
            Elsewhere(self._costs.option(work.job, site, left, _transfer_kwh(work, site, weights)), *barrier)
            for site, barrier in barred
            if barrier is not None
        )

    def _grid(self, now: datetime, jobs: Sequence[PlanJob]) -> SlotGrid:
        start = floor_to(now, self._policy.slot)
        latest = max([now + self._policy.horizon, *(job.deadline for job in jobs)])
        end = ceil_to(min(latest, now + self._policy.longest_horizon), self._policy.slot)
        return SlotGrid(start, self._policy.slot, int((end - start) / self._policy.slot))

    def _free(self, site: Site, fixed: list[JobWork], grid: SlotGrid, now: datetime) -> IntArray:
        """GPUs per slot that jobs of the snapshot may share: all but what unmovable attempts hold until they should be done."""
        free = np.full(grid.count, site.gpus, dtype=np.int64)
        for work in fixed:
            for attempt in work.live:
                if attempt.site == site.name:
                    free[: self._slots_held(work, site, grid, now)] -= attempt.gpus
        return np.maximum(free, 0)

    def _slots_held(self, work: JobWork, site: Site, grid: SlotGrid, now: datetime) -> int:
        """How many slots an attempt that cannot be moved will still hold; one whose length nobody can tell holds all."""
        try:
            option = self._costs.option(work.job, site, WorkLeft(work.fraction_left), 0.0)
        except Exception:  # as in `take`: one job's trouble is no reason to plan for none
            log.exception("job-poisoned", extra={"during": "estimate", "job": work.job.id})
            return grid.count
        ends = now + timedelta(seconds=option.work_seconds)
        return max(1, int(np.ceil((ends - grid.start) / grid.step)))


def mode_of(job: Job) -> Mode:
    if job.is_divisible:
        return Mode.DIVISIBLE
    return Mode.INTERRUPTIBLE if job.is_interruptible else Mode.CONTIGUOUS


def is_fixed(work: JobWork) -> bool:
    """Running in one piece: nothing left to decide."""
    return bool(work.live) and mode_of(work.job) is Mode.CONTIGUOUS


def _state_at(work: JobWork) -> str | None:
    """Training stays where its checkpoints are once it has begun; samples have no such tie."""
    if isinstance(work.job.workload, SynthesisWorkload):
        return None
    return work.open_runs[-1].site if work.open_runs else None


def _barrier(work: JobWork, site: Site, sites: Mapping[str, Site]) -> tuple[Binding, str] | None:
    """What keeps the job from the site, and what would have to be otherwise; None where nothing does, or only its size."""
    job, state_at = work.job, _state_at(work)
    if not has_room(job, site):
        return None
    if not site.admits_data(job.needs):
        return Binding.RESIDENCY, f"it admitted {job.needs}"
    if site.name not in allowed_names(job.request, job.home, sites):
        return Binding.SITES, "the job allowed it"
    if state_at not in (None, site.name):
        return Binding.CHECKPOINT, "its checkpoint could move there"
    return None


def _transfer_kwh(work: JobWork, site: Site, weights: Mapping[str, Weights]) -> float:
    """Facility energy to bring the weights to the site, unless they are there already."""
    workload = work.job.workload
    if not isinstance(workload, SynthesisWorkload) or workload.weights.job is None:
        return 0.0
    source = weights.get(workload.weights.job)
    if source is None or source.site == site.name or any(run.site == site.name for run in work.runs):
        return 0.0
    return source.gigabytes * site.transfer_kwh_per_gb
