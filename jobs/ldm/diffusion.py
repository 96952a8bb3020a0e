"""Diffusion training on latents that were encoded once (encoding them at every step, as the libraries' inferers do,
can cost twice the training itself). Objective: L1 between true and predicted noise, as in the Latent Pollution Model paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.ldm.randomness import batch_indices, generator, normal
from jobs.ldm.runtime import Runtime
from jobs.ldm.samplers import add_noise
from jobs.spec import TRAIN_TIMESTEPS, Size, TrainingWorkload

LEARNING_RATE: dict[Size, float] = {"tiny": 1e-3, "small": 1e-4, "medium": 1e-4, "large": 1e-4}


@dataclass(frozen=True, slots=True)
class LatentScaling:
    """Maps latents to zero mean per channel and unit deviation, which is where the noise schedule ends, and back.

    The factor is that of Rombach et al. 2022 (arXiv 2112.10752, appendix G); the means spare short trainings the
    tedious lesson of how bright an image is on the whole.
    """

    means: tuple[float, ...]
    factor: float

    def normalise(self, latents: Tensor) -> Tensor:
        return (latents - self._means_like(latents)) * self.factor

    def restore(self, latents: Tensor) -> Tensor:
        return latents / self.factor + self._means_like(latents)

    def _means_like(self, latents: Tensor) -> Tensor:
        return torch.tensor(self.means, device=latents.device).reshape(1, -1, *[1] * (latents.ndim - 2))


def scaling_of(latents: NDArray[np.float32]) -> LatentScaling:
    """The scaling of a set of latents (item, channel, sides). Latents that are all alike are only shifted."""
    axes = (0, *range(2, latents.ndim))
    means = np.asarray(np.mean(latents, axis=axes, dtype=np.float64))
    deviation = float(np.std(latents - means.reshape(1, -1, *[1] * (latents.ndim - 2)), dtype=np.float64))
    return LatentScaling(tuple(float(mean) for mean in means), 1.0 / deviation if deviation > 0 else 1.0)


class DiffusionTraining:
    """The UNet with its optimiser; `train_step(n)` is a function of the state, the latents and n."""

    def __init__(
        self, unet: nn.Module, latents: NDArray[np.float32], scaling: LatentScaling, workload: TrainingWorkload, runtime: Runtime
    ) -> None:
        self.unet = unet.to(runtime.device).train()
        self._latents = latents
        self._scaling = scaling
        self._workload = workload
        self._runtime = runtime
        self._optimiser = torch.optim.Adam(self.unet.parameters(), lr=LEARNING_RATE[workload.model.size], fused=True)

    def train_step(self, step: int) -> float:
        """One optimiser step; returns the loss."""
        clean = self._batch(step)
        noise = normal(clean.shape, self._workload.seed, "noise", step).to(clean.device)
        levels = self._levels(step).to(clean.device)
        noisy = add_noise(clean, noise, levels)
        with self._runtime.autocast():
            predicted: Tensor = self.unet(noisy, timesteps=levels)
        loss = (predicted.float() - noise).abs().mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, apart from the latents."""
        return {"unet": self.unet.state_dict(), "optimiser": self._optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.unet.load_state_dict(state["unet"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _batch(self, step: int) -> Tensor:
        indices = batch_indices(len(self._latents), self._workload.batch_size, self._workload.seed, "diffusion", step)
        return self._scaling.normalise(torch.from_numpy(self._latents[indices]).to(self._runtime.device))

    def _levels(self, step: int) -> Tensor:
        own = generator(self._workload.seed, "levels", step)
        return torch.randint(0, TRAIN_TIMESTEPS, (self._workload.batch_size,), generator=own)
