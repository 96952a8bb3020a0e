"""The energy model: what a workload will cost on one kind of hardware, in joules and seconds, with an 80 % interval.

It stands on the submit path, so it never imports torch and answers in microseconds once it has seen a configuration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from jobs.data.amounts import VALIDATION_LEVELS, ImageCounts, image_counts
from jobs.energy.configuration import (
    Configuration,
    encoding_configuration,
    synthesis_configuration,
    training_configuration,
    validation_configuration,
)
from jobs.energy.estimate import Band, Estimate, Part, PartName, add_up
from jobs.energy.hardware import HardwareProfile
from jobs.energy.learning import Lessons
from jobs.energy.observation import RunObservation
from jobs.energy.overheads import Overheads, checkpoints_while
from jobs.energy.prediction import OriginKind, StepCost, StepPredictor
from jobs.energy.size import checkpoint_gb
from jobs.spec import Precision, SynthesisWorkload, TrainingWorkload

__all__ = ["Band", "EnergyModel", "Estimate", "OriginKind", "Part", "RunObservation"]

_STARTUP_SIGMA = 0.3  # start-up depends on disks and caches more than on anything we know

_Parts = dict[PartName, StepCost]


class EnergyModel:
    """Estimates for one kind of hardware, from its profile and the runs that finished on it."""

    def __init__(self, profile: HardwareProfile, observations: Sequence[RunObservation] = (), hardware: str | None = None) -> None:
        """`hardware` is the site's key if the profile is a similar device's. Observations of other hardware are left out."""
        self.hardware = hardware or profile.key
        self._profile = profile
        self._overheads = Overheads(profile)
        own = [observation for observation in observations if observation.hardware == self.hardware]
        self._lessons = Lessons(StepPredictor(profile, self.hardware), self._overheads, own)
        self._startup = self._startup_of(own)
        configurations = [*(step.configuration for step in profile.measured), *(run.configuration for run in own)]
        self._precisions = {known.precision for known in profile.coefficients} | {known.precision for known in configurations}

    def estimate(self, workload: TrainingWorkload | SynthesisWorkload, gpus: int = 1) -> Estimate:
        """Energy and time of the whole workload on `gpus` devices that share each batch (training) or the samples."""
        if isinstance(workload, TrainingWorkload):
            parts, runs, caveats = self._training(workload, gpus)
        else:
            parts, runs = self._synthesis(workload, gpus)
            caveats = ""
        seconds = sum(cost.seconds for cost in parts.values())
        idle_joules = self._overheads.idle_joules(seconds, gpus)
        unmeasured = dict.fromkeys(setting for cost in parts.values() for setting in cost.unmeasured)
        if unmeasured:
            caveats = f"; what {' and '.join(unmeasured)} would change was not measured, so the interval is wider{caveats}"
        return add_up(parts, workload.total_steps, idle_joules, self._origin(parts["work"].kind, runs) + caveats)

    def cost(self, configuration: Configuration) -> StepCost:
        """One step (for synthesis, one sample) of that configuration, with what finished runs have taught."""
        return self._lessons.steps(configuration)[0]

    def knows(self, precision: Precision) -> bool:
        """Whether anything at that precision was measured on this hardware; else its estimates are those of another precision."""
        return precision in self._precisions

    def _training(self, workload: TrainingWorkload, gpus: int) -> tuple[_Parts, int, str]:
        """The parts, how many runs were seen of the dearer half of the work, and what is left out in words.

        VQ-GAN steps, then UNet steps, each device taking its part of every batch. One of them alone does the rest.
        """
        vqgan, vqgan_runs = self._lessons.steps(training_configuration(workload, "vqgan", gpus))
        unet, unet_runs = self._lessons.steps(training_configuration(workload, "train", gpus))
        halves = vqgan.times(workload.autoencoder_steps), unet.times(workload.iterations)
        work = halves[0].plus(halves[1])
        counts = image_counts(workload.data) or self._lessons.images(workload.data, workload.model.dimensions)
        images: _Parts = {} if counts is None else self._images(workload, counts)
        parts: _Parts = {"startup": self._startup_on(gpus), "work": replace(work, joules=work.joules * gpus), **images}
        parts["checkpoints"] = self._training_checkpoints(workload, (vqgan, unet), halves)
        alone_seconds = sum(cost.seconds for name, cost in parts.items() if name not in ("startup", "work"))
        waiting = StepCost(0.0, self._overheads.waiting_joules(alone_seconds, gpus), parts["checkpoints"].sigma, OriginKind.COEFFICIENTS)
        if waiting.joules > 0:
            parts["waiting"] = waiting
        caveat = "; preparing and encoding the images comes on top: how many they are, only the node sees" if counts is None else ""
        return parts, vqgan_runs if halves[0].joules > halves[1].joules else unet_runs, caveat

    def _images(self, workload: TrainingWorkload, counts: ImageCounts) -> _Parts:
        """Preparing every image and encoding it once, and validating with those held out."""
        encode = self.cost(encoding_configuration(workload))
        prepare = self._lessons.preparation(workload.data, workload.model)
        parts: _Parts = {"data": encode.times(counts.training).plus(prepare.times(counts.training + counts.validation))}
        if counts.validation:
            denoise = self.cost(validation_configuration(workload))
            parts["validation"] = encode.plus(denoise.times(VALIDATION_LEVELS)).times(counts.validation)
        return parts

    def _training_checkpoints(self, workload: TrainingWorkload, steps: Sequence[StepCost], halves: Sequence[StepCost]) -> StepCost:
        """Those that fall due in either half, and the one at its end."""
        costs = []
        for is_of_autoencoder, step, half in zip((True, False), steps, halves, strict=True):
            each = self._lessons.checkpoint(checkpoint_gb(workload, is_of_autoencoder))
            costs.append(each.times(1 + checkpoints_while(half.seconds - step.seconds, step.seconds, each.seconds)))
        return costs[0].plus(costs[1])

    def _synthesis(self, workload: SynthesisWorkload, gpus: int) -> tuple[_Parts, int]:
        """Every micro-batch runs at full size, the last one padded; devices make different samples at the same time."""
        configuration = synthesis_configuration(workload)
        sample, runs = self._lessons.steps(configuration)
        samples_run = math.ceil(workload.samples / workload.batch_size) * workload.batch_size
        work = sample.times(samples_run)
        evaluation_seconds = sample.seconds * workload.batch_size / configuration.evaluations
        each = self._lessons.checkpoint(checkpoint_gb(workload))
        checkpoints = each.times(checkpoints_while(work.seconds, evaluation_seconds, each.seconds))
        parts: _Parts = {"startup": self._startup_on(gpus)}
        parts["work"], parts["checkpoints"] = (replace(cost, seconds=cost.seconds / gpus) for cost in (work, checkpoints))
        return parts, runs

    def _startup_of(self, observations: list[RunObservation]) -> StepCost:
        """Before the first step: the median of what was seen, else the profile's."""
        seconds = [run.startup_seconds for run in observations if run.startup_seconds is not None]
        joules = [run.startup_joules for run in observations if run.startup_joules is not None]
        profile = self._profile
        usual_seconds = median(seconds) if seconds else profile.startup_seconds
        usual_joules = median(joules) if joules else profile.startup_joules
        if usual_joules is None:
            usual_joules = usual_seconds * profile.busy_watts(1)
        return StepCost(usual_seconds, usual_joules, _STARTUP_SIGMA, OriginKind.COEFFICIENTS)

    def _startup_on(self, gpus: int) -> StepCost:
        """All devices start at the same time."""
        return replace(self._startup, joules=self._startup.joules * gpus)

    def _origin(self, kind: OriginKind, runs: int) -> str:
        if kind is OriginKind.MEASURED:
            return f"measured on this hardware, {runs} run{'s' if runs > 1 else ''}" if runs else "profiled on this hardware"
        if kind is OriginKind.COEFFICIENTS:
            return f"from FLOPs and the coefficients of {self._profile.key}"
        return f"from FLOPs and the profile of a similar device, {self._profile.key}"
