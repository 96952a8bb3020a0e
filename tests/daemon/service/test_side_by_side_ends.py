"""Runs of one synthesis side by side whose ends, hold-ups and wishes meet: what the job then says, and how many there are."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.job import Attempt, Run
from daemon.domain.states import AttemptState, JobState
from daemon.service.aftermath import mishaps
from daemon.service.work import JobWork
from tests.daemon.service.test_side_by_side import BATCH, GPUS, PLACES, SAMPLES, Whim, live, whimsical
from tests.daemon.service.world import NOON, open_world, synthesis


@pytest.mark.parametrize("interruptible", [True, False])
def test_a_run_that_may_finish_counts_among_those_that_the_job_allows(tmp_path: Path, interruptible: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.pt").write_bytes(b"weights")
    with open_world(tmp_path, *PLACES) as world:
        world.daemon.tick._planner = whim = Whim()
        workload = synthesis(SAMPLES, {"path": "w.pt"}, batch_size=BATCH)
        job_id = world.submit(workload, deadline=world.deadline(80), sites=list(GPUS), max_parallel=3, interruptible=interruptible)
        whim.widths = {"heidelberg": 3}
        world.tick()
        world.later(hours=0.1)
        world.home.kill_one(live(world, job_id)[0].id)  # what it had not made is free again
        whim.widths = {"heidelberg": 1, "umea": 2}  # of the two that go on at home, one may finish
        world.later(hours=0.01)
        sites = Counter(attempt.site for attempt in live(world, job_id))
        assert sites == {"heidelberg": 2, "umea": 1}


def ended(number: int, begun_minute: int, ended_minute: int) -> Attempt:
    begun, end = (NOON + timedelta(minutes=minute) for minute in (begun_minute, ended_minute))
    return Attempt(f"a-{number}", f"r-{number}", "j", "umea", number, AttemptState.FAILED, begun, ended_at=end)


def test_a_long_run_that_fails_at_last_does_not_forgive_what_failed_again_and_again_beside_it(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, _, job_id):
        job = world.job(job_id)
    attempts = (ended(1, 0, 100), ended(2, 0, 1), ended(3, 2, 3), ended(4, 4, 5), ended(5, 101, 102))
    runs = tuple(Run(one.run_id, "j", one.site, "", None, one.created_at) for one in attempts)
    assert [mishaps(JobWork(job, runs, attempts[1:count])) for count in (2, 3, 4)] == [1, 2, 3]
    assert mishaps(JobWork(job, runs, attempts[:4])) == 3
    assert mishaps(JobWork(job, runs, attempts)) == 4


def test_a_run_that_fails_for_good_with_all_its_samples_made_leaves_the_runs_beside_it_to_make_theirs(tmp_path: Path) -> None:
    with whimsical(tmp_path, samples=3 * BATCH) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.nodes["umea"].failure = ("its preview could not be written", False)
        world.tick()
        assert [run.samples.count for run in world.runs(job_id) if run.samples] == [2 * BATCH, BATCH]
        world.later(hours=0.1)  # five minutes a micro-batch
        states = {attempt.site: attempt.state for attempt in world.attempts(job_id)}
        assert states == {"heidelberg": AttemptState.ACTIVE, "umea": AttemptState.FAILED}
        job = world.until(job_id, JobState.SUCCEEDED)
        assert (job.retries, len(world.attempts(job_id))) == (1, 2)
        assert sum(world.home.made.values()) + sum(world.nodes["umea"].made.values()) == 3 * BATCH


def test_two_hold_ups_of_one_job_do_not_take_turns(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.tick()
        world.later(hours=0.01)
        for node in world.nodes.values():
            node.is_out_of_reach = True
        for _ in range(3):
            world.later(hours=0.01)
        kinds = [event.kind for event in world.events(job_id)]
        assert kinds.count("executor-out-of-reach") == 1
        assert world.job(job_id).reason.startswith("held up at heidelberg")
        world.home.is_out_of_reach = False
        world.later(hours=0.01)
        world.later(hours=0.01)
        assert world.job(job_id).reason.startswith("held up at umea"), "which is told once the other is over"


def test_a_hold_up_of_a_run_that_has_ended_is_no_longer_told(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.tick()
        world.later(hours=0.01)
        world.nodes["umea"].is_out_of_reach = True
        world.later(hours=0.01)
        assert world.job(job_id).reason.startswith("held up at umea")
        whim.widths = {"heidelberg": 1}
        world.nodes["umea"].kill_all()
        world.nodes["umea"].is_out_of_reach = False
        world.later(hours=0.01)
        assert len(live(world, job_id)) == 1
        assert world.job(job_id).reason == "running at heidelberg"


def test_a_job_ends_with_the_run_that_ended_last_whichever_was_looked_at_last(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 2}
        world.tick()
        world.now += timedelta(hours=9)  # nobody looks: both end meanwhile
        world.tick()
        job = world.job(job_id)
        assert job.state is JobState.SUCCEEDED
        ends = [attempt.ended_at for attempt in world.attempts(job_id) if attempt.ended_at]
        assert ends[0] > ends[1], "the one looked at first ended last"
        assert job.ended_at == max(ends)


def test_a_run_beside_one_that_failed_long_ago_has_its_time_to_stop(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1, "umea": 1}
        world.nodes["umea"].failure = ("the weights do not fit the model", False)
        world.tick()
        world.now += timedelta(minutes=30)
        world.tick()
        states = {attempt.site: attempt.state for attempt in world.attempts(job_id)}
        assert states["heidelberg"] is AttemptState.STOPPING
        world.now += timedelta(seconds=1)
        world.tick()
        states = {attempt.site: attempt.state for attempt in world.attempts(job_id)}
        assert states["heidelberg"] is AttemptState.STOPPING, "it ends with the micro-batch under way, and is not killed"


def test_a_node_whose_clock_is_ahead_does_not_make_failures_one_after_another_count_as_one(tmp_path: Path) -> None:
    with whimsical(tmp_path) as (world, whim, job_id):
        whim.widths = {"heidelberg": 1}
        world.home.failure = ("out of memory", True)
        world.home.now = lambda: world.now + timedelta(hours=5)
        for _ in range(20):
            world.later(hours=0.2)
        assert len(world.attempts(job_id)) == 4
        assert all(one.ended_at is not None and one.ended_at <= world.now for one in world.attempts(job_id))
