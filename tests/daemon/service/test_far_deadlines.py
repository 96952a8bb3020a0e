"""Jobs that may end in years: their accounts are closed like anybody else's, and hold nobody up meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.ledger import EntryKind
from daemon.domain.states import JobState
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training


@pytest.mark.parametrize("deadline", ["2025-03-04T12:00:00Z", "2199-12-31T23:59:59Z"])
def test_the_account_of_a_job_that_might_have_run_years_later_is_final_when_its_hours_are(world: World, deadline: str) -> None:
    job_id = world.submit(training(1), deadline=deadline, price_of_waiting_g_per_hour=1e6)
    ended_at = world.until(job_id, JobState.SUCCEEDED).ended_at
    world.daemon.settler.settle()
    assert [entry.kind for entry in world.ledger(job_id)] == [EntryKind.PROVISIONAL]
    assert ended_at is not None
    world.now = ended_at + timedelta(days=14 + 3, hours=1)
    world.record()
    world.daemon.settler.settle()
    entry = world.ledger(job_id)[-1]
    assert (entry.kind, entry.unsettled_hours, entry.is_claimed) == (EntryKind.FINAL, 0, True)


def test_hindsight_looks_as_far_beyond_the_end_of_a_job_as_plans_could_then(world: World) -> None:
    soon, late = (world.submit(training(1), deadline=world.deadline(24 * days), price_of_waiting_g_per_hour=1e6) for days in (10, 300))
    for job_id in (soon, late):
        world.until(job_id, JobState.SUCCEEDED)
    world.now += timedelta(days=20)
    world.record()
    world.daemon.settler.settle()
    first, second = (world.ledger(job_id)[-1] for job_id in (soon, late))
    assert first.hindsight_g is not None
    assert first.hindsight_g == pytest.approx(second.hindsight_g, rel=0.05)
    assert first.baseline_g is not None
    assert first.hindsight_g < first.baseline_g / 4  # the nights that it did not wait for


@pytest.mark.slow
def test_a_queue_of_years_at_home_keeps_no_account_of_work_done_elsewhere_from_being_made(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA) as world:
        for _ in range(7):  # first come: home would be theirs for ten years
            world.submit(training(13_000), deadline="2040-01-01T00:00:00Z", sites=["heidelberg"])
        job_id = world.submit(training(1), deadline=world.deadline(9), sites=["umea"])
        world.until(job_id, JobState.SUCCEEDED)
        world.daemon.settler.settle()
        (entry,) = world.ledger(job_id)
        assert entry.baseline_start > world.now + timedelta(days=365 * 9)
        assert entry.actual_g is not None
        assert entry.saving_by_place_g is not None
        assert entry.saving_by_place_g > 0
