"""What a job costs beside its steps, as predicted and as finished runs correct it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.configuration import encoding_configuration, training_configuration
from jobs.energy.hardware import Overhead
from jobs.energy.model import EnergyModel, Estimate, Part
from jobs.energy.observation import CheckpointsSeen, DataSeen, RunObservation
from jobs.energy.overheads import Overheads, checkpoints_while
from jobs.energy.size import checkpoint_gb, image_gb, weights_gb
from jobs.spec import DataSpec, TrainingWorkload
from tests.jobs.energy.builders import PAPER_3D, TINY_2D, TINY_3D, observed, profile, synthesis, training

DISK = Overhead(seconds_each=0.5, seconds_per_gb=4.0, watts=20.0)
READER = Overhead(seconds_each=0.1, seconds_per_gb=10.0)
SCANS = DataSpec(path="scans")


def part(estimate: Estimate, name: str) -> Part:
    return next(part for part in estimate.parts if part.name == name)


def with_disk(**changes: Any) -> EnergyModel:
    return EnergyModel(profile(checkpoint=DISK, preparation=READER, **changes))


def test_a_checkpoint_of_training_holds_the_weights_and_two_moments_of_each_that_is_trained() -> None:
    unet, vqgan = checkpoint_gb(training(PAPER_3D)), checkpoint_gb(training(PAPER_3D), is_of_autoencoder=True)
    averaged = checkpoint_gb(training(PAPER_3D, ema_decay=0.99))

    assert averaged - unet == pytest.approx(441.5e6 * 4 / 1e9, rel=0.02), "the average is one more copy of the UNet's weights"
    assert unet == pytest.approx(weights_gb(PAPER_3D) + 2 * (averaged - unet))
    assert 0 < vqgan < unet


def test_a_checkpoint_of_synthesis_holds_the_latents_of_its_micro_batch() -> None:
    latents = 4 * 3 * 16 * 16

    assert checkpoint_gb(synthesis(batch_size=4)) == pytest.approx(4 * latents / 1e9)
    assert checkpoint_gb(synthesis(batch_size=8, sampler="pndm")) == pytest.approx(6 * 2 * 4 * latents / 1e9)


@given(work=st.floats(0, 1e6), unit=st.floats(1e-3, 1e3), each=st.floats(0, 1e3))
def test_checkpoints_are_half_a_minute_apart_or_a_step_or_as_far_as_makes_them_a_twentieth(work: float, unit: float, each: float) -> None:
    count = checkpoints_while(work, unit, each)
    pause = max(30.0, 20 * each)

    assert count * max(unit, pause) <= work * (1 + 1e-9)
    assert (count + 1) * (pause + unit) >= work * (1 - 1e-9)
    assert count * each <= work / 20 * (1 + 1e-9)


def test_a_training_writes_a_checkpoint_at_the_end_of_each_half_and_whenever_one_is_due() -> None:
    short, long = (training(TINY_2D, iterations=count, autoencoder_iterations=1) for count in (1, 10_000))
    model = with_disk()
    step_seconds = model.cost(training_configuration(long, "train")).seconds
    both = part(model.estimate(short), "checkpoints")
    more = part(model.estimate(long), "checkpoints").seconds - both.seconds

    sizes = checkpoint_gb(short) + checkpoint_gb(short, is_of_autoencoder=True)
    assert both.seconds == pytest.approx(2 * 0.5 + 4 * sizes)
    assert both.joules == pytest.approx(20 * both.seconds)
    assert more / (0.5 + 4 * checkpoint_gb(long)) == pytest.approx(10_000 * step_seconds // 30, abs=1)


def test_a_synthesis_writes_one_whenever_it_is_due_and_its_devices_share_the_time() -> None:
    model, workload = with_disk(), synthesis(PAPER_3D, samples=8, inference_steps=100)
    one, two = (model.estimate(workload, gpus=gpus) for gpus in (1, 2))
    evaluation_seconds = part(one, "work").seconds / (2 * 100)
    count = part(one, "checkpoints").seconds / (0.5 + 4 * checkpoint_gb(workload))

    assert evaluation_seconds > 30, "so long that one is due after each"
    assert count == pytest.approx(2 * 100)
    assert part(two, "checkpoints").seconds == pytest.approx(part(one, "checkpoints").seconds / 2)
    assert part(two, "checkpoints").joules == pytest.approx(part(one, "checkpoints").joules)


def test_preparing_every_image_and_encoding_those_trained_on_is_the_data_part() -> None:
    workload = training(data={"phantom": {"patients": 10}, "validation_share": 0.3})
    model = with_disk(idle_watts=50)
    data = part(model.estimate(workload), "data")
    encode = model.cost(encoding_configuration(workload))

    assert data.seconds == pytest.approx(10 * (0.1 + 10 * image_gb(TINY_2D)) + 7 * encode.seconds)
    assert data.joules == pytest.approx(10 * (0.1 + 10 * image_gb(TINY_2D)) * 50 + 7 * encode.joules), "the GPU waits for the images"


def test_what_no_profile_tells_is_assumed_and_less_sure() -> None:
    measured, assumed = Overheads(profile(checkpoint=DISK)), Overheads(profile(checkpoint=None))

    assert assumed.checkpoint(1.0).seconds > 1
    assert assumed.checkpoint(1.0).sigma > measured.checkpoint(1.0).sigma > 0


def run_that_saw(checkpoint_seconds: float = 1.0, data: DataSeen | None = None, workload: TrainingWorkload | None = None) -> RunObservation:
    """One that cost what was predicted, with two checkpoints of that many seconds and 10 W."""
    workload = workload or training()
    cost = EnergyModel(profile()).cost(training_configuration(workload, "train"))
    checkpoints = CheckpointsSeen(
        count=2, gigabytes=checkpoint_gb(workload), seconds=2 * checkpoint_seconds, joules=20 * checkpoint_seconds
    )
    configuration = training_configuration(workload, "train")
    return observed(cost.joules, cost.seconds, configuration, checkpoints=checkpoints, data=data)


def test_finished_runs_teach_what_a_checkpoint_costs_and_one_bad_one_is_ignored() -> None:
    runs = [run_that_saw(seconds) for seconds in (3.0, 300.0, 3.1)]
    taught = EnergyModel(profile(checkpoint=DISK), runs).estimate(training())
    bigger = EnergyModel(profile(checkpoint=DISK), runs).estimate(training(TINY_3D, iterations=10))
    untaught = EnergyModel(profile(checkpoint=DISK)).estimate(training(TINY_3D, iterations=10))

    predicted_seconds = 0.5 + 4 * checkpoint_gb(training())
    smaller = 0.5 + 4 * checkpoint_gb(training(), is_of_autoencoder=True)
    factor = 3.1 / predicted_seconds
    assert part(taught, "checkpoints").seconds == pytest.approx(factor * (predicted_seconds + smaller))
    assert part(taught, "checkpoints").joules == pytest.approx(10 * factor * (predicted_seconds + smaller))
    assert part(bigger, "checkpoints").seconds == pytest.approx(factor * part(untaught, "checkpoints").seconds)


def seen(data: DataSpec, seconds: float | None, training: int = 8, validation: int = 2) -> DataSeen:
    joules = None if seconds is None else 10 * seconds
    return DataSeen(data=data, gigabytes=image_gb(TINY_2D), training=training, validation=validation, seconds=seconds, joules=joules)


def test_a_finished_run_tells_how_many_images_its_data_hold_which_nobody_knew_before() -> None:
    before = EnergyModel(profile(preparation=READER)).estimate(training(data=SCANS))
    after = EnergyModel(profile(preparation=READER), [run_that_saw(data=seen(SCANS, None))]).estimate(training(data=SCANS))
    other = EnergyModel(profile(preparation=READER), [run_that_saw(data=seen(SCANS, None))]).estimate(training(data={"path": "others"}))

    assert {"data", "validation"} & {part.name for part in before.parts} == set()
    assert "only the node sees" in before.origin
    assert {"data", "validation"} <= {part.name for part in after.parts}
    assert "only the node sees" not in after.origin
    assert "data" not in {part.name for part in other.parts}


def test_a_run_on_slices_says_nothing_of_how_many_volumes_the_same_data_hold_nor_what_reading_one_takes() -> None:
    slices = run_that_saw(data=seen(SCANS, 2.0, training=800))
    volumes = run_that_saw(data=seen(SCANS, 300.0), workload=training(TINY_3D))
    flat, deep = training(data=SCANS), training(TINY_3D, data=SCANS)

    def data_part(workload: TrainingWorkload, *runs: RunObservation) -> Part:
        return part(EnergyModel(profile(preparation=READER), runs).estimate(workload), "data")

    assert data_part(flat, slices, volumes) == data_part(flat, slices)
    assert data_part(deep, volumes, slices) == data_part(deep, volumes)
    assert "only the node sees" in EnergyModel(profile(preparation=READER), [slices]).estimate(deep).origin


def test_preparing_is_learned_from_runs_on_the_same_data_else_from_those_on_data_of_the_same_kind() -> None:
    others = DataSpec(path="others")
    runs = [run_that_saw(data=seen(SCANS, 10 * seconds)) for seconds in (0.4, 40.0, 0.4)] + [run_that_saw(data=seen(others, 20.0))] * 3
    model = EnergyModel(profile(preparation=READER), runs)
    phantoms = {"phantom": {"patients": 10}}

    def preparing(data: DataSpec | dict[str, Any], models: EnergyModel = model) -> float:
        estimate = models.estimate(training(data=data))
        images = 10 if data == phantoms else 8
        return part(estimate, "data").seconds - images * models.cost(encoding_configuration(training(data=data))).seconds

    assert preparing(SCANS) == pytest.approx(10 * 0.4)
    assert preparing(others) == pytest.approx(10 * 2.0)
    assert preparing(phantoms) == pytest.approx(preparing(phantoms, EnergyModel(profile(preparation=READER)))), "files tell nothing of them"


def test_an_observation_with_all_of_it_survives_a_trip_through_json() -> None:
    run = run_that_saw(data=seen(SCANS, 3.0))

    assert RunObservation.model_validate_json(run.model_dump_json()) == run


def test_an_observation_from_before_there_were_checkpoints_in_it_is_still_read() -> None:
    document = run_that_saw().model_dump(mode="json")
    del document["checkpoints"], document["data"]

    assert RunObservation.model_validate(document).checkpoints is None
