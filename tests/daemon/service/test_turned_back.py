from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.service.turned_back import ClockTurnedBack, refuse_a_clock_turned_back
from forecast.clock import Clock
from tests.daemon.service.world import NOON, World, training

REAL = NOON + timedelta(days=900)


def replay(real_start_ago: timedelta) -> Clock:
    """A replay from NOON at x60, begun that long ago in real time."""
    return Clock(REAL - real_start_ago, NOON, 60, real=lambda: REAL)


def test_a_replay_begun_anew_on_the_database_of_the_last_one_is_refused_with_the_remedy(world: World) -> None:
    refuse_a_clock_turned_back(world.daemon.store, replay(timedelta(0)))
    world.pass_time(3)
    world.submit(training(1), deadline=world.deadline(4))
    with pytest.raises(ClockTurnedBack, match=r"already tells of 2024-03-04 15:00: set replay\.real_start"):
        refuse_a_clock_turned_back(world.daemon.store, replay(timedelta(minutes=2)))


def test_a_replay_that_goes_on_is_welcome_and_a_live_clock_is_believed(world: World) -> None:
    world.submit(training(1), deadline=world.deadline(4))
    refuse_a_clock_turned_back(world.daemon.store, replay(timedelta(minutes=2)))
    world.submit(training(1), deadline=world.deadline(5))
    live = NOON + timedelta(days=1000)
    refuse_a_clock_turned_back(world.daemon.store, Clock(live, live, real=lambda: live - timedelta(minutes=5)))


@pytest.mark.parametrize("lost", [datetime(1970, 1, 1, 0, 3, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, tzinfo=UTC)])
def test_a_machine_that_has_lost_the_time_is_told_to_set_it(world: World, lost: datetime) -> None:
    live = Clock.live()
    with pytest.raises(ClockTurnedBack, match=f"the clock of this machine says {lost:%Y-%m-%d %H:%M} UTC: set it"):
        refuse_a_clock_turned_back(world.daemon.store, Clock(live.real_start, live.grid_start, real=lambda: lost))
