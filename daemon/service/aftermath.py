"""What the end of an attempt means for its job: done, to go on later, to be tried again, or failed for good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from daemon.domain.job import Attempt, Event, Job, StopWish
from daemon.domain.states import AttemptState, JobState
from daemon.service.hold_up import tell_the_others_go_on
from daemon.service.progress import Ending
from daemon.service.work import JobWork
from daemon.store import Writer
from jobs.spec import SynthesisWorkload

GONE_WRONG = (AttemptState.FAILED, AttemptState.LOST, AttemptState.PREEMPTED)


def settle_job_state(writer: Writer, attempt: Attempt, ending: Ending, made_progress: bool, retries: int, now: datetime) -> None:
    """Record what the end of an attempt means for its job, in the same transaction."""
    job = writer.job(attempt.job_id)
    work = JobWork(job, tuple(writer.runs(job.id)), tuple(writer.attempts(job.id)))
    if job.state.is_final:
        return
    if work.live:
        _settle_beside_others(writer, work, attempt, ending, made_progress, retries, now)
        return
    changed = after_attempt(work, ending, made_progress, retries)
    ended_at = max(one.ended_at for one in work.attempts if one.ended_at is not None)  # one recorded before may have ended later
    if changed.state.is_final:
        changed = replace(changed, ended_at=ended_at, planned=())
        for run in work.open_runs:
            writer.change_run(replace(run, closed_at=ended_at))
    writer.change_job(changed, Event(job.id, ended_at, f"job-{changed.state}", changed.reason))


def after_attempt(work: JobWork, ending: Ending, made_progress: bool, retries: int) -> Job:
    """The job after its last live attempt ended. A suspension costs no retry, nor does a preemption after progress."""
    job = work.job
    if work.is_complete:
        return replace(job, state=JobState.SUCCEEDED, reason="finished: everything the workload asked for exists")
    if job.cancel_requested:
        return replace(job, state=JobState.CANCELLED, reason="cancelled on request; what was made so far is kept")
    charged = _charged(work, ending, made_progress)
    if any(attempt.stop_wish is StopWish.ABANDON for attempt in work.attempts):
        return _failed(job, _last_gone_wrong(work.attempts).reason, charged, retries)
    if ending.state is AttemptState.SUSPENDED:
        return replace(job, state=JobState.SUSPENDED, reason=ending.reason)
    if ending.state is AttemptState.COMPLETED:
        return replace(job, state=JobState.WAITING, reason="a chunk is finished, the next one waits for its window")
    if _is_hopeless(ending, charged, retries):
        return _failed(job, ending.reason, charged, retries)
    return replace(job, state=JobState.WAITING, reason=f"will be tried again after: {ending.reason}", retries=charged)


def _settle_beside_others(
    writer: Writer, work: JobWork, attempt: Attempt, ending: Ending, made_progress: bool, retries: int, now: datetime
) -> None:
    """Other runs of the job go on: only what went wrong is counted, and if it cannot be mended they are asked to stop.

    What the others hold is all that is left where every sample is made or theirs: nothing needs to be tried again then.
    """
    tell_the_others_go_on(writer, attempt, work.live)
    if ending.state not in GONE_WRONG:
        return
    charged = _charged(work, ending, made_progress)
    if charged != work.job.retries:
        writer.change_job(replace(writer.job(work.job.id), retries=charged))
    if work.is_all_claimed or not _is_hopeless(ending, charged, retries):
        return
    for other in work.live:
        # One that is being launched is called off by whoever launches: it may be under way already.
        state = other.state if other.state is AttemptState.LAUNCHING else AttemptState.STOPPING
        stopping = replace(other, state=state, stop_wish=StopWish.ABANDON, stop_wished_at=other.stop_wished_at or now)
        reason = f"asked to stop: attempt {attempt.number} failed for good, and the job with it"
        writer.change_attempt(stopping, Event(work.job.id, now, "attempt-stopping", reason))


def _charged(work: JobWork, ending: Ending, made_progress: bool) -> int:
    """The retries used up with this end."""
    used = work.job.retries
    if ending.state not in GONE_WRONG:
        return used
    if isinstance(work.job.workload, SynthesisWorkload):
        return max(used, mishaps(work))
    return used + (0 if ending.state is AttemptState.PREEMPTED and made_progress else 1)


def mishaps(work: JobWork) -> int:
    """How often something went wrong with a synthesis: what befalls runs that are side by side counts once, as a host that goes down.

    A run that was pre-empted after it had made samples that last does not count.
    """
    runs = {run.id: run for run in work.runs}
    # In the order of their ends, one more end never makes them fewer: a long run that fails at last must not swallow all beside it.
    wrong = sorted((one for one in work.attempts if one.state in GONE_WRONG), key=lambda one: (one.ended_at or one.created_at, one.number))
    first, count, counted = None, 0, False
    for one in wrong:
        if first is None or not _were_side_by_side(first, one):
            first, counted = one, False
        is_harmless = one.state is AttemptState.PREEMPTED and runs[one.run_id].steps_done > 0
        if not is_harmless and not counted:
            count, counted = count + 1, True
    return count


def _were_side_by_side(earlier: Attempt, later: Attempt) -> bool:
    """Whether the later one had been created before the earlier one ended."""
    assert earlier.ended_at is not None
    return later.created_at == earlier.created_at or later.created_at < earlier.ended_at


def _is_hopeless(ending: Ending, charged: int, retries: int) -> bool:
    return not ending.is_retryable or charged > retries


def _failed(job: Job, reason: str, charged: int, retries: int) -> Job:
    told = f"failed {charged} times, the last time: {reason}" if charged > retries else reason
    return replace(job, state=JobState.FAILED, reason=told, retries=charged)


def _last_gone_wrong(attempts: Iterable[Attempt]) -> Attempt:
    """The attempt for whose sake the others were asked to stop, or one that went wrong after it."""
    wrong = [attempt for attempt in attempts if attempt.state in GONE_WRONG and attempt.stop_wish is not StopWish.ABANDON]
    return max(wrong, key=lambda attempt: (attempt.ended_at or attempt.created_at, attempt.number))
