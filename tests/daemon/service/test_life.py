"""The life of jobs, from submission to the ledger, on a grid whose nights are clean."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.ledger import EntryKind
from daemon.domain.states import AttemptState, JobState
from daemon.service.gathering import job_folder, kept_samples
from daemon.service.work import JobWork
from jobs.rundir import RunDirectory
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, World, open_world, synthesis, training


def test_a_training_job_waits_for_the_clean_night_and_is_accounted_for(world: World) -> None:
    job_id = world.submit(training(2), deadline=world.deadline(24))
    world.tick()
    assert world.job(job_id).state is JobState.WAITING
    assert "cleaner window tomorrow" in world.job(job_id).reason
    job = world.until(job_id, JobState.SUCCEEDED)
    assert job.started_at is not None
    assert 1 <= job.started_at.hour < 4
    (entry,) = world.daemon.settler.settle()
    assert entry.kind is EntryKind.PROVISIONAL
    assert (entry.baseline_site, entry.baseline_start) == ("heidelberg", NOON)
    assert entry.actual_g is not None
    assert entry.baseline_g is not None
    assert entry.saving_g == pytest.approx(entry.saving_by_time_g)
    assert entry.saving_by_place_g == pytest.approx(0)
    assert entry.actual_g < entry.baseline_g / 4


def test_a_job_keeps_what_it_was_estimated_to_need_beside_what_it_used(world: World) -> None:
    job_id = world.submit(training(2), deadline=world.deadline(2.2))
    before = world.daemon.service.job(job_id)
    world.until(job_id, JobState.SUCCEEDED)
    after = world.daemon.service.job(job_id)
    assert before.energy_kwh is None
    assert after.energy_kwh is not None
    assert before.estimated_energy_kwh == after.estimated_energy_kwh == world.job(job_id).estimated_energy_kwh


def test_every_step_of_a_job_leaves_its_event_in_order(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(1.5))
    world.until(job_id, JobState.SUCCEEDED)
    events = world.events(job_id)
    kinds = [event.kind for event in events]
    assert kinds[0] == "accepted"
    assert [kind for kind in kinds if kind != "planned"][1:] == [
        "attempt-launching", "job-running", "attempt-pending", "attempt-active", "attempt-completed", "job-succeeded",
    ]  # fmt: skip
    assert [event.sequence for event in events] == sorted(event.sequence or 0 for event in events)
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_an_account_becomes_final_when_no_hour_can_change_and_then_stays(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(2))
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    world.now += timedelta(hours=80)
    world.record()
    world.daemon.settler.settle()
    assert [entry.kind for entry in world.ledger(job_id)] == [EntryKind.PROVISIONAL, EntryKind.FINAL]
    assert world.ledger(job_id)[-1].is_claimed
    assert world.daemon.settler.settle() == []
    assert world.daemon.settler.adjust() == []


def test_a_dependent_synthesis_starts_after_the_training_and_uses_its_weights(world: World) -> None:
    trained = world.submit(training(1, model={"dimensions": 2, "size": "small", "image_shape": [128, 128]}), deadline=world.deadline(4))
    made = world.submit(synthesis(6, {"job": trained}), deadline=world.deadline(8))
    world.until(trained, JobState.SUCCEEDED)
    world.until(made, JobState.SUCCEEDED)
    assert world.job(made).started_at >= world.job(trained).ended_at  # type: ignore[operator]  # None fails the test as well
    (run,) = world.runs(made)
    assert RunDirectory(run.directory).read_spec().weights_path == str(RunDirectory(world.runs(trained)[0].directory).weights_file)
    assert world.home.made == dict.fromkeys(range(6), 1)


def test_finished_samples_are_gathered_in_one_folder_once_each(world: World) -> None:
    weights = Path(world.settings.sites[0].data_root) / "w.pt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    job_id = world.submit(synthesis(7, {"path": "w.pt"}, batch_size=2), deadline=world.deadline(3))
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    work = JobWork(world.job(job_id), tuple(world.runs(job_id)))
    folder = job_folder(work) / "samples"
    assert sorted(path.name for path in folder.iterdir()) == [f"{index:06d}.png" for index in range(7)]
    assert [record.index for record, _ in kept_samples(work)] == list(range(7))
    assert (folder / "000004.png").read_bytes() == b"sample 4"
    assert world.ledger(job_id)[-1].samples == 7


def test_a_long_job_is_suspended_when_its_window_is_over_and_goes_on_in_the_next(world: World) -> None:
    job_id = world.submit(training(6), deadline=world.deadline(44))
    world.until(job_id, JobState.SUSPENDED)
    assert 5 <= world.now.hour <= 6  # the clean hours end at five
    assert world.job(job_id).retries == 0
    world.until(job_id, JobState.SUCCEEDED)
    states = world.attempt_states(job_id)
    assert states == [AttemptState.SUSPENDED, AttemptState.COMPLETED]
    assert len(world.runs(job_id)) == 1
    world.daemon.settler.settle()
    (entry,) = world.ledger(job_id)
    assert entry.waste_kwh == pytest.approx(0, abs=1e-9)
    assert entry.overhead_kwh > 0
    assert entry.saving_by_time_g is not None
    assert entry.saving_by_time_g > 0


def test_a_job_that_may_not_be_interrupted_runs_in_one_piece(world: World) -> None:
    job_id = world.submit(training(6), deadline=world.deadline(44), contiguous=True)
    world.until(job_id, JobState.SUCCEEDED)
    assert world.attempt_states(job_id) == [AttemptState.COMPLETED]


def test_work_that_may_travel_goes_to_the_cleaner_grid(two_sites: World) -> None:
    job_id = two_sites.submit(training(2), deadline=two_sites.deadline(3))
    two_sites.until(job_id, JobState.SUCCEEDED)
    assert [run.site for run in two_sites.runs(job_id)] == ["umea"]
    two_sites.daemon.settler.settle()
    (entry,) = two_sites.ledger(job_id)
    assert entry.saving_by_place_g is not None
    assert entry.saving_by_place_g > 0
    assert entry.saving_g == pytest.approx((entry.saving_by_time_g or 0) + entry.saving_by_place_g - (entry.overhead_g or 0))


def test_weights_are_brought_to_another_site_once_and_the_transfer_is_accounted_for(two_sites: World) -> None:
    model = {"dimensions": 2, "size": "small", "image_shape": [128, 128]}
    trained = two_sites.submit(training(1, model=model), sites=["heidelberg"], deadline=two_sites.deadline(2))
    two_sites.until(trained, JobState.SUCCEEDED)
    first = two_sites.submit(synthesis(4, {"job": trained}), deadline=two_sites.deadline(3), sites=["umea"])
    two_sites.until(first, JobState.SUCCEEDED)
    second = two_sites.submit(synthesis(4, {"job": trained}), deadline=two_sites.deadline(3), sites=["umea"])
    two_sites.until(second, JobState.SUCCEEDED)
    size_gb = RunDirectory(two_sites.runs(trained)[0].directory).weights_file.stat().st_size / 1e9
    assert [run.transferred_gb for run in two_sites.runs(first)] == [pytest.approx(size_gb)]
    assert [run.transferred_gb for run in two_sites.runs(second)] == [0.0]
    two_sites.daemon.settler.settle()
    assert two_sites.ledger(first)[-1].overhead_kwh == pytest.approx(size_gb * 0.03)


def test_patient_data_stays_where_it_is_admitted(two_sites: World) -> None:
    folder = Path(two_sites.settings.sites[0].data_root) / "scans"
    folder.mkdir(parents=True)
    job_id = two_sites.submit(
        training(1, data={"path": "scans"}), deadline=two_sites.deadline(4), sites=["heidelberg", "umea"], home="heidelberg"
    )
    two_sites.until(job_id, JobState.SUCCEEDED)
    assert two_sites.job(job_id).needs == "patient-data"
    assert [run.site for run in two_sites.runs(job_id)] == ["heidelberg"]
    assert RunDirectory(two_sites.runs(job_id)[0].directory).read_spec().data_path == str(folder)


@pytest.mark.parametrize(("project", "sites"), [("open", ["umea"]), ("closed", ["heidelberg"])])
def test_what_patient_data_trained_travels_only_where_the_project_lets_it(tmp_path: Path, project: str, sites: list[str]) -> None:
    (tmp_path / "data" / "scans").mkdir(parents=True)
    model = {"dimensions": 2, "size": "small", "image_shape": [128, 128]}
    with open_world(tmp_path, HEIDELBERG, UMEA, projects={"closed": {"weights_may_travel": False}}) as world:
        trained = world.submit(training(1, model=model, data={"path": "scans"}), project, deadline=world.deadline(2))
        made = world.submit(synthesis(4, {"job": trained}), project, deadline=world.deadline(5))
        world.until(made, JobState.SUCCEEDED)
        assert [run.site for run in world.runs(made)] == sites
        assert world.job(made).needs == ("derived-from-patient-data" if project == "open" else "patient-data")


def test_a_deadline_is_kept_however_dirty_the_grid_is(world: World) -> None:
    jobs = [world.submit(training(1), deadline=world.deadline(hours)) for hours in (1.5, 3, 4.5)]
    world.pass_time(4.5)
    for job_id in jobs:
        job = world.job(job_id)
        assert job.state is JobState.SUCCEEDED
        assert job.ended_at is not None
        assert job.ended_at <= job.deadline


def test_a_job_that_names_no_deadline_gets_the_longest_delay(world: World) -> None:
    job_id = world.submit(training(1))
    assert world.job(job_id).deadline == NOON + timedelta(hours=72)


def test_what_a_job_showed_is_learned_once_however_often_it_is_settled(world: World) -> None:
    job_id = world.submit(training(1), deadline=world.deadline(2))
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle_new([job_id])
    world.daemon.settler.settle()
    world.now += timedelta(hours=100)
    world.record()
    world.daemon.settler.settle()
    with world.daemon.store.read() as reader:
        lessons = reader.observations()
    assert len(lessons) == len({lesson.configuration for lesson in lessons}) > 0
