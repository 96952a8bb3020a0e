"""Cancelling, whatever state the job is in."""

from __future__ import annotations

import pytest

from daemon.domain.errors import Conflict
from daemon.domain.states import AttemptState, JobState
from tests.daemon.service.world import World, training


def test_a_waiting_job_is_cancelled_at_once(world: World) -> None:
    job_id = world.submit(training(2), deadline=world.deadline(24))
    world.tick()
    assert world.daemon.service.cancel(job_id).state is JobState.CANCELLED
    world.pass_time(1)
    assert world.attempts(job_id) == []
    assert world.job(job_id).ended_at is not None


def test_a_running_job_is_stopped_at_its_next_checkpoint(world: World) -> None:
    job_id = world.submit(training(3), deadline=world.deadline(4))
    world.pass_time(1)
    assert world.daemon.service.cancel(job_id).state is JobState.RUNNING
    job = world.until(job_id, JobState.CANCELLED)
    assert world.attempt_states(job_id) == [AttemptState.CANCELLED]
    assert job.reason == "cancelled on request; what was made so far is kept"
    world.daemon.settler.settle()
    (entry,) = world.ledger(job_id)
    assert entry.useful_kwh == 0
    assert entry.waste_kwh > 0


def test_one_that_does_not_listen_is_killed(world: World) -> None:
    world.home.is_deaf = True
    job_id = world.submit(training(3), deadline=world.deadline(4))
    world.pass_time(1)
    world.daemon.service.cancel(job_id)
    world.until(job_id, JobState.CANCELLED)
    assert world.attempt_states(job_id) == [AttemptState.CANCELLED]


def test_a_suspended_job_is_cancelled_at_once(world: World) -> None:
    job_id = world.submit(training(6), deadline=world.deadline(44))
    world.until(job_id, JobState.SUSPENDED)
    assert world.daemon.service.cancel(job_id).state is JobState.CANCELLED
    assert all(run.closed_at is not None for run in world.runs(job_id))
    world.pass_time(1)
    assert world.attempt_states(job_id) == [AttemptState.SUSPENDED]


def test_cancelling_while_it_is_being_suspended_still_cancels(world: World) -> None:
    job_id = world.submit(training(6), deadline=world.deadline(44))
    world.until(job_id, JobState.RUNNING)
    world.home.is_deaf = True
    while world.attempt_states(job_id) != [AttemptState.STOPPING]:
        world.pass_time(0.5)
    world.daemon.service.cancel(job_id)
    world.until(job_id, JobState.CANCELLED)
    assert world.attempt_states(job_id) == [AttemptState.CANCELLED]


def test_a_launch_that_nobody_wants_any_more_is_called_off(world: World) -> None:
    """The node takes no job now, and without this the cancelled one would wait for it."""
    world.home.is_full = True
    job_id = world.submit(training(3), deadline=world.deadline(3.5))
    world.tick()
    assert world.attempt_states(job_id) == [AttemptState.LAUNCHING]
    world.daemon.service.cancel(job_id)
    report = world.tick()
    assert [attempt.reason for attempt in report.ended] == ["called off before it was started, as the job was cancelled"]
    assert world.attempt_states(job_id) == [AttemptState.CANCELLED]
    assert world.job(job_id).state is JobState.CANCELLED


def test_cancelling_twice_is_cancelling_once_and_a_finished_job_cannot_be(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(1.5))
    other = world.submit(training(1), deadline=world.deadline(24))
    world.daemon.service.cancel(other)
    events = world.events(other)
    assert world.daemon.service.cancel(other).state is JobState.CANCELLED
    assert world.events(other) == events
    world.until(job_id, JobState.SUCCEEDED)
    with pytest.raises(Conflict, match="has already succeeded: there is nothing left to cancel"):
        world.daemon.service.cancel(job_id)
