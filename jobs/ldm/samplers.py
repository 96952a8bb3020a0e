"""From noise to latents, one network evaluation at a time, so that a sample can be stopped and resumed anywhere.

The steps are the libraries' own (DDIM, PNDM, DDPM of monai-generative or MONAI core). Which noise levels they visit is
decided here, because the libraries' own choice has three faults:

- DDPM looks up the previous level at `t - 1` whatever the stride: with fewer steps it returns near-noise (the diffusers
  project repaired the same fault in its pull request 2076).
- PNDM overwrites its step count with one that includes the Runge-Kutta steps, and then strides too short.
- Strides are floored: 600 of 1000 steps begin at level 599 as if it were pure noise.

So a sampler of n steps gets a schedule of its own that contains just the levels it visits, evenly from the cleanest to
the noisiest ("linspace" in table 2 of Lin et al. 2023, arXiv 2305.08891), on which its stride is exact. The network is
told the level's number in the training schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jobs.ldm.networks import Backend
from jobs.ldm.noise import noise_from_velocity, training_schedule
from jobs.ldm.randomness import generator
from jobs.lean_monai import core_schedulers, generative_schedulers
from jobs.spec import TRAIN_TIMESTEPS, NoiseSchedule, Prediction, Sampler

Denoiser = Callable[[Tensor, Tensor], Tensor]  # (latents, level of each sample) -> predicted noise or velocity
_RESPACED = "lowtide_respaced"


class Denoising:
    """A micro-batch on its way from noise to latents. `indices` are its samples; all their noise derives from (seed, index, step).

    `advance` costs one network evaluation; `evaluations` is how many there are (PNDM needs nine more than its steps).
    """

    def __init__(
        self,
        noise: Tensor,
        sampler: Sampler,
        steps: int,
        backend: Backend,
        seed: int,
        indices: list[int],
        schedule: NoiseSchedule = NoiseSchedule(),  # noqa: B008  it never changes
        prediction: Prediction = "epsilon",
    ) -> None:
        self.latents = noise
        self.position = 0
        self._sampler = sampler
        self._seed = seed
        self._indices = indices
        self._prediction = prediction
        self._levels = _levels(sampler, steps)
        self._signal = training_schedule(schedule)[self._levels]
        self._scheduler = _scheduler(sampler, steps, backend, self._signal)
        self._timesteps: list[int] = self._scheduler.timesteps.tolist()

    @property
    def evaluations(self) -> int:
        return len(self._timesteps)

    @property
    def finished(self) -> bool:
        return self.position >= self.evaluations

    def advance(self, denoiser: Denoiser) -> None:
        """Evaluate the network once and take the sampler's step."""
        timestep = self._timesteps[self.position]
        level = self._levels[timestep].to(self.latents.device).expand(len(self.latents))
        predicted = denoiser(self.latents, level).float()
        if self._prediction == "v":
            # before the sampler: PNDM adds up predictions of several levels, which only noise allows
            predicted = noise_from_velocity(predicted, self.latents, self._signal[timestep].to(self.latents.device))
        self.latents = self._step(predicted, timestep)
        self.position += 1

    def _step(self, predicted_noise: Tensor, timestep: int) -> Tensor:
        if self._sampler != "ddpm":
            latents: Tensor = self._scheduler.step(predicted_noise, timestep, self.latents)[0]
            return latents
        # the library draws one noise for the whole batch: sample by sample, each gets its own
        rows = [self._ddpm_row(predicted_noise, timestep, row) for row in range(len(self._indices))]
        return torch.cat(rows)

    def _ddpm_row(self, predicted_noise: Tensor, timestep: int, row: int) -> Tensor:
        own = generator(self._seed, "sample", self._indices[row], self.position + 1)
        latents: Tensor = self._scheduler.step(predicted_noise[row : row + 1], timestep, self.latents[row : row + 1], generator=own)[0]
        return latents

    def state(self) -> dict[str, Any]:
        """All that is needed to go on from here, as tensors and plain values."""
        state: dict[str, Any] = {"position": self.position, "latents": self.latents.cpu()}
        if self._sampler == "pndm":
            state |= {
                "counter": self._scheduler.counter,
                "cur_model_output": _to(self._scheduler.cur_model_output, "cpu"),
                "cur_sample": _to(self._scheduler.cur_sample, "cpu"),
                "ets": [_to(each, "cpu") for each in self._scheduler.ets],
            }
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()` of the same micro-batch."""
        device = self.latents.device
        self.position = state["position"]
        self.latents = state["latents"].to(device)
        if self._sampler == "pndm":
            self._scheduler.counter = state["counter"]
            self._scheduler.cur_model_output = _to(state["cur_model_output"], device)
            self._scheduler.cur_sample = _to(state["cur_sample"], device)
            self._scheduler.ets = [_to(each, device) for each in state["ets"]]


def _levels(sampler: Sampler, steps: int) -> Tensor:
    """The training levels a sampler visits, cleanest first: evenly from the first to the last, both included.

    PNDM's Runge-Kutta steps also visit the midpoints; the entry after the last only completes its table.
    """
    if steps == 1:
        return torch.tensor([TRAIN_TIMESTEPS - 1])
    points = 2 * steps - 1 if sampler == "pndm" else steps
    levels = torch.linspace(0, TRAIN_TIMESTEPS - 1, points, dtype=torch.float64).round().long()
    return torch.cat([levels, levels[-1:]]) if sampler == "pndm" else levels


def _scheduler(sampler: Sampler, steps: int, backend: Backend, signal: Tensor) -> Any:
    """The library's scheduler on the schedule that contains just those levels. Latents are not images: nothing is clipped."""
    schedulers = _schedulers(backend)
    common: dict[str, Any] = {
        "num_train_timesteps": len(signal),
        "schedule": _RESPACED,
        "signal": signal,
    }
    if sampler == "pndm":
        scheduler = schedulers.PNDMScheduler(set_alpha_to_one=True, **common)
        scheduler.set_timesteps(steps)
        scheduler.num_inference_steps = steps  # the library has counted the Runge-Kutta steps in
        return scheduler
    kind = schedulers.DDIMScheduler if sampler == "ddim" else schedulers.DDPMScheduler
    scheduler = kind(clip_sample=False, **common)
    scheduler.set_timesteps(steps)
    return scheduler


def _respaced(num_train_timesteps: int, signal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(betas, alphas, cumulative alphas) of a schedule given by its shares of signal, as the libraries' schedules return them."""
    alphas = signal / torch.cat([torch.ones(1), signal[:-1]])
    return 1 - alphas, alphas, signal


def _schedulers(backend: Backend) -> Any:
    """The library's module of schedulers, which knows our schedule by name."""
    schedulers = core_schedulers if backend == "monai" else generative_schedulers
    known = schedulers.scheduler.NoiseSchedules
    if _RESPACED not in known:
        known.add(_RESPACED, "the levels one sampler visits", _respaced)
    return schedulers


def _to(value: Any, device: torch.device | str) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value
