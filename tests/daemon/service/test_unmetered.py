"""Energy that no meter told of is in the ledger all the same: estimated, and said to be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.domain.accounting import JOULES_PER_KWH
from daemon.domain.job import Attempt, Job
from daemon.domain.ledger import LedgerEntry
from daemon.domain.states import JobState
from jobs.rundir import RunDirectory
from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world, training


def settled(world: World, job_id: str) -> tuple[Job, LedgerEntry]:
    """The job once it has succeeded, and its account."""
    job = world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    return job, world.ledger(job_id)[-1]


def seconds_of(one: Attempt | Job) -> float:
    assert one.started_at is not None
    assert one.ended_at is not None
    return (one.ended_at - one.started_at).total_seconds()


def expected_watts(job: Job) -> float:
    """Component power at home, as estimated at acceptance."""
    assert job.estimated_energy_kwh is not None
    assert job.estimated_seconds is not None
    return job.estimated_energy_kwh * JOULES_PER_KWH / job.estimated_seconds


def test_a_job_whose_meters_all_failed_is_accounted_at_its_own_estimate(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        world.home.watts = None
        job, entry = settled(world, world.submit(training(2), deadline=world.deadline(2.2)))
        assert entry.energy_kwh == pytest.approx(expected_watts(job) * seconds_of(job) / JOULES_PER_KWH, rel=1e-3)
        assert entry.estimated_kwh == entry.energy_kwh == pytest.approx(entry.useful_kwh)
        assert entry.unmetered_seconds == pytest.approx(seconds_of(job), rel=1e-3)
        assert entry.actual_g is not None


def test_an_attempt_killed_before_its_first_record_is_waste_at_the_jobs_own_estimate(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        job_id = world.submit(training(2), deadline=world.deadline(4))
        world.until(job_id, JobState.RUNNING)
        world.now += timedelta(minutes=6)
        world.home.kill_all()
        (run,) = world.runs(job_id)
        RunDirectory(run.directory).energy_file.unlink()
        job, entry = settled(world, job_id)
        lost_seconds = seconds_of(world.attempts(job_id)[0])
        assert lost_seconds > 0
        assert entry.unmetered_seconds == pytest.approx(lost_seconds)
        assert entry.waste_kwh == pytest.approx(expected_watts(job) * lost_seconds / JOULES_PER_KWH)


def test_a_silent_meter_on_other_hardware_is_filled_in_at_that_hardwares_power(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA | {"hardware": "a100-sxm4-40gb"}) as world:
        world.nodes["umea"].watts = None
        job, entry = settled(world, world.submit(training(2), sites=["umea"]))
        assert entry.unmetered_seconds is not None
        assert entry.energy_kwh * JOULES_PER_KWH / entry.unmetered_seconds > 2 * expected_watts(job)


def test_what_was_metered_says_that_nothing_was_filled_in(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        _, entry = settled(world, world.submit(training(1), deadline=world.deadline(2)))
        assert entry.unmetered_seconds == 0


def test_the_report_says_how_much_time_no_meter_told_of(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        world.home.watts = None
        _, entry = settled(world, world.submit(training(1), deadline=world.deadline(2)))
        notes = " ".join(world.daemon.service.report(None, None, None).notes)
        assert f"No meter told the energy of {entry.unmetered_seconds:,.1f} s of work" in notes
