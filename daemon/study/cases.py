"""A run of the study and what it costs on one kind of hardware, by equation 1 of the paper.

CO2e = P x t x N x PUE x CI = machine energy x PUE x CI
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daemon.study import paper
from daemon.study.paper import Phase
from jobs.energy.configuration import Configuration
from jobs.energy.model import EnergyModel
from jobs.energy.prediction import OriginKind
from jobs.spec import ModelSpec, Precision, Size

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Case:
    """One run: `repeats` iterations or samples on each of `gpus` devices, `batch_size` images per device at a time."""

    phase: Phase
    image_shape: tuple[int, ...]
    size: Size = "large"
    repeats: int = 0  # 0: as many as the paper's run has
    inference_steps: int = paper.INFERENCE_STEPS
    batch_size: int = 1
    gpus: int = 1
    precision: Precision = "float32"

    @property
    def count(self) -> int:
        return self.repeats or paper.repeats(self.phase)

    @property
    def image(self) -> str:
        """`256 x 256 x 192`"""
        return image_text(self.image_shape)

    @property
    def model(self) -> ModelSpec:
        dimensions: Literal[2, 3] = 2 if len(self.image_shape) == 2 else 3
        return ModelSpec(dimensions=dimensions, size=self.size, image_shape=self.image_shape)

    def configuration(self) -> Configuration:
        """Training is the UNet's step on latents: like the paper, the study leaves the pre-trained VQ-GAN out."""
        if self.phase == "training":
            return Configuration("train", self.model, self.batch_size, self.precision)
        return Configuration("synthesis", self.model, self.batch_size, self.precision, evaluations=self.inference_steps)


@dataclass(frozen=True, slots=True)
class Emission:
    """What a case costs. `sd` values scale the deviation of one step or sample by their number, as the paper's do.

    Energies are of the machine's components, without PUE; `is_measured` tells a deviation seen in measured steps from the
    energy model's own uncertainty.
    """

    phase: Phase
    image: str
    size: str
    count: int
    machine_kwh: float
    machine_sd_kwh: float
    hours: float
    is_measured: bool

    def kg(self, g_per_kwh: float = paper.EU27) -> float:
        return self.machine_kwh * paper.PUE * g_per_kwh / 1000

    def sd_kg(self, g_per_kwh: float = paper.EU27) -> float:
        return self.machine_sd_kwh * paper.PUE * g_per_kwh / 1000


def emission_of(case: Case, model: EnergyModel) -> Emission:
    """The case on the model's hardware. Raises IncompleteProfile where the profile says nothing of such work."""
    step = model.cost(case.configuration())
    kwh = step.joules * case.count * case.gpus / JOULES_PER_KWH
    return Emission(
        phase=case.phase,
        image=case.image,
        size=case.size,
        count=case.count,
        machine_kwh=kwh,
        machine_sd_kwh=kwh * step.sigma,
        hours=step.seconds * case.count / 3600,
        is_measured=step.kind is OriginKind.MEASURED,
    )


def image_text(image_shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, image_shape))
