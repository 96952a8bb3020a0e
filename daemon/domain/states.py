"""The states of jobs and attempts: who moves them in, who moves them out, what is final.

Late and repeated reports never move a state backwards.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    WAITING = "waiting"  # accepted; the tick moves it on when a placement begins. It carries a reason a person understands
    RUNNING = "running"  # at least one attempt is live
    SUSPENDED = "suspended"  # stopped by us at a checkpoint, to go on in a cleaner window; costs no retry
    SUCCEEDED = "succeeded"  # final: everything the workload asked for exists
    FAILED = "failed"  # final: an attempt failed beyond its retries; the reason says why
    CANCELLED = "cancelled"  # final: the user said so
    EXPIRED = "expired"  # final: a job whose predecessor cannot succeed any more, so it can never start

    @property
    def is_final(self) -> bool:
        return self in FINAL_JOB_STATES


FINAL_JOB_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})

JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.RUNNING: frozenset({JobState.WAITING, JobState.SUSPENDED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUSPENDED: frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}),
} | {state: frozenset() for state in FINAL_JOB_STATES}


class AttemptState(StrEnum):
    """In order: launching < pending < active < stopping < every final state."""

    LAUNCHING = "launching"  # recorded by the tick before anything happens; the executor may or may not know it yet
    PENDING = "pending"  # the executor has it, it does not work yet
    ACTIVE = "active"  # it works (or is held by SIGSTOP: it still has its place)
    STOPPING = "stopping"  # we asked it to checkpoint and end
    COMPLETED = "completed"
    SUSPENDED = "suspended"  # checkpointed because the plan asked
    PREEMPTED = "preempted"  # checkpointed or killed by someone else
    FAILED = "failed"
    CANCELLED = "cancelled"  # checkpointed or killed because the user asked
    LOST = "lost"  # every way of asking was tried and nobody knows it: never read as success

    @property
    def is_final(self) -> bool:
        return self not in _LIVE

    @property
    def order(self) -> int:
        return _ORDER[self]


_LIVE = (AttemptState.LAUNCHING, AttemptState.PENDING, AttemptState.ACTIVE, AttemptState.STOPPING)
_ORDER = {state: _LIVE.index(state) if state in _LIVE else len(_LIVE) for state in AttemptState}


class IllegalTransition(RuntimeError):
    """A job was about to change to a state it cannot reach from where it is."""

    def __init__(self, job_id: str, current: JobState, wanted: JobState) -> None:
        super().__init__(f"job {job_id} is {current} and cannot become {wanted}")
        self.job_id, self.current, self.wanted = job_id, current, wanted


def states_before(wanted: JobState) -> frozenset[JobState]:
    """The states that a job may be in when it is put into `wanted`: that one, which changes nothing, and those it may follow."""
    return frozenset({wanted} | {state for state, following in JOB_TRANSITIONS.items() if wanted in following})


def attempt_states_before(wanted: AttemptState) -> frozenset[AttemptState]:
    """The states that an attempt may be in when it is put into `wanted`: that one, and those before it that are not final."""
    return frozenset({wanted} | {state for state in AttemptState if not state.is_final and state.order <= wanted.order})


def advance(current: AttemptState, reported: AttemptState) -> AttemptState:
    """The state after a report: the later of the two; a final state stays whatever arrives afterwards."""
    return reported if reported.order > current.order else current
