"""When things go wrong: retries, kills, nodes out of reach, launches refused, predecessors that fail."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.execution import Handle
from daemon.domain.states import AttemptState, JobState
from jobs.rundir import RunDirectory
from tests.daemon.service.world import HALF_HOUR, HEIDELBERG, UMEA, World, open_world, synthesis, training
from tests.disks import small_disk

RETRIES = 3
MODEL = {"dimensions": 2, "size": "small", "image_shape": [128, 128]}


def running(world: World, hours: float = 3) -> str:
    """A job that had to start at once."""
    job_id = world.submit(training(hours), deadline=world.deadline(hours + 1))
    world.until(job_id, JobState.RUNNING)
    world.pass_time(0.5)
    return job_id


def test_a_failing_job_is_tried_again_until_its_retries_are_used_up(world: World) -> None:
    world.home.failure = ("the loss is NaN", True)
    job_id = world.submit(training(1), deadline=world.deadline(8))
    job = world.until(job_id, JobState.FAILED)
    assert world.attempt_states(job_id) == [AttemptState.FAILED] * (RETRIES + 1)
    assert job.retries == RETRIES + 1
    assert job.reason == "failed 4 times, the last time: the loss is NaN"


def test_a_failure_that_would_only_repeat_itself_is_not_tried_again(world: World) -> None:
    world.home.failure = ("image_shape does not fit the data", False)
    job_id = world.submit(training(1), deadline=world.deadline(8))
    assert world.until(job_id, JobState.FAILED).reason == "image_shape does not fit the data"
    assert world.attempt_states(job_id) == [AttemptState.FAILED]


def test_the_energy_of_failed_work_is_in_the_ledger_as_waste(world: World) -> None:
    world.home.failure = ("no", False)
    job_id = world.submit(training(1), deadline=world.deadline(8))
    world.until(job_id, JobState.FAILED)
    world.daemon.settler.settle()
    (entry,) = world.ledger(job_id)
    assert entry.useful_kwh == 0
    assert entry.waste_kwh > 0
    assert entry.energy_kwh == pytest.approx(entry.waste_kwh + entry.overhead_kwh)
    assert entry.baseline_g == 0
    assert entry.hindsight_g is None


def test_a_killed_training_goes_on_from_its_checkpoint_without_using_up_a_retry(world: World) -> None:
    job_id = running(world)
    world.home.kill_all()
    job = world.until(job_id, JobState.SUCCEEDED)
    assert world.attempt_states(job_id) == [AttemptState.PREEMPTED, AttemptState.COMPLETED]
    assert job.retries == 0
    world.daemon.settler.settle()
    (entry,) = world.ledger(job_id)
    assert entry.waste_kwh > 0


def test_a_job_killed_again_and_again_at_the_same_step_uses_up_its_retries(world: World) -> None:
    """As the kernel does to one that needs more memory than there is."""
    world.home.checkpoint_every = 10**9
    job_id = world.submit(training(5), deadline=world.deadline(20), contiguous=True)
    world.until(job_id, JobState.RUNNING)
    for _ in range(20):
        world.pass_time(1)
        world.home.kill_all()
        if world.job(job_id).state is JobState.FAILED:
            break
    assert world.job(job_id).state is JobState.FAILED
    assert world.job(job_id).retries == RETRIES + 1
    assert len(world.attempts(job_id)) <= RETRIES + 3


def test_a_node_that_cannot_be_asked_charges_nothing(world: World) -> None:
    job_id = running(world)
    world.home.is_out_of_reach = True
    world.pass_time(1)
    assert world.job(job_id).state is JobState.RUNNING
    assert world.attempt_states(job_id) == [AttemptState.ACTIVE]
    world.home.is_out_of_reach = False
    assert world.until(job_id, JobState.SUCCEEDED).retries == 0


def test_an_attempt_nobody_knows_is_lost_and_never_taken_for_success(world: World) -> None:
    job_id = running(world)
    world.home.forget(world.attempts(job_id)[0].id)
    world.tick()
    assert world.attempt_states(job_id)[0] is AttemptState.LOST
    assert world.job(job_id).retries == 1
    world.until(job_id, JobState.SUCCEEDED)
    assert world.attempt_states(job_id) == [AttemptState.LOST, AttemptState.COMPLETED]


def test_a_run_that_says_it_is_complete_without_its_samples_has_failed(world: World) -> None:
    job_id = _synthesis(world, 6)
    world.until(job_id, JobState.RUNNING)
    world.now += timedelta(hours=1)
    directory = RunDirectory(world.runs(job_id)[0].directory)
    world.home.observe([Handle(world.attempts(job_id)[0].id, str(directory.path), None)])  # the node has written its story
    lines = directory.samples_file.read_text().splitlines(keepends=True)
    directory.samples_file.write_text("".join(lines[:4]))
    world.tick()
    assert world.attempts(job_id)[0].reason == "it ended as if complete, but only 4 of its 6 samples are there"
    assert world.job(job_id).retries == 1
    world.until(job_id, JobState.SUCCEEDED)
    assert [run.samples.first for run in world.runs(job_id) if run.samples] == [0, 4]


def test_what_does_not_stop_in_time_is_killed_and_was_not_suspended(world: World) -> None:
    world.home.is_deaf = True
    job_id = world.submit(training(6), deadline=world.deadline(44))
    world.until(job_id, JobState.RUNNING)
    world.until(job_id, JobState.WAITING, within_hours=8)
    (attempt,) = world.attempts(job_id)
    assert attempt.state is AttemptState.PREEMPTED
    assert attempt.reason == "killed: it was asked to pause and did not end in time"
    assert attempt.stop_wished_at is not None
    assert attempt.ended_at is not None
    assert attempt.ended_at - attempt.stop_wished_at >= timedelta(minutes=10)
    assert world.job(job_id).retries == 0


def test_a_job_whose_predecessor_fails_expires_with_the_reason(world: World) -> None:
    world.home.failure = ("no", False)
    trained = world.submit(training(1, model=MODEL), deadline=world.deadline(8))
    made = world.submit(synthesis(4, {"job": trained}), deadline=world.deadline(20))
    third = world.submit(training(1), deadline=world.deadline(30), after=[made])
    world.until(trained, JobState.FAILED)
    assert f"job {trained}, which has to succeed first, failed" in world.until(made, JobState.EXPIRED).reason
    assert f"job {made}" in world.until(third, JobState.EXPIRED).reason
    assert world.attempts(made) == world.attempts(third) == []


def test_a_launch_that_is_refused_fails_the_attempt_with_its_reason(world: World) -> None:
    world.home.refusal = "there is no interpreter"
    job_id = world.submit(training(1), deadline=world.deadline(8))
    job = world.until(job_id, JobState.FAILED)
    assert job.reason == "failed 4 times, the last time: could not be started at heidelberg: there is no interpreter"
    assert world.attempt_states(job_id) == [AttemptState.FAILED] * 4


def test_refused_launches_are_in_the_report_of_the_tick_and_in_the_metrics(world: World) -> None:
    world.home.refusal = "there is no interpreter"
    world.submit(training(1), deadline=world.deadline(8))
    (attempt,) = next(report.ended for report in (world.later(0.5) for _ in range(16)) if report.ended)
    assert attempt.state is AttemptState.FAILED
    assert attempt.reason == "could not be started at heidelberg: there is no interpreter"


def test_a_job_whose_launch_is_put_off_says_so_until_it_has_started(world: World) -> None:
    world.home.is_full = True
    job_id = world.submit(training(2), deadline=world.deadline(2.5))
    world.tick()
    for _ in range(3):
        world.later(0.05)
    assert world.job(job_id).state is JobState.RUNNING
    assert world.job(job_id).reason == "held up at heidelberg: it cannot be started yet: all GPUs are busy"
    assert [event.kind for event in world.events(job_id)].count("launch-postponed") == 1
    world.home.is_full = False
    world.tick()
    assert world.job(job_id).reason == "running at heidelberg"
    assert world.until(job_id, JobState.SUCCEEDED).retries == 0


def test_a_launch_put_off_for_too_long_is_given_up_and_costs_a_retry(world: World) -> None:
    world.home.is_full = True
    job_id = world.submit(training(2), deadline=world.deadline(4))
    world.until(job_id, JobState.RUNNING)
    report = world.later(11 / 60)
    assert [attempt.job_id for attempt in report.ended] == [job_id]
    job = world.job(job_id)
    assert job.retries == 1
    assert job.state is JobState.WAITING
    assert "could not be started at heidelberg within 11 min, the last time because: all GPUs are busy" in job.reason
    world.home.is_full = False
    world.until(job_id, JobState.SUCCEEDED)
    assert world.attempt_states(job_id) == [AttemptState.FAILED, AttemptState.COMPLETED]


def test_a_launch_put_off_for_ever_fails_the_job_in_the_end(world: World) -> None:
    world.home.is_full = True
    job_id = world.submit(training(1), deadline=world.deadline(8))
    job = world.until(job_id, JobState.FAILED)
    assert "failed 4 times, the last time: could not be started at heidelberg within 30 min" in job.reason
    assert world.attempt_states(job_id) == [AttemptState.FAILED] * (RETRIES + 1)


@pytest.mark.parametrize("kind", ["training", "synthesis"])
def test_work_that_a_site_never_took_up_goes_to_another_site(two_sites: World, kind: str) -> None:
    """Nothing is bound to a run directory in which nobody ever worked."""
    two_sites.nodes["umea"].refusal = "there is no interpreter"
    wanted = training(2, data={"phantom": {"patients": 4}}) if kind == "training" else synthesis(20, {"path": _weights(two_sites)})
    job_id = two_sites.submit(wanted, deadline=two_sites.deadline(9), sites=["heidelberg", "umea"])
    assert any(two_sites.later(0.5).ended for _ in range(10))
    assert two_sites.attempt_states(job_id) == [AttemptState.FAILED]
    assert two_sites.runs(job_id)[0].site == "umea"
    assert two_sites.runs(job_id)[0].closed_at is not None
    (planned,) = two_sites.later(0.5).snapshot.jobs
    assert {option.site for option in planned.options} == {"heidelberg", "umea"}
    assert planned.state_at is None
    two_sites.nodes["umea"].refusal = None
    two_sites.until(job_id, JobState.SUCCEEDED)
    two_sites.daemon.settler.settle()
    (entry,) = two_sites.ledger(job_id)
    assert entry.overhead_kwh == pytest.approx(0.0, abs=1e-12)  # the start-up that worked was the first
    assert entry.waste_kwh == pytest.approx(0.0, abs=1e-12)


def test_a_run_root_that_is_no_folder_fails_the_attempt_and_leaves_the_daemon_well(tmp_path: Path) -> None:
    (tmp_path / "heidelberg").write_text("a file where a folder should be")
    with open_world(tmp_path) as world:
        job_id = world.submit(training(1), deadline=world.deadline(8))
        job = world.until(job_id, JobState.FAILED)
        assert "could not be started at heidelberg" in job.reason
        assert "Not a directory" in job.reason
        (tmp_path / "heidelberg").unlink()
        assert world.until(world.submit(training(1), deadline=world.deadline(2)), JobState.SUCCEEDED)


def test_weights_that_are_gone_fail_the_synthesis_and_say_what_to_do(world: World) -> None:
    trained = world.submit(training(1, model=MODEL), deadline=world.deadline(2))
    world.until(trained, JobState.SUCCEEDED)
    weights = RunDirectory(world.runs(trained)[0].directory).weights_file
    weights.unlink()
    made = world.submit(synthesis(4, {"job": trained}), deadline=world.deadline(6))
    reason = world.until(made, JobState.FAILED).reason
    assert f"the weights {weights} of job {trained} are gone: train again or give their path" in reason


@pytest.mark.parametrize("path", ["missing.pt", "outside.pt", "folder/../../outside.pt"])
def test_weights_outside_the_data_root_are_refused(world: World, tmp_path: Path, path: str) -> None:
    """Even through a link inside it."""
    root = tmp_path / "data"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret.pt").write_bytes(b"not for jobs")
    (root / "outside.pt").symlink_to(tmp_path / "secret.pt")
    if ".." in path:
        with pytest.raises(ValueError, match=r"without '\.\.'"):
            world.submit(synthesis(4, {"path": path}), deadline=world.deadline(6))
        return
    reason = world.until(world.submit(synthesis(4, {"path": path}), deadline=world.deadline(6)), JobState.FAILED).reason
    assert f"'{path}' {'does not exist' if path == 'missing.pt' else 'is not'} below the data root {root} of site heidelberg" in reason


def test_a_plan_made_before_the_user_cancelled_is_dropped_for_that_job_alone(tmp_path: Path) -> None:
    chosen: list[str] = []

    def cancel_after_planning(step: str) -> None:
        if step == "plan" and chosen:
            world.daemon.service.cancel(chosen.pop())

    with open_world(tmp_path, after_step=cancel_after_planning) as world:
        cancelled = world.submit(training(0.5), deadline=world.deadline(1))
        kept = world.submit(training(0.4), deadline=world.deadline(1.2))
        chosen.append(cancelled)
        report = world.tick()
        assert report.committed.stale == 1
        assert world.job(cancelled).state is JobState.CANCELLED
        assert world.attempts(cancelled) == []
        world.until(kept, JobState.SUCCEEDED)


def test_a_clock_that_moves_by_half_hours_is_enough_to_keep_a_tight_deadline(world: World) -> None:
    job_id = world.submit(training(0.9), deadline=world.now + 2 * HALF_HOUR)
    job = world.until(job_id, JobState.SUCCEEDED)
    assert job.ended_at is not None
    assert job.ended_at <= job.deadline


def _synthesis(world: World, samples: int) -> str:
    return world.submit(synthesis(samples, {"path": _weights(world)}), deadline=world.deadline(3))


def _weights(world: World) -> str:
    """A file of weights below the data root, as a request names it."""
    weights = Path(world.settings.sites[0].data_root) / "w.pt"
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(b"weights")
    return "w.pt"


def test_weights_that_a_full_disk_has_no_room_for_leave_nothing_there_and_come_once_there_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "umea", "1m") as disk, open_world(tmp_path, HEIDELBERG, UMEA) as world:
        trained = world.submit(training(1, model=MODEL), sites=["heidelberg"], deadline=world.deadline(2))
        world.until(trained, JobState.SUCCEEDED)
        weights = RunDirectory(world.runs(trained)[0].directory).weights_file
        weights.write_bytes(weights.read_bytes().ljust(600_000, b"0"))
        ballast = disk / "ballast"
        ballast.write_bytes(b"0" * 700_000)
        job_id = world.submit(synthesis(4, {"job": trained}), deadline=world.deadline(9), sites=["umea"])
        world.tick()
        (failed,) = world.attempts(job_id)
        assert (failed.state, "No space left" in failed.reason) == (AttemptState.FAILED, True)
        assert list((disk / "weights").iterdir()) == []
        ballast.unlink()
        world.until(job_id, JobState.SUCCEEDED)
        assert [path.name for path in (disk / "weights").iterdir()] == [f"{trained}.pt"]
