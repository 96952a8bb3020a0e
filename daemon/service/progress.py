"""Reading run directories: what an attempt has done so far and how it says it ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from signal import SIGKILL

from daemon.domain.execution import Observation
from daemon.domain.job import Attempt, Run, StopWish
from daemon.domain.states import AttemptState
from daemon.service.work import lasting_samples
from jobs.outcome import CHECKPOINTED_EXIT_CODE, Outcome, OutcomeKind
from jobs.rundir import EnergyRecord, RunDirectory
from jobs.spec import SynthesisWorkload, TrainingWorkload


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, in our words. `is_retryable` is False where trying again would only fail again."""

    state: AttemptState
    reason: str
    is_retryable: bool = True


def ending_of(attempt: Attempt, observation: Observation, outcome: Outcome | None) -> Ending:
    """The final state of an attempt that the executor says is over.

    The node's own outcome counts most; absence of one is never success. A checkpoint is a suspension if we
    asked for it, a cancellation if the user did, else a preemption. One that had to be killed was not suspended.
    """
    if outcome is not None:
        if outcome.kind is OutcomeKind.COMPLETED:
            return Ending(AttemptState.COMPLETED, outcome.reason or "finished")
        if outcome.kind is OutcomeKind.CHECKPOINTED:
            return _stopped(attempt, outcome.reason or "stopped at a checkpoint")
        return Ending(AttemptState.FAILED, outcome.reason, outcome.retryable)
    if observation.state is AttemptState.LOST:
        return Ending(AttemptState.LOST, observation.reason or "nobody knows this attempt any more")
    if observation.signal == SIGKILL and attempt.stop_wish is StopWish.SUSPEND:
        return Ending(AttemptState.PREEMPTED, "killed: it was asked to pause and did not end in time")
    if observation.signal is not None or observation.state is AttemptState.PREEMPTED or observation.exit_code == CHECKPOINTED_EXIT_CODE:
        return _stopped(attempt, observation.reason or f"killed by signal {observation.signal}")
    code = "an unknown exit code" if observation.exit_code is None else f"exit code {observation.exit_code}"
    return Ending(AttemptState.FAILED, observation.reason or f"ended with {code} and no outcome: see log.txt in the run directory")


def _stopped(attempt: Attempt, reason: str) -> Ending:
    match attempt.stop_wish:
        case StopWish.CANCEL:
            return Ending(AttemptState.CANCELLED, "cancelled on request")
        case StopWish.SUSPEND:
            return Ending(AttemptState.SUSPENDED, "paused at a checkpoint, as planned")
        case StopWish.ABANDON:
            return Ending(AttemptState.CANCELLED, "stopped, as another run of the job failed for good")
        case None:
            return Ending(AttemptState.PREEMPTED, reason)


def steps_reached(run: Run, directory: RunDirectory) -> int:
    """Steps or samples the run has reached, from the newest progress record; never less than known before."""
    record = directory.last_progress()
    return max(run.steps_done, record.step) if record else run.steps_done


def lasting_steps(run: Run, directory: RunDirectory, workload: TrainingWorkload | SynthesisWorkload, outcome: Outcome | None) -> int:
    """What survives the end of an attempt: for synthesis the unbroken run of finished samples, in whole micro-batches."""
    if isinstance(workload, SynthesisWorkload):
        return lasting_samples(run, workload.batch_size, made_in_a_row(run, directory))
    return outcome.steps_done if outcome is not None else steps_reached(run, directory)


def without_missing_samples(ending: Ending, run: Run, kept: int) -> Ending:
    """A run that says it is complete and lacks samples has failed: taken at its word, it would be repeated for ever."""
    if ending.state is not AttemptState.COMPLETED or run.samples is None or kept >= run.samples.count:
        return ending
    return Ending(AttemptState.FAILED, f"it ended as if complete, but only {kept} of its {run.samples.count} samples are there")


def got_further(records: Iterable[EnergyRecord], attempt_id: str) -> bool:
    """Whether the attempt finished a step that none before it in the run did.

    One that is killed again and again at the same step (too little memory) gets nowhere and must use up its retries.
    """
    mine = earlier = 0
    for record in records:
        if record.attempt_id == attempt_id:
            mine = max(mine, record.step_to)
        else:
            earlier = max(earlier, record.step_to)
    return mine > earlier


def made_in_a_row(run: Run, directory: RunDirectory) -> int:
    """Finished samples from the first of the range on, without a hole."""
    assert run.samples is not None
    made = {record.index for record in directory.sample_records()}
    count = 0
    while run.samples.first + count in made and count < run.samples.count:
        count += 1
    return count
