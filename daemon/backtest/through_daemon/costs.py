"""What jobs of a trace cost, told in the words of the energy model: length and power as the trace has them, nothing estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from daemon.backtest.trace import TraceJob, TraceSite
from jobs.energy.model import Band, Estimate, OriginKind
from jobs.spec import Precision, SynthesisWorkload, TrainingWorkload

MOST_STEPS = 100_000_000  # a workload has no more
SHORTEST_STEP = timedelta(milliseconds=1)  # pauses fall on whole seconds: no work is lost that a clock of slots could tell


def step_of(job: TraceJob) -> timedelta:
    """How finely the job can be paused: the finest tenfold of a millisecond that leaves few enough steps."""
    step = SHORTEST_STEP
    while job.duration / step > MOST_STEPS:
        step *= 10
    return step


def steps_of(job: TraceJob) -> int:
    """Steps of its workload, the VQ-GAN's single one included."""
    return max(2, round(job.duration / step_of(job)))


@dataclass(frozen=True, slots=True)
class TraceCosts:
    """The jobs on one site's hardware. A workload's seed is the number of its job in the trace."""

    jobs: Sequence[TraceJob]
    site: TraceSite

    def estimate(self, workload: TrainingWorkload | SynthesisWorkload, gpus: int = 1) -> Estimate:
        """`gpus` are those of the trace already: its lengths and powers are the whole job's."""
        job = self.jobs[workload.seed]
        seconds, watts = job.duration.total_seconds() / self.site.speed, job.power_watts * self.site.power_factor
        kwh, steps = watts * seconds / 3.6e6, workload.total_steps
        return Estimate(
            energy_kwh=Band(kwh, kwh, kwh),
            duration_seconds=Band(seconds, seconds, seconds),
            power_watts=watts,
            startup_seconds=0.0,
            startup_joules=0.0,
            step_seconds=seconds / steps,
            step_joules=watts * seconds / steps,
            steps=steps,
            origin="the trace",
            origin_kind=OriginKind.MEASURED,
        )

    def knows(self, precision: Precision) -> bool:
        """Whatever the trace tells was measured."""
        return True
