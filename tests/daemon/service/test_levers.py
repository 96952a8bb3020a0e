"""Levers: each changes one thing, stays a valid workload, and comes with its caveat."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.service.levers import AnyWorkload, levers
from jobs.spec import SynthesisWorkload, TrainingWorkload

MODEL = {"dimensions": 3, "size": "large", "image_shape": [192, 192, 192]}


def synthesis(**changes: Any) -> SynthesisWorkload:
    document = {"kind": "synthesis", "model": MODEL, "weights": {"path": "w.pt"}, "samples": 100, "inference_steps": 1000}
    return SynthesisWorkload.model_validate(document | changes)


def training(**changes: Any) -> TrainingWorkload:
    document = {"kind": "training", "model": MODEL, "data": {"path": "scans", "class": "public"}, "iterations": 1001, "batch_size": 2}
    return TrainingWorkload.model_validate(document | changes)


def changes(workload: AnyWorkload) -> list[str]:
    return [lever.change for lever in levers(workload)]


def test_a_synthesis_in_full_has_every_lever() -> None:
    assert changes(synthesis(sampler="ddpm")) == [
        "200 DDIM steps instead of 1,000 DDPM steps",
        "50 DDIM steps instead of 1,000 DDPM steps",
        "bfloat16 instead of float32",
        "latents downsampled 8 times instead of 4",
        "batch size 4 instead of 1",
        "size medium instead of large",
    ]


def test_fewer_steps_are_always_ddim_because_ddpm_with_fewer_steps_is_noise() -> None:
    for lever in levers(synthesis(sampler="ddpm"))[:2]:
        assert isinstance(lever.workload, SynthesisWorkload)
        assert lever.workload.sampler == "ddim"


def test_levers_already_pulled_are_not_offered_again() -> None:
    frugal = synthesis(
        inference_steps=50, precision="bfloat16", model=MODEL | {"size": "small", "latent_downsampling": 8}, samples=3, batch_size=1
    )
    assert changes(frugal) == []


def test_an_image_size_without_an_8_times_smaller_latent_gets_no_such_lever() -> None:
    odd = synthesis(model=MODEL | {"image_shape": [48, 48, 48]})
    assert not any("latents" in change for change in changes(odd))
    assert any("latents" in change for change in changes(synthesis()))


def test_a_larger_batch_of_training_sees_at_least_as_many_images() -> None:
    before = training()
    lever = next(lever for lever in levers(before) if lever.change.startswith("batch size"))
    after = lever.workload
    assert isinstance(after, TrainingWorkload)
    assert (after.batch_size, after.iterations) == (8, 251)
    assert after.batch_size * after.iterations >= before.batch_size * before.iterations
    assert after.autoencoder_steps * 8 >= before.autoencoder_steps * 2


@pytest.mark.parametrize("workload", [synthesis(), training()], ids=["synthesis", "training"])
def test_every_lever_keeps_the_rest_and_says_what_it_may_cost_in_one_sentence(workload: AnyWorkload) -> None:
    for lever in levers(workload):
        assert lever.workload != workload
        assert lever.workload.seed == workload.seed
        assert lever.workload.model.image_shape == workload.model.image_shape
        assert lever.caveat.endswith(".")
        assert lever.caveat.count(". ") == 0
    if isinstance(workload, TrainingWorkload):
        assert all(lever.workload.data == workload.data for lever in levers(workload) if isinstance(lever.workload, TrainingWorkload))
