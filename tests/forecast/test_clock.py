from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from forecast.clock import Clock
from forecast.timeline import HOUR

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
START = datetime(2023, 5, 2, tzinfo=UTC)


def test_the_live_clock_is_the_computers() -> None:
    clock = Clock.live()
    assert not clock.is_replay
    assert clock.to_grid(NOON) == NOON
    assert clock.grid_seconds(10.0) == clock.real_seconds(10.0) == 10.0


def test_a_replay_maps_real_to_grid_time() -> None:
    clock = Clock(NOON, START, 900, real=lambda: NOON + timedelta(seconds=4))
    assert clock.is_replay
    assert clock.now() == START + HOUR
    assert clock.to_grid(NOON - timedelta(seconds=4)) == START - HOUR
    assert clock.grid_seconds(4.0) == 3600.0
    assert clock.real_seconds(3600.0) == 4.0


def test_stamps_of_another_time_zone_mean_the_same_moment() -> None:
    berlin = timezone(timedelta(hours=2))
    clock = Clock(NOON.astimezone(berlin), START.astimezone(berlin), 900)
    assert clock == Clock(NOON, START, 900)
    assert clock.to_grid(NOON.astimezone(berlin)) == START


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_time_does_not_stand_still_or_run_backwards(rate: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Clock(NOON, START, rate)
