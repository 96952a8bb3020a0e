"""A denoiser whose answer is known in closed form, for samplers to be judged by: the data are normal with one deviation."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from jobs.ldm.networks import Backend
from jobs.ldm.noise import training_schedule
from jobs.ldm.randomness import normal
from jobs.ldm.samplers import Denoiser, Denoising
from jobs.spec import TRAIN_TIMESTEPS, NoiseSchedule, Prediction, Sampler

TRUE_DEVIATION = 0.10


def exact_denoiser(schedule: NoiseSchedule, prediction: Prediction) -> Denoiser:
    """The expected noise (or velocity) in x = sqrt(a) x0 + sqrt(1-a) noise, where x0 is normal with the true deviation."""
    signals = training_schedule(schedule)

    def denoise(latents: Tensor, levels: Tensor) -> Tensor:
        signal = signals[levels].reshape(-1, 1, 1, 1)
        shrunk = latents / (signal * TRUE_DEVIATION**2 + 1 - signal)
        noise, clean = shrunk * (1 - signal).sqrt(), shrunk * signal.sqrt() * TRUE_DEVIATION**2
        return noise if prediction == "epsilon" else signal.sqrt() * noise - (1 - signal).sqrt() * clean

    return denoise


def start(
    sampler: Sampler,
    steps: int,
    backend: Backend = "monai-generative",
    indices: tuple[int, ...] = (0, 1),
    side: int = 48,
    schedule: NoiseSchedule = NoiseSchedule(),  # noqa: B008  it never changes
    prediction: Prediction = "epsilon",
) -> Denoising:
    """A sampler at pure noise, one channel of side x side for each of `indices`."""
    noise = torch.stack([normal((1, side, side), 3, "sample", index, 0) for index in indices])
    return Denoising(noise, sampler, steps, backend, 3, list(indices), schedule, prediction)


def run(denoising: Denoising, denoiser: Denoiser = exact_denoiser(NoiseSchedule(), "epsilon")) -> Tensor:  # noqa: B008  it never changes
    """All steps that are left."""
    while not denoising.finished:
        denoising.advance(denoiser)
    return denoising.latents


def ddim_deviation(steps: int, schedule: NoiseSchedule) -> float:
    """What DDIM must make of unit noise, in closed form.

    A level is a vector (sqrt(a) deviation, sqrt(1-a)) whose length is the true deviation there. One step from level i to j
    (eq. 12 of Song et al. 2020, arXiv 2010.02502, eta 0) with the exact denoiser multiplies by i.j / |i|^2 = |j| / |i| cos(i, j):
    of the true ratio only the cosine of the angle between both levels. Fewer steps are wider angles, hence less spread.
    """
    signals = [*_visited(steps, schedule), 1.0]
    levels = [(math.sqrt(signal) * TRUE_DEVIATION, math.sqrt(1 - signal)) for signal in signals]
    deviation = 1.0
    for (clean, noise), (next_clean, next_noise) in pairwise(levels):
        deviation *= (clean * next_clean + noise * next_noise) / (clean**2 + noise**2)
    return deviation


def ddpm_deviation(schedule: NoiseSchedule) -> float:
    """What DDPM of all steps must make of unit noise: the variance by eqs. 6 and 7 of Ho et al. 2020, arXiv 2006.11239.

    The noise added at each step has the smaller of the two variances proposed there, exact for data of no spread, so that
    samples have somewhat less spread than the data.
    """
    signals = [*_visited(TRAIN_TIMESTEPS, schedule), 1.0]
    variance = 1.0
    for signal, following in pairwise(signals):
        alpha = signal / following
        from_clean = math.sqrt(following) * (1 - alpha) / (1 - signal)
        from_latents = math.sqrt(alpha) * (1 - following) / (1 - signal)
        expected_clean = math.sqrt(signal) * TRUE_DEVIATION**2 / (signal * TRUE_DEVIATION**2 + 1 - signal)
        variance = (from_clean * expected_clean + from_latents) ** 2 * variance + (1 - following) / (1 - signal) * (1 - alpha)
    return math.sqrt(variance)


def _visited(steps: int, schedule: NoiseSchedule) -> list[float]:
    """Share of signal at each level, the noisiest first; evenly spaced, both ends included."""
    levels = torch.linspace(TRAIN_TIMESTEPS - 1, 0, steps, dtype=torch.float64).round().long()
    signals: list[float] = training_schedule(schedule)[levels].double().tolist()
    return signals
