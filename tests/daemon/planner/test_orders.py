"""A site's free GPUs as a step function of time, against counting them second by second."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.planner.orders import Timeline
from daemon.planner.terrain import terrain_of
from tests.daemon.planner.builders import job, snapshot

CELLS, HOUR_SECONDS = 6, 3600
Requests = list[tuple[int, int, int]]


def by_quarters(free: list[int], gpus: int, quarters: int, release: int) -> int | None:
    """The first quarter of an hour from `release` on with the GPUs free for so many quarters."""
    for start in range(release, len(free) - quarters):
        if min(free[start : start + quarters]) >= gpus:
            return start
    return None


@given(
    st.lists(st.integers(0, 3), min_size=CELLS, max_size=CELLS),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(0, 20)), max_size=8),
)
@settings(deadline=None)
def test_jobs_one_after_the_other_start_as_soon_as_their_gpus_are_free(capacity: list[int], requests: Requests) -> None:
    snap = snapshot([job()], {"DE": [300.0] * CELLS})
    timeline = Timeline(terrain_of(snap), np.array(capacity))
    free = [gpus for gpus in capacity for _ in range(4)] + [capacity[-1]] * 200
    for gpus, quarters, release in requests:
        start = timeline.earliest(gpus, quarters * HOUR_SECONDS / 4, release * HOUR_SECONDS / 4)
        expected = by_quarters(free, gpus, quarters, release)
        assert (start is None) == (expected is None)
        if start is None or expected is None:
            continue
        assert start == expected * HOUR_SECONDS / 4
        timeline.reserve(gpus, start, start + quarters * HOUR_SECONDS / 4)
        for quarter in range(expected, expected + quarters):
            free[quarter] -= gpus
    assert all(a != b for a, b in zip(timeline.free, timeline.free[1:], strict=False))
