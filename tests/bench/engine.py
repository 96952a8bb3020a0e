"""The work our engine saves: `python -m tests.bench.engine [--case 2d|3d ...] [--repeats 10] [--compile]`.

Side by side on this machine, one thread: the straightforward loop of the MONAI tutorials (LatentDiffusionInferer encodes the
image at every step, batch 1, float32, torch's default Adam; `inferer.sample` draws one sample at a time) and ours, one change
after the other. First the losses of both are compared on the same images, noise and levels: where the maths is equal, so
are the curves. Their loop is timed in a process of its own, as ours changes how its process treats memory. CPU time, so that
it repeats on a busy machine, in turns, so that a disturbance meets all; joules by the CPU power model of the bundled profile
`generic-cpu`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
import torch
from generative.inferers import LatentDiffusionInferer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from jobs.architecture import architecture_of
from jobs.energy.hardware import bundled_profiles
from jobs.ldm.autoencoder import encode
from jobs.ldm.compiling import compile_network
from jobs.ldm.diffusion import DiffusionTraining, LatentScaling
from jobs.ldm.networks import build_all
from jobs.ldm.randomness import batch_indices, generator, normal
from jobs.ldm.runtime import Runtime, prepare_runtime
from jobs.ldm.samplers import Denoising
from jobs.lean_monai import generative_schedulers
from jobs.spec import TRAIN_TIMESTEPS, DataSpec, ModelSpec, PhantomData, TrainingWorkload

CASES = {
    "2d": ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64)),
    "3d": ModelSpec(dimensions=3, size="tiny", image_shape=(32, 32, 32)),
}
IMAGES = 8
BATCH = 4
EPOCHS = 100  # over which our one encoding of each image is shared out; the paper trains 1,250
SAMPLING_STEPS = 10  # each costs the same
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Variant:
    """`measure` makes or trains on `images` images and tells the CPU seconds."""

    name: str
    images: int
    measure: Callable[[], float]
    surcharge_seconds: float = 0.0  # CPU time per image that was spent before


def workload(model: ModelSpec, batch_size: int, **changes: Any) -> TrainingWorkload:
    data = DataSpec(phantom=PhantomData(patients=1))
    return TrainingWorkload(kind="training", model=model, data=data, iterations=1, batch_size=batch_size, **changes)


def networks(model: ModelSpec) -> tuple[nn.Module, nn.Module]:
    unet, autoencoder, _ = build_all(architecture_of(model), "monai-generative", 0)
    return unet, autoencoder.eval().requires_grad_(False)


class MonaiLoop:
    """Training as the libraries' tutorials write it, fed with our images, noise and levels."""

    def __init__(self, model: ModelSpec, images: Images) -> None:
        self._images = images
        self._latent_shape = (1, model.latent_channels, *model.latent_shape)
        self._unet, self._autoencoder = networks(model)
        scheduler = generative_schedulers.DDPMScheduler(TRAIN_TIMESTEPS, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195)
        self._inferer = LatentDiffusionInferer(scheduler, scale_factor=1.0)
        self._optimiser = torch.optim.Adam(self._unet.parameters(), lr=1e-3)
        self._step = 0

    def train_step(self) -> float:
        step = self._step
        images = torch.from_numpy(self._images[batch_indices(len(self._images), 1, 0, "diffusion", step)])
        noise = normal(self._latent_shape, 0, "noise", step)
        levels = torch.randint(0, TRAIN_TIMESTEPS, (1,), generator=generator(0, "levels", step))
        self._optimiser.zero_grad(set_to_none=True)
        predicted = self._inferer(
            inputs=images, autoencoder_model=self._autoencoder, diffusion_model=self._unet, noise=noise, timesteps=levels
        )
        loss = torch.nn.functional.l1_loss(predicted, noise)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._step += 1
        return loss.item()

    def sample(self) -> Tensor:
        scheduler = generative_schedulers.DDIMScheduler(
            TRAIN_TIMESTEPS, schedule="scaled_linear_beta", beta_start=0.0015, beta_end=0.0195, clip_sample=False
        )
        scheduler.set_timesteps(SAMPLING_STEPS)
        noise = torch.randn(self._latent_shape)
        made: Tensor = self._inferer.sample(
            input_noise=noise,
            autoencoder_model=self._autoencoder,
            diffusion_model=self._unet,
            scheduler=scheduler,
            verbose=False,
        )
        return made


class TheirProcess:
    """The MONAI loop where nothing of ours has touched the process. Ends with this one."""

    def __init__(self, model: ModelSpec, images: Images) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        context.Process(target=_serve_their_loop, args=(other, model, images), daemon=True).start()

    def cpu_seconds(self, method: Literal["train_step", "sample"]) -> float:
        self._pipe.send(method)
        seconds: float = self._pipe.recv()
        return seconds


def _serve_their_loop(pipe: Connection, model: ModelSpec, images: Images) -> None:
    torch.set_num_threads(1)
    loop = MonaiLoop(model, images)
    with suppress(EOFError):  # nobody asks any more
        while True:
            pipe.send(cpu_seconds(getattr(loop, pipe.recv())))


class OurLoop:
    """Our training and sampling of one setting."""

    def __init__(self, model: ModelSpec, latents: Images, batch_size: int, compiled: bool = False, **changes: Any) -> None:
        self._workload = workload(model, batch_size, compile=compiled, **changes)
        self._runtime: Runtime = prepare_runtime(self._workload)
        unet, autoencoder = networks(model)
        self._autoencoder: Any = self._runtime.place(autoencoder)
        scaling = LatentScaling((0.0,) * model.latent_channels, 1.0)  # as in the other loop
        self._training = DiffusionTraining(unet, latents, scaling, self._workload, self._runtime)
        if compiled:
            compile_network(unet, self._runtime.device)
        self._step = 0

    def train_step(self) -> float:
        loss = self._training.train_step(self._step)
        self._step += 1
        return loss

    @torch.inference_mode()
    def sample(self) -> Tensor:
        model, size = self._workload.model, self._workload.batch_size
        noise = torch.randn(size, model.latent_channels, *model.latent_shape)
        denoising = Denoising(noise, "ddim", SAMPLING_STEPS, self._workload.backend, 0, list(range(size)))
        while not denoising.finished:
            denoising.advance(self._predict)
        with self._runtime.autocast():
            made: Tensor = self._autoencoder.decode_stage_2_outputs(self._runtime.arrange(denoising.latents))
        return made

    def _predict(self, latents: Tensor, levels: Tensor) -> Tensor:
        with self._runtime.autocast():
            predicted: Tensor = self._training.unet(self._runtime.arrange(latents), timesteps=levels)
        return predicted


def cpu_seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def medians(variants: list[Variant], repeats: int) -> list[float]:
    """CPU seconds per image of each variant: the median over the turns, after one to warm up."""
    for variant in variants:
        variant.measure()
    turns = [[variant.measure() / variant.images for variant in variants] for _ in range(repeats)]
    columns = zip(*turns, strict=True)
    return [statistics.median(column) + variant.surcharge_seconds for column, variant in zip(columns, variants, strict=True)]


def greatest_difference(theirs: MonaiLoop, ours: OurLoop, steps: int = 10) -> float:
    """Between the two loss curves, relative."""
    curves = [(theirs.train_step(), ours.train_step()) for _ in range(steps)]
    return max(abs(a - b) / a for a, b in curves)


def compare(name: str, model: ModelSpec, repeats: int, compiled: bool, console: Console) -> None:
    images = np.random.default_rng(0).standard_normal((IMAGES, 1, *model.image_shape), dtype=np.float32).clip(-1, 1)
    runtime = prepare_runtime(workload(model, 1))
    autoencoder = networks(model)[1]
    encoding_seconds = cpu_seconds(lambda: [encode(autoencoder, image, runtime) for image in images]) / IMAGES
    latents = np.stack([encode(autoencoder, image, runtime) for image in images])
    console.print(f"[bold]{name}[/]: loss curves differ by {greatest_difference(MonaiLoop(model, images), OurLoop(model, latents, 1)):.1e}")
    theirs = TheirProcess(model, images)
    settings: dict[str, dict[str, Any]] = {
        f"+ batch {BATCH}": {},
        f"+ batch {BATCH}, channels-last": {"channels_last": True},
        f"+ batch {BATCH}, bfloat16": {"precision": "bfloat16"},
    }
    if compiled:
        settings[f"+ batch {BATCH}, compiled"] = {"compiled": True}
    ours = {"ours: latents encoded once, batch 1": OurLoop(model, latents, 1)}
    ours |= {label: OurLoop(model, latents, BATCH, **changes) for label, changes in settings.items()}
    training = [Variant("MONAI loop: encodes every step, batch 1", 1, partial(theirs.cpu_seconds, "train_step"))]
    sampling = [Variant(f"MONAI loop: one sample at a time, {SAMPLING_STEPS} DDIM steps", 1, partial(theirs.cpu_seconds, "sample"))]
    for label, loop in ours.items():
        size = 1 if "batch 1" in label else BATCH
        training.append(Variant(label, size, partial(cpu_seconds, loop.train_step), encoding_seconds / EPOCHS))
        sampling.append(Variant(label.replace("latents encoded once, ", ""), size, partial(cpu_seconds, loop.sample)))
    show(f"{name}: training, per image and step", training, medians(training, repeats), console)
    show(f"{name}: synthesis, per sample", sampling, medians(sampling, max(2, repeats // 3)), console)


def show(title: str, variants: list[Variant], seconds: list[float], console: Console) -> None:
    watts = bundled_profiles()["generic-cpu"].busy_watts(1)
    table = Table("engine", "CPU ms", "J", "ours / theirs", title=title)
    for variant, spent in zip(variants, seconds, strict=True):
        table.add_row(variant.name, f"{1000 * spent:.1f}", f"{spent * watts:.3f}", f"{spent / seconds[0]:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="2d (64 x 64), 3d (32 x 32 x 32); default: both")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too: takes minutes to compile")
    arguments = parser.parse_args()
    console = Console(width=110)
    for case in arguments.case or CASES:
        compare(case, CASES[case], arguments.repeats, arguments.compile, console)


if __name__ == "__main__":
    main()
