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
from jobs.spec import NoiseSchedule, Prediction, Sampler, SynthesisWorkload
from tests.jobs.exact_denoiser import TRUE_DEVIATION, ddim_deviation, ddpm_deviation, exact_denoiser, run, start
from tests.jobs.processes import synthesis

BACKENDS: tuple[Backend, ...] = ("monai-generative", "monai")
SIGNAL = training_schedule()
SCHEDULES = {kind: NoiseSchedule.model_validate({"kind": kind}) for kind in ("scaled-linear", "linear", "cosine")}


def nonlinear_denoiser(latents: Tensor, levels: Tensor) -> Tensor:
    """Deterministic, different at each level, and not a mere scaling."""
    return torch.tanh(latents) * (1 + levels.reshape(-1, 1, 1, 1) / 1000)


def check_deviation(sampler: Sampler, steps: int, backend: Backend, schedule: NoiseSchedule, prediction: Prediction) -> None:
    """Of the samples, against what theory says the sampler makes of this very noise.

    The exact denoiser only scales, so DDIM and PNDM only scale their noise, and the factor is certain. DDIM's is known in closed form:
    each step keeps the cosine of the angle between two levels, so fewer steps give less spread (a tenth less of it at 1,000 steps, a third
    at 50). PNDM corrects for that with its last four predictions and stays within 5 % of the truth. DDPM draws noise at every step:
    the deviation of 4,608 normal values is itself uncertain by 1 %.
    """
    denoising = start(sampler, steps, backend, schedule=schedule, prediction=prediction)
    drawn = float(denoising.latents.std())
    deviation = float(run(denoising, exact_denoiser(schedule, prediction)).std())
    if sampler == "ddim":
        assert deviation / drawn == pytest.approx(ddim_deviation(steps, schedule), rel=1e-3)
    elif sampler == "pndm":
        assert deviation / drawn == pytest.approx(TRUE_DEVIATION, rel=0.05)
    else:
        assert deviation == pytest.approx(ddpm_deviation(schedule), rel=0.03)


# 1000 is no multiple of 600: the libraries alone would begin at level 599
SAMPLED: list[tuple[Sampler, int]] = [
    ("ddim", 1000),
    ("ddim", 600),
    ("ddim", 200),
    ("ddim", 50),
    ("pndm", 1000),
    ("pndm", 200),
    ("pndm", 50),
    ("pndm", 20),
    ("ddpm", 1000),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("sampler", "steps"), SAMPLED)
def test_samples_have_the_deviation_that_theory_says(sampler: Sampler, steps: int, backend: Backend) -> None:
    check_deviation(sampler, steps, backend, NoiseSchedule(), "epsilon")


def test_more_ddim_steps_come_nearer_to_the_deviation_of_the_data() -> None:
    fifty, two_hundred, thousand = (float(run(start("ddim", steps)).std()) for steps in (50, 200, 1000))
    assert 0.069 < fifty < 0.071
    assert 0.083 < two_hundred < 0.085
    assert 0.090 < thousand < 0.092 < TRUE_DEVIATION


OTHER_NOISE: list[tuple[str, Prediction]] = [("scaled-linear", "v"), ("linear", "epsilon"), ("linear", "v"), ("cosine", "v")]


@pytest.mark.parametrize(
    ("sampler", "steps", "kind", "prediction"),
    [
        (*sampled, *noise)
        for sampled in SAMPLED
        for noise in OTHER_NOISE
        if (sampled[0], noise[0]) != ("pndm", "cosine")  # refused: see below
    ],
)
def test_other_noise_schedules_and_the_velocity_give_it_too(sampler: Sampler, steps: int, kind: str, prediction: Prediction) -> None:
    check_deviation(sampler, steps, "monai-generative", SCHEDULES[kind], prediction)


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
