"""The contract between the tick and whatever runs attempts: local processes, a batch system.

Every executor promises:
- `launch` is idempotent by our attempt id: called again after a crash it adopts what already exists and never
  starts a second process for the same attempt.
- `observe` is asked once per tick for all live attempts. An attempt it cannot find by any means is reported
  LOST only when `certain`; the observer's own failure (a command that timed out) raises ObserverFailure and is
  never charged to the job.
- `stop` asks for a checkpoint and an end (SIGTERM); `kill` ends it now. Both are idempotent and fine on ended attempts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.domain.states import AttemptState


class ExecutorError(RuntimeError):
    """Base of what an executor raises; the message says what to do."""


class LaunchRefused(ExecutorError):
    """The launch can never work as it is (missing interpreter, read-only folder): charged to the attempt."""


class ObserverFailure(ExecutorError):
    """We could not ask. Nothing is known about any attempt; ask again at the next tick."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What an executor needs to start one attempt. `directory` is prepared: spec.json and attempt.json are there."""

    attempt_id: str
    run_id: str
    job_id: str
    directory: str
    gpus: int
    threads: int


@dataclass(frozen=True, slots=True)
class Handle:
    """How to find an attempt again: our id first, the native id as a hint, the directory it works in."""

    attempt_id: str
    directory: str
    native_id: str | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What an executor knows of one attempt. `ended_at` is the node's real UTC."""

    state: AttemptState  # PENDING, ACTIVE, COMPLETED (exit 0), PREEMPTED (killed or exit 75), FAILED, LOST
    native_id: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    ended_at: datetime | None = None
    reason: str = ""


class Executor(Protocol):
    @property
    def cores(self) -> int | None:
        """CPU cores of the largest host it starts attempts on; None if that is not known."""
        ...

    def launch(self, launch: Launch) -> str:
        """Start the attempt or adopt it if it exists; the native id. Raises LaunchRefused."""
        ...

    def observe(self, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        """One answer per handle, by attempt id. Raises ObserverFailure."""
        ...

    def stop(self, handle: Handle) -> None: ...

    def kill(self, handle: Handle) -> None: ...
