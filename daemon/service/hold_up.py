"""What holds a live attempt up, told on its job for as long as it lasts: whoever looks at the job must see why nothing moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from daemon.domain.job import Attempt, Event, Job
from daemon.store import Writer


def tell_hold_up(writer: Writer, attempt: Attempt, kind: str, reason: str, now: datetime) -> None:
    """Put the reason on the job; an event of that kind when it begins, not at every tick."""
    job = writer.job(attempt.job_id)
    if is_told(job, attempt, reason) or job.state.is_final:
        return
    told = f"{_opening(attempt)}{reason}"
    writer.change_job(replace(job, reason=told), None if is_held_up(job, attempt) else Event(job.id, now, kind, told))


def is_told(job: Job, attempt: Attempt, reason: str) -> bool:
    """Whether that very reason stands on the job."""
    return job.reason == f"{_opening(attempt)}{reason}"


def is_held_up(job: Job, attempt: Attempt) -> bool:
    """Whether the job's reason tells of a hold-up where this attempt is."""
    return job.reason.startswith(_opening(attempt))


def tell_it_goes_on(writer: Writer, attempt: Attempt) -> None:
    """Take the hold-up's reason back."""
    job = writer.job(attempt.job_id)
    if is_held_up(job, attempt) and not job.state.is_final:
        writer.change_job(replace(job, reason=f"running at {attempt.site}"))


def _opening(attempt: Attempt) -> str:
    return f"held up at {attempt.site}: "
