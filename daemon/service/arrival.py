"""A submission as the edges hand it in."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.job import JobRequest
from daemon.service.job_views import Submission


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request to queue a job. The same `idempotency_key` of the same owner with the same `digest` of the
    request gives the same job, once."""

    request: JobRequest
    idempotency_key: str | None
    digest: str
    caller: Caller = OPERATOR

    @property
    def owner(self) -> str | None:
        """Name of the token it came with; None without tokens."""
        return self.caller.name


# The answer and whether the job is new, or what to tell this submitter instead.
Outcome = tuple[Submission, bool] | Exception
