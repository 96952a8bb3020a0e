"""A node on a hand-moved clock: speaks the executor protocol and writes run directories as `python -m jobs run` would, without computing.

It keeps the contract of run directories (progress, energy, samples, outcome), works at the pace it is given, and can be told to
fail, to be deaf to stops or to be out of reach. What it made of which sample is counted in `made`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.domain.execution import ExecutorError, Handle, Launch, LaunchRefused, Observation, ObserverFailure
from daemon.domain.states import AttemptState
from jobs.outcome import Outcome, OutcomeKind, exit_code
from jobs.rundir import EnergyRecord, Phase, ProgressRecord, RunDirectory, SampleRecord
from jobs.spec import RunSpec, SynthesisWorkload, TrainingWorkload

Pace = Callable[[TrainingWorkload | SynthesisWorkload], float]  # seconds per step or sample


@dataclass
class Ending:
    """How an attempt ended: by itself with an outcome, or by a signal."""

    at: datetime
    kind: OutcomeKind | None
    reason: str = ""

    def observation(self, native_id: str) -> Observation:
        if self.kind is None:
            return Observation(AttemptState.PREEMPTED, native_id, signal=9, ended_at=self.at, reason="ended by SIGKILL")
        state = {OutcomeKind.COMPLETED: AttemptState.COMPLETED, OutcomeKind.FAILED: AttemptState.FAILED}
        return Observation(state.get(self.kind, AttemptState.PREEMPTED), native_id, exit_code(self.kind), ended_at=self.at)


@dataclass
class Process:
    """One attempt at work. `cursor` is how far its story has been written down."""

    attempt_id: str
    directory: RunDirectory
    spec: RunSpec
    began: datetime
    works_from: datetime
    first_step: int
    stride: int
    stride_seconds: float
    cursor: datetime
    step: int
    stop_at: datetime | None = None
    ending: Ending | None = None

    def step_at(self, instant: datetime) -> int:
        """Steps finished by then; whole strides only, the last one may be cut short by the end of the work."""
        strides = math.floor((instant - self.works_from).total_seconds() / self.stride_seconds + 1e-5)  # stamps are whole microseconds
        return min(self.spec.total_steps, self.first_step + max(0, strides) * self.stride)

    def reached(self, step: int) -> datetime:
        strides = math.ceil((step - self.first_step) / self.stride)
        return self.works_from + timedelta(seconds=strides * self.stride_seconds)

    def leaves_at(self) -> tuple[datetime, OutcomeKind]:
        """When it will end by itself: with the work done, or after the step under way when it was asked to stop."""
        done = self.reached(self.spec.total_steps)
        if self.stop_at is None:
            return done, OutcomeKind.COMPLETED
        finished = self.step_at(self.stop_at)
        last = self.reached(finished) if self.reached(finished) >= self.stop_at else self.reached(finished + self.stride)
        stops = max(last, self.works_from)
        return (done, OutcomeKind.COMPLETED) if stops >= done else (stops, OutcomeKind.CHECKPOINTED)


@dataclass
class ScriptedNode:
    """See the module. `startup_seconds` is what a start costs before the first step; checkpoints of training are `checkpoint_every`
    steps apart, and only they survive a kill."""

    now: Callable[[], datetime]
    pace: Pace
    watts: float | None = 40.0  # None: all its meters fail
    startup_seconds: float = 4.0
    checkpoint_every: int = 100
    cores: int | None = None  # of its host
    is_deaf: bool = False  # ignores SIGTERM
    is_out_of_reach: bool = False  # cannot be asked
    refusal: str | None = None  # why it starts nothing
    is_full: bool = False  # can start nothing now
    room: int | None = None  # how many processes it has room for; None: for any number
    failure: tuple[str, bool] | None = None  # (reason, retryable): how attempts end after their first stride
    launches: Counter[str] = field(default_factory=Counter)
    made: Counter[int] = field(default_factory=Counter)
    _processes: dict[str, Process] = field(default_factory=dict)

    def launch(self, launch: Launch) -> str:
        if self.refusal is not None:
            raise LaunchRefused(self.refusal)
        busy = sum(process.ending is None for process in self._processes.values())
        if self.is_full or (self.room is not None and busy >= self.room and launch.attempt_id not in self._processes):
            raise ExecutorError("all GPUs are busy")
        if launch.attempt_id not in self._processes:
            self.launches[launch.attempt_id] += 1
            self._processes[launch.attempt_id] = self._start(launch)
        return f"scripted-{launch.attempt_id}"

    def observe(self, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        if self.is_out_of_reach:
            raise ObserverFailure("the node does not answer")
        return {handle.attempt_id: self._observe(handle) for handle in handles}

    def stop(self, handle: Handle) -> None:
        process = self._processes.get(handle.attempt_id)
        if process is not None and process.stop_at is None and not self.is_deaf:
            process.stop_at = self.now()

    def kill(self, handle: Handle) -> None:
        process = self._processes.get(handle.attempt_id)
        if process is not None and process.ending is None:
            self._work(process)
            process.ending = process.ending or Ending(self.now(), None)

    def kill_one(self, attempt_id: str) -> None:
        """A process of the attempt is killed."""
        self.kill(Handle(attempt_id, "", None))

    def kill_all(self) -> None:
        """The host goes down; the supervisor's record survives."""
        for process in self._processes.values():
            self.kill(Handle(process.attempt_id, "", None))

    def forget(self, attempt_id: str) -> None:
        """No trace is left of the attempt."""
        del self._processes[attempt_id]

    def _start(self, launch: Launch) -> Process:
        directory = RunDirectory(launch.directory)
        spec, now = directory.read_spec(), self.now()
        first, stride = _resumed_step(directory, spec), 1
        if isinstance(spec.workload, SynthesisWorkload):
            stride = spec.workload.batch_size
        works_from = now + timedelta(seconds=self.startup_seconds)
        return Process(launch.attempt_id, directory, spec, now, works_from, first, stride, self.pace(spec.workload) * stride, now, first)

    def _observe(self, handle: Handle) -> Observation:
        process = self._processes.get(handle.attempt_id)
        if process is None:
            return Observation(AttemptState.LOST, reason="nobody knows it")
        self._work(process)
        native_id = f"scripted-{handle.attempt_id}"
        return process.ending.observation(native_id) if process.ending else Observation(AttemptState.ACTIVE, native_id)

    def _work(self, process: Process) -> None:
        """Write down everything that has happened up to now."""
        if process.ending is not None:
            return
        leaves, kind = process.leaves_at()
        if self.failure is not None:
            leaves, kind = min(leaves, process.reached(process.first_step + process.stride)), OutcomeKind.FAILED
        until = min(self.now(), leaves)
        self._meter(process, min(until, process.works_from), "startup", process.first_step)
        if until > process.works_from:
            step = process.step_at(until)
            self._meter(process, until, "work", step)
            self._finish(process, step)
        if until == leaves:
            self._leave(process, leaves, kind)

    def _meter(self, process: Process, until: datetime, phase: Phase, step: int) -> None:
        if not process.cursor < until:
            return
        seconds = (until - process.cursor).total_seconds()
        process.directory.append_energy(
            EnergyRecord(
                attempt_id=process.attempt_id,
                start=process.cursor,
                end=until,
                joules={} if self.watts is None else {"cpu": self.watts * seconds},
                provenance={} if self.watts is None else {"cpu": "simulated"},
                phase=phase,
                step_from=process.step,
                step_to=step,
            )
        )
        process.cursor = until

    def _finish(self, process: Process, step: int) -> None:
        if step == process.step:
            return
        if process.spec.samples is not None:
            for index in range(process.spec.samples.first + process.step, process.spec.samples.first + step):
                self._make_sample(process, index)
        elif step // self.checkpoint_every > process.step // self.checkpoint_every or step == process.spec.total_steps:
            newest = step if step == process.spec.total_steps else step // self.checkpoint_every * self.checkpoint_every
            (process.directory.checkpoints / "newest").write_text(str(newest))
        process.step = step
        process.directory.append_progress(
            ProgressRecord(attempt_id=process.attempt_id, step=step, of=process.spec.total_steps, when=process.cursor)
        )

    def _make_sample(self, process: Process, index: int) -> None:
        self.made[index] += 1
        name = f"{index:06d}.png"
        (process.directory.samples / name).write_bytes(b"sample %d" % index)
        line = SampleRecord(index=index, file=f"samples/{name}", sha256="0" * 64, fingerprint="scripted", attempt_id=process.attempt_id)
        with process.directory.samples_file.open("a") as file:
            file.write(line.model_dump_json() + "\n")

    def _leave(self, process: Process, at: datetime, kind: OutcomeKind) -> None:
        reason, retryable = self.failure if kind is OutcomeKind.FAILED and self.failure else ("", True)
        if kind is OutcomeKind.CHECKPOINTED:
            (process.directory.checkpoints / "newest").write_text(str(process.step))
        if kind is OutcomeKind.COMPLETED and isinstance(process.spec.workload, TrainingWorkload):
            process.directory.weights_file.write_bytes(b"weights" * 1000)
        process.directory.write_outcome(
            Outcome(attempt_id=process.attempt_id, kind=kind, reason=reason, ended_at=at, steps_done=process.step, retryable=retryable)
        )
        process.ending = Ending(at, kind, reason)


def _resumed_step(directory: RunDirectory, spec: RunSpec) -> int:
    if isinstance(spec.workload, SynthesisWorkload):
        return 0
    newest = directory.checkpoints / "newest"
    return int(newest.read_text()) if newest.exists() else 0
