"""What the finished runs on one kind of hardware teach about the ones to come. Robustly: one bad run poisons nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from jobs.data.amounts import ImageCounts
from jobs.energy.calibration import Correction, learn
from jobs.energy.configuration import Configuration
from jobs.energy.observation import DataSeen, RunObservation
from jobs.energy.overheads import Overheads
from jobs.energy.prediction import OriginKind, StepCost, StepPredictor
from jobs.energy.size import image_gb
from jobs.spec import DataSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class _Ratios:
    """log(real / predicted) of a run; joules None where no meter told."""

    seconds: float
    joules: float | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a run of a model of so many dimensions told of its data."""

    dimensions: int
    told: DataSeen


@dataclass(frozen=True, slots=True)
class _Corrections:
    seconds: Correction
    joules: Correction

    def of(self, cost: StepCost) -> StepCost:
        """The cost as runs have shown it, as sure as they agree."""
        sigma = max(self.seconds.sigma, self.joules.sigma)
        return replace(cost, seconds=cost.seconds * self.seconds.factor, joules=cost.joules * self.joules.factor, sigma=sigma)


class Lessons:
    """Corrections of what `predictor` and `overheads` say, from the observed runs."""

    def __init__(self, predictor: StepPredictor, overheads: Overheads, runs: Sequence[RunObservation]) -> None:
        self._predictor, self._overheads = predictor, overheads
        self._by_configuration: dict[Configuration, _Corrections] = {}
        self._by_work: dict[str, _Corrections] = {}
        self._learn_steps(runs)
        self._data = [_Seen(run.configuration.model.dimensions, run.data) for run in runs if run.data is not None]
        self._checkpoints = self._learn_checkpoints(runs)
        self._preparations: dict[tuple[DataSpec, int], _Corrections | None] = {}

    def steps(self, configuration: Configuration) -> tuple[StepCost, int]:
        """The prediction with the best correction there is, and the number of runs of this very configuration behind it."""
        predicted = self._predictor.cost(configuration)
        exact = self._by_configuration.get(configuration)
        if exact is not None:
            learned = exact.of(predicted)
            common_sigma = min(learned.sigma, predicted.common_sigma)
            seen = replace(learned, kind=OriginKind.MEASURED, unmeasured=(), common_sigma=common_sigma, bases=(configuration,))
            return seen, exact.seconds.runs
        general = self._by_work.get(configuration.work)
        if general is None:
            return predicted, 0
        corrected = general.of(predicted)
        sigma = predicted.sigma
        if predicted.kind is OriginKind.SIMILAR:
            sigma = min(sigma, max(corrected.sigma, sigma / (1 + general.seconds.runs)))
        return replace(corrected, sigma=sigma, common_sigma=min(sigma, predicted.common_sigma)), 0

    def checkpoint(self, gigabytes: float) -> StepCost:
        """Writing one of that size: what disks do is alike for all sizes, so every run teaches it."""
        predicted = self._overheads.checkpoint(gigabytes)
        return predicted if self._checkpoints is None else self._checkpoints.of(predicted)

    def preparation(self, data: DataSpec, model: ModelSpec) -> StepCost:
        """Preparing one image for that model. Runs on the same data teach it, else those on data of the same kind."""
        asked = data, model.dimensions
        if asked not in self._preparations:
            self._preparations[asked] = self._learn_preparation(*asked)
        predicted, corrections = self._overheads.preparation(image_gb(model)), self._preparations[asked]
        return predicted if corrections is None else corrections.of(predicted)

    def images(self, data: DataSpec, dimensions: int) -> ImageCounts | None:
        """How many images the newest run on that data found; None if none ran. A volume is one image in 3D, many slices in 2D."""
        seen = [each.told for each in self._data if each.told.data == data and each.dimensions == dimensions]
        return ImageCounts(seen[-1].training, seen[-1].validation) if seen else None

    def _learn_steps(self, runs: Sequence[RunObservation]) -> None:
        """First what each configuration showed by itself, then what those of the same work have in common.

        A configuration that ran is judged against what the others taught, one that never ran gets just that.
        """
        grouped: dict[Configuration, list[_Ratios]] = {}
        for run in runs:
            predicted = self._predictor.cost(run.configuration)
            ratios = _Ratios(math.log(run.seconds / run.steps / predicted.seconds), math.log(run.joules / run.steps / predicted.joules))
            grouped.setdefault(run.configuration, []).append(ratios)
        medians = {configuration: _median(own) for configuration, own in grouped.items()}
        for work in {configuration.work for configuration in grouped}:
            common = self._common(work, medians)
            if common is not None:
                self._by_work[work] = common
        for configuration, own in grouped.items():
            others = {other: seen for other, seen in medians.items() if other != configuration}
            self._by_configuration[configuration] = self._own(configuration, own, self._common(configuration.work, others))

    def _common(self, work: str, medians: Mapping[Configuration, _Ratios]) -> _Corrections | None:
        """The correction that the configurations of one kind of work agree on; None if none of them ran."""
        seen = {configuration: ratios for configuration, ratios in medians.items() if configuration.work == work}
        if not seen:
            return None
        return _corrections(list(seen.values()), median([self._predictor.cost(configuration).sigma for configuration in seen]))

    def _own(self, configuration: Configuration, runs: list[_Ratios], common: _Corrections | None) -> _Corrections:
        """The correction of one configuration: what its runs add to the common one."""
        sigma = self._predictor.cost(configuration).sigma
        if common is None:
            return _corrections(runs, sigma)
        seconds, joules = common.seconds.shift, common.joules.shift
        added = _corrections([_Ratios(run.seconds - seconds, None if run.joules is None else run.joules - joules) for run in runs], sigma)
        return _Corrections(added.seconds.after(seconds), added.joules.after(joules))

    def _learn_checkpoints(self, runs: Sequence[RunObservation]) -> _Corrections | None:
        ratios = []
        for seen in (run.checkpoints for run in runs if run.checkpoints is not None):
            predicted = self._overheads.checkpoint(seen.gigabytes)
            ratios += _ratios(predicted, seen.seconds / seen.count, None if seen.joules is None else seen.joules / seen.count)
        return _corrections(ratios, self._overheads.checkpoint(1.0).sigma) if ratios else None

    def _learn_preparation(self, data: DataSpec, dimensions: int) -> _Corrections | None:
        told = [each.told for each in self._data if each.told.seconds is not None and each.dimensions == dimensions]
        same = [each for each in told if each.data == data]
        alike = same or [each for each in told if (each.data.phantom is None) == (data.phantom is None)]
        ratios = [ratio for each in alike for ratio in self._preparation_ratios(each)]
        return _corrections(ratios, self._overheads.preparation(1.0).sigma) if ratios else None

    def _preparation_ratios(self, seen: DataSeen) -> list[_Ratios]:
        assert seen.seconds is not None  # the caller looked
        joules = None if seen.joules is None else seen.joules / seen.images
        return _ratios(self._overheads.preparation(seen.gigabytes), seen.seconds / seen.images, joules)


def _ratios(predicted: StepCost, seconds: float, joules: float | None) -> list[_Ratios]:
    """None at all where the prediction is nothing, to which nothing is in proportion."""
    if predicted.seconds <= 0:
        return []
    known = joules is not None and predicted.joules > 0
    return [_Ratios(math.log(seconds / predicted.seconds), math.log(joules / predicted.joules) if known and joules else None)]


def _corrections(ratios: Sequence[_Ratios], sigma_before: float) -> _Corrections:
    """Of one or more runs. Where no meter told joules, they follow the seconds."""
    seconds = learn([each.seconds for each in ratios], sigma_before)
    joules = [each.joules for each in ratios if each.joules is not None]
    return _Corrections(seconds, learn(joules, sigma_before) if joules else seconds)


def _median(runs: Sequence[_Ratios]) -> _Ratios:
    joules = [run.joules for run in runs if run.joules is not None]
    return _Ratios(median([run.seconds for run in runs]), median(joules) if joules else None)
