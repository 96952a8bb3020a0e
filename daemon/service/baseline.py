"""When each job would have started at home: strict first-come order under the home site's capacity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from daemon.domain.first_come import QueuedWork, first_come_starts
from daemon.domain.job import Job
from daemon.service.policy import Workplaces
from daemon.service.work import JobWork
from daemon.store import Reader


def baseline_starts(reader: Reader, works: Mapping[str, JobWork], workplaces: Workplaces, since: datetime) -> dict[str, datetime]:
    """The baseline start of each job of `works`, in a queue with every other job that is live or ended after `since`.

    A job that has a ledger entry counts with the length found there, an unfinished one with its estimate, and one
    that never did anything useful with nothing.
    """
    jobs = {job.id: job for job in (*reader.settled_since(since), *reader.unsettled_jobs(), *reader.live_jobs())}
    jobs |= {work.job.id: work.job for work in works.values()}
    queue = [_queued(reader, job) for job in jobs.values() if job.home in workplaces]
    capacity = {name: place.site.gpus for name, place in workplaces.items()}
    starts = first_come_starts(sorted(queue, key=lambda item: (item.ready, item.job_id)), capacity)
    return {job_id: starts.get(job_id, ready_at(work.job)) for job_id, work in works.items()}


def ready_at(job: Job) -> datetime:
    """The first moment the job might have begun anywhere."""
    earliest = job.request.constraints.earliest_start
    return max(job.accepted_at, earliest) if earliest else job.accepted_at


def _queued(reader: Reader, job: Job) -> QueuedWork:
    entries = reader.ledger(job.id) if job.state.is_final else []
    if entries:
        seconds = entries[-1].baseline_seconds
    elif job.state.is_final and job.started_at is None:
        seconds = 0.0
    else:
        seconds = job.estimated_seconds or 0.0
    return QueuedWork(job.id, job.home, ready_at(job), seconds, job.request.constraints.gpus, job.predecessors)
