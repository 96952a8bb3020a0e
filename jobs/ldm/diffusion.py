"""Diffusion training on latents that were encoded once (encoding them at every step, as the libraries' inferers do,
can cost twice the training itself). Objective: L1 between true and predicted noise, as in the Latent Pollution Model paper, or
between true and predicted velocity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.ldm.moving_average import MovingAverage
from jobs.ldm.networks import checkpoint_gradients
from jobs.ldm.noise import add_noise, target, training_schedule
from jobs.ldm.randomness import batch_indices, generator, normal
from jobs.ldm.runtime import Runtime
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
        self.unet = runtime.place(unet).train()
        if workload.gradient_checkpointing:
            checkpoint_gradients(self.unet)
        self._latents = latents
        self._scaling = scaling
        self._workload = workload
        self._runtime = runtime
        self._batch_size = workload.global_batch_size(runtime.ranks.count)
        self._rows = runtime.ranks.rows(self._batch_size)
        self._signal = training_schedule(workload.noise_schedule).to(runtime.device)
        self._optimiser = torch.optim.Adam(self.unet.parameters(), lr=LEARNING_RATE[workload.model.size], fused=True)
        self._average = None if workload.ema_decay is None else MovingAverage(self.unet, workload.ema_decay)

    def train_step(self, step: int) -> float:
        """One optimiser step; returns the loss."""
        clean, noise, levels = self._batch(step), self._noise(step), self._levels(step)
        signal = self._signal[levels]
        noisy = self._runtime.arrange(add_noise(clean, noise, signal))
        with self._runtime.autocast():
            predicted: Tensor = self.unet(noisy, timesteps=levels)
        loss = (predicted.float() - target(self._workload.prediction, clean, noise, signal)).abs().mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._runtime.ranks.average_gradients(self.unet.parameters())
        self._optimiser.step()
        if self._average is not None:
            self._average.follow(step)
        return self._runtime.ranks.mean(loss)

    def finished_unet(self) -> nn.Module:
        """The UNet that samples are made with: that of the moving average where there is one."""
        if self._average is not None:
            self._average.write_into(self.unet)
        return self.unet

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, apart from the latents."""
        state: dict[str, Any] = {"unet": self.unet.state_dict(), "optimiser": self._optimiser.state_dict()}
        return state if self._average is None else state | {"average": self._average.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.unet.load_state_dict(state["unet"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._average is not None:
            self._average.restore(state["average"])

    def _batch(self, step: int) -> Tensor:
        indices = batch_indices(len(self._latents), self._batch_size, self._workload.seed, "diffusion", step)[self._rows]
        return self._scaling.normalise(torch.from_numpy(self._latents[indices]).to(self._runtime.device))

    def _noise(self, step: int) -> Tensor:
        """Drawn for the whole batch, whichever rows of it are wanted here."""
        noise = normal((self._batch_size, *self._latents.shape[1:]), self._workload.seed, "noise", step)
        return noise[self._rows].to(self._runtime.device)

    def _levels(self, step: int) -> Tensor:
        own = generator(self._workload.seed, "levels", step)
        return torch.randint(0, TRAIN_TIMESTEPS, (self._batch_size,), generator=own)[self._rows].to(self._runtime.device)
