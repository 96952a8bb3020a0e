"""What a measured or predicted cost is about: one kind of work on one network at one batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.energy.flops import Operation
from jobs.spec import ModelSpec, Precision, Sampler, SynthesisWorkload, TrainingWorkload

# An operation, or a whole synthesised sample: all denoise steps of it, its decoding and its writing.
Work = Operation | Literal["synthesis"]

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

    def __str__(self) -> str:
        model = self.model
        shape = "x".join(map(str, model.image_shape))
        steps = f" {self.evaluations} evaluations" if self.evaluations else ""
        return (
            f"{self.work}{steps}, {model.dimensions}D {model.size} {shape} f{model.latent_downsampling}, "
            f"batch {self.batch_size}, {self.precision}, {self.threads} threads"
        )


def training_configuration(workload: TrainingWorkload, work: Literal["train", "vqgan"]) -> Configuration:
    return Configuration(work, workload.model, workload.batch_size, workload.precision, workload.threads)


def synthesis_configuration(workload: SynthesisWorkload) -> Configuration:
    evaluations = network_evaluations(workload.sampler, workload.inference_steps)
    return Configuration("synthesis", workload.model, workload.batch_size, workload.precision, workload.threads, evaluations)


def network_evaluations(sampler: Sampler, inference_steps: int) -> int:
    """How often a sample passes the UNet."""
    return inference_steps + (_PNDM_EXTRA_EVALUATIONS if sampler == "pndm" else 0)
