"""The loops that `tests.bench.engine` sets side by side: that of the MONAI tutorials, and ours with one change after the other.

All have the same images, initial weights, noise and levels. Networks that samples are made with have been taught for some
hundred steps before, as fresh ones predict nothing.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
import torch
from generative.inferers import LatentDiffusionInferer
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.architecture import architecture_of
from jobs.data.phantom import phantom
from jobs.ldm.autoencoder import AutoencoderTraining, encode
from jobs.ldm.compiling import compile_network
from jobs.ldm.diffusion import DiffusionTraining, LatentScaling, scaling_of
from jobs.ldm.networks import build_all
from jobs.ldm.packing import pack_convolutions, packs_convolutions
from jobs.ldm.randomness import batch_indices, generator, normal
from jobs.ldm.runtime import prepare_runtime
from jobs.ldm.samplers import Denoising
from jobs.ldm.validation import validation_loss
from jobs.lean_monai import generative_schedulers
from jobs.spec import TRAIN_TIMESTEPS, DataSpec, ModelSpec, PhantomData, TrainingWorkload

IMAGES, UNSEEN_IMAGES = 8, 4
AUTOENCODER_LESSONS, UNET_LESSONS = 60, 200  # steps
Images = NDArray[np.float32]
State = dict[str, Tensor]


@dataclass(frozen=True)
class Option:
    """How our engine computes; `changes` are those of the workload."""

    name: str
    batch_size: int = 1
    changes: dict[str, Any] = field(default_factory=dict)

    def workload(self, model: ModelSpec) -> TrainingWorkload:
        data = DataSpec(phantom=PhantomData(patients=1))
        return TrainingWorkload(kind="training", model=model, data=data, iterations=1, batch_size=self.batch_size, **self.changes)


@dataclass(frozen=True)
class Case:
    """What both sides start from."""

    model: ModelSpec
    images: Images
    autoencoder: State
    unet: State
    latents: Images
    scaling: LatentScaling
    encoding_seconds: float  # CPU time for one image

    def networks(self, taught: bool) -> tuple[nn.Module, Any]:
        """The UNet, fresh or taught, and the finished autoencoder."""
        unet, autoencoder, _ = build_all(architecture_of(self.model), "monai-generative", 0)
        autoencoder.load_state_dict(self.autoencoder)
        if taught:
            unet.load_state_dict(self.unet)
        return unet, autoencoder.eval().requires_grad_(False)

    def noise(self, indices: range) -> Tensor:
        """Of samples, as a synthesis of seed 0 draws it."""
        shape = (self.model.latent_channels, *self.model.latent_shape)
        return torch.stack([normal(shape, 0, "sample", index, 0) for index in indices])


def teach(model: ModelSpec) -> Case:
    """Train both networks on phantoms, for long enough to predict something."""
    images = phantoms(model, range(IMAGES))
    workload = Option("teaching").workload(model)
    runtime = prepare_runtime(workload)
    unet, autoencoder, discriminator = build_all(architecture_of(model), "monai-generative", 0)
    first = AutoencoderTraining(autoencoder, discriminator, images, workload, runtime)
    for step in range(AUTOENCODER_LESSONS):
        first.train_step(step)
    autoencoder.eval().requires_grad_(False)
    seconds = cpu_seconds(lambda: [encode(autoencoder, image, runtime) for image in images]) / IMAGES
    latents = np.stack([encode(autoencoder, image, runtime) for image in images])
    scaling = LatentScaling((0.0,) * model.latent_channels, scaling_of(latents).factor)  # the other loop knows no means
    second = DiffusionTraining(unet, latents, scaling, workload, runtime)
    for step in range(UNET_LESSONS):
        second.train_step(step)
    return Case(model, images, autoencoder.state_dict(), unet.state_dict(), latents, scaling, seconds)


class MonaiLoop:
    """Training and sampling as the libraries' tutorials write it, fed with our images, noise and levels."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._latent_shape = (1, case.model.latent_channels, *case.model.latent_shape)
        self.unet, self._autoencoder = case.networks(taught=False)
        self._taught_unet, _ = case.networks(taught=True)
        scheduler = generative_schedulers.DDPMScheduler(TRAIN_TIMESTEPS, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195)
        self._inferer = LatentDiffusionInferer(scheduler, scale_factor=case.scaling.factor)
        self._optimiser = torch.optim.Adam(self.unet.parameters(), lr=1e-3)
        self._step = 0

    def train_step(self) -> float:
        step = self._step
        images = torch.from_numpy(self._case.images[batch_indices(IMAGES, 1, 0, "diffusion", step)])
        noise = normal(self._latent_shape, 0, "noise", step)
        levels = torch.randint(0, TRAIN_TIMESTEPS, (1,), generator=generator(0, "levels", step))
        self._optimiser.zero_grad(set_to_none=True)
        predicted = self._inferer(
            inputs=images, autoencoder_model=self._autoencoder, diffusion_model=self.unet, noise=noise, timesteps=levels
        )
        loss = torch.nn.functional.l1_loss(predicted, noise)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._step += 1
        return loss.item()

    def sample(self, first: int, steps: int) -> Tensor:
        """One sample."""
        scheduler = generative_schedulers.DDIMScheduler(
            TRAIN_TIMESTEPS, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195, clip_sample=False
        )
        scheduler.set_timesteps(steps)
        made: Tensor = self._inferer.sample(
            input_noise=self._case.noise(range(first, first + 1)),
            autoencoder_model=self._autoencoder,
            diffusion_model=self._taught_unet.eval(),
            scheduler=scheduler,
            verbose=False,
        )
        return made


class OurTraining:
    """Our training of one option."""

    def __init__(self, case: Case, option: Option) -> None:
        workload = option.workload(case.model)
        runtime = prepare_runtime(workload)
        self.unet, _ = case.networks(taught=False)
        self._training = DiffusionTraining(self.unet, case.latents, case.scaling, workload, runtime)
        if workload.compile:
            compile_network(self.unet, runtime.device)
        self._step = 0

    def train_step(self) -> float:
        loss = self._training.train_step(self._step)
        self._step += 1
        return loss


class OurSynthesis:
    """Our making of samples of one option."""

    def __init__(self, case: Case, option: Option) -> None:
        self._case, self._workload = case, option.workload(case.model)
        self._runtime = prepare_runtime(self._workload)
        unet, autoencoder = case.networks(taught=True)
        self._unet, self._autoencoder = self._runtime.place(unet.eval()), self._runtime.place(autoencoder)
        if self._workload.compile:
            compile_network(self._unet, self._runtime.device)
        if packs_convolutions(self._workload.precision, self._runtime.device):
            pack_convolutions(self._autoencoder)
            if not self._workload.compile:
                pack_convolutions(self._unet)

    @torch.inference_mode()
    def sample(self, first: int, steps: int) -> Tensor:
        """One batch of samples."""
        indices = range(first, first + self._workload.batch_size)
        denoising = Denoising(self._case.noise(indices), "ddim", steps, self._workload.backend, 0, list(indices))
        while not denoising.finished:
            denoising.advance(self._predict)
        with self._runtime.autocast():
            restored = self._runtime.arrange(self._case.scaling.restore(denoising.latents))
            made: Tensor = self._autoencoder.decode_stage_2_outputs(restored)  # type: ignore[operator]  # not in nn.Module
        return made.float()

    def _predict(self, latents: Tensor, levels: Tensor) -> Tensor:
        with self._runtime.autocast():
            predicted: Tensor = self._unet(self._runtime.arrange(latents), timesteps=levels)
        return predicted


class TheirProcess:
    """The MONAI loop where nothing of ours has touched the process. Ends with this one."""

    def __init__(self, case: Case) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        context.Process(target=_serve_their_loop, args=(other, case), daemon=True).start()

    def cpu_seconds(self, method: Literal["train_step", "sample"], *arguments: int) -> float:
        self._pipe.send((method, arguments))
        seconds: float = self._pipe.recv()
        return seconds


def _serve_their_loop(pipe: Connection, case: Case) -> None:
    torch.set_num_threads(1)
    loop = MonaiLoop(case)
    with suppress(EOFError):  # nobody asks any more
        while True:
            method, arguments = pipe.recv()
            pipe.send(cpu_seconds(partial(getattr(loop, method), *arguments)))


def cpu_seconds(run: Callable[[], object]) -> float:
    gc.collect()  # what the turn before has left is not this one's
    started = time.process_time()
    run()
    return time.process_time() - started


def judged_loss(unet: nn.Module, case: Case) -> float:
    """What a trained UNet is worth: its validation loss, in float32, on patients it has never seen."""
    judge, autoencoder = case.networks(taught=False)
    judge.load_state_dict(unet.state_dict())
    workload = Option("judging").workload(case.model)
    unseen = phantoms(case.model, range(IMAGES, IMAGES + UNSEEN_IMAGES))
    return validation_loss(judge.eval(), autoencoder, unseen, case.scaling, workload, prepare_runtime(workload), lambda: None)


def phantoms(model: ModelSpec, patients: range) -> Images:
    return np.stack([(phantom(0, patient, model.image_shape).clip(-1000, 1000) / 1000)[np.newaxis] for patient in patients])
