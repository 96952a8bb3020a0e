"""One attempt at work: what the training and synthesis loops need to know and to tell, without torch.

The loops report each finished step; the session passes it to the meter, writes progress at a bounded
rate, and says when to checkpoint and when to stop. Both clocks are arguments.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from jobs.errors import StopRequested
from jobs.rundir import AttemptFile, Phase, ProgressRecord, RunDirectory
from jobs.spec import CHECKPOINT_EVERY_SECONDS, CHECKPOINTS_SHARE_OF_TIME, RunSpec

# At most two progress lines a second however fast the steps are, and ever fewer in a long run, which may take weeks.
PROGRESS_SECONDS = 0.5
PROGRESS_SHARE_OF_RUN = 1 / 500
LONGEST_PROGRESS_SECONDS = 30.0

log = logging.getLogger("jobs")


class Meter(Protocol):
    """Where energy is booked: everything from a `mark` to the next belongs to that phase."""

    def mark(self, phase: Phase, step: int) -> None: ...


class Stop(Protocol):
    """Whether the attempt should end."""

    @property
    def requested(self) -> bool: ...


class Session:
    """The attempt's link to its run directory. `step` counts what the spec's `total_steps` counts."""

    def __init__(
        self,
        directory: RunDirectory,
        spec: RunSpec,
        attempt: AttemptFile,
        meter: Meter,
        stop: Stop,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.directory = directory
        self.spec = spec
        self.attempt_id = attempt.attempt_id
        self.step = 0
        self._meter = meter
        self._stop = stop
        self._monotonic = monotonic
        self._now = now
        self._begun_at = self._reported_at = self._checkpointed_at = monotonic()
        self._checkpoint_pause_seconds = spec.checkpoint_every_seconds
        self._reported_step = 0

    @property
    def stop_requested(self) -> bool:
        return self._stop.requested

    def book(self, phase: Phase, step: int) -> None:
        """`step` steps are done, and what comes next belongs to that phase."""
        self.step = step
        self._meter.mark(phase, step)

    def leave_if_asked(self) -> None:
        """Raise StopRequested if the attempt should end; call only where nothing would be lost."""
        if self._stop.requested:
            raise StopRequested

    def begin(self, step: int, stage: str) -> None:
        """The work begins, or goes on, with `step` steps already done: start-up ends here."""
        self.step = self._reported_step = step
        self._checkpointed_at = self._monotonic()
        self._meter.mark("work", step)
        self._write_progress(stage)

    def advance(self, step: int, stage: str) -> None:
        """`step` steps are done in all. Cheap: called after every step; writes a line when one is due, and at the end."""
        self.step = step
        self._meter.mark("work", step)
        if step >= self.spec.total_steps or self._progress_due():
            self._write_progress(stage)

    def _progress_due(self) -> bool:
        now = self._monotonic()
        pause = min(LONGEST_PROGRESS_SECONDS, max(PROGRESS_SECONDS, PROGRESS_SHARE_OF_RUN * (now - self._begun_at)))
        return now - self._reported_at >= pause

    def checkpoint_if_due(self, save: Callable[[], object], *, last_step: bool = False) -> None:
        """Save if it is time, if this was the last step or if a stop was asked for; then leave if one was.

        After the last step nothing is left to stop: the work goes on to write its result. Where saving takes long, the next
        one waits the longer, so that all of them take a twentieth of the time at most.
        """
        stopping = self._is_stopping()  # asked once: a stop asked for while saving is served after the next step
        if not (stopping or last_step or self._monotonic() - self._checkpointed_at >= self._checkpoint_pause_seconds):
            return
        self._meter.mark("checkpoint", self.step)
        started = self._monotonic()
        save()
        self._meter.mark("work", self.step)
        self._checkpointed_at = self._monotonic()
        self._checkpoint_pause_seconds = self._pause_after(self._checkpointed_at - started)
        if stopping and not last_step:
            raise StopRequested

    def _pause_after(self, saving_seconds: float) -> float:
        """Seconds from a checkpoint to the next; a quick one is never put off, however often the spec asks for one."""
        pause_seconds = saving_seconds / CHECKPOINTS_SHARE_OF_TIME
        if pause_seconds <= CHECKPOINT_EVERY_SECONDS:
            return self.spec.checkpoint_every_seconds
        return max(self.spec.checkpoint_every_seconds, pause_seconds)

    def _is_stopping(self) -> bool:
        return self._stop.requested

    def _write_progress(self, stage: str) -> None:
        elapsed_seconds = self._monotonic() - self._reported_at
        steps = self.step - self._reported_step
        self.directory.append_progress(
            ProgressRecord(
                attempt_id=self.attempt_id,
                step=self.step,
                of=self.spec.total_steps,
                when=self._now(),
                stage=stage,
                seconds_per_step=elapsed_seconds / steps if steps > 0 else None,
            )
        )
        self._reported_at += elapsed_seconds
        self._reported_step = self.step
