"""What to run: the workload of a job, and the spec file a node gets. No time and no place.

A job is data, never a command to execute. Unknown fields are errors. This module never imports torch.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from jobs.options import EngineOptions as EngineOptions
from jobs.options import NoiseSchedule as NoiseSchedule
from jobs.options import Precision as Precision
from jobs.options import Prediction as Prediction
from jobs.options import StrictModel as StrictModel

Size = Literal["tiny", "small", "medium", "large"]
Sampler = Literal["ddim", "pndm", "ddpm"]
DataClass = Literal["patient-data", "public"]

CHECKPOINT_EVERY_SECONDS = 30.0  # unless a run's spec says otherwise
CHECKPOINTS_SHARE_OF_TIME = 0.05  # at most: gigabytes take as long to write as the pause between them, so the pause grows with them
TRAIN_TIMESTEPS = 1000  # length of the noise schedule; DDPM is only right at its full length
LONGEST_PATH_BYTES = 4096  # Linux's PATH_MAX; every tick reads the requests of all jobs in the queue
FEWEST_PNDM_STEPS = 5  # four Runge-Kutta steps start its multistep method; with no step after them samples stay noisy

# Levels of the diffusion UNet per size; each level after the first halves the latent side.
# tiny: CPU demos and tests. small, medium, large: the set that fits the paper's ratios (Latent Pollution Model,
# Fig. 2); large is the Pinaya configuration the paper names as its base.
UNET_CHANNELS: dict[Size, tuple[int, ...]] = {
    "tiny": (32, 64),
    "small": (192, 384, 576),
    "medium": (224, 448, 672),
    "large": (256, 512, 768),
}


class ModelSpec(StrictModel):
    """An LDM: a VQ-GAN that compresses images `latent_downsampling` times a side, and a diffusion UNet on its latents."""

    dimensions: Literal[2, 3]
    size: Size
    image_shape: tuple[Annotated[int, Field(ge=8, le=1024)], ...] = Field(description="voxels per side, one number per dimension")
    latent_downsampling: Literal[4, 8] = 4

    @model_validator(mode="after")
    def _sides_divide(self) -> Self:
        if len(self.image_shape) != self.dimensions:
            raise ValueError(
                f"image_shape has {len(self.image_shape)} sides, but dimensions is {self.dimensions}: give {self.dimensions} numbers"
            )
        multiple = self.latent_downsampling * 2 ** (len(UNET_CHANNELS[self.size]) - 1)
        for side in self.image_shape:
            if side % multiple:
                nearest = max(multiple, round(side / multiple) * multiple)
                raise ValueError(
                    f"image_shape: side {side} must be divisible by {multiple} "
                    f"(latent_downsampling {self.latent_downsampling} x {multiple // self.latent_downsampling} for the levels of size "
                    f"{self.size!r}); the nearest that works is {nearest}"
                )
        return self

    @property
    def latent_channels(self) -> int:
        return 3 if self.dimensions == 2 else 8

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return tuple(side // self.latent_downsampling for side in self.image_shape)

    @property
    def voxels(self) -> int:
        return math.prod(self.image_shape)


def _relative_or_absolute_path(value: str) -> str:
    """A path that names one place: printable, without `..`, not empty. Where it may point is checked at the site."""
    if not value or not value.isprintable() or ".." in value.split("/"):
        raise ValueError("must be a plain path without '..' and control characters: name the folder or file itself")
    if len(value.encode()) > LONGEST_PATH_BYTES:
        raise ValueError(f"is longer than any path can be ({LONGEST_PATH_BYTES:,} bytes): name the folder or file itself")
    return value


PlainPath = Annotated[str, AfterValidator(_relative_or_absolute_path)]


class PhantomData(StrictModel):
    """Seeded synthetic patients, made on the node; always public."""

    patients: int = Field(ge=1, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**31)


class DataSpec(StrictModel):
    """Where training images come from: a folder or manifest of NIfTI / DICOM / PNG, or built-in phantoms."""

    path: PlainPath | None = None
    phantom: PhantomData | None = None
    validation_share: float | None = Field(
        default=None, gt=0, lt=1, description="of the patients: held out of training, to measure the loss on images never seen"
    )
    data_class: DataClass | None = Field(default=None, alias="class")

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.path is None) == (self.phantom is None):
            raise ValueError("data needs exactly one of 'path' and 'phantom'")
        if self.phantom is not None and self.data_class == "patient-data":
            raise ValueError("phantom data is made up and always 'public': remove \"class\"")
        return self

    @property
    def effective_class(self) -> DataClass:
        """Patient data unless declared public or made up: what is unsure stays home."""
        if self.phantom is not None:
            return "public"
        return self.data_class or "patient-data"


class TrainingWorkload(EngineOptions):
    """VQ-GAN training, then diffusion-UNet training on its latents (encoded once)."""

    kind: Literal["training"]
    model: ModelSpec
    data: DataSpec
    iterations: int = Field(ge=1, le=100_000_000, description="optimiser steps of the diffusion UNet")
    autoencoder_iterations: int | None = Field(
        default=None, ge=1, le=100_000_000, description="optimiser steps of the VQ-GAN; default: iterations / 4, at least 1"
    )
    batch_size: int = Field(default=1, ge=1, le=4096)
    batch_size_per: Literal["run", "device"] = Field(
        default="run", description="whether several devices share each batch, or have one of batch_size each"
    )
    seed: int = Field(default=0, ge=0, lt=2**31)
    noise_schedule: NoiseSchedule = NoiseSchedule()
    prediction: Prediction = Field(default="epsilon", description="what the UNet learns: the noise, or the velocity v")
    ema_decay: float | None = Field(default=None, gt=0, lt=1, description="samples use a moving average of the UNet's weights")
    gradient_checkpointing: bool = Field(default=False, description="keep fewer activations and compute them twice: less memory, more work")

    @model_validator(mode="after")
    def _cosine_needs_v(self) -> Self:
        if self.noise_schedule.kind == "cosine" and self.prediction == "epsilon":
            raise ValueError(
                "prediction: the cosine schedule ends in pure noise, from which predicted noise tells nothing of the image: "
                "use prediction 'v', or the schedule 'scaled-linear'"
            )
        return self

    def sharing_error(self, devices: int) -> str | None:
        """Why that many devices cannot train this together; None if they can."""
        if self.global_batch_size(devices) % devices == 0:
            return None
        return (
            f"batch_size {self.batch_size} cannot be shared equally by {devices} devices: make it a multiple of {devices}, "
            "or give batch_size_per 'device'"
        )

    def global_batch_size(self, processes: int) -> int:
        """Images in one optimiser step of that many processes, one for each device."""
        return self.batch_size * (processes if self.batch_size_per == "device" else 1)

    @property
    def autoencoder_steps(self) -> int:
        return self.autoencoder_iterations or max(1, self.iterations // 4)

    @property
    def total_steps(self) -> int:
        """VQ-GAN steps, then UNet steps: what `progress.jsonl` counts."""
        return self.autoencoder_steps + self.iterations


class WeightsSpec(StrictModel):
    """Trained weights: those of a training job here, or a `weights.pt` at a path on the site."""

    job: str | None = Field(default=None, max_length=64)
    path: PlainPath | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.job is None) == (self.path is None):
            raise ValueError("weights needs exactly one of 'job' and 'path'")
        return self


class SynthesisWorkload(EngineOptions):
    """Samples 0 .. samples-1, each made exactly once, identical wherever it is made on an equal fingerprint."""

    kind: Literal["synthesis"]
    model: ModelSpec
    weights: WeightsSpec
    samples: int = Field(ge=1, le=100_000_000)
    inference_steps: int = Field(default=200, ge=1, le=TRAIN_TIMESTEPS)
    sampler: Sampler = "ddim"
    batch_size: int = Field(default=1, ge=1, le=4096)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _ddpm_only_in_full(self) -> Self:
        if self.sampler == "ddpm" and self.inference_steps != TRAIN_TIMESTEPS:
            raise ValueError(
                f"inference_steps: the DDPM sampler is only right at its full {TRAIN_TIMESTEPS} steps, and {self.inference_steps} "
                "would give near-noise: use sampler 'ddim' (or 'pndm') for fewer steps"
            )
        return self

    @model_validator(mode="after")
    def _pndm_needs_its_start(self) -> Self:
        if self.sampler == "pndm" and self.inference_steps < FEWEST_PNDM_STEPS:
            raise ValueError(
                f"inference_steps: the PNDM sampler needs at least {FEWEST_PNDM_STEPS} steps, got {self.inference_steps}: "
                "use 'ddim' for fewer"
            )
        return self

    @property
    def total_steps(self) -> int:
        """What `progress.jsonl` counts for synthesis: samples."""
        return self.samples


Workload = Annotated[TrainingWorkload | SynthesisWorkload, Field(discriminator="kind")]


class SampleRange(StrictModel):
    """Samples first .. first+count-1. `first` is a multiple of the batch size, so is `count` unless the range ends the job."""

    first: int = Field(ge=0)
    count: int = Field(ge=1)

    @property
    def stop(self) -> int:
        return self.first + self.count


class MeteringSpec(StrictModel):
    """How the node meters energy. `auto`: counters where they exist (NVML, RAPL), else the CPU power model, never silence."""

    meter: Literal["auto", "counters", "cpu-model", "simulated"] = "auto"
    interval_seconds: float = Field(default=1.0, gt=0, le=600)
    cpu_tdp_watts: float = Field(default=65.0, gt=0, description="of the whole host's CPUs, all sockets")
    cpu_idle_watts: float = Field(default=10.0, ge=0)
    host_share: float = Field(
        default=1.0, gt=0, le=1, description="share of the host's reserved devices that is this run's: its share of idle power"
    )
    simulated_watts: float = Field(default=0.0, ge=0)


class RunSpec(StrictModel):
    """`spec.json`: everything a node needs to know. Paths are already local to the node."""

    format: Literal[1] = 1
    job_id: str
    run_id: str
    workload: Workload
    samples: SampleRange | None = None
    weights_path: str | None = None
    data_path: str | None = None
    processes: int = Field(default=1, ge=1, le=1024, description="that train together, one for each device; synthesis has one")
    checkpoint_every_seconds: float = Field(default=CHECKPOINT_EVERY_SECONDS, gt=0)
    metering: MeteringSpec = MeteringSpec()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if isinstance(self.workload, SynthesisWorkload) and (self.samples is None or self.weights_path is None):
            raise ValueError("a synthesis run needs 'samples' and 'weights_path'")
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Self:
        if isinstance(self.workload, SynthesisWorkload):
            if self.processes > 1:
                raise ValueError("processes: a synthesis run has one process: give its samples to several runs instead")
        elif (error := self.workload.sharing_error(self.processes)) is not None:
            raise ValueError(error)
        return self

    @property
    def total_steps(self) -> int:
        return self.samples.count if self.samples is not None else self.workload.total_steps
