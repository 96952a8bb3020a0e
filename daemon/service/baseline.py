"""When each job would have started at home: strict first-come order under the home site's capacity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from daemon.domain.first_come import QueuedWork, first_come_starts
from daemon.domain.job import Job
from daemon.service.policy import Workplaces
from daemon.service.work import JobWork
from daemon.store import Reader

Stamp = tuple[int, int | None]  # a job's version and the number of its newest ledger entry: as they are, so is its place in the queue


class BaselineQueue:
    """The first-come queue at home of every job that is live or ended lately. For one thread at a time.

    What a job brings into the queue is kept until the job or its account changes: a month's past is read once.
    """

    def __init__(self, workplaces: Workplaces) -> None:
        self._capacity = {name: place.site.gpus for name, place in workplaces.items()}
        self._known: dict[str, tuple[Stamp, QueuedWork]] = {}

    def starts(self, reader: Reader, works: Mapping[str, JobWork], since: datetime) -> dict[str, datetime]:
        """The baseline start of each job of `works`, in a queue with every other job that is live or was settled after `since`.

        A job that has a ledger entry counts with the length found there, an unfinished one with its estimate, and one
        that never did anything useful with nothing.
        """
        asked: dict[str, Stamp] = {job_id: (work.job.version, None) for job_id, work in works.items()}
        self._renew(reader, asked | reader.settling_since(since))
        queue = [item for _, item in self._known.values() if item.site in self._capacity]
        starts = first_come_starts(sorted(queue, key=lambda item: (item.ready, item.job_id)), self._capacity)
        return {job_id: starts.get(job_id, ready_at(work.job)) for job_id, work in works.items()}

    def _renew(self, reader: Reader, stamps: Mapping[str, Stamp]) -> None:
        """Read what is not known as it now is; what is no longer in the queue is forgotten."""
        known = {job_id: item for job_id, item in self._known.items() if stamps.get(job_id) == item[0]}
        news = [job_id for job_id in stamps if job_id not in known]
        found_seconds = reader.baseline_seconds(news)
        for job in reader.jobs_named(news):
            known[job.id] = (stamps[job.id], _queued(job, found_seconds.get(job.id)))
        self._known = known


def ready_at(job: Job) -> datetime:
    """The first moment the job might have begun anywhere."""
    earliest = job.request.constraints.earliest_start
    return max(job.accepted_at, earliest) if earliest else job.accepted_at


def _queued(job: Job, found_seconds: float | None) -> QueuedWork:
    if job.state.is_final and found_seconds is not None:
        seconds = found_seconds
    elif job.state.is_final and job.started_at is None:
        seconds = 0.0
    else:
        seconds = job.estimated_seconds or 0.0
    return QueuedWork(job.id, job.home, ready_at(job), seconds, job.request.constraints.gpus, job.predecessors)
