"""What a finished run showed: seconds and joules per step of each part of its work, from the records it left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from jobs.data.amounts import ImageCounts
from jobs.energy.configuration import Configuration, encoding_configuration, synthesis_configuration, training_configuration
from jobs.energy.size import checkpoint_gb, image_gb
from jobs.rundir import EnergyRecord, Phase, ProgressRecord
from jobs.spec import DataSpec, RunSpec, StrictModel, TrainingWorkload

# Fewer steps than this say more about the first step's warm-up than about the configuration.
_FEWEST_STEPS = 3


class CheckpointsSeen(StrictModel):
    """The checkpoints written during one part of a run, `gigabytes` each; `joules` None where a meter missed some."""

    count: int = Field(ge=1)
    gigabytes: float = Field(gt=0)
    seconds: float = Field(gt=0)
    joules: float | None = Field(default=None, gt=0)


class DataSeen(StrictModel):
    """How many images the data turned out to be, and what preparing them took; None where that is not known."""

    data: DataSpec
    gigabytes: float = Field(gt=0, description="of one image as the networks see it")
    training: int = Field(ge=1)
    validation: int = Field(ge=0)
    seconds: float | None = Field(default=None, gt=0)
    joules: float | None = Field(default=None, gt=0)

    @property
    def images(self) -> int:
        return self.training + self.validation


class RunObservation(StrictModel):
    """One part of one run (VQ-GAN training, UNet training, encoding, or synthesis) on one kind of hardware.

    `seconds` and `joules` are those of the work phase for `steps` steps, without PUE; start-up and data are apart, and None on
    all but the run's first part. A micro-batch runs at full size even if the last one keeps few of its samples: `seconds` and
    `joules` are those of the samples kept. Of processes that train together, `joules` are those of one, and what one does while
    the others wait is left out. The steps of encoding are images.
    """

    hardware: str
    configuration: Configuration
    steps: int = Field(ge=1)
    seconds: float = Field(gt=0)
    joules: float = Field(gt=0)
    startup_seconds: float | None = Field(default=None, gt=0)
    startup_joules: float | None = Field(default=None, gt=0)
    checkpoints: CheckpointsSeen | None = None
    data: DataSeen | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Steps first .. last of a run, all of one configuration."""

    configuration: Configuration
    first: int
    last: int
    checkpoint_gb: float
    padding: float = 1.0  # samples run for each sample kept, where a last micro-batch is filled up


def observe_run(
    spec: RunSpec,
    energy_records: Sequence[EnergyRecord],
    progress: Sequence[ProgressRecord],
    hardware: str,
    images: ImageCounts | None = None,
) -> list[RunObservation]:
    """What the run teaches about that hardware; empty if it taught nothing (no steps, or energy unknown).

    `images`: how many there turned out to be. Attempts are looked at apart, so that a gap between them is nobody's work. Where
    a step lasts longer than a metering interval, the spans between steps are joined until the next step is done.
    """
    observations: list[RunObservation] = []
    startup, data = _startup(energy_records), _data(spec, energy_records, images)
    for part in _parts(spec, progress):
        seconds, joules, steps = 0.0, 0.0, 0
        for attempt in dict.fromkeys(record.attempt_id for record in energy_records):
            span = _span([record for record in energy_records if record.attempt_id == attempt and record.phase == "work"], part)
            seconds, joules, steps = seconds + span[0], joules + span[1], steps + span[2]
        if steps >= _FEWEST_STEPS and seconds > 0 and joules > 0:
            first = startup if not observations else (None, None)
            observations.append(
                RunObservation(
                    hardware=hardware,
                    configuration=part.configuration,
                    steps=steps,
                    seconds=seconds / part.padding,
                    joules=joules / part.padding / spec.processes,
                    startup_seconds=first[0],
                    startup_joules=first[1],
                    checkpoints=_checkpoints(spec, energy_records, part),
                    data=None if observations else data,
                )
            )
    return observations + _encoding(spec, energy_records, hardware, images)


def _phase(spec: RunSpec, records: Sequence[EnergyRecord], phase: Phase) -> tuple[float, float | None]:
    """Seconds and joules of one phase over all attempts; joules None if a meter missed some, or metered processes that waited."""
    own = [record for record in records if record.phase == phase]
    known = spec.processes == 1 and all(record.joules for record in own)
    return sum(record.seconds for record in own), (sum(record.total_joules for record in own) or None) if known else None


def _data(spec: RunSpec, records: Sequence[EnergyRecord], images: ImageCounts | None) -> DataSeen | None:
    """None for a synthesis, and where nobody counted the images."""
    if not isinstance(spec.workload, TrainingWorkload) or images is None:
        return None
    seconds, joules = _phase(spec, records, "preparing")
    return DataSeen(
        data=spec.workload.data,
        gigabytes=image_gb(spec.workload.model),
        training=images.training,
        validation=images.validation,
        seconds=seconds or None,
        joules=joules,
    )


def _encoding(spec: RunSpec, records: Sequence[EnergyRecord], hardware: str, images: ImageCounts | None) -> list[RunObservation]:
    """Encoding is done by one process, image by image; once the UNet's first step is done, it was all of them."""
    workload = spec.workload
    if not isinstance(workload, TrainingWorkload) or images is None or images.training < _FEWEST_STEPS:
        return []
    seconds, joules = _phase(spec, records, "encoding")
    if not seconds or not joules or max(record.step_to for record in records) <= workload.autoencoder_steps:
        return []
    configuration = encoding_configuration(workload)
    return [RunObservation(hardware=hardware, configuration=configuration, steps=images.training, seconds=seconds, joules=joules)]


def _checkpoints(spec: RunSpec, records: Sequence[EnergyRecord], part: _Part) -> CheckpointsSeen | None:
    """Those written in that part; None if there were none."""
    own = [record for record in records if record.phase == "checkpoint" and part.first < record.step_from <= part.last]
    seconds, joules = _phase(spec, own, "checkpoint")
    if seconds <= 0:
        return None
    return CheckpointsSeen(count=_stretches(own), gigabytes=part.checkpoint_gb, seconds=seconds, joules=joules)


def _stretches(records: Sequence[EnergyRecord]) -> int:
    """How many there are where records that follow each other without a gap count as one. Several may begin at one step: a synthesis
    also saves half-made micro-batches."""
    ends = {(record.attempt_id, record.step_from, record.end) for record in records}
    return sum((record.attempt_id, record.step_from, record.start) not in ends for record in records)


def _parts(spec: RunSpec, progress: Sequence[ProgressRecord]) -> list[_Part]:
    workload = spec.workload
    if isinstance(workload, TrainingWorkload):
        boundary = workload.autoencoder_steps
        return [
            _Part(training_configuration(workload, "vqgan", spec.processes), 0, boundary, checkpoint_gb(workload, is_of_autoencoder=True)),
            _Part(training_configuration(workload, "train", spec.processes), boundary, workload.total_steps, checkpoint_gb(workload)),
        ]
    done = max((record.step for record in progress), default=spec.total_steps)
    batches = math.ceil(done / workload.batch_size) if done else 1
    padding = max(1.0, batches * workload.batch_size / max(1, done))
    return [_Part(synthesis_configuration(workload), 0, done, checkpoint_gb(workload), padding)]


def _span(records: Sequence[EnergyRecord], part: _Part) -> tuple[float, float, int]:
    """Seconds, joules and steps of the records that lie wholly in that part; records without joules end nothing and add nothing.

    Records before the first finished step and after the last belong to a step that was not finished: a trailing piece
    without a step is left out.
    """
    seconds = joules = open_seconds = open_joules = 0.0
    steps = 0
    for record in records:
        if record.step_from < part.first or record.step_to > part.last or not record.joules:
            open_seconds = open_joules = 0.0
            continue
        open_seconds += record.seconds
        open_joules += record.total_joules
        if record.step_to > record.step_from:
            seconds, joules, steps = seconds + open_seconds, joules + open_joules, steps + record.step_to - record.step_from
            open_seconds = open_joules = 0.0
    return seconds, joules, steps


def _startup(records: Sequence[EnergyRecord]) -> tuple[float | None, float | None]:
    """Seconds and joules of the first attempt's start-up; None where unknown."""
    if not records:
        return None, None
    first = [record for record in records if record.attempt_id == records[0].attempt_id and record.phase == "startup"]
    seconds = sum(record.seconds for record in first)
    joules = sum(record.total_joules for record in first)
    known = all(record.joules for record in first)
    return seconds or None, (joules or None) if known else None
