"""What no careful client sends: each gets a sentence, never an error of the daemon's own, and harms no other job."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.domain.errors import Rejected
from daemon.domain.states import JobState
from tests.daemon.service.world import World, synthesis, training

ENORMOUS: dict[str, Any] = {
    "samples": 100_000_000,
    "inference_steps": 1000,
    "model": {"dimensions": 3, "size": "large", "image_shape": [1024, 1024, 1024]},
}


def test_work_beyond_all_calendars_is_refused_with_its_length(world: World) -> None:
    with pytest.raises(Rejected, match=r"constraints\.deadline: the work takes about [\d,]{12,}\.\d h"):
        world.submit(synthesis(1, {"path": "weights.pt"}) | ENORMOUS, deadline="2199-12-31T00:00:00Z")


@pytest.mark.parametrize("cursor", ["9" * 19, "9" * 64, "²"])
def test_a_cursor_that_no_list_gave_is_refused(world: World, cursor: str) -> None:
    job_id = world.submit(training(1))
    with pytest.raises(Rejected, match="not a cursor"):
        world.daemon.service.events(job_id, cursor, 10)


def test_a_job_of_the_next_century_and_a_dear_wait_keep_no_other_from_running(world: World) -> None:
    last = world.submit(training(1), earliest_start="2198-01-01T00:00:00Z", deadline="2199-12-31T23:59:59Z")
    world.submit(training(1), price_of_waiting_g_per_hour=1e6)
    other = world.submit(training(1), deadline=world.deadline(8))
    world.until(other, JobState.SUCCEEDED)
    assert world.job(last).state is JobState.WAITING
    plan = world.daemon.service.plan()
    assert plan.bound_g <= plan.cost_g < float("inf")
