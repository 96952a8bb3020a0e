"""Seconds and joules of a single step on one hardware profile, with how sure we are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from jobs.energy.calibration import USUAL_SPREAD
from jobs.energy.comparisons import Effect, Effects, plain, ways_of
from jobs.energy.configuration import Configuration
from jobs.energy.features import Feature, features_of
from jobs.energy.flops import Operation
from jobs.energy.hardware import Coefficients, HardwareProfile, MeasuredStep

# Standard deviations of log(real / predicted) that are judgements, not fits. The fitted ones are in the profiles.
_UNLIKE_DEVICE = 0.7  # a similar device: right within a factor of 2.5 in eight cases of ten
_UNLIKE_SETTING = 0.35  # each way to compute, or number of threads, whose effect was not measured
_COUNTED_ONLY = 0.15  # gradient checkpointing, counted: on small networks its bookkeeping took a quarter of a step more than its layers
_PER_E_OUTSIDE = 0.15  # for each factor e in FLOPs outside the measured range
_PER_OTHERS_SHARE = 0.15  # where others kept all CPUs busy: the next time they may not, and what shares a core slows by a fifth to a third
_LEAST_SPREAD = 0.02
_OTHER_OPERATION = 0.5  # an operation the profile says nothing of, taken from a related one

_UNKNOWN_EFFECT = Effect(1.0, 1.0, _UNLIKE_SETTING)

# Whose coefficients stand in, in order of preference, where a profile has none for an operation.
_RELATED: dict[Operation, tuple[Operation, ...]] = {
    "train": ("denoise", "vqgan"),
    "denoise": ("train", "decode"),
    "encode": ("decode", "denoise"),
    "decode": ("encode", "denoise"),
    "vqgan": ("train", "denoise"),
}


class OriginKind(IntEnum):
    """Where an estimate comes from, best first."""

    MEASURED = 0  # that very configuration, on this hardware
    COEFFICIENTS = 1  # its FLOPs and other sizes, and coefficients of this hardware
    SIMILAR = 2  # the same, from the profile of a similar device


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step (or one sample) on a whole batch. `sigma`: standard deviation of log(real / predicted).

    `unmeasured`: settings whose effect on the cost nothing has told; they are counted as having none, and `sigma` is wider.
    `common_sigma` is what of `sigma` any two costs on this hardware err by alike: the machine's pace, being another device.
    `bases`: the configurations whose measurement or prediction this stands on; with equal bases all but what was added errs
    alike, with other bases the rest does not (48 configurations left out of the fit: correlation 0 between sizes).
    """

    seconds: float
    joules: float
    sigma: float
    kind: OriginKind
    unmeasured: tuple[str, ...] = ()
    common_sigma: float = 0.0
    bases: tuple[Configuration, ...] = ()

    def times(self, count: float) -> StepCost:
        return replace(self, seconds=self.seconds * count, joules=self.joules * count)

    def plus(self, other: StepCost) -> StepCost:
        """Their sum. Errors of one machine go the same way, so the spreads do not cancel: they mix by joules."""
        joules = self.joules + other.joules
        share = self.joules / joules if joules > 0 else 0.5
        sigma = share * self.sigma + (1 - share) * other.sigma
        common_sigma = share * self.common_sigma + (1 - share) * other.common_sigma
        kind = self.kind if share >= 0.5 else other.kind
        unmeasured = tuple(dict.fromkeys(self.unmeasured + other.unmeasured))
        bases = tuple(dict.fromkeys(self.bases + other.bases))
        return StepCost(self.seconds + other.seconds, joules, sigma, kind, unmeasured, common_sigma, bases)


class StepPredictor:
    """Costs of steps from a profile: its measurement of that configuration, else its coefficients. Remembers its answers."""

    def __init__(self, profile: HardwareProfile, hardware: str) -> None:
        self._profile = profile
        self._same_device = profile.key == hardware
        self._measured = {step.configuration: step for step in profile.measured}
        self._effects = Effects(profile.measured)
        self._coefficients: dict[tuple[Operation, int], list[Coefficients]] = {}
        for coefficients in profile.coefficients:
            self._coefficients.setdefault((coefficients.operation, coefficients.dimensions), []).append(coefficients)
        self._answers: dict[Configuration, StepCost] = {}

    def cost(self, configuration: Configuration) -> StepCost:
        """Cost of one step on a whole batch; for synthesis, of one sample."""
        answer = self._answers.get(configuration)
        if answer is None:
            answer = self._answers[configuration] = self._predict(configuration)
        return answer

    def _predict(self, configuration: Configuration) -> StepCost:
        if configuration.work == "synthesis":
            return self._sample(configuration)
        for measured in (self._measured.get(configuration), self._measured.get(plain(configuration))):
            if measured is not None:
                return self._in_other_ways(self._from_measurement(measured), measured.configuration, configuration)
        return self._from_coefficients(configuration, configuration.work)

    def _sample(self, configuration: Configuration) -> StepCost:
        """A micro-batch passes the UNet `evaluations` times and the decoder once; a sample is its share of that."""
        denoise = self.cost(_with_work(configuration, "denoise")).times(configuration.evaluations)
        return denoise.plus(self.cost(_with_work(configuration, "decode"))).times(1 / configuration.batch_size)

    def _from_measurement(self, measured: MeasuredStep) -> StepCost:
        joules = measured.joules
        if joules is None:
            joules = measured.seconds * self._profile.busy_watts(measured.configuration.threads)
        kind = OriginKind.MEASURED if self._same_device else OriginKind.SIMILAR
        common = self._widened(self._pace_sigma())
        sigma = math.hypot(max(_LEAST_SPREAD, measured.widest_spread), common)
        return StepCost(measured.seconds, joules, sigma, kind, common_sigma=common, bases=(measured.configuration,))

    def _pace_sigma(self) -> float:
        """How far the machine's pace in a run may be from that of the profiling.

        What it wandered between configurations, and what a session of minutes cannot see: another hour, other neighbours.
        """
        others_share = self._profile.others_share or 0.0 if self._profile.kind == "cpu" else 0.0
        return math.hypot(self._profile.pace_spread or 0.0, USUAL_SPREAD + _PER_OTHERS_SHARE * others_share)

    def _from_coefficients(self, configuration: Configuration, operation: Operation) -> StepCost:
        chosen, sigma = self._choose(configuration, operation)
        like = replace(configuration, precision=chosen.precision, options=())
        features = features_of(like, operation)
        seconds, unmeasured = _dot(chosen.seconds, features), tuple[str, ...]()
        if self._profile.kind == "cpu" and chosen.threads != configuration.threads:
            # Threads share the work; how well is not known before it is measured.
            seconds *= min(chosen.threads, self._profile.host_cpus) / min(configuration.threads, self._profile.host_cpus)
            unmeasured, sigma = (f"{configuration.threads} threads",), math.hypot(sigma, _UNLIKE_SETTING)
        joules = seconds * self._profile.busy_watts(configuration.threads) if chosen.joules is None else _dot(chosen.joules, features)
        pace = 0.0 if self._profile.pace_spread is None else self._pace_sigma()  # where nobody timed it, it is in the fit's spread
        common = self._widened(pace)
        sigma = math.hypot(chosen.spread, sigma, common, _PER_E_OUTSIDE * chosen.distance(features["flops"]))
        kind = OriginKind.COEFFICIENTS if self._same_device else OriginKind.SIMILAR
        cost = StepCost(seconds, joules, sigma, kind, unmeasured, common, bases=(like,))
        return self._in_other_ways(cost, like, configuration)

    def _choose(self, configuration: Configuration, operation: Operation) -> tuple[Coefficients, float]:
        """The nearest coefficients the profile has, and the extra spread if they are those of another operation."""
        dimensions = configuration.model.dimensions
        for candidate, extra in [(operation, 0.0), *((related, _OTHER_OPERATION) for related in _RELATED[operation])]:
            sets = self._coefficients.get((candidate, dimensions))
            if sets:
                nearest = min(sets, key=lambda each: (each.precision != configuration.precision, abs(each.threads - configuration.threads)))
                return nearest, extra
        raise IncompleteProfile(self._profile.key, operation, dimensions)

    def _in_other_ways(self, cost: StepCost, like: Configuration, configuration: Configuration) -> StepCost:
        """`cost`, which is that of a configuration `like` it, with the effects of the ways to compute in which the two differ."""
        for way in sorted(set(ways_of(like)) ^ set(ways_of(configuration))):
            effect = self._effects.of(configuration.work, configuration.model.dimensions, way)
            if effect is None:
                effect = self._recomputation(configuration) if way == "gradient-checkpointing" else _UNKNOWN_EFFECT
                cost = replace(cost, unmeasured=(*cost.unmeasured, way))
            sign = 1 if way in ways_of(configuration) else -1
            seconds, joules = cost.seconds * effect.seconds**sign, cost.joules * effect.joules**sign
            cost = replace(cost, seconds=seconds, joules=joules, sigma=math.hypot(cost.sigma, effect.sigma))
        if like != configuration and cost.kind is OriginKind.MEASURED:
            return replace(cost, kind=OriginKind.COEFFICIENTS)
        return cost

    def _recomputation(self, configuration: Configuration) -> Effect:
        """Of gradient checkpointing where nobody measured it: the layers that are passed once more."""
        if configuration.work not in ("train", "vqgan"):
            return Effect(1.0, 1.0, 0.0)
        chosen, _ = self._choose(configuration, configuration.work)
        once, again = (features_of(each, configuration.work) for each in (plain(configuration), _recomputing(configuration)))
        seconds = _dot(chosen.seconds, again) / _dot(chosen.seconds, once)
        joules = seconds if chosen.joules is None else _dot(chosen.joules, again) / _dot(chosen.joules, once)
        return Effect(seconds, joules, _COUNTED_ONLY)

    def _widened(self, sigma: float) -> float:
        return sigma if self._same_device else math.hypot(sigma, _UNLIKE_DEVICE)


class IncompleteProfile(ValueError):
    """A profile has neither coefficients for an operation nor for one like it."""

    def __init__(self, key: str, operation: str, dimensions: int) -> None:
        super().__init__(
            f"hardware profile {key!r} has no coefficients for {operation} in {dimensions}D nor for anything like it: "
            "measure the machine with `lowtide profile`"
        )


def _recomputing(configuration: Configuration) -> Configuration:
    return replace(plain(configuration), options=("gradient-checkpointing",))


def _with_work(configuration: Configuration, operation: Operation) -> Configuration:
    return replace(configuration, work=operation, evaluations=0)


def _dot(coefficients: Mapping[Feature, float], features: Mapping[Feature, float]) -> float:
    return sum(value * features[name] for name, value in coefficients.items())
