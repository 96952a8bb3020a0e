"""A daemon that loses its database to another one in the middle of a tick starts and stops nothing more."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.domain.errors import Hindered
from daemon.domain.states import AttemptState
from daemon.sole import sole_daemon
from tests.daemon.service.world import HEIDELBERG, open_world, training
from tests.postgresql import end_sessions_with_locks, postgresql_server


def test_nothing_is_started_or_stopped_while_something_hinders_the_daemon(tmp_path: Path) -> None:
    hindrances: list[str] = []
    with open_world(tmp_path, {**HEIDELBERG, "gpus": 2}, hindrance=lambda: hindrances[-1] if hindrances else None) as world:
        runs = world.submit(training(1), deadline=world.deadline(1.2))
        world.tick()
        assert world.home.launches.total() == 1
        hindrances.append("another daemon works on this database")
        waits = world.submit(training(1), deadline=world.deadline(1.2))
        world.daemon.service.cancel(runs)
        for _ in range(2):
            with pytest.raises(Hindered, match="another daemon works on this database"):
                world.later(0.05)
        assert world.attempt_states(runs) == [AttemptState.STOPPING]
        assert world.attempt_states(waits) == [AttemptState.LAUNCHING], "recorded, for whoever may act"
        assert world.home.launches.total() == 1
        hindrances.clear()
        world.pass_time(2)
        assert world.attempt_states(runs) == [AttemptState.CANCELLED]
        assert world.attempt_states(waits) == [AttemptState.COMPLETED]


def test_nothing_is_started_by_a_daemon_that_was_hindered_while_it_prepared_the_run(tmp_path: Path) -> None:
    hindrances: list[str] = []

    def hindered_once_prepared(step: str) -> None:
        hindrances.extend(["another daemon works on this database"] if step == "act:prepared" else [])

    with open_world(tmp_path, hindrance=lambda: hindrances.pop() if hindrances else None, after_step=hindered_once_prepared) as world:
        job = world.submit(training(1), deadline=world.deadline(1.2))
        with pytest.raises(Hindered):
            world.tick()
        assert world.attempt_states(job) == [AttemptState.LAUNCHING]
        assert world.home.launches.total() == 0


@pytest.mark.service
def test_a_daemon_that_lost_its_lock_to_another_while_it_planned_leaves_the_launches_to_that_one(tmp_path: Path) -> None:
    with postgresql_server() as url, ExitStack() as other:
        steps: list[str] = []

        def another_takes_over(step: str) -> None:
            steps.append(step)
            if steps.count("commit") == 1 and step == "commit":
                end_sessions_with_locks(url)
                other.enter_context(sole_daemon(url))

        with sole_daemon(url) as hindrance, open_world(tmp_path, database=url, hindrance=hindrance, after_step=another_takes_over) as world:
            job = world.submit(training(1), deadline=world.deadline(1.2))
            with pytest.raises(Hindered, match="another daemon works on"):
                world.tick()
            assert world.attempt_states(job) == [AttemptState.LAUNCHING]
            assert world.home.launches.total() == 0
            other.close()
            world.tick()
            assert world.home.launches.total() == 1
