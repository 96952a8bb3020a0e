"""A daemon that was started again keeps room for what may come, as one that has seen it come for weeks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.job import Came
from daemon.domain.plan import Plan, Snapshot
from daemon.domain.states import JobState
from daemon.planner.task import Task, task_of
from daemon.planner.terrain import terrain_of
from daemon.service.memory import Memory
from daemon.store import Reader, StoreUnavailable
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, World, open_world, synthesis, training

GPUS = 7
SITE = {**HEIDELBERG, "gpus": GPUS}
DAYS = 8
MIDNIGHT = NOON + timedelta(hours=12)
EVENING = MIDNIGHT + timedelta(days=DAYS, hours=-4)


def rush(world: World, day: int) -> None:
    """Every night at one, when power becomes clean, come jobs for all GPUs that have half an hour to spare."""
    world.now = MIDNIGHT + timedelta(days=day, hours=1)
    for seed in range(GPUS):
        world.submit(training(3, seed=seed), deadline=world.deadline(3.7), interruptible=False)
    world.tick()
    world.later(4)


def evening(world: World) -> None:
    """Jobs for all GPUs that would like to run in the clean hours of the night."""
    world.now = EVENING
    for seed in range(GPUS):
        world.submit(training(4, seed=seed), deadline=world.deadline(10), interruptible=False)


def copied(folder: Path, to: Path) -> Path:
    """The folder of a daemon that starts on what the other has written."""
    to.mkdir()
    with closing(sqlite3.connect(folder / "lowtide.db")) as source, closing(sqlite3.connect(to / "lowtide.db")) as target:
        source.backup(target)
    return to


def segments(plan: Plan) -> Sequence[object]:
    return sorted((placement.job_id, placement.segments, placement.reason) for placement in plan.placements)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A database with eight nights of rush and an evening's jobs, and what the daemon that saw them come plans then."""
    folder = tmp_path_factory.mktemp("seen")
    with open_world(folder, SITE) as world:
        for day in range(DAYS):
            rush(world, day)
        evening(world)
        return copied(folder, folder / "copy"), world.tick().plan


def test_a_daemon_that_was_started_again_plans_as_the_one_that_saw_the_jobs_come(seen: tuple[Path, Plan], tmp_path: Path) -> None:
    written, plan = seen
    assert any("room is kept for jobs that may still come" in placement.reason for placement in plan.placements)
    with open_world(copied(written, tmp_path / "again"), SITE, now=EVENING) as world:
        assert segments(world.tick().plan) == segments(plan)


def test_a_database_out_of_reach_at_the_first_plan_is_asked_again_at_the_next(
    seen: tuple[Path, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, plan = seen

    def out_of_reach(*_: object) -> list[Came]:
        raise StoreUnavailable("the database is not available")

    with open_world(copied(written, tmp_path / "again"), SITE, now=EVENING) as world:
        with monkeypatch.context() as patched:
            patched.setattr(Reader, "came_since", out_of_reach)
            with pytest.raises(StoreUnavailable):
                world.tick()
        assert segments(world.tick().plan) == segments(plan)


def shape(task: Task | None) -> list[float]:
    """What it asks of the GPUs, and when."""
    assert task is not None
    return [task.release, task.due, task.gpus * task.width, task.shortest]


def test_jobs_are_recalled_as_wide_and_as_long_as_they_were_seen_to_come(tmp_path: Path) -> None:
    told: list[Snapshot] = []
    with open_world(tmp_path, {**HEIDELBERG, "gpus": 4}, {**UMEA, "gpus": 2}) as world:
        world.submit(training(3), deadline=world.deadline(9), interruptible=False)
        world.submit(training(2, seed=1, batch_size=4), gpus=2)
        for parallel in (1, 3):
            world.submit(synthesis(90, {"path": "weights.pt"}), max_parallel=parallel, home="heidelberg")
        snapshot = world.tick().snapshot
        Memory(lambda one: Plan(one.now, ()), told.append, world.daemon.store, timedelta(days=1))(snapshot)
    terrain, recalled = terrain_of(snapshot), told[0].jobs
    assert sorted(job.id for job in recalled) == sorted(job.id for job in snapshot.jobs)
    seen = {job.id: shape(task_of(job, terrain)) for job in snapshot.jobs}
    assert {wide for _, _, wide, _ in seen.values()} == {1, 2, 3}
    for job in recalled:
        assert shape(task_of(job, terrain)) == pytest.approx(seen[job.id])


@pytest.mark.parametrize("change", ["UPDATE job SET request = '{}'", "UPDATE job SET gpus_at_most = NULL, shortest_seconds = NULL"])
def test_an_ended_job_that_an_older_version_wrote_otherwise_keeps_nobody_from_being_planned(tmp_path: Path, change: str) -> None:
    with open_world(tmp_path) as world:
        ended = world.submit(training(1), deadline=world.deadline(2))
        world.until(ended, JobState.SUCCEEDED)
        later = world.now
    with closing(sqlite3.connect(tmp_path / "lowtide.db")) as connection, connection:
        connection.execute(change)
    with open_world(tmp_path, now=later) as world:
        waits = world.submit(training(1), deadline=world.deadline(20))
        assert [placement.job_id for placement in world.tick().plan.placements] == [waits]
