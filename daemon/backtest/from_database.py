"""A replay of one's own past: jobs as the daemon's ledger measured them, intensity as it was recorded. Reads only.

A job's length and power are those of its useful work at home as the ledger has them: length as home would have taken, energy as it
was used. It arrives when it could have begun, for a follower the end of what it waited for. Pieces of divisible work are not cut
smaller than pauses: a synthesis replays as a job that may pause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import WorldProblem
from daemon.domain.job import Job
from daemon.domain.ledger import LedgerEntry
from daemon.domain.site import Site
from daemon.service.admission import admissible_sites
from daemon.service.baseline import ready_at
from daemon.store import Reader, Store
from daemon.store.intensity import RecordedIntensity
from forecast.hourly import hourly_series
from forecast.intensity import IntensityKind, Series
from forecast.soundness import sound
from forecast.timeline import HOUR
from jobs.energy.size import weights_gb
from jobs.spec import SynthesisWorkload

RECORD_BEFORE = timedelta(days=60)  # what forecasts of the first job may look back on
SHORTEST_WINDOW = timedelta(seconds=1)

Settled = tuple[Job, LedgerEntry]


@dataclass(frozen=True, slots=True)
class OwnPast:
    """Jobs and records to replay. `left_out`: jobs that cannot be, counted by the reason. The ledger's own sums of those that can."""

    jobs: Sequence[TraceJob]
    records: Mapping[str, Series]
    left_out: Mapping[str, int]
    ledger_kg: float
    ledger_run_now_kg: float


def own_past(url: str, start: datetime, end: datetime, sites: Sequence[Site], kind: IntensityKind) -> OwnPast:
    """The jobs accepted in [start, end) that did useful work. Raises StoreUnavailable, and WorldProblem where nothing can be replayed."""
    store = Store.look_into(url)
    try:
        with store.read() as reader:
            settled = [(job, entry) for job, entry in reader.latest_entries() if start <= job.accepted_at < end]
            ready = {job.id: _ready(reader, job) for job, _ in settled}
        named = {site.name: site for site in sites}
        left_out = Counter(reason for one in settled if (reason := _why_not(one, named)) is not None)
        usable = {job.id: (job, entry) for job, entry in settled if _why_not((job, entry), named) is None}
        jobs = [_trace_job(one, ready[job_id], named) for job_id, one in usable.items()]
        records = _records(RecordedIntensity(store.database), sites, kind, jobs)
    finally:
        store.close()
    covered = [job for job in jobs if _is_covered(job, records)]
    left_out["the recorded intensity does not cover its window"] += len(jobs) - len(covered)
    if not covered:
        raise WorldProblem(f"no job of the chosen period can be replayed{_because(left_out)}")
    entries = [usable[job.id][1] for job in covered]
    return OwnPast(
        sorted(covered, key=lambda job: (job.arrival, job.id)),
        records,
        {reason: count for reason, count in left_out.items() if count},
        sum(entry.actual_g or 0.0 for entry in entries) / 1000,
        sum(entry.baseline_g or 0.0 for entry in entries) / 1000,
    )


def _ready(reader: Reader, job: Job) -> datetime:
    """When the job could have begun: what it waits for counts as it ended."""
    ends = [reader.job(name).ended_at for name in job.predecessors]
    return max([ready_at(job), *(end for end in ends if end is not None)])


def _why_not(settled: Settled, sites: Mapping[str, Site]) -> str | None:
    job, entry = settled
    if entry.baseline_seconds <= 0 or entry.useful_kwh <= 0:
        return "it did no useful work"
    if entry.actual_g is None or entry.baseline_g is None:
        return "its emissions are unknown"
    return None if job.home in {site.name for site in admissible_sites(job, sites)} else "its home is not among the sites"


def _trace_job(settled: Settled, ready: datetime, sites: Mapping[str, Site]) -> TraceJob:
    job, entry = settled
    synthesis = job.workload if isinstance(job.workload, SynthesisWorkload) else None
    return TraceJob(
        id=job.id,
        arrival=ready,
        duration=timedelta(seconds=entry.baseline_seconds),
        power_watts=entry.useful_kwh * 3.6e6 / entry.baseline_seconds,
        gpus=job.request.constraints.gpus,
        deadline=max(job.deadline, ready + SHORTEST_WINDOW),
        is_interruptible=job.is_interruptible or job.is_divisible,
        home=job.home,
        sites=tuple(site.name for site in admissible_sites(job, sites)),
        transfer_gb=weights_gb(synthesis.model) if synthesis is not None and synthesis.weights.job is not None else 0.0,
    )


def _records(recorded: RecordedIntensity, sites: Sequence[Site], kind: IntensityKind, jobs: Sequence[TraceJob]) -> dict[str, Series]:
    """The sound hours of every zone around the jobs; a zone without any is left out."""
    if not jobs:
        return {}
    first = min(job.arrival for job in jobs) - RECORD_BEFORE
    last = max(_last_need(job) for job in jobs) + HOUR
    readings = {zone: recorded.readings(zone, kind, first, last) for zone in sorted({site.zone for site in sites})}
    hourly = {zone: hourly_series(found) for zone, found in readings.items()}
    return {zone: sound(series)[0] for zone, series in hourly.items() if series is not None}


def _last_need(job: TraceJob) -> datetime:
    return max(job.deadline, job.arrival + job.duration)


def _is_covered(job: TraceJob, records: Mapping[str, Series]) -> bool:
    return bool(records) and all(record.start <= job.arrival and _last_need(job) <= record.end for record in records.values())


def _because(left_out: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count} because {reason}" for reason, count in left_out.items() if count)
    return f": {reasons}" if reasons else ": there is none with a settled account"


def trace_site(site: Site) -> TraceSite:
    """The site as a replay sees it."""
    return TraceSite(site.name, site.zone, site.gpus, site.pue, transfer_kwh_per_gb=site.transfer_kwh_per_gb)
