"""From the domain to the views: pure translation, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from daemon.domain.accounting import JOULES_PER_KWH
from daemon.domain.job import Attempt, Job, PlannedSegment
from daemon.domain.ledger import LedgerEntry
from daemon.domain.plan import Placement, Plan, Unplaced
from daemon.domain.terms import AccountTerms
from daemon.service.job_views import AttemptView, EstimateView, JobView, PartView, PreviewView, ProgressView
from daemon.service.ledger_views import LedgerEntryView, ReportLine, SiteTermsView
from daemon.service.views import BandView, PlacementView, PlanView, UnplacedView, WindowView
from daemon.service.work import JobWork
from forecast.clock import Clock
from forecast.intensity import Rung
from jobs.energy.model import Band, Estimate
from jobs.spec import SynthesisWorkload


def windows(segments: tuple[PlannedSegment, ...]) -> list[WindowView]:
    """Pieces side by side for the same time are one window with the GPUs of all."""
    gpus: Counter[tuple[str, datetime, datetime]] = Counter()
    for part in segments:
        gpus[part.site, part.start, part.end] += part.gpus
    return [WindowView(site=site, start=start, end=end, gpus=count) for (site, start, end), count in gpus.items()]


def preview_view(answer: Placement | Unplaced) -> PreviewView:
    if isinstance(answer, Unplaced):
        return PreviewView(segments=[], expected_g=None, run_now_g=None, reason=answer.reason)
    return PreviewView(
        segments=windows(answer.segments),
        expected_g=answer.expected_g,
        run_now_g=answer.run_now_g,
        low_g=answer.low_g,
        high_g=answer.high_g,
        reason=answer.reason,
    )


def band_view(band: Band, factor: float = 1.0) -> BandView:
    return BandView(low=band.low * factor, mid=band.mid * factor, high=band.high * factor)


def estimate_view(estimate: Estimate, hardware: str, job: Job, preview: Placement | Unplaced, clock: Clock) -> EstimateView:
    per_thousand = None
    if isinstance(preview, Placement) and isinstance(job.workload, SynthesisWorkload):
        per_thousand = per_1000(preview.expected_g, job.workload.samples)
    return EstimateView(
        energy_kwh=band_view(estimate.energy_kwh),
        duration_hours=band_view(estimate.duration_seconds, clock.rate / 3600),
        parts=[
            PartView(name=part.name, energy_kwh=part.joules / JOULES_PER_KWH, hours=part.seconds * clock.rate / 3600)
            for part in estimate.parts
        ],
        idle_kwh=None if estimate.idle_joules is None else estimate.idle_joules / JOULES_PER_KWH,
        power_watts=estimate.power_watts,
        origin=estimate.origin,
        hardware=hardware,
        g_per_1000_samples=per_thousand,
    )


def per_1000(grams: float | None, samples: int) -> float | None:
    """gCO2e per 1,000 samples, the unit of Power Hungry Processing (Luccioni et al., 2024)."""
    return None if grams is None or samples == 0 else grams / samples * 1000


def job_view(work: JobWork, energy_kwh: float | None) -> JobView:
    job = work.job
    unit = "samples" if isinstance(job.workload, SynthesisWorkload) else "steps"
    return JobView(
        id=job.id,
        name=job.request.name,
        project=job.request.project,
        kind=job.workload.kind,
        state=job.state,
        reason=job.reason,
        accepted_at=job.accepted_at,
        deadline=job.deadline,
        home=job.home,
        data_class=job.needs,
        owner=job.owner,
        started_at=job.started_at,
        ended_at=job.ended_at,
        progress=ProgressView(steps_done=work.steps_done, steps_total=work.steps_total, unit=unit),
        energy_kwh=energy_kwh,
        estimated_energy_kwh=job.estimated_energy_kwh,
        plan=windows(job.planned),
    )


def attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView(
        id=attempt.id,
        number=attempt.number,
        run_id=attempt.run_id,
        site=attempt.site,
        state=attempt.state,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        reason=attempt.reason,
    )


def entry_view(entry: LedgerEntry) -> LedgerEntryView:
    return LedgerEntryView(
        sequence=entry.sequence,
        kind=entry.kind,
        settled_at=entry.settled_at,
        intensity_kind=entry.intensity_kind,
        energy_kwh=entry.energy_kwh,
        facility_energy_kwh=entry.facility_energy_kwh,
        useful_kwh=entry.useful_kwh,
        waste_kwh=entry.waste_kwh,
        overhead_kwh=entry.overhead_kwh,
        measured_kwh=entry.measured_kwh,
        estimated_kwh=entry.estimated_kwh,
        simulated_kwh=entry.simulated_kwh,
        actual_g=entry.actual_g,
        overhead_g=entry.overhead_g,
        baseline_site=entry.baseline_site,
        baseline_start=entry.baseline_start,
        baseline_g=entry.baseline_g,
        baseline_is_estimated=entry.baseline_is_estimated,
        hindsight_g=entry.hindsight_g,
        hindsight_share=entry.hindsight_share,
        saving_g=entry.saving_g,
        saving_by_time_g=entry.saving_by_time_g,
        saving_by_place_g=entry.saving_by_place_g,
        samples=entry.samples,
        unsettled_hours=entry.unsettled_hours,
        worst_rung=Rung(entry.worst_rung).label,
        is_claimed=entry.is_claimed,
        unmetered_seconds=entry.unmetered_seconds,
        g_per_1000_samples=per_1000(entry.actual_g, entry.samples),
    )


def terms_view(terms: AccountTerms | None) -> list[SiteTermsView]:
    return [
        SiteTermsView(
            site=one.site,
            zone=one.zone,
            pue=one.pue,
            transfer_kwh_per_gb=one.transfer_kwh_per_gb,
            energy_factor=one.to_home.energy,
            duration_factor=one.to_home.duration,
        )
        for one in (terms.sites if terms is not None else ())
    ]


def plan_view(plan: Plan | None, names: Mapping[str, str]) -> PlanView:
    if plan is None:
        return PlanView(made_at=None, placements=[], unplaced=[], cost_g=0.0, bound_g=0.0, gap=0.0, planner_seconds=0.0)
    return PlanView(
        made_at=plan.made_at,
        placements=[_placement_view(item, names) for item in plan.placements],
        unplaced=[_unplaced_view(item, names) for item in plan.unplaced],
        cost_g=plan.cost_g,
        bound_g=plan.bound_g,
        gap=plan.gap,
        planner_seconds=plan.planner_seconds,
    )


def _placement_view(placement: Placement, names: Mapping[str, str]) -> PlacementView:
    return PlacementView(
        job_id=placement.job_id,
        name=names.get(placement.job_id, ""),
        segments=windows(placement.segments),
        expected_g=placement.expected_g,
        run_now_g=placement.run_now_g,
        low_g=placement.low_g,
        high_g=placement.high_g,
        reason=placement.reason,
        is_late=placement.is_late,
    )


def _unplaced_view(unplaced: Unplaced, names: Mapping[str, str]) -> UnplacedView:
    return UnplacedView(
        job_id=unplaced.job_id,
        name=names.get(unplaced.job_id, ""),
        reason=unplaced.reason,
        nearest_deadline=unplaced.nearest_deadline,
    )


def report_line(job: Job, entry: LedgerEntry | None) -> ReportLine:
    return ReportLine(
        job_id=job.id,
        name=job.request.name,
        project=job.request.project,
        kind=job.workload.kind,
        state=job.state,
        energy_kwh=entry.energy_kwh if entry else None,
        actual_g=entry.actual_g if entry else None,
        baseline_g=entry.baseline_g if entry else None,
        saving_g=entry.saving_g if entry else None,
        saving_by_time_g=entry.saving_by_time_g if entry else None,
        saving_by_place_g=entry.saving_by_place_g if entry else None,
        overhead_g=entry.overhead_g if entry else None,
        hindsight_share=entry.hindsight_share if entry else None,
        samples=entry.samples if entry else 0,
        g_per_1000_samples=per_1000(entry.actual_g, entry.samples) if entry else None,
        settlement=entry.kind if entry else None,
    )
