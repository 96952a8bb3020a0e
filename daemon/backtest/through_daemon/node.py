"""A site on a clock moved by hand: an executor that starts, stops and ends attempts in time as the trace says, without computing.

It keeps the run directory as `python -m jobs run` would: progress when it is looked at, energy, and an outcome at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from signal import SIGKILL

from daemon.backtest.through_daemon.costs import TraceCosts
from daemon.domain.execution import ExecutorError, Handle, Launch, Observation
from daemon.domain.states import AttemptState
from jobs.outcome import Outcome, OutcomeKind, exit_code
from jobs.rundir import MOST_JOULES, EnergyRecord, ProgressRecord, RunDirectory

_STATES = {OutcomeKind.COMPLETED: AttemptState.COMPLETED, OutcomeKind.CHECKPOINTED: AttemptState.PREEMPTED}
_ALMOST_A_STEP = 1e-3  # of a step: how far stamps of whole microseconds may miss its end


@dataclass(slots=True)
class _Process:
    """An attempt at work; `kind` is how it ended, None where it was killed, and `ended_at` None while it works."""

    attempt_id: str
    run_id: str
    directory: RunDirectory
    gpus: int
    watts: float
    began: datetime
    first_step: int
    steps: int
    step_seconds: float
    done_at: datetime = field(init=False)  # if nobody stops it
    ended_at: datetime | None = None
    kind: OutcomeKind | None = None
    told_step: int = 0

    def __post_init__(self) -> None:
        self.done_at = self.reaches(self.steps)

    def reaches(self, step: int) -> datetime:
        return self.began + timedelta(seconds=(step - self.first_step) * self.step_seconds)

    def step_at(self, instant: datetime) -> int:
        """Steps finished by then."""
        done = math.floor((instant - self.began).total_seconds() / self.step_seconds + _ALMOST_A_STEP)
        return min(self.steps, self.first_step + max(0, done))


class ReplayNode:
    """The executor of one site. Each run goes on from the step at which its last attempt ended: every step is a checkpoint."""

    cores: int | None = None

    def __init__(self, now: Callable[[], datetime], costs: TraceCosts, gpus: int) -> None:
        self._now, self._costs, self._gpus = now, costs, gpus
        self._processes: dict[str, _Process] = {}  # all there ever were, by attempt
        self._working: dict[str, _Process] = {}
        self._unseen: set[str] = set()  # that have ended, and nobody has asked since
        self._reached: dict[str, int] = {}  # by run

    @property
    def next_end(self) -> datetime | None:
        """When the next attempt will end by itself; None where nothing runs."""
        return min((process.done_at for process in self._working.values()), default=None)

    @property
    def has_news(self) -> bool:
        """Whether an attempt has ended and nobody has seen it."""
        return bool(self._unseen)

    def launch(self, launch: Launch) -> str:
        """Raises ExecutorError where too few GPUs are free."""
        if launch.attempt_id not in self._processes:
            free = self._gpus - sum(process.gpus for process in self._working.values())
            if free < launch.gpus:
                raise ExecutorError(f"{launch.gpus} GPUs are needed and {free} of {self._gpus} are free: waiting for one to end")
            self._processes[launch.attempt_id] = self._working[launch.attempt_id] = self._start(launch)
        return f"replayed-{launch.attempt_id}"

    def observe(self, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        return {handle.attempt_id: self._observe(handle) for handle in handles}

    def stop(self, handle: Handle) -> None:
        """At the last finished step; the work up to there is kept."""
        process = self._working.get(handle.attempt_id)
        if process is not None:
            step = process.step_at(self._now())
            kind = OutcomeKind.COMPLETED if step == process.steps else OutcomeKind.CHECKPOINTED
            self._end(process, process.reaches(step), kind)

    def kill(self, handle: Handle) -> None:
        process = self._working.get(handle.attempt_id)
        if process is not None:
            self._end(process, process.reaches(process.step_at(self._now())), None)

    def _start(self, launch: Launch) -> _Process:
        directory = RunDirectory(launch.directory)
        spec = directory.read_spec()
        estimate = self._costs.estimate(spec.workload, launch.gpus)
        first = self._reached.get(launch.run_id, 0)
        return _Process(
            launch.attempt_id,
            launch.run_id,
            directory,
            launch.gpus,
            estimate.power_watts,
            self._now(),
            first,
            spec.total_steps,
            estimate.step_seconds,
            told_step=first,
        )

    def _observe(self, handle: Handle) -> Observation:
        process = self._processes.get(handle.attempt_id)
        if process is None:
            return Observation(AttemptState.LOST, reason="this site has never heard of it")
        if process.ended_at is None and process.done_at <= self._now():
            self._end(process, process.done_at, OutcomeKind.COMPLETED)
        if process.ended_at is None:
            self._tell_progress(process)
            return Observation(AttemptState.ACTIVE)
        self._unseen.discard(process.attempt_id)
        if process.kind is None:
            return Observation(AttemptState.PREEMPTED, signal=SIGKILL, ended_at=process.ended_at, reason="ended by SIGKILL")
        return Observation(_STATES[process.kind], exit_code=exit_code(process.kind), ended_at=process.ended_at)

    def _tell_progress(self, process: _Process) -> None:
        now = self._now()
        step = process.step_at(now)
        if step != process.told_step:
            process.told_step = step
            process.directory.append_progress(ProgressRecord(attempt_id=process.attempt_id, step=step, of=process.steps, when=now))

    def _end(self, process: _Process, at: datetime, kind: OutcomeKind | None) -> None:
        process.ended_at, process.kind = at, kind
        del self._working[process.attempt_id]
        self._unseen.add(process.attempt_id)
        step = process.step_at(at)
        self._reached[process.run_id] = step
        _meter(process, step)
        if kind is not None:
            process.directory.write_outcome(Outcome(attempt_id=process.attempt_id, kind=kind, ended_at=at, steps_done=step))


def _meter(process: _Process, until: int) -> None:
    """Energy up to that step, in as few records as their bounds allow: power is even."""
    joules = process.watts * (until - process.first_step) * process.step_seconds
    pieces = max(1, math.ceil(2 * joules / MOST_JOULES))
    edges = [process.first_step + (until - process.first_step) * index // pieces for index in range(pieces + 1)]
    for first, last in pairwise(edges):
        if first < last:
            process.directory.append_energy(
                EnergyRecord(
                    attempt_id=process.attempt_id,
                    start=process.reaches(first),
                    end=process.reaches(last),
                    joules={"trace": process.watts * (last - first) * process.step_seconds},
                    provenance={"trace": "simulated"},
                    step_from=first,
                    step_to=last,
                )
            )
