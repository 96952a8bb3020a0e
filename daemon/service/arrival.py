"""A submission as the edges hand it in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.job import JobRequest
from daemon.service.job_views import Submission


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request to queue a job, with the digest of the body that it came as (`digest_of`).

    The same `idempotency_key` of the same owner with the same body, or with another that asks for the same, gives the same job, once.
    """

    request: JobRequest
    idempotency_key: str | None
    digest: str
    caller: Caller = OPERATOR

    @property
    def owner(self) -> str | None:
        """Name of the token it came with; None without tokens."""
        return self.caller.name


def digest_of(body: object) -> str:
    """SHA-256 of a JSON body as it was sent, whatever the order of its keys.

    Not of the request made from it: that also holds what was left out, which a later version may fill in otherwise.
    """
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# The answer and whether the job is new, or what to tell this submitter instead.
Outcome = tuple[Submission, bool] | Exception
