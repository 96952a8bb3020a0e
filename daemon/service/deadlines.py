"""Deadlines that are not kept: told once per job, as soon as it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from daemon.domain.job import Attempt, Event, Job
from daemon.domain.plan import Plan
from daemon.domain.states import JobState
from daemon.service.work import JobWork
from daemon.store import Reader, Store

MISSED = "deadline-missed"


def tell_missed(store: Store, works: Mapping[str, JobWork], plan: Plan, ended: Sequence[Attempt], now: datetime) -> list[str]:
    """Record the event for each job that will end, runs or has ended after its deadline; the jobs told now, by id.

    `works` are the live jobs the plan was made for, `ended` the attempts that have just ended.
    """
    late = _expected(works, plan) | _overdue(works, now)
    if not late and not ended:
        return []
    with store.read() as reader:
        late |= _ended_late(reader, ended)
        told = reader.jobs_with_event(list(late), MISSED) if late else set()
    new = {job_id: event for job_id, event in late.items() if job_id not in told}
    if new:
        with store.write() as writer:
            for job_id, message in new.items():
                writer.add_event(Event(job_id, now, MISSED, message))
    return sorted(new)


def _expected(works: Mapping[str, JobWork], plan: Plan) -> dict[str, str]:
    return {
        placement.job_id: f"expected to end at {_time(placement.end)}, after its deadline {_time(job.deadline)}"
        for placement in plan.placements
        if placement.is_late and (job := works[placement.job_id].job)
    }


def _overdue(works: Mapping[str, JobWork], now: datetime) -> dict[str, str]:
    """Whatever the plan says: it does not speak of work in one piece that is under way."""
    jobs = [work.job for work in works.values() if work.job.deadline < now and not work.job.cancel_requested]
    return {job.id: f"not ended at its deadline {_time(job.deadline)}" for job in jobs}


def _ended_late(reader: Reader, ended: Sequence[Attempt]) -> dict[str, str]:
    jobs = reader.jobs_among(list({attempt.job_id for attempt in ended}))
    return {job.id: f"ended after its deadline {_time(job.deadline)}" for job in jobs.values() if _succeeded_late(job)}


def _succeeded_late(job: Job) -> bool:
    return job.state is JobState.SUCCEEDED and job.ended_at is not None and job.ended_at > job.deadline


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
