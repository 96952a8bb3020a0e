"""gCO2e per sample and per 1,000 samples: the same figure in ledger, job and report; none where there are no samples."""

from __future__ import annotations

import pytest

from daemon.domain.states import JobState
from tests.daemon.service.world import MODEL_2D, World, synthesis, training


def test_ledger_job_and_report_tell_the_same_grams_per_sample(world: World) -> None:
    trained = world.submit(training(1, model=MODEL_2D), deadline=world.deadline(2))
    world.until(trained, JobState.SUCCEEDED)
    job_id = world.submit(synthesis(20, {"job": trained}), deadline=world.deadline(6))
    assert world.daemon.service.job(job_id).g_per_sample is None
    world.until(job_id, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    service = world.daemon.service
    entry = service.ledger(job_id).entries[-1]
    assert entry.actual_g is not None
    assert entry.g_per_sample == pytest.approx(entry.actual_g / 20)
    assert entry.g_per_1000_samples == pytest.approx(entry.actual_g * 50)
    assert service.job(job_id).g_per_sample == entry.g_per_sample
    report = service.report(None, None, None)
    lines = {line.job_id: line for line in report.lines}
    assert lines[job_id].g_per_sample == entry.g_per_sample
    assert lines[trained].g_per_sample is None
    assert report.totals.g_per_sample == pytest.approx(entry.g_per_sample)  # the training's grams are not the samples'
    assert report.comparison is not None
    assert f"1,000 samples take {entry.energy_kwh * 50:.2g} kWh" in report.comparison


def test_a_report_without_samples_is_compared_with_nothing(world: World) -> None:
    trained = world.submit(training(1), deadline=world.deadline(2))
    world.until(trained, JobState.SUCCEEDED)
    world.daemon.settler.settle()
    report = world.daemon.service.report(None, None, None)
    assert report.totals.jobs == 1
    assert report.comparison is None
    assert report.totals.g_per_sample is None
    assert world.daemon.service.job(trained).g_per_1000_samples is None
