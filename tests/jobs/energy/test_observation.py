from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.data.amounts import ImageCounts
from jobs.energy.configuration import encoding_configuration, synthesis_configuration, training_configuration
from jobs.energy.observation import CheckpointsSeen, DataSeen, RunObservation, observe_run
from jobs.energy.size import checkpoint_gb, image_gb
from jobs.rundir import EnergyRecord, Phase, ProgressRecord
from jobs.spec import RunSpec, SampleRange
from tests.jobs.energy.builders import synthesis, training

START = datetime(2026, 1, 1, tzinfo=UTC)


class Tape:
    """Energy records written one after the other."""

    def __init__(self) -> None:
        self.records: list[EnergyRecord] = []
        self.at = START

    def add(self, phase: Phase, first: int, last: int, seconds: float = 1.0, joules: float | None = 10.0, attempt: str = "a") -> None:
        end = self.at + timedelta(seconds=seconds)
        known: dict[str, Any] = {} if joules is None else {"joules": {"cpu": joules}, "provenance": {"cpu": "estimated"}}
        fields = {"joules": {}, "provenance": {}} | known
        self.records.append(EnergyRecord(attempt_id=attempt, start=self.at, end=end, phase=phase, step_from=first, step_to=last, **fields))
        self.at = end


def training_spec() -> RunSpec:
    return RunSpec(job_id="j", run_id="r", workload=training(iterations=40, autoencoder_iterations=20))


def test_of_processes_that_train_together_it_learns_what_one_does_on_its_share() -> None:
    tape = Tape()
    tape.add("work", 0, 20, joules=100)
    tape.add("work", 20, 60, seconds=2, joules=400)
    spec = training_spec().model_copy(update={"processes": 2})

    vqgan, unet = observe_run(spec, tape.records, progress(60, 60), "hw")

    assert (vqgan.configuration.batch_size, unet.configuration.batch_size) == (2, 2), "half of the batch of 4"
    assert (vqgan.joules, unet.joules) == (50, 200)
    assert unet.seconds == 2


def synthesis_spec(count: int = 12, **changes: Any) -> RunSpec:
    return RunSpec(
        job_id="j", run_id="r", workload=synthesis(samples=count, **changes), samples=SampleRange(first=0, count=count), weights_path="w"
    )


def progress(step: int, of: int) -> list[ProgressRecord]:
    return [ProgressRecord(attempt_id="a", step=step, of=of, when=START)]


def test_both_parts_of_a_training_are_observed_apart_and_the_record_across_the_border_is_nobodys() -> None:
    tape = Tape()
    tape.add("startup", 0, 0, seconds=4, joules=100)
    tape.add("work", 0, 10, joules=50)
    tape.add("work", 10, 18, joules=40)
    tape.add("work", 18, 24, joules=999)
    tape.add("work", 24, 40, joules=32)
    tape.add("checkpoint", 40, 40, joules=7)
    tape.add("work", 40, 60, joules=40)
    spec = training_spec()

    vqgan, unet = observe_run(spec, tape.records, progress(60, 60), "hw")

    workload = spec.workload
    assert workload.kind == "training"
    assert vqgan == RunObservation(
        hardware="hw",
        configuration=training_configuration(workload, "vqgan"),
        steps=18,
        seconds=2,
        joules=90,
        startup_seconds=4,
        startup_joules=100,
    )
    assert unet == RunObservation(
        hardware="hw",
        configuration=training_configuration(workload, "train"),
        steps=36,
        seconds=2,
        joules=72,
        checkpoints=CheckpointsSeen(count=1, gigabytes=checkpoint_gb(workload), seconds=1, joules=7),
    )


def test_checkpoints_are_counted_by_the_half_they_were_written_in_however_many_records_each_took() -> None:
    tape = Tape()
    tape.add("work", 0, 10)
    tape.add("checkpoint", 10, 10, seconds=2, joules=8)
    tape.add("checkpoint", 10, 10, seconds=1, joules=4)
    tape.add("work", 10, 20)
    tape.add("checkpoint", 20, 20, seconds=2, joules=8)
    tape.add("work", 20, 60)
    tape.add("checkpoint", 60, 60, seconds=4, joules=None)
    spec = training_spec()

    vqgan, unet = (run.checkpoints for run in observe_run(spec, tape.records, progress(60, 60), "hw"))

    size = checkpoint_gb(spec.workload, is_of_autoencoder=True)
    assert vqgan == CheckpointsSeen(count=2, gigabytes=size, seconds=5, joules=20), "the one at its last step is still its own"
    assert unet is not None
    assert (unet.count, unet.seconds, unet.joules) == (1, 4, None), "a meter that told nothing of it makes its joules unknown"


def test_each_checkpoint_of_a_half_made_micro_batch_counts_though_no_sample_came_between() -> None:
    tape = Tape()
    tape.add("work", 0, 4)
    for _ in range(3):
        tape.add("checkpoint", 4, 4, seconds=0.5, joules=5)
        tape.add("checkpoint", 4, 4, seconds=0.5, joules=5)
        tape.add("work", 4, 4, seconds=30)
    tape.add("work", 4, 8)

    (run,) = observe_run(synthesis_spec(8), tape.records, progress(8, 8), "hw")

    assert run.checkpoints is not None
    assert (run.checkpoints.count, run.checkpoints.seconds, run.checkpoints.joules) == (3, 3, 30)


def test_preparing_and_encoding_are_told_by_the_image_once_somebody_counted_them() -> None:
    tape = Tape()
    tape.add("startup", 0, 0, seconds=4, joules=100)
    tape.add("preparing", 0, 0, seconds=5, joules=50)
    tape.add("startup", 0, 0, seconds=1, joules=10)
    tape.add("work", 0, 20)
    tape.add("encoding", 20, 20, seconds=8, joules=80)
    tape.add("work", 20, 60)
    spec = training_spec()
    assert spec.workload.kind == "training"

    vqgan, unet, encoding = observe_run(spec, tape.records, progress(60, 60), "hw", ImageCounts(training=8, validation=2))
    uncounted = observe_run(spec, tape.records, progress(60, 60), "hw")

    assert vqgan.data == DataSeen(
        data=spec.workload.data, gigabytes=image_gb(spec.workload.model), training=8, validation=2, seconds=5, joules=50
    )
    assert unet.data is None, "told once for each run"
    assert (vqgan.startup_seconds, vqgan.startup_joules) == (5, 110), "preparing is no part of it"
    assert encoding.configuration == encoding_configuration(spec.workload)
    assert (encoding.steps, encoding.seconds, encoding.joules) == (8, 8, 80)
    assert [run.configuration.work for run in uncounted] == ["vqgan", "train"]
    assert uncounted[0].data is None


def test_a_run_that_was_stopped_while_it_encoded_tells_nothing_of_encoding() -> None:
    tape = Tape()
    tape.add("work", 0, 20)
    tape.add("encoding", 20, 20, seconds=3, joules=30)

    seen = observe_run(training_spec(), tape.records, progress(20, 60), "hw", ImageCounts(training=8, validation=0))

    assert [run.configuration.work for run in seen] == ["vqgan"]


def test_what_one_of_several_processes_does_while_the_others_wait_has_no_joules_of_its_own() -> None:
    tape = Tape()
    tape.add("preparing", 0, 0, seconds=5, joules=50)
    tape.add("work", 0, 20)
    tape.add("checkpoint", 20, 20, seconds=2, joules=20)
    tape.add("encoding", 20, 20, seconds=8, joules=80)
    tape.add("work", 20, 60)
    spec = training_spec().model_copy(update={"processes": 2})

    vqgan, unet = observe_run(spec, tape.records, progress(60, 60), "hw", ImageCounts(training=8, validation=0))

    assert vqgan.data is not None
    assert (vqgan.data.seconds, vqgan.data.joules) == (5, None)
    assert vqgan.checkpoints is not None
    assert (vqgan.checkpoints.seconds, vqgan.checkpoints.joules) == (2, None)
    assert unet.configuration.work == "train"


def test_steps_longer_than_an_interval_are_joined_and_an_unfinished_one_is_left_out() -> None:
    tape = Tape()
    for step in range(4):
        tape.add("work", step, step)
        tape.add("work", step, step)
        tape.add("work", step, step + 1)
    tape.add("work", 4, 4)

    (seen,) = observe_run(synthesis_spec(count=12, batch_size=1), tape.records, progress(4, 12), "hw")

    assert (seen.steps, seen.seconds, seen.joules) == (4, 12.0, 120.0)


def test_unknown_energy_teaches_nothing_and_spoils_no_neighbour() -> None:
    tape = Tape()
    tape.add("work", 0, 4)
    tape.add("work", 4, 8, joules=None)
    tape.add("work", 8, 12)

    (seen,) = observe_run(synthesis_spec(), tape.records, progress(12, 12), "hw")

    assert (seen.steps, seen.seconds, seen.joules) == (8, 2.0, 20.0)


def test_attempts_are_looked_at_apart() -> None:
    tape = Tape()
    tape.add("work", 0, 4)
    tape.add("work", 4, 4, joules=500)  # a step that the kill threw away
    tape.add("startup", 4, 4, seconds=9, attempt="b")
    tape.add("work", 4, 12, attempt="b")

    (seen,) = observe_run(synthesis_spec(), tape.records, progress(12, 12), "hw")

    assert (seen.steps, seen.joules) == (12, 20.0)


def test_a_padded_last_micro_batch_does_not_make_samples_look_dear() -> None:
    tape = Tape()
    tape.add("work", 0, 4, joules=40)
    tape.add("work", 4, 5, joules=40)
    spec = synthesis_spec(count=5, batch_size=4)

    (seen,) = observe_run(spec, tape.records, progress(5, 5), "hw")

    workload = spec.workload
    assert workload.kind == "synthesis"
    assert seen.configuration == synthesis_configuration(workload)
    assert seen.joules / seen.steps == pytest.approx(80 / 8)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_run_of_hardly_any_steps_teaches_nothing(steps: int) -> None:
    tape = Tape()
    tape.add("work", 0, steps)

    assert observe_run(synthesis_spec(batch_size=1), tape.records, progress(steps, 12), "hw") == []


def test_a_run_without_any_record_teaches_nothing() -> None:
    assert observe_run(synthesis_spec(), [], [], "hw") == []


def test_start_up_with_a_gap_in_its_energy_is_unknown() -> None:
    tape = Tape()
    tape.add("startup", 0, 0, seconds=2)
    tape.add("startup", 0, 0, seconds=1, joules=None)
    tape.add("work", 0, 12)

    (seen,) = observe_run(synthesis_spec(), tape.records, progress(12, 12), "hw")

    assert (seen.startup_seconds, seen.startup_joules) == (3.0, None)


def test_an_observation_survives_a_trip_through_json() -> None:
    tape = Tape()
    tape.add("startup", 0, 0)
    tape.add("work", 0, 20)
    (seen, *_) = observe_run(training_spec(), tape.records, progress(20, 60), "hw")

    assert RunObservation.model_validate_json(seen.model_dump_json()) == seen
