"""How many jobs one user may have waiting and running at once: nobody fills the queue for everybody."""

from __future__ import annotations

from daemon.domain.errors import TooMany
from daemon.domain.job import Job
from daemon.store import Store


class Room:
    """What users may still submit within one group of submissions. A user is the name of a token, else a project."""

    def __init__(self, store: Store, most_jobs: int) -> None:
        self._store, self._most_jobs = store, most_jobs
        self._live: dict[str, int] = {}

    def take(self, job: Job) -> None:
        """Count a new job. Raises TooMany where its user has as many as one may have."""
        user = job.share_holder
        if user not in self._live:  # asked for once in a group: the others of the group are added here
            with self._store.read() as reader:
                self._live[user] = reader.live_jobs_of(job.owner, job.request.project)
        if self._live[user] >= self._most_jobs:
            raise TooMany(
                f"{user!r} has {self._live[user]:,} jobs waiting or running, and {self._most_jobs:,} is the most (server.jobs_per_user): "
                "wait until some have ended, cancel some, or put more work into each"
            )
        self._live[user] += 1
