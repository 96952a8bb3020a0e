"""What a measured or predicted cost is about: one kind of work on one network at one batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.energy.flops import Operation
from jobs.options import EngineOptions
from jobs.spec import ModelSpec, Precision, Sampler, SynthesisWorkload, TrainingWorkload

# An operation, or a whole synthesised sample: all denoise steps of it, its decoding and its writing.
Work = Operation | Literal["synthesis"]

# What changes a step's cost beside its size. The order is fixed, so that equal sets are equal tuples.
Option = Literal["gradient-checkpointing", "channels-last", "compile", "tf32", "flash-attention"]

_PNDM_EXTRA_EVALUATIONS = 9  # its first steps are Runge-Kutta steps of four evaluations (Liu et al. 2022, arXiv 2202.09778)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Two steps with equal configurations cost the same on equal hardware.

    `evaluations` is how often one sample passes the UNet; 0 for everything but synthesis.
    """

    work: Work
    model: ModelSpec
    batch_size: int = 1
    precision: Precision = "float32"
    threads: int = 1
    evaluations: int = 0
    options: tuple[Option, ...] = ()

    def __str__(self) -> str:
        model = self.model
        shape = "x".join(map(str, model.image_shape))
        steps = f" {self.evaluations} evaluations" if self.evaluations else ""
        return (
            f"{self.work}{steps}, {model.dimensions}D {model.size} {shape} f{model.latent_downsampling}, "
            f"batch {self.batch_size}, {self.precision}, {self.threads} threads{''.join(f', {option}' for option in self.options)}"
        )


def training_configuration(workload: TrainingWorkload, work: Literal["train", "vqgan"], devices: int = 1) -> Configuration:
    """What each of the devices that train together does in a step: its share of the batch."""
    share = math.ceil(workload.global_batch_size(devices) / devices)
    options = _options(workload, workload.gradient_checkpointing)
    return Configuration(work, workload.model, share, workload.precision, workload.threads, options=options)


def encoding_configuration(workload: TrainingWorkload) -> Configuration:
    """What one device does with each image, one at a time."""
    options = _kept(_options(workload, gradient_checkpointing=False), ("channels-last", "tf32"))
    return Configuration("encode", workload.model, 1, workload.precision, workload.threads, options=options)


def validation_configuration(workload: TrainingWorkload) -> Configuration:
    """What one device does with each image held out, and each level of noise."""
    options = _kept(_options(workload, gradient_checkpointing=False), ("channels-last", "tf32", "flash-attention"))
    return Configuration("denoise", workload.model, 1, workload.precision, workload.threads, options=options)


def _kept(options: Sequence[Option], mattering: Sequence[Option]) -> tuple[Option, ...]:
    """Those of the options that matter to other work, too."""
    return tuple(option for option in options if option in mattering)


def synthesis_configuration(workload: SynthesisWorkload) -> Configuration:
    evaluations = network_evaluations(workload.sampler, workload.inference_steps)
    options = _options(workload, gradient_checkpointing=False)
    return Configuration("synthesis", workload.model, workload.batch_size, workload.precision, workload.threads, evaluations, options)


def _options(workload: EngineOptions, gradient_checkpointing: bool) -> tuple[Option, ...]:
    switches: dict[Option, bool] = {
        "gradient-checkpointing": gradient_checkpointing,
        "channels-last": workload.channels_last,
        "compile": workload.compile,
        "tf32": workload.tf32,
        "flash-attention": workload.flash_attention,
    }
    return tuple(option for option, on in switches.items() if on)


def network_evaluations(sampler: Sampler, inference_steps: int) -> int:
    """How often a sample passes the UNet."""
    return inference_steps + (_PNDM_EXTRA_EVALUATIONS if sampler == "pndm" else 0)
