"""The tick's last step: make happen what is recorded. Everything here may be done again after a crash."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from daemon.domain.errors import Hindered
from daemon.domain.execution import ExecutorError, Handle, Launch, LaunchRefused
from daemon.domain.job import Attempt, Event, Job, Run, StopWish
from daemon.domain.states import AttemptState
from daemon.service.aftermath import settle_job_state
from daemon.service.hold_up import is_held_up, tell_hold_up, tell_it_goes_on
from daemon.service.isolation import poisoned_alone
from daemon.service.policy import Policy, Workplace, Workplaces
from daemon.service.progress import Ending
from daemon.store import Store
from forecast.clock import Clock
from jobs.rundir import AttemptFile, RunDirectory
from jobs.spec import RunSpec, SynthesisWorkload

log = logging.getLogger(__name__)
_TO_MOVE = (AttemptState.LAUNCHING, AttemptState.STOPPING)


class Actor:
    """Launches the attempts recorded as launching and stops those recorded as stopping."""

    def __init__(
        self,
        store: Store,
        workplaces: Workplaces,
        clock: Clock,
        policy: Policy,
        hindrance: Callable[[], str | None],
        after_step: Callable[[str], None],
    ) -> None:
        """`hindrance` tells why nothing must be moved now, if so."""
        self._store, self._workplaces, self._clock, self._policy = store, workplaces, clock, policy
        self._hindrance, self._after_step = hindrance, after_step

    def act(self) -> list[Attempt]:
        """Do it; the attempts that ended without ever working. Raises Hindered before the first one that must not be moved."""
        with self._store.read() as reader:
            attempts = [attempt for attempt in reader.live_attempts(_TO_MOVE) if attempt.site in self._workplaces]
            runs = reader.runs_among({attempt.run_id for attempt in attempts})
            jobs = reader.jobs_among([attempt.job_id for attempt in attempts])
        ended: list[Attempt] = []
        for attempt in attempts:
            with poisoned_alone("act", attempt=attempt.id):
                self._refuse_if_hindered()
                if any(other.job_id == attempt.job_id for other in ended):  # it may have failed for good, which calls this one off
                    attempt = self._as_it_is_now(attempt)
                ending = self._move(jobs[attempt.job_id], runs[attempt.run_id], attempt)
                ended += [ending] if ending is not None else []
        return ended

    def _refuse_if_hindered(self) -> None:
        """Raises Hindered: planning, and copying weights, take long enough to lose the lock."""
        if (hindrance := self._hindrance()) is not None:
            raise Hindered(hindrance)

    def _move(self, job: Job, run: Run, attempt: Attempt) -> Attempt | None:
        """One step with one attempt; the attempt if that was its end."""
        if attempt.state is AttemptState.STOPPING:
            self._stop(attempt, run)
        if attempt.state is not AttemptState.LAUNCHING:
            return None
        if job.cancel_requested or attempt.stop_wish is not None:
            return self._call_off(job, run, attempt)
        return self._launch(job, run, attempt)

    def _as_it_is_now(self, attempt: Attempt) -> Attempt:
        with self._store.read() as reader:
            return reader.attempt(attempt.id)

    def _launch(self, job: Job, run: Run, attempt: Attempt) -> Attempt | None:
        place = self._workplaces[attempt.site]
        try:
            run = self._prepare(job, run, attempt, place)
            self._after_step("act:prepared")
            self._refuse_if_hindered()
            launch = Launch(attempt.id, run.id, job.id, run.directory, attempt.gpus, job.workload.threads)
            native_id = place.executor.launch(launch)
        except (LaunchRefused, OSError, ValidationError) as error:
            return self._end(attempt, run, Ending(AttemptState.FAILED, f"could not be started at {attempt.site}: {error}"))
        except ExecutorError as error:
            log.warning("launch-postponed", extra={"attempt": attempt.id, "reason": str(error)})
            return self._postpone(attempt, run, str(error))
        self._after_step("act:launched")
        with self._store.write() as writer:
            pending = replace(attempt, state=AttemptState.PENDING, native_id=native_id)
            writer.change_attempt(pending, Event(job.id, self._clock.now(), "attempt-pending", f"started at {attempt.site} as {native_id}"))
            if is_held_up(job.reason, attempt):
                tell_it_goes_on(writer, attempt)
        self._after_step("act:kept")
        return None

    def _postpone(self, attempt: Attempt, run: Run, reason: str) -> Attempt | None:
        """The executor cannot start it now. Its patience over, the attempt ends, so that the next plan may choose another site."""
        waited = self._clock.real_seconds((self._clock.now() - attempt.created_at).total_seconds())
        if waited > self._policy.launch_patience.total_seconds() and self._is_nowhere(attempt, run):
            ending = f"could not be started at {attempt.site} within {waited / 60:.0f} min, the last time because: {reason}"
            return self._end(attempt, run, Ending(AttemptState.FAILED, ending))
        with self._store.write() as writer:
            tell_hold_up(writer, attempt, "launch-postponed", f"it cannot be started yet: {reason}", self._clock.now())
        return None

    def _prepare(self, job: Job, run: Run, attempt: Attempt, place: Workplace) -> Run:
        """Write the run directory and bring the weights; the run, with what was transferred for it."""
        directory = RunDirectory(run.directory)
        run, weights = self._weights(job, run, place)
        data = None if isinstance(job.workload, SynthesisWorkload) else job.workload.data.path
        directory.prepare(
            RunSpec(
                job_id=job.id,
                run_id=run.id,
                workload=job.workload,
                samples=run.samples,
                weights_path=str(weights) if weights else None,
                data_path=str(locate(data, place)) if data else None,
                processes=1 if isinstance(job.workload, SynthesisWorkload) else attempt.gpus,
                checkpoint_every_seconds=self._policy.checkpoint_every_seconds,
                metering=place.metering.model_copy(update={"host_share": min(1.0, attempt.gpus / place.site.gpus)}),
            )
        )
        directory.write_attempt(AttemptFile(attempt_id=attempt.id, run_id=run.id, job_id=job.id, number=attempt.number))
        return run

    def _weights(self, job: Job, run: Run, place: Workplace) -> tuple[Run, Path | None]:
        """The weights at the site, brought there if need be, and the run with what was moved. Raises LaunchRefused if they are gone."""
        workload = job.workload
        if not isinstance(workload, SynthesisWorkload):
            return run, None
        if workload.weights.path is not None:
            return run, locate(workload.weights.path, place)
        assert workload.weights.job is not None
        with self._store.read() as reader:
            source = reader.runs(workload.weights.job)[-1]
        made = RunDirectory(source.directory).weights_file
        local = made if source.site == place.site.name else place.run_root / "weights" / f"{workload.weights.job}.pt"
        if local.exists():
            return run, local
        if not made.exists():
            raise LaunchRefused(f"the weights {made} of job {workload.weights.job} are gone: train again or give their path")
        run = replace(run, transferred_gb=made.stat().st_size / 1e9)
        with self._store.write() as writer:  # before the copy: a crash in between must not hide from the ledger what was moved
            writer.change_run(run)
        _copy(made, local)
        return run, local

    def _stop(self, attempt: Attempt, run: Run) -> None:
        handle = Handle(attempt.id, run.directory, attempt.native_id)
        executor = self._workplaces[attempt.site].executor
        waited = self._clock.now() - (attempt.stop_wished_at or attempt.created_at)
        try:
            if self._clock.real_seconds(waited.total_seconds()) > self._policy.stop_grace.total_seconds():
                executor.kill(handle)
            else:
                executor.stop(handle)
        except ExecutorError as error:
            log.warning("stop-postponed", extra={"attempt": attempt.id, "reason": str(error)})
        self._after_step("act:stopped")

    def _call_off(self, job: Job, run: Run, attempt: Attempt) -> Attempt | None:
        """A launch that nobody wants any more. One cut off by a crash may have happened: then it is stopped as any other."""
        is_nowhere = self._is_nowhere(attempt, run)
        if is_nowhere is None:
            return None
        wish, why = StopWish.ABANDON, "another run of the job failed for good"
        if job.cancel_requested:
            wish, why = StopWish.CANCEL, "the job was cancelled"
        if is_nowhere:
            return self._end(attempt, run, Ending(AttemptState.CANCELLED, f"called off before it was started, as {why}"))
        stopping = replace(attempt, state=AttemptState.STOPPING, stop_wish=wish, stop_wished_at=self._clock.now())
        with self._store.write() as writer:
            writer.change_attempt(stopping, Event(job.id, self._clock.now(), "attempt-stopping", f"killed: {why}"))
        return None

    def _is_nowhere(self, attempt: Attempt, run: Run) -> bool | None:
        """Kill what a launch may have left behind, and see whether the executor knows anything of it; None if it cannot be asked."""
        handle, executor = Handle(attempt.id, run.directory, None), self._workplaces[attempt.site].executor
        try:
            executor.kill(handle)
            return executor.observe([handle])[attempt.id].state is AttemptState.LOST
        except (ExecutorError, KeyError) as error:
            log.warning("stop-postponed", extra={"attempt": attempt.id, "reason": str(error)})
            return None

    def _end(self, attempt: Attempt, run: Run, ending: Ending) -> Attempt:
        """Record an attempt that ended without ever working. A run nobody ever worked on is closed: its work is free to go elsewhere."""
        now = self._clock.now()
        ended = replace(attempt, state=ending.state, ended_at=now, reason=ending.reason)
        with self._store.write() as writer:
            writer.change_attempt(ended, Event(attempt.job_id, now, f"attempt-{ending.state}", ending.reason))
            if not any(other.run_id == run.id and other.started_at for other in writer.attempts(attempt.job_id)):
                writer.change_run(replace(writer.run(run.id), closed_at=now))
            settle_job_state(writer, ended, ending, made_progress=False, retries=self._policy.retries, now=now)
        return ended


def _copy(source: Path, target: Path) -> None:
    """Aside, then in one step: whoever finds the target finds all of it, also after a power cut.

    A copy that fails leaves nothing behind: gigabytes of half of it would keep a full disk full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, aside)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def locate(path: str, place: Workplace) -> Path:
    """Where a path of a request lies at the site: below its data root, links resolved.

    Raises LaunchRefused for anything else, so that a job cannot reach files that were not offered.
    """
    root = place.data_root.resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root):
        raise LaunchRefused(
            f"{path!r} is not below the data root {root} of site {place.site.name}: move it there or name it relative to it"
        )
    if not found.exists():
        raise LaunchRefused(f"{path!r} does not exist below the data root {root} of site {place.site.name}")
    return found
