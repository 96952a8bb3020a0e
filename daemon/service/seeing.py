"""What a caller sees of jobs, plans and settlements: to whom a project is closed, its jobs do not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from daemon.domain.caller import Caller
from daemon.domain.errors import NotFound
from daemon.domain.job import Job
from daemon.domain.ledger import LedgerEntry
from daemon.domain.plan import Plan
from daemon.store import Reader

Settled = tuple[Job, LedgerEntry]


def seen_job(reader: Reader, job_id: str, caller: Caller) -> Job:
    """Raises NotFound, in the same words for a job that is not there and one that is not seen."""
    job = reader.job(job_id)
    if not caller.sees(job):
        raise NotFound("job", job_id)
    return job


def may_name(reader: Reader, caller: Caller) -> Callable[[str], bool]:
    """Tells of the id of a live job whether the caller sees that job."""
    if not caller.projects:
        return lambda _: True
    return reader.live_ids(caller).__contains__


def seen_plan(plan: Plan, live: Iterable[Job], caller: Caller) -> Plan:
    """The plan with the answers for jobs that are seen; its sums are those of all."""
    if not caller.projects:
        return plan
    seen = {job.id for job in live if caller.sees(job)}
    return replace(
        plan,
        placements=tuple(placement for placement in plan.placements if placement.job_id in seen),
        unplaced=tuple(unplaced for unplaced in plan.unplaced if unplaced.job_id in seen),
    )


def seen_settlements(settled: Sequence[Settled], caller: Caller) -> list[Settled]:
    return [(job, entry) for job, entry in settled if caller.sees(job)]
