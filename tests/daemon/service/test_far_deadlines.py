"""Jobs that may end in years: their accounts are closed like anybody else's, and hold nobody up meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.domain.ledger import EntryKind
from daemon.domain.states import JobState
from tests.daemon.service.world import World, training


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
