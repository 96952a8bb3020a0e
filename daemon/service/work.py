"""What is done and what is left of a job, from its runs and attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from daemon.domain.job import Attempt, Job, Run
from daemon.domain.states import AttemptState
from daemon.store import Reader
from jobs.spec import SampleRange, SynthesisWorkload


@dataclass(frozen=True, slots=True)
class JobWork:
    """A job with all its runs and attempts, oldest first."""

    job: Job
    runs: tuple[Run, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    live: tuple[Attempt, ...] = field(init=False)  # of the attempts; a tick asks for them many times

    def __post_init__(self) -> None:
        object.__setattr__(self, "live", tuple([attempt for attempt in self.attempts if not attempt.state.is_final]))

    @property
    def steps_total(self) -> int:
        return self.job.workload.total_steps

    @property
    def steps_done(self) -> int:
        """Steps or samples whose result will last, as far as is known."""
        return min(self.steps_total, sum(run.steps_done for run in self.runs))

    @property
    def fraction_left(self) -> float:
        return 1.0 - self.steps_done / self.steps_total

    @property
    def open_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.closed_at is None)

    @property
    def batches_left(self) -> int:
        """Micro-batches that are still to be made; 1 for a training, which nobody can share."""
        if not isinstance(self.job.workload, SynthesisWorkload):
            return 1
        return max(1, ceil((self.steps_total - self.steps_done) / self.job.workload.batch_size))

    @property
    def most_runs(self) -> int:
        """How many runs might share what is left, a micro-batch each; what a run holds that may not be stopped is its own."""
        if self.job.is_interruptible or not self.live or not isinstance(self.job.workload, SynthesisWorkload):
            return self.batches_left
        return len(self.live) + sum(ceil(gap.count / self.job.workload.batch_size) for gap in self.unclaimed())

    def left_of(self, attempt: Attempt) -> int:
        """Steps or samples that the attempt's run has still to do."""
        run = next(run for run in self.runs if run.id == attempt.run_id)
        return (run.samples.count if run.samples is not None else self.steps_total) - run.steps_done

    @property
    def idle_runs(self) -> tuple[Run, ...]:
        """Open runs that nobody works on: the next attempts at their sites go on with them."""
        busy = {attempt.run_id for attempt in self.live}
        return tuple(run for run in self.open_runs if run.id not in busy)

    def unclaimed(self) -> list[SampleRange]:
        """The ranges of samples that no run has made or holds, in order."""
        assert isinstance(self.job.workload, SynthesisWorkload)
        return unclaimed_ranges(self.job.workload.samples, self.runs)

    @property
    def is_all_claimed(self) -> bool:
        """Whether runs have made or hold all of it: nothing is left to be begun. A training is held as long as it is not done."""
        return not isinstance(self.job.workload, SynthesisWorkload) or not self.unclaimed()

    @property
    def is_complete(self) -> bool:
        """Everything the workload asked for exists."""
        if isinstance(self.job.workload, SynthesisWorkload):
            return not self.unclaimed() and not self.open_runs
        return any(attempt.state is AttemptState.COMPLETED for attempt in self.attempts)


def unclaimed_ranges(samples: int, runs: Iterable[Run]) -> list[SampleRange]:
    """The gaps between the claims of the runs: an open run claims its whole range, a closed one what it made."""
    claims = []
    for run in runs:
        assert run.samples is not None
        count = run.samples.count if run.closed_at is None else run.steps_done
        if count:
            claims.append((run.samples.first, run.samples.first + count))
    gaps, reached = [], 0
    for first, stop in [*sorted(claims), (samples, samples)]:
        if first > reached:
            gaps.append(SampleRange(first=reached, count=first - reached))
        reached = max(reached, stop)
    return gaps


def lasting_samples(run: Run, batch_size: int, made: int) -> int:
    """How many samples a closing run keeps: whole micro-batches only, so that the next run starts on a boundary."""
    assert run.samples is not None
    return made if made >= run.samples.count else made // batch_size * batch_size


def works_of(reader: Reader, jobs: Sequence[Job]) -> dict[str, JobWork]:
    """The work of each of the jobs, by id, in their order."""
    ids = [job.id for job in jobs]
    return _works(jobs, reader.runs_of(ids), reader.attempts_of(ids))


def live_works(reader: Reader) -> dict[str, JobWork]:
    """The work of each job that is not final, by id, the oldest first."""
    return _works(reader.live_jobs(), reader.runs_of_live_jobs(), reader.attempts_of_live_jobs())


def _works(jobs: Sequence[Job], runs: Mapping[str, Sequence[Run]], attempts: Mapping[str, Sequence[Attempt]]) -> dict[str, JobWork]:
    return {job.id: JobWork(job, tuple(runs.get(job.id, ())), tuple(attempts.get(job.id, ()))) for job in jobs}
