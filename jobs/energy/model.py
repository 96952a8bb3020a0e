"""The energy model: what a workload will cost on one kind of hardware, in joules and seconds, with an 80 % interval.

It stands on the submit path, so it never imports torch and answers in microseconds once it has seen a configuration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from jobs.data.amounts import VALIDATION_LEVELS, image_counts
from jobs.energy.calibration import Z80, Correction, learn
from jobs.energy.configuration import Configuration, Option, synthesis_configuration, training_configuration
from jobs.energy.hardware import HardwareProfile
from jobs.energy.observation import RunObservation
from jobs.energy.prediction import OriginKind, StepCost, StepPredictor
from jobs.spec import Precision, SynthesisWorkload, TrainingWorkload

__all__ = ["Band", "EnergyModel", "Estimate", "OriginKind", "RunObservation"]

_JOULES_PER_KWH = 3.6e6
_STARTUP_SIGMA = 0.3  # start-up depends on disks and caches more than on anything we know


@dataclass(frozen=True, slots=True)
class Band:
    """A value with its central 80 % interval."""

    low: float
    mid: float
    high: float

    def plus(self, other: Band) -> Band:
        """Their sum where both err the same way, which is the cautious reading."""
        return Band(self.low + other.low, self.mid + other.mid, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole workload costs, one start-up included. Component energy, without PUE; real seconds.

    A step is what the workload's `total_steps` counts: an optimiser step of training (VQ-GAN and UNet steps, encoding and
    validation averaged), a sample of synthesis. `energy_kwh.mid` = (startup_joules + steps x step_joules) / 3.6e6, and
    likewise the seconds.
    """

    energy_kwh: Band
    duration_seconds: Band
    power_watts: float
    startup_seconds: float
    startup_joules: float
    step_seconds: float
    step_joules: float
    steps: int
    origin: str
    origin_kind: OriginKind


class EnergyModel:
    """Estimates for one kind of hardware, from its profile and the runs that finished on it."""

    def __init__(self, profile: HardwareProfile, observations: Sequence[RunObservation] = (), hardware: str | None = None) -> None:
        """`hardware` is the site's key if the profile is a similar device's. Observations of other hardware are left out."""
        self.hardware = hardware or profile.key
        self._profile = profile
        self._predictor = StepPredictor(profile, self.hardware)
        own = [observation for observation in observations if observation.hardware == self.hardware]
        self._startup_seconds, self._startup_joules = self._startup(own)
        self._by_configuration: dict[Configuration, _Corrections] = {}
        self._by_work: dict[str, _Corrections] = {}
        self._learn(own)
        configurations = [*(step.configuration for step in profile.measured), *(run.configuration for run in own)]
        self._precisions = {known.precision for known in profile.coefficients} | {known.precision for known in configurations}

    def estimate(self, workload: TrainingWorkload | SynthesisWorkload, gpus: int = 1) -> Estimate:
        """Energy and time of the whole workload on `gpus` devices that share each batch (training) or the samples."""
        if isinstance(workload, TrainingWorkload):
            total = self._training(workload, gpus)
        else:
            total = self._synthesis(workload, gpus)
        return self._summary(total, workload, gpus)

    def cost(self, configuration: Configuration) -> StepCost:
        """One step (for synthesis, one sample) of that configuration, with what finished runs have taught."""
        return self._corrected(configuration)[0]

    def knows(self, precision: Precision) -> bool:
        """Whether anything at that precision was measured on this hardware; else its estimates are those of another precision."""
        return precision in self._precisions

    def _training(self, workload: TrainingWorkload, gpus: int) -> _Total:
        """VQ-GAN steps, then UNet steps. Each device takes its part of every batch."""
        stages = []
        for work, steps in (("vqgan", workload.autoencoder_steps), ("train", workload.iterations)):
            cost, runs = self._corrected(training_configuration(workload, work, gpus))  # type: ignore[arg-type]  # a Literal, widened by the loop
            stages.append(_Total(cost.times(steps), runs))
        first, second = stages
        cost = first.cost.plus(second.cost)
        runs = first.runs if first.cost.joules >= second.cost.joules else second.runs
        together = replace(cost, joules=cost.joules * gpus)
        images = self._images(workload, gpus)
        return _Total(together if images is None else together.plus(images), runs)

    def _images(self, workload: TrainingWorkload, gpus: int) -> StepCost | None:
        """Encoding every image once and validating with those held out, which one device does; None if nobody knows how many."""
        counts = image_counts(workload.data)
        if counts is None:
            return None
        step = training_configuration(workload, "train", gpus)
        encode = self._corrected(replace(step, work="encode", batch_size=1, options=_kept(step, ("channels-last",))))[0]
        cost = encode.times(counts.training + counts.validation)
        if counts.validation == 0:
            return cost
        ways = _kept(step, ("channels-last", "flash-attention"))
        denoise = self._corrected(replace(step, work="denoise", batch_size=1, options=ways))[0]
        return cost.plus(denoise.times(counts.validation * VALIDATION_LEVELS))

    def _synthesis(self, workload: SynthesisWorkload, gpus: int) -> _Total:
        """Every micro-batch runs at full size, the last one padded; devices make different samples at the same time."""
        cost, runs = self._corrected(synthesis_configuration(workload))
        samples_run = math.ceil(workload.samples / workload.batch_size) * workload.batch_size
        total = cost.times(samples_run)
        return _Total(replace(total, seconds=total.seconds / gpus), runs)

    def _corrected(self, configuration: Configuration) -> tuple[StepCost, int]:
        """The prediction with the best correction there is, and the number of runs of this very configuration behind it."""
        predicted = self._predictor.cost(configuration)
        exact = self._by_configuration.get(configuration)
        if exact is not None:
            cost = StepCost(
                predicted.seconds * exact.seconds.factor,
                predicted.joules * exact.joules.factor,
                max(exact.seconds.sigma, exact.joules.sigma),
                OriginKind.MEASURED,
            )
            return cost, exact.seconds.runs
        general = self._by_work.get(configuration.work)
        if general is None:
            return predicted, 0
        sigma = predicted.sigma
        if predicted.kind is OriginKind.SIMILAR:
            sigma = min(sigma, max(general.seconds.sigma, general.joules.sigma, sigma / (1 + general.seconds.runs)))
        seconds, joules = predicted.seconds * general.seconds.factor, predicted.joules * general.joules.factor
        return replace(predicted, seconds=seconds, joules=joules, sigma=sigma), 0

    def _learn(self, observations: list[RunObservation]) -> None:
        """First what each configuration showed by itself, then what those of the same work have in common.

        A configuration that ran is judged against what the others taught, one that never ran gets just that.
        """
        grouped: dict[Configuration, list[_Ratios]] = {}
        for run in observations:
            predicted = self._predictor.cost(run.configuration)
            ratios = _Ratios(math.log(run.seconds / run.steps / predicted.seconds), math.log(run.joules / run.steps / predicted.joules))
            grouped.setdefault(run.configuration, []).append(ratios)
        medians = {configuration: _median(runs) for configuration, runs in grouped.items()}
        for work in {configuration.work for configuration in grouped}:
            common = self._common(work, medians)
            if common is not None:
                self._by_work[work] = common
        for configuration, runs in grouped.items():
            others = {other: ratios for other, ratios in medians.items() if other != configuration}
            common = self._common(configuration.work, others)
            self._by_configuration[configuration] = self._own(configuration, runs, common)

    def _common(self, work: str, medians: Mapping[Configuration, _Ratios]) -> _Corrections | None:
        """The correction that the configurations of one kind of work agree on; None if none of them ran."""
        seen = {configuration: ratios for configuration, ratios in medians.items() if configuration.work == work}
        if not seen:
            return None
        sigma = median([self._predictor.cost(configuration).sigma for configuration in seen])
        return _Corrections(
            seconds=learn([ratios.seconds for ratios in seen.values()], sigma),
            joules=learn([ratios.joules for ratios in seen.values()], sigma),
        )

    def _own(self, configuration: Configuration, runs: list[_Ratios], common: _Corrections | None) -> _Corrections:
        """The correction of one configuration: what its runs add to the common one."""
        sigma = self._predictor.cost(configuration).sigma
        seconds_before, joules_before = (0.0, 0.0) if common is None else (common.seconds.shift, common.joules.shift)
        return _Corrections(
            seconds=learn([run.seconds - seconds_before for run in runs], sigma).after(seconds_before),
            joules=learn([run.joules - joules_before for run in runs], sigma).after(joules_before),
        )

    def _startup(self, observations: list[RunObservation]) -> tuple[float, float]:
        """Seconds and joules before the first step: the median of what was seen, else the profile's."""
        seconds = [run.startup_seconds for run in observations if run.startup_seconds is not None]
        joules = [run.startup_joules for run in observations if run.startup_joules is not None]
        profile = self._profile
        usual_seconds = median(seconds) if seconds else profile.startup_seconds
        if joules:
            return usual_seconds, median(joules)
        if profile.startup_joules is not None:
            return usual_seconds, profile.startup_joules
        return usual_seconds, usual_seconds * profile.busy_watts(1)

    def _summary(self, total: _Total, workload: TrainingWorkload | SynthesisWorkload, gpus: int) -> Estimate:
        steps = workload.total_steps
        startup_joules = self._startup_joules * gpus
        work, joules, seconds = total.cost, total.cost.joules + startup_joules, total.cost.seconds + self._startup_seconds
        energy = _band(work.joules, work.sigma).plus(_band(startup_joules, _STARTUP_SIGMA))
        return Estimate(
            energy_kwh=Band(energy.low / _JOULES_PER_KWH, energy.mid / _JOULES_PER_KWH, energy.high / _JOULES_PER_KWH),
            duration_seconds=_band(work.seconds, work.sigma).plus(_band(self._startup_seconds, _STARTUP_SIGMA)),
            power_watts=joules / seconds,
            startup_seconds=self._startup_seconds,
            startup_joules=startup_joules,
            step_seconds=work.seconds / steps,
            step_joules=work.joules / steps,
            steps=steps,
            origin=self._origin(work.kind, total.runs) + _caveats(workload, work.unmeasured),
            origin_kind=work.kind,
        )

    def _origin(self, kind: OriginKind, runs: int) -> str:
        if kind is OriginKind.MEASURED:
            return f"measured on this hardware, {runs} run{'s' if runs > 1 else ''}" if runs else "profiled on this hardware"
        if kind is OriginKind.COEFFICIENTS:
            return f"from FLOPs and the coefficients of {self._profile.key}"
        return f"from FLOPs and the profile of a similar device, {self._profile.key}"


@dataclass(frozen=True, slots=True)
class _Total:
    """Cost of all steps of a workload, and how many runs of its main part were seen."""

    cost: StepCost
    runs: int


@dataclass(frozen=True, slots=True)
class _Corrections:
    seconds: Correction
    joules: Correction


@dataclass(frozen=True, slots=True)
class _Ratios:
    """log(real / predicted) of a run."""

    seconds: float
    joules: float


def _kept(configuration: Configuration, options: Sequence[Option]) -> tuple[Option, ...]:
    """Those of the configuration's options that matter to other work, too."""
    return tuple(option for option in configuration.options if option in options)


def _caveats(workload: TrainingWorkload | SynthesisWorkload, unmeasured: Sequence[str]) -> str:
    """What nothing has told, in words."""
    words = ""
    if unmeasured:
        words += f"; what {' and '.join(unmeasured)} would change was not measured, so the interval is wider"
    if isinstance(workload, TrainingWorkload) and image_counts(workload.data) is None:
        words += "; encoding the images once comes on top: how many they are, only the node sees"
    return words


def _median(runs: Sequence[_Ratios]) -> _Ratios:
    return _Ratios(median([run.seconds for run in runs]), median([run.joules for run in runs]))


def _band(mid: float, sigma: float) -> Band:
    factor = math.exp(Z80 * sigma)
    return Band(mid / factor, mid, mid * factor)
