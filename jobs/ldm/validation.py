"""How well the UNet does on patients it has never seen: the training's own loss, on fixed noise at fixed levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.data.amounts import VALIDATION_LEVELS
from jobs.ldm.autoencoder import encode
from jobs.ldm.diffusion import LatentScaling
from jobs.ldm.noise import add_noise, target, training_schedule
from jobs.ldm.randomness import normal
from jobs.ldm.runtime import Runtime
from jobs.spec import TRAIN_TIMESTEPS, TrainingWorkload

_PART = TRAIN_TIMESTEPS // VALIDATION_LEVELS
_LEVELS = tuple(range(_PART // 2, TRAIN_TIMESTEPS, _PART))  # the middles of equal parts


@torch.no_grad()
def validation_loss(
    unet: nn.Module,
    autoencoder: nn.Module,
    images: NDArray[np.float32],
    scaling: LatentScaling,
    workload: TrainingWorkload,
    runtime: Runtime,
    between_images: Callable[[], None],
) -> float:
    """Mean L1 over all images, one at least, and levels. Noise derives from (seed, image, level), so that runs compare.

    `between_images` may raise to leave early.
    """
    signals = training_schedule(workload.noise_schedule)
    losses: list[float] = []
    for index, image in enumerate(images):
        between_images()
        clean = scaling.normalise(torch.from_numpy(encode(autoencoder, image, runtime)[np.newaxis]).to(runtime.device))
        for level in _LEVELS:
            noise = normal(clean.shape, workload.seed, "validation", index, level).to(runtime.device)
            signal = signals[level : level + 1].to(runtime.device)
            with runtime.autocast():
                timesteps = torch.tensor([level], device=runtime.device)
                predicted: Tensor = unet(runtime.arrange(add_noise(clean, noise, signal)), timesteps=timesteps)
            losses.append(float((predicted.float() - target(workload.prediction, clean, noise, signal)).abs().mean()))
    return sum(losses) / len(losses)
