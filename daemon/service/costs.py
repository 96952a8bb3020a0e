"""What jobs cost before they run: the energy model of each hardware, on the grid's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from daemon.domain.accounting import JOULES_PER_KWH, Conversion
from daemon.domain.job import Job, JobRequest
from daemon.domain.plan import SiteOption
from daemon.domain.site import Site
from forecast.clock import Clock
from jobs.energy.model import Estimate, RunObservation
from jobs.spec import Precision, SynthesisWorkload, TrainingWorkload

REMEMBERED_ESTIMATES = 4096  # one submission asks several times about one workload, and a tick asks again and again


class CostModel(Protocol):
    """What workloads cost on one kind of hardware. Equal questions get equal answers."""

    def estimate(self, workload: TrainingWorkload | SynthesisWorkload, gpus: int = 1) -> Estimate:
        """Energy and time of the whole workload on that many devices."""
        ...

    def knows(self, precision: Precision) -> bool:
        """Whether anything at that precision was measured on this hardware."""
        ...


ModelOf = Callable[[str, tuple[RunObservation, ...]], CostModel]  # hardware key, what was observed on it -> its model


@dataclass(frozen=True, slots=True)
class WorkLeft:
    """How much of a job is still to do: a share of its steps or samples, 1 for an untouched job."""

    fraction: float


class Costs:
    """Estimates for every hardware among the sites. It learns: finished runs replace the models with better ones."""

    def __init__(self, hardware: Iterable[str], model_of: ModelOf, observations: Iterable[RunObservation], clock: Clock) -> None:
        self._model_of, self._clock = model_of, clock
        self._observations: dict[str, tuple[RunObservation, ...]] = dict.fromkeys(hardware, ())
        self._models: Mapping[str, CostModel] = {}
        self._estimated = _remembering(self._models)
        self._lock = threading.Lock()
        self.learn(observations)

    def learn(self, observations: Iterable[RunObservation]) -> None:
        """Take newly observed runs into the models of their hardware."""
        with self._lock:
            for observation in observations:
                if observation.hardware in self._observations:
                    self._observations[observation.hardware] += (observation,)
            models = {key: self._model_of(key, seen) for key, seen in self._observations.items()}
            self._models, self._estimated = models, _remembering(models)

    def estimate(self, request: JobRequest, hardware: str) -> Estimate:
        """Component energy in kWh and real seconds of the whole workload on that hardware."""
        return self._estimated(hardware, request.workload, request.constraints.gpus)

    def knows(self, hardware: str, precision: Precision) -> bool:
        """Whether anything at that precision was measured on that hardware."""
        return self._models[hardware].knows(precision)

    def option(self, job: Job, site: Site, left: WorkLeft, transfer_kwh: float) -> SiteOption:
        """What is left of the job on that site, for the planner. Joules are real; seconds are the grid's."""
        estimate = self.estimate(job.request, site.hardware)
        work_seconds = self._clock.grid_seconds(estimate.step_seconds * estimate.steps * left.fraction)
        work_kwh = estimate.step_joules * estimate.steps * left.fraction / JOULES_PER_KWH
        return SiteOption(
            site=site.name,
            work_seconds=work_seconds,
            power_kw=work_kwh / (work_seconds / 3600) if work_seconds > 0 else 0.0,
            startup_seconds=self._clock.grid_seconds(estimate.startup_seconds),
            startup_kwh=estimate.startup_joules / JOULES_PER_KWH,
            transfer_kwh=transfer_kwh,
        )

    def conversion(self, workload: TrainingWorkload | SynthesisWorkload, gpus: int, done_on: str, home: str) -> Conversion:
        """Factors from work done on one hardware to the same work at home."""
        if done_on == home:
            return Conversion()
        there = self._estimated(done_on, workload, gpus)
        at_home = self._estimated(home, workload, gpus)
        return Conversion(at_home.step_joules / there.step_joules, at_home.step_seconds / there.step_seconds)


def _remembering(models: Mapping[str, CostModel]) -> Callable[[str, TrainingWorkload | SynthesisWorkload, int], Estimate]:
    """Estimates of these models; a model never changes, so an answer holds as long as they do."""

    @lru_cache(maxsize=REMEMBERED_ESTIMATES)
    def estimated(hardware: str, workload: TrainingWorkload | SynthesisWorkload, gpus: int) -> Estimate:
        return models[hardware].estimate(workload, gpus=gpus)

    return estimated
