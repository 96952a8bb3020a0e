"""How soon work with pauses can end: every open second counts, and nothing ends sooner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.domain.plan import Mode
from daemon.planner.earliest_end import earliest_end
from daemon.planner.lanes import lanes_of
from daemon.planner.offers import best_offer, soonest_offer
from daemon.planner.task import task_of
from daemon.planner.terrain import terrain_of
from tests.daemon.planner.builders import job, snapshot

HOUR_SECONDS = 3600.0


def by_hand(free: list[int], hours: float, startup_hours: float) -> float | None:
    """When one lane is done, hour by hour: a start-up after every closed hour, and no stretch that is all start-up."""
    done, lead = 0.0, 0.0
    for hour, gpus in enumerate(free):
        if not gpus:
            lead = 0.0
            continue
        idle = min(1.0, max(0.0, startup_hours - lead))
        lead += 1.0
        if done + 1.0 - idle >= hours - 1e-9:
            return hour + idle + hours - done
        done += 1.0 - idle
    return None


@given(
    st.lists(st.sampled_from([0, 1]), min_size=6, max_size=24), st.sampled_from([0.5, 1.5, 4.0]), st.sampled_from([0.0, 0.25, 1.0, 1.25])
)
@settings(deadline=None, max_examples=200)
def test_the_end_is_that_of_working_whenever_the_lane_is_open(free: list[int], hours: float, startup: float) -> None:
    one = job(hours=hours, deadline_hours=24, mode=Mode.INTERRUPTIBLE, startup_seconds=startup * HOUR_SECONDS, startup_kwh=startup)
    snap = snapshot([one], {"DE": [300.0] * len(free)}, gpus=1)
    snap.sites[0].free_gpus[:] = free
    terrain = terrain_of(snap)
    task = task_of(one, terrain)
    if task is None:
        return
    end = earliest_end(lanes_of(task, terrain, terrain.free, 0.0, terrain.end), 1)
    expected = by_hand(free, hours, startup)
    assert (end is None) == (expected is None)
    if end is not None and expected is not None:
        assert end == pytest.approx(expected * HOUR_SECONDS, abs=1e-3)
        soonest = soonest_offer(task, terrain, terrain.free, 0.0)
        assert soonest is not None
        assert soonest.end <= end + 1.1
        assert best_offer(task, terrain, terrain.free, 0.0, end - 5.0) is None


def test_two_lanes_side_by_side_end_in_half_the_time() -> None:
    one = job(hours=6, deadline_hours=24, mode=Mode.DIVISIBLE, max_width=2)
    terrain = terrain_of(snapshot([one], {"DE": [300.0] * 24}, gpus=4))
    task = task_of(one, terrain)
    assert task is not None
    assert earliest_end(lanes_of(task, terrain, terrain.free, 0.0, terrain.end), task.width) == pytest.approx(3 * HOUR_SECONDS)
