"""Settings of a workload beside what it is about: how noise is added and predicted, and how the machine computes.

Plain data like `jobs.spec`, which is made of it; never imports torch.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["float32", "bfloat16"]
Prediction = Literal["epsilon", "v"]
Backend = Literal["monai-generative", "monai"]
ScheduleKind = Literal["linear", "scaled-linear", "cosine"]

_PINAYA_BETAS = (0.0015, 0.0195)  # Pinaya et al. 2022 (arXiv 2209.07162)
_LARGEST_MEAN_BETA = 0.0138  # leaves a millionth of the signal after 1000 levels; samplers divide by its root, and 0 makes NaN


class StrictModel(BaseModel):
    """Unknown fields, NaN and infinity are errors; values never change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoiseSchedule(StrictModel):
    """How noise grows over the training levels.

    `linear`: beta grows evenly (Ho et al. 2020, arXiv 2006.11239). `scaled-linear`: its root does (Rombach et al. 2022,
    arXiv 2112.10752). `cosine`: the share of signal falls as a squared cosine (Nichol and Dhariwal 2021, arXiv 2102.09672)
    and has no betas to choose.
    """

    kind: ScheduleKind = "scaled-linear"
    beta_start: Annotated[float, Field(gt=0, lt=1)] | None = None
    beta_end: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _betas_fit_the_kind(self) -> Self:
        if self.kind == "cosine" and (self.beta_start, self.beta_end) != (None, None):
            raise ValueError("the cosine schedule has no betas: remove beta_start and beta_end, or choose 'scaled-linear'")
        start, end = self.betas
        if start >= end:
            raise ValueError(f"beta_start {start} must be less than beta_end {end}: noise grows from level to level")
        if self._mean_beta > _LARGEST_MEAN_BETA:
            raise ValueError(
                f"betas from {start} to {end} leave no signal at the last level, from which nothing can be sampled: choose smaller "
                "ones, for example 0.0001 to 0.02 with 'linear'"
            )
        return self

    @property
    def betas(self) -> tuple[float, float]:
        """First and last beta; those of the Pinaya configuration where none are given."""
        start, end = _PINAYA_BETAS
        return start if self.beta_start is None else self.beta_start, end if self.beta_end is None else self.beta_end

    @property
    def _mean_beta(self) -> float:
        """Over all levels; 0 where the kind has no betas to choose."""
        start, end = self.betas
        means = {"linear": (start + end) / 2, "scaled-linear": (start + math.sqrt(start * end) + end) / 3, "cosine": 0.0}
        return means[self.kind]


class EngineOptions(StrictModel):
    """How the machine computes: what changes speed, memory and the last bits, but not what is computed."""

    precision: Precision = "float32"
    threads: int = Field(default=1, ge=1, le=256)
    backend: Backend = "monai-generative"
    channels_last: bool = Field(default=False, description="channels innermost in memory: what some convolution kernels like best")
    compile: bool = Field(default=False, description="compile the UNet with torch.compile; the node needs a C++ compiler, on GPUs Triton")
    tf32: bool = Field(
        default=False, description="NVIDIA GPUs since Ampere round float32 factors to ten bits: faster, and other last bits; not on CPUs"
    )
    flash_attention: bool = Field(default=False, description="attention without its N x N matrix in memory; backend 'monai' only")

    @model_validator(mode="after")
    def _tf32_has_something_to_round(self) -> Self:
        if self.tf32 and self.precision != "float32":
            raise ValueError(f"tf32: precision {self.precision!r} has fewer bits already: ask for one of the two")
        return self

    @model_validator(mode="after")
    def _flash_attention_exists(self) -> Self:
        if self.flash_attention and self.backend != "monai":
            raise ValueError(
                f"flash_attention: backend {self.backend!r} has none without a package of its own: ask for backend 'monai' or leave it out"
            )
        return self
