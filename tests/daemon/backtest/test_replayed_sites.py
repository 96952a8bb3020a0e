"""What a replayed daemon finds around it: sites that work as the trace says, and a grid that tells nothing too early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.backtest.outlooks import Persistence, noisy
from daemon.backtest.through_daemon.costs import TraceCosts, step_of, steps_of
from daemon.backtest.through_daemon.grid import ReplayGrid
from daemon.backtest.through_daemon.node import ReplayNode
from daemon.backtest.through_daemon.requests import request_of
from daemon.backtest.trace import TraceJob, TraceSite
from daemon.backtest.world import World, build_world
from daemon.domain.execution import ExecutorError, Handle, Launch
from daemon.domain.states import AttemptState
from forecast.intensity import LIFECYCLE_AVERAGE, Series
from jobs.outcome import OutcomeKind
from jobs.rundir import MOST_JOULES, RunDirectory
from jobs.spec import RunSpec

MONDAY = datetime(2023, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = TraceJob("a", MONDAY + 24 * HOUR, 4 * HOUR, 1500, 1, MONDAY + 60 * HOUR, True)
VALUES = np.arange(100.0, 196.0)
RECORDS = {"DE": Series("DE", LIFECYCLE_AVERAGE, MONDAY, VALUES)}


def world_of(*jobs: TraceJob, gpus: int = 2, speed: float = 1.0) -> World:
    return build_world(jobs, [TraceSite("home", "DE", gpus, pue=1.2, speed=speed)], RECORDS, HOUR / 2)


class Place:
    """One replayed site and the clock that the test moves."""

    def __init__(self, folder: Path, *jobs: TraceJob, gpus: int = 2, speed: float = 1.0) -> None:
        self.now, self.world, self.jobs, self.folder = jobs[0].arrival, world_of(*jobs, gpus=gpus, speed=speed), jobs, folder
        self.node = ReplayNode(lambda: self.now, TraceCosts(jobs, self.world.sites[0]), gpus)

    def launch(self, attempt: str, run: str = "r", job: int = 0) -> Handle:
        directory = RunDirectory(self.folder / run)
        workload = request_of(job, self.jobs[job], self.world).workload
        directory.prepare(RunSpec(job_id="j", run_id=run, workload=workload, processes=self.jobs[job].gpus))
        self.node.launch(Launch(attempt, run, "j", str(directory.path), self.jobs[job].gpus, 1))
        return Handle(attempt, str(directory.path), None)

    def state(self, handle: Handle) -> AttemptState:
        return self.node.observe([handle])[handle.attempt_id].state

    def has_news(self) -> bool:
        return self.node.has_news

    def joules(self, run: str = "r") -> float:
        return sum(record.total_joules for record in RunDirectory(self.folder / run).energy())


def test_an_attempt_takes_the_traces_time_and_energy(tmp_path: Path) -> None:
    place = Place(tmp_path, JOB)
    handle = place.launch("a-1")
    assert place.node.next_end == JOB.arrival + 4 * HOUR
    place.now += 3 * HOUR
    assert place.state(handle) is AttemptState.ACTIVE
    progress = RunDirectory(handle.directory).last_progress()
    assert progress is not None
    assert progress.step / progress.of == pytest.approx(0.75)
    place.now += 2 * HOUR
    assert place.state(handle) is AttemptState.COMPLETED
    assert place.joules() == pytest.approx(1500 * 4 * 3600)
    outcome = RunDirectory(handle.directory).read_outcome("a-1")
    assert outcome is not None
    assert (outcome.kind, outcome.ended_at) == (OutcomeKind.COMPLETED, JOB.arrival + 4 * HOUR)


def test_a_stopped_attempt_ends_at_once_and_the_next_one_does_only_the_rest(tmp_path: Path) -> None:
    place = Place(tmp_path, JOB, speed=2.0)
    first = place.launch("a-1")
    place.now += HOUR
    place.node.stop(first)
    assert place.has_news() is True
    assert place.state(first) is AttemptState.PREEMPTED
    assert place.has_news() is False
    place.now += 5 * HOUR
    second = place.launch("a-2")
    assert place.node.next_end == place.now + HOUR
    place.now += HOUR
    assert (place.state(first), place.state(second)) == (AttemptState.PREEMPTED, AttemptState.COMPLETED)
    assert place.joules() == pytest.approx(1500 * 2 * 3600)


def test_a_killed_attempt_leaves_no_outcome(tmp_path: Path) -> None:
    place = Place(tmp_path, JOB)
    handle = place.launch("a-1")
    place.now += HOUR
    place.node.kill(handle)
    observation = place.node.observe([handle])["a-1"]
    assert (observation.state, observation.signal) == (AttemptState.PREEMPTED, 9)
    assert RunDirectory(handle.directory).read_outcome("a-1") is None
    assert place.joules() == pytest.approx(1500 * 3600)


def test_launching_twice_starts_once_and_never_more_than_the_site_holds(tmp_path: Path) -> None:
    place = Place(tmp_path, JOB, replace(JOB, id="b", gpus=2), gpus=2)
    first = place.launch("a-1")
    place.now += HOUR
    place.launch("a-1")
    assert place.node.next_end == JOB.arrival + 4 * HOUR
    with pytest.raises(ExecutorError, match="2 GPUs are needed and 1 of 2 are free"):
        place.launch("b-1", run="s", job=1)
    place.node.stop(first)
    place.launch("b-1", run="s", job=1)
    assert place.state(Handle("nobody", str(tmp_path), None)) is AttemptState.LOST


def test_more_energy_than_one_record_may_hold_is_told_in_several(tmp_path: Path) -> None:
    hungry = replace(JOB, power_watts=2e6)
    place = Place(tmp_path, hungry)
    handle = place.launch("a-1")
    place.now += 5 * HOUR
    assert place.state(handle) is AttemptState.COMPLETED
    records = RunDirectory(handle.directory).energy()
    assert max(record.total_joules for record in records) <= MOST_JOULES
    assert place.joules() == pytest.approx(2e6 * 4 * 3600)
    assert [record.end for record in records[:-1]] == [record.start for record in records[1:]]


@settings(max_examples=50, deadline=None)
@given(st.timedeltas(min_value=timedelta(milliseconds=5), max_value=timedelta(days=300)))
def test_the_steps_of_a_job_are_few_enough_and_fine_enough(duration: timedelta) -> None:
    job = replace(JOB, duration=duration)
    workload = request_of(0, job, world_of(JOB)).workload
    assert workload.total_steps == steps_of(job)
    assert abs(steps_of(job) * step_of(job) - duration) <= step_of(job)
    assert step_of(job) <= max(timedelta(milliseconds=1), duration / 1e7)


def test_a_grid_tells_what_was_up_to_the_running_hour_and_what_is_believed_of_the_rest() -> None:
    world = world_of(JOB)
    now = MONDAY + 50 * HOUR + timedelta(minutes=20)
    grid = ReplayGrid(world, Persistence(world), LIFECYCLE_AVERAGE, lambda: now)
    outlook = grid.outlook("ZONE-0", MONDAY + 48 * HOUR, HOUR, 6, now)
    assert outlook.g_per_kwh == pytest.approx([148, 149, 126, 127, 128, 129])
    observed = grid.observed("ZONE-0", MONDAY + 48 * HOUR, MONDAY + 52 * HOUR)
    np.testing.assert_allclose(observed.values, [148, 149, np.nan, np.nan])


def test_noise_is_believed_and_the_past_is_not_noisy() -> None:
    world = world_of(JOB)
    now = MONDAY + 50 * HOUR
    grid = ReplayGrid(world, noisy(world, 0.2, 1), LIFECYCLE_AVERAGE, lambda: now)
    outlook = grid.outlook("ZONE-0", MONDAY + 49 * HOUR, HOUR / 2, 4, now)
    assert outlook.g_per_kwh[:2] == pytest.approx([149, 149])
    assert abs(outlook.g_per_kwh[2:] - 150).min() > 0.01


def test_hours_beyond_the_record_are_unknown() -> None:
    world = world_of(JOB)
    grid = ReplayGrid(world, noisy(world, 0.0, 1), LIFECYCLE_AVERAGE, lambda: MONDAY)
    outlook = grid.outlook("ZONE-0", MONDAY + 94 * HOUR, HOUR, 4, MONDAY)
    np.testing.assert_allclose(outlook.g_per_kwh, [194, 195, np.nan, np.nan])
