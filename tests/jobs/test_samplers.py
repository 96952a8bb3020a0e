"""Samplers against an exact denoiser, whose answer is known in closed form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from jobs.energy.configuration import network_evaluations
from jobs.ldm.networks import Backend
from jobs.ldm.noise import add_noise, training_schedule
from jobs.ldm.randomness import normal
from jobs.ldm.samplers import Denoiser, Denoising
from jobs.spec import NoiseSchedule, Prediction, Sampler, SynthesisWorkload
from tests.jobs.processes import synthesis

TRUE_DEVIATION = 0.10
BACKENDS: tuple[Backend, ...] = ("monai-generative", "monai")
SIGNAL = training_schedule()
SCHEDULES = {kind: NoiseSchedule.model_validate({"kind": kind}) for kind in ("scaled-linear", "linear", "cosine")}


def exact_denoiser(schedule: NoiseSchedule, prediction: Prediction) -> Denoiser:
    """The expected noise (or velocity) in x = sqrt(a) x0 + sqrt(1-a) noise, where x0 is normal with the true deviation."""
    signals = training_schedule(schedule)

    def denoise(latents: Tensor, levels: Tensor) -> Tensor:
        signal = signals[levels].reshape(-1, 1, 1, 1)
        shrunk = latents / (signal * TRUE_DEVIATION**2 + 1 - signal)
        noise, clean = shrunk * (1 - signal).sqrt(), shrunk * signal.sqrt() * TRUE_DEVIATION**2
        return noise if prediction == "epsilon" else signal.sqrt() * noise - (1 - signal).sqrt() * clean

    return denoise


def nonlinear_denoiser(latents: Tensor, levels: Tensor) -> Tensor:
    """Deterministic, different at each level, and not a mere scaling."""
    return torch.tanh(latents) * (1 + levels.reshape(-1, 1, 1, 1) / 1000)


def run(denoising: Denoising, denoiser: Denoiser = exact_denoiser(NoiseSchedule(), "epsilon")) -> Tensor:  # noqa: B008  it never changes
    while not denoising.finished:
        denoising.advance(denoiser)
    return denoising.latents


def start(
    sampler: Sampler,
    steps: int,
    backend: Backend = "monai-generative",
    indices: tuple[int, ...] = (0, 1),
    side: int = 48,
    schedule: NoiseSchedule = NoiseSchedule(),  # noqa: B008  it never changes
    prediction: Prediction = "epsilon",
) -> Denoising:
    noise = torch.stack([normal((1, side, side), 3, "sample", index, 0) for index in indices])
    return Denoising(noise, sampler, steps, backend, 3, list(indices), schedule, prediction)


# What a sampler of n steps gives for data of deviation 0.10; every one of these also holds for the libraries' usual step counts.
EXPECTED: list[tuple[Sampler, int, float, float]] = [
    ("ddim", 1000, 0.088, 0.102),
    ("ddim", 600, 0.085, 0.102),  # 1000 is no multiple of 600: the libraries alone would begin at level 599
    ("ddim", 200, 0.080, 0.102),
    ("ddim", 50, 0.065, 0.102),
    ("pndm", 1000, 0.093, 0.107),
    ("pndm", 200, 0.093, 0.107),
    ("pndm", 50, 0.093, 0.108),
    ("pndm", 20, 0.093, 0.107),
    ("ddpm", 1000, 0.082, 0.102),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("sampler", "steps", "lowest", "highest"), EXPECTED)
def test_samples_have_the_deviation_of_the_data(sampler: Sampler, steps: int, lowest: float, highest: float, backend: Backend) -> None:
    deviation = float(run(start(sampler, steps, backend)).std())
    assert lowest < deviation < highest


OTHER_NOISE = [("scaled-linear", "v"), ("linear", "epsilon"), ("linear", "v"), ("cosine", "v")]


@pytest.mark.parametrize(
    ("sampler", "steps", "lowest", "highest", "kind", "prediction"),
    [
        (*expected, *noise)
        for expected in EXPECTED
        for noise in OTHER_NOISE
        if (expected[0], noise[0]) != ("pndm", "cosine")  # refused: see below
    ],
)
def test_other_noise_schedules_and_the_velocity_give_it_too(
    sampler: Sampler, steps: int, lowest: float, highest: float, kind: str, prediction: Prediction
) -> None:
    schedule = SCHEDULES[kind]
    denoising = start(sampler, steps, schedule=schedule, prediction=prediction)
    deviation = float(run(denoising, exact_denoiser(schedule, prediction)).std())
    assert lowest < deviation < highest


@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 30), ("pndm", 30), ("ddpm", 1000)])
def test_both_libraries_give_the_same_samples(sampler: Sampler, steps: int) -> None:
    ours, theirs = (run(start(sampler, steps, backend, side=8)) for backend in BACKENDS)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 12), ("pndm", 12), ("ddpm", 1000)])
def test_a_sample_does_not_depend_on_its_batch_mates(sampler: Sampler, steps: int) -> None:
    together = run(start(sampler, steps, indices=(4, 5), side=8))
    swapped = run(start(sampler, steps, indices=(9, 4), side=8))
    assert torch.equal(together[0], swapped[1])


@settings(max_examples=25, deadline=None)
@given(sampler=st.sampled_from(["ddim", "pndm"]), steps=st.integers(5, 40), share=st.floats(0, 1))
def test_stopped_and_resumed_anywhere_is_as_if_never_stopped(sampler: Sampler, steps: int, share: float) -> None:
    whole, first, second = (start(sampler, steps, side=4) for _ in range(3))
    while not whole.finished:
        whole.advance(nonlinear_denoiser)
    for _ in range(int(share * first.evaluations)):
        first.advance(nonlinear_denoiser)
    second.restore(first.state())
    while not second.finished:
        second.advance(nonlinear_denoiser)
    assert torch.equal(second.latents, whole.latents)


def test_pndm_costs_nine_evaluations_more_than_its_steps() -> None:
    assert start("pndm", 50).evaluations == 59
    assert start("ddim", 50).evaluations == 50


@settings(max_examples=20, deadline=None)
@given(sampler=st.sampled_from(["ddim", "pndm"]), steps=st.integers(5, 1000))
def test_the_energy_model_counts_the_evaluations_that_are_made(sampler: Sampler, steps: int) -> None:
    assert network_evaluations(sampler, steps) == start(sampler, steps, side=4).evaluations


def test_added_noise_keeps_unit_variance_at_every_level() -> None:
    levels = torch.tensor([0, 250, 999])
    noisy = add_noise(torch.ones(3, 1, 4, 4), torch.ones(3, 1, 4, 4), SIGNAL[levels])
    expected = SIGNAL[levels].sqrt() + (1 - SIGNAL[levels]).sqrt()
    torch.testing.assert_close(noisy[:, 0, 0, 0], expected)


def test_pndm_is_no_sampler_for_the_cosine_schedule_which_is_why_it_is_refused() -> None:
    denoising = start("pndm", 50, schedule=SCHEDULES["cosine"], prediction="v")
    assert float(run(denoising, exact_denoiser(SCHEDULES["cosine"], "v")).std()) > 10 * TRUE_DEVIATION


@pytest.mark.parametrize("steps", [50, 200, 999])
def test_ddpm_with_fewer_steps_is_refused_and_ddim_named(steps: int) -> None:
    with pytest.raises(ValidationError, match="near-noise: use sampler 'ddim'"):
        SynthesisWorkload.model_validate(synthesis(sampler="ddpm", inference_steps=steps))


def test_pndm_with_too_few_steps_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 5 steps, got 4"):
        SynthesisWorkload.model_validate(synthesis(sampler="pndm", inference_steps=4))
