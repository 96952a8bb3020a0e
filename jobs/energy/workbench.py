"""The product's own steps, one at a time on random data, for measuring what they cost. Imports torch: node only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jobs.architecture import architecture_of
from jobs.energy.configuration import Configuration
from jobs.energy.flops import Operation
from jobs.ldm.autoencoder import AutoencoderTraining, encode
from jobs.ldm.compiling import compile_network
from jobs.ldm.diffusion import DiffusionTraining, scaling_of
from jobs.ldm.networks import Backend, build_autoencoder, build_discriminator, build_unet
from jobs.ldm.packing import pack_convolutions, packs_convolutions
from jobs.ldm.runtime import Runtime, prepare_runtime
from jobs.ldm.samplers import Denoising
from jobs.spec import TRAIN_TIMESTEPS, DataSpec, PhantomData, TrainingWorkload

Step = Callable[[], object]


class Workbench:
    """Networks and data of one configuration. `step` does once what the configuration names, as the node would do it.

    Building it may raise MemoryError or torch.OutOfMemoryError, and so may each step.
    """

    def __init__(self, configuration: Configuration, backend: Backend | None = None) -> None:
        """`backend`: by default monai-generative, or the one that has what the configuration asks for."""
        backend = backend or ("monai" if "flash-attention" in configuration.options else "monai-generative")
        if configuration.work == "synthesis":
            raise ValueError("synthesis is no single step: measure 'denoise' and 'decode'")
        self._configuration = configuration
        self._backend: Backend = backend
        self._workload = TrainingWorkload(
            kind="training",
            model=configuration.model,
            data=DataSpec(phantom=PhantomData(patients=1)),
            iterations=1,
            batch_size=configuration.batch_size,
            precision=configuration.precision,
            threads=configuration.threads,
            backend=backend,
            gradient_checkpointing="gradient-checkpointing" in configuration.options,
            channels_last="channels-last" in configuration.options,
            compile="compile" in configuration.options,
            tf32="tf32" in configuration.options,
            flash_attention="flash-attention" in configuration.options,
        )
        self._runtime: Runtime = prepare_runtime(self._workload)
        self._draw = np.random.default_rng(0)
        self.step: Step = self._build(configuration.work)

    @property
    def device(self) -> torch.device:
        return self._runtime.device

    def finish(self) -> None:
        """Wait until the device has done all it was given; CPUs always have."""
        if self._runtime.device.type == "cuda":
            torch.cuda.synchronize(self._runtime.device)

    def _build(self, work: Operation) -> Step:
        builders: dict[Operation, Callable[[], Step]] = {
            "train": self._training,
            "vqgan": self._adversarial_training,
            "denoise": self._denoising,
            "encode": self._encoding,
            "decode": self._decoding,
        }
        return builders[work]()

    def _training(self) -> Step:
        latents = self._random(self._workload.model.latent_channels, self._workload.model.latent_shape)
        training = DiffusionTraining(self._unet(), latents, scaling_of(latents), self._workload, self._runtime)
        return lambda: training.train_step(0)

    def _adversarial_training(self) -> Step:
        networks = architecture_of(self._workload.model)
        discriminator = build_discriminator(networks.discriminator, self._backend)
        training = AutoencoderTraining(self._autoencoder(), discriminator, self._images(), self._workload, self._runtime)
        return lambda: training.train_step(0)

    def _denoising(self) -> Step:
        unet = self._evaluated(self._unet(), packs=not self._workload.compile)
        noise = self._latents()
        indices = list(range(len(noise)))

        def predict(latents: Tensor, levels: Tensor) -> Tensor:
            with self._runtime.autocast():
                predicted: Tensor = unet(self._runtime.arrange(latents), timesteps=levels)
            return predicted

        def begin() -> Denoising:
            return Denoising(noise, "ddim", TRAIN_TIMESTEPS, self._backend, 0, indices)

        under_way = [begin()]

        def step() -> None:
            if under_way[0].finished:
                under_way[0] = begin()
            with torch.inference_mode():
                under_way[0].advance(predict)

        return step

    def _encoding(self) -> Step:
        autoencoder, images = self._evaluated(self._autoencoder()), self._images()
        return lambda: [encode(autoencoder, image, self._runtime) for image in images]

    def _decoding(self) -> Step:
        autoencoder: Any = self._evaluated(self._autoencoder())
        latents = self._latents()

        def step() -> Tensor:
            with torch.inference_mode(), self._runtime.autocast():
                images: Tensor = autoencoder.decode_stage_2_outputs(latents)
            return images.float().cpu()

        return step

    def _evaluated(self, network: nn.Module, packs: bool = True) -> nn.Module:
        network = self._runtime.place(network).eval()
        if packs and packs_convolutions(self._workload.precision, self._runtime.device):
            pack_convolutions(network)
        return network

    def _unet(self) -> nn.Module:
        unet = build_unet(architecture_of(self._workload.model).unet, self._backend, self._workload.flash_attention)
        if self._workload.compile:
            compile_network(unet, self._runtime.device)
        return unet

    def _autoencoder(self) -> nn.Module:
        return build_autoencoder(architecture_of(self._workload.model).autoencoder, self._backend)

    def _latents(self) -> Tensor:
        model = self._workload.model
        return self._runtime.arrange(torch.from_numpy(self._random(model.latent_channels, model.latent_shape)))

    def _images(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._random(1, self._workload.model.image_shape)

    def _random(self, channels: int, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._draw.standard_normal((self._workload.batch_size, channels, *shape), dtype=np.float32)
