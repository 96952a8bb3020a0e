"""Jobs and what belongs to them, small and valid, for the store's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.domain.accounting import Conversion
from daemon.domain.job import Attempt, DataTag, Event, Job, JobRequest, PlannedSegment, Run, StopWish
from daemon.domain.ledger import EntryKind, LedgerEntry
from daemon.domain.plan import Placement, Plan, Unplaced
from daemon.domain.states import AttemptState, JobState
from daemon.domain.terms import AccountTerms, SiteTerms
from jobs.energy.configuration import Configuration
from jobs.energy.observation import RunObservation
from jobs.spec import ModelSpec, SampleRange

MONDAY = datetime(2026, 1, 5, 12, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)

MODEL = {"dimensions": 2, "size": "tiny", "image_shape": [32, 32]}
TRAINING = {"kind": "training", "model": MODEL, "data": {"path": "ct/", "class": "public"}, "iterations": 5}
SYNTHESIS = {"kind": "synthesis", "model": MODEL, "weights": {"job": "job-0"}, "samples": 10, "inference_steps": 5}


def job(job_id: str = "job-1", workload: dict[str, Any] = TRAINING, project: str = "default", **changes: Any) -> Job:
    request = JobRequest.model_validate({"name": f"Müller's {job_id}", "workload": workload, "project": project})
    plain = Job(job_id, request, JobState.WAITING, "waits", MONDAY, "home", MONDAY + 72 * HOUR, DataTag.PUBLIC)
    return replace(plain, **changes)


def full_job(job_id: str = "job-1") -> Job:
    """One whose every field differs from its default."""
    return job(
        job_id,
        state=JobState.FAILED,
        version=7,
        cancel_requested=True,
        retries=2,
        needs=DataTag.DERIVED,
        started_at=MONDAY,
        ended_at=MONDAY + HOUR,
        planned=(PlannedSegment("home", MONDAY, MONDAY + HOUR, 2), PlannedSegment("away", MONDAY, MONDAY + 2 * HOUR, 1)),
        settled=True,
        estimated_energy_kwh=0.1 + 0.2,
        estimated_seconds=1e-9,
        owner="ada",
        gpus_at_most=3,
        shortest_seconds=1e9,
    )


def event(job_id: str = "job-1", kind: str = "job-accepted", at: datetime = MONDAY, **detail: object) -> Event:
    return Event(job_id, at, kind, f"{kind} – what people read", detail)


def run(run_id: str = "run-1", job_id: str = "job-1", **changes: Any) -> Run:
    return replace(Run(run_id, job_id, "home", f"/runs/{run_id} 'x'\n", SampleRange(first=0, count=10), MONDAY), **changes)


def attempt(attempt_id: str = "attempt-1", run_id: str = "run-1", job_id: str = "job-1", **changes: Any) -> Attempt:
    return replace(Attempt(attempt_id, run_id, job_id, "home", 1, AttemptState.LAUNCHING, MONDAY), **changes)


def full_attempt(attempt_id: str = "attempt-1") -> Attempt:
    return attempt(
        attempt_id,
        state=AttemptState.STOPPING,
        gpus=4,
        native_id="12.34",
        stop_wish=StopWish.SUSPEND,
        stop_wished_at=MONDAY,
        started_at=MONDAY,
        ended_at=MONDAY + HOUR,
        reason="because",
    )


def terms() -> AccountTerms:
    home = SiteTerms("home", "DE", 1.1 + 0.2, 0.03, Conversion(), 37.5, 1)
    return AccountTerms((home, SiteTerms("away", "SE", 1.2, 0.0, Conversion(0.1 + 0.2, 1 / 3), 1e3, 0)), 2)


def entry(job_id: str = "job-1", sequence: int = 1, **changes: Any) -> LedgerEntry:
    plain = LedgerEntry(
        job_id=job_id,
        sequence=sequence,
        kind=EntryKind.PROVISIONAL,
        settled_at=MONDAY + sequence * HOUR,
        intensity_kind="lifecycle/average/flow-traced",
        energy_kwh=1.0,
        facility_energy_kwh=1.55,
        useful_kwh=0.8,
        waste_kwh=0.1,
        overhead_kwh=0.1,
        measured_kwh=0.5,
        estimated_kwh=0.5,
        simulated_kwh=0.0,
        actual_g=100.1,
        overhead_g=None,
        baseline_site="home",
        baseline_start=MONDAY,
        baseline_g=300.3,
        baseline_is_estimated=True,
        hindsight_g=None,
        saving_by_time_g=-1.5,
        saving_by_place_g=None,
        samples=10,
        unsettled_hours=3,
        worst_rung=4,
        unmetered_seconds=1.25,
    )
    return replace(plain, **changes)


def plan(number: int = 1) -> Plan:
    segments = (PlannedSegment("home", MONDAY, MONDAY + HOUR, 1),)
    placement = Placement(f"job-{number}", segments, 31.0, 402.0, 20.0, 40.0, "cleaner window tonight", is_late=True)
    unplaced = Unplaced("job-x", "no site admits patient data", MONDAY + HOUR)
    return Plan(MONDAY + number * HOUR, (placement,), (unplaced,), cost_g=31.0, bound_g=30.0, planner_seconds=0.5)


def observation(hardware: str = "a100", steps: int = 10) -> RunObservation:
    configuration = Configuration("train", ModelSpec.model_validate(MODEL), batch_size=2)
    return RunObservation(hardware=hardware, configuration=configuration, steps=steps, seconds=3.5, joules=0.1 + 0.2)
