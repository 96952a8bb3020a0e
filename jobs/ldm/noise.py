"""Noise as a function of the training level, and what the UNet may learn of it.

Latents at a level are sqrt(a) x + sqrt(1 - a) e, where a is the level's share of signal, x the clean latent and e the noise
(DDPM, Ho et al. 2020, equation 4). The network learns e, or the velocity v = sqrt(a) e - sqrt(1 - a) x (Salimans and Ho 2022,
arXiv 2202.00512), which still says something where there is next to no signal.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from jobs.spec import TRAIN_TIMESTEPS, NoiseSchedule, Prediction

_COSINE_OFFSET = 0.008  # keeps the first steps from being too small (Nichol and Dhariwal 2021, section 3.2)
_LARGEST_COSINE_BETA = 0.999


@lru_cache(maxsize=16)
def training_schedule(schedule: NoiseSchedule = NoiseSchedule()) -> Tensor:  # noqa: B008  it never changes
    """Share of signal (cumulative product of alpha) at each of the training levels, float32. Shared: do not write to it."""
    return torch.cumprod(1 - _betas(schedule), dim=0).float()


def add_noise(latents: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Latents at levels with these shares of signal; one per sample."""
    signal = _per_sample(signal, latents)
    return signal.sqrt() * latents + (1 - signal).sqrt() * noise


def target(prediction: Prediction, clean: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """What the network should answer at levels with these shares of signal."""
    if prediction == "epsilon":
        return noise
    signal = _per_sample(signal, clean)
    return signal.sqrt() * noise - (1 - signal).sqrt() * clean


def noise_from_velocity(velocity: Tensor, latents: Tensor, signal: Tensor) -> Tensor:
    """The noise in latents at one level, where the network predicts their velocity."""
    return signal.sqrt() * velocity + (1 - signal).sqrt() * latents


def _betas(schedule: NoiseSchedule) -> Tensor:
    if schedule.kind == "cosine":
        return _cosine_betas()
    start, end = schedule.betas
    if schedule.kind == "linear":
        return torch.linspace(start, end, TRAIN_TIMESTEPS, dtype=torch.float64)
    return torch.linspace(start**0.5, end**0.5, TRAIN_TIMESTEPS, dtype=torch.float64) ** 2


def _cosine_betas() -> Tensor:
    at = torch.linspace(0, 1, TRAIN_TIMESTEPS + 1, dtype=torch.float64)
    signal = torch.cos((at + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * torch.pi / 2) ** 2
    return (1 - signal[1:] / signal[:-1]).clamp(max=_LARGEST_COSINE_BETA)


def _per_sample(signal: Tensor, like: Tensor) -> Tensor:
    return signal.reshape(-1, *[1] * (like.ndim - 1))
