"""A deadline that is not kept is told once, as soon as it is known."""

from __future__ import annotations

from daemon.domain.job import Event
from daemon.domain.states import JobState
from daemon.service.deadlines import MISSED
from tests.daemon.service.world import World, as_estimated, training


def missed(world: World, job_id: str) -> list[Event]:
    return [event for event in world.events(job_id) if event.kind == MISSED]


def test_a_job_that_ends_in_time_is_not_told(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(4))
    world.until(job_id, JobState.SUCCEEDED)
    assert missed(world, job_id) == []


def test_a_job_that_cannot_end_in_time_is_told_once_and_before_its_deadline(world: World) -> None:
    """Two jobs and room for one."""
    jobs = [world.submit(training(2), deadline=world.deadline(2.5)) for _ in range(2)]
    told = list(world.tick().missed)
    (late,) = told
    assert late in jobs
    (event,) = missed(world, late)
    assert event.at < world.job(late).deadline
    assert event.message.startswith("expected to end at ")
    assert event.message.endswith(", after its deadline 2024-03-04T14:30+00:00")
    told += [name for _ in range(12) for name in world.later(0.5).missed]
    assert world.job(late).state is JobState.SUCCEEDED
    assert told == [late]
    assert len(missed(world, late)) == 1


def test_work_in_one_piece_that_takes_longer_than_expected_is_told_at_its_deadline(world: World) -> None:
    """No plan speaks of it: there is nothing left to decide."""
    world.home.pace = lambda workload: 2 * as_estimated(workload)
    job_id = world.submit(training(2), deadline=world.deadline(2.5), contiguous=True)
    told = [name for _ in range(10) for name in world.later(0.5).missed]
    assert told == [job_id]
    (event,) = missed(world, job_id)
    assert event.message == "not ended at its deadline 2024-03-04T14:30+00:00"
    assert world.job(job_id).state is JobState.SUCCEEDED


def test_a_job_that_ended_late_between_two_ticks_is_told_too(world: World) -> None:
    world.home.pace = lambda workload: 1.5 * as_estimated(workload)
    job_id = world.submit(training(2), deadline=world.deadline(2.5), contiguous=True)
    world.tick()
    assert world.later(5).missed == (job_id,)
    assert world.job(job_id).state is JobState.SUCCEEDED
    (event,) = missed(world, job_id)
    assert event.message == "ended after its deadline 2024-03-04T14:30+00:00"
