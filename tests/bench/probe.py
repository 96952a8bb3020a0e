"""How well a probe foretells a run twenty times as long: `python -m tests.bench.probe [--rounds N]`.

Ours is what `lowtide profile` does: `jobs.energy.measuring.measure` on each configuration, one after the other, beside steps of a
reference, and all of them told at the mean pace of the session. Beside it, on the same runs, carbontracker's own predictor
(`carbontracker.predictor`, the mean of the monitored epochs times the epochs) fed with the run's first epoch, which is what it
monitors by default: as many steps as our probe timed. Both count CPU seconds on one thread, which is what the CPU power model
turns into joules; where a counter measures, the same holds for its joules. Runs are fresh networks with their own first steps.

The machine's own pace wanders, also where nothing else runs on it, and no probe can know what it will be: `raw` errors have that
in them, and so has the energy model's 80 % interval, whose coverage of them is printed. The reference is therefore timed during the
runs, too (it is not counted to them), and the other errors are those that are left with both sides at the run's pace: of our
prediction, and of carbontracker's with its epoch put to the run's mean pace.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime

from carbontracker.predictor import predict_energy

from jobs.energy.calibration import Z80
from jobs.energy.configuration import Configuration
from jobs.energy.flops import Operation
from jobs.energy.hardware import HardwareProfile, MeasuredStep
from jobs.energy.measuring import measure
from jobs.energy.model import EnergyModel
from jobs.energy.pace import Pace
from jobs.energy.profiling import BusyWatch, at_usual_pace, pace_spread
from jobs.energy.workbench import Workbench
from jobs.spec import ModelSpec

LONGER = 20
GOAL = 0.04
_REFERENCE_EVERY_SECONDS = 0.2

# (operation, image shape, batch size)
CASES: list[tuple[Operation, tuple[int, ...], int]] = [
    ("denoise", (64, 64), 4),
    ("denoise", (128, 128), 2),
    ("denoise", (32, 32, 32), 2),
    ("train", (64, 64), 4),
    ("train", (96, 96), 2),
    ("train", (32, 32, 32), 2),
    ("vqgan", (64, 64), 2),
    ("decode", (128, 128), 1),
]


@dataclass(frozen=True, slots=True)
class Epoch:
    """CPU seconds of as many steps as the probe timed, and what a step of the reference took meanwhile."""

    seconds: float
    reference_seconds: float


@dataclass(frozen=True, slots=True)
class Errors:
    """Signed relative errors on one run. `sigma`: the standard deviation that our prediction gave log(run / predicted)."""

    ours: float
    ours_raw: float
    carbontracker: float
    carbontracker_raw: float
    sigma: float

    @property
    def is_covered(self) -> bool:
        """Whether our 80 % interval held the run."""
        return abs(math.log1p(self.ours_raw)) <= Z80 * self.sigma


def run_epochs(probe: MeasuredStep, pace: Pace) -> list[Epoch]:
    """A run of LONGER epochs."""
    bench = Workbench(probe.configuration)
    steps_between = max(1, round(_REFERENCE_EVERY_SECONDS / probe.seconds))
    return [_epoch(bench, probe.steps, steps_between, pace) for _ in range(LONGER)]


def _epoch(bench: Workbench, steps: int, steps_between: int, pace: Pace) -> Epoch:
    seconds, references = 0.0, []
    for step in range(steps):
        if step % steps_between == 0:
            references.append(pace.seconds())
        start = time.process_time()
        bench.step()
        seconds += time.process_time() - start
    return Epoch(seconds, statistics.mean(references))


def errors_of(probe: MeasuredStep, sigma: float, epochs: list[Epoch]) -> Errors:
    assert probe.reference_seconds is not None
    run = sum(epoch.seconds for epoch in epochs)
    pace_of_run = statistics.mean(epoch.reference_seconds for epoch in epochs)
    ours = probe.seconds * probe.steps * LONGER
    theirs = float(predict_energy(LONGER, [epochs[0].seconds]))
    return Errors(
        ours=ours * pace_of_run / probe.reference_seconds / run - 1,
        ours_raw=ours / run - 1,
        carbontracker=theirs * pace_of_run / epochs[0].reference_seconds / run - 1,
        carbontracker_raw=theirs / run - 1,
        sigma=sigma,
    )


def one_round(configurations: list[Configuration], pace: Pace) -> dict[Configuration, Errors]:
    """Probe all, then run all."""
    probes, others = [], BusyWatch()
    for configuration in configurations:
        probes.append(measure(configuration, (), pace))
        gc.collect()
    model = model_of(probes, others.share())
    errors = {}
    for probe in at_usual_pace(probes):
        errors[probe.configuration] = errors_of(probe, model.cost(probe.configuration).sigma, run_epochs(probe, pace))
        gc.collect()
    return errors


def model_of(probes: list[MeasuredStep], others_share: float) -> EnergyModel:
    """The energy model of a machine on which just this was measured, while others used that share of its CPUs."""
    profile = HardwareProfile(
        key="probed",
        kind="cpu",
        devices=("this machine",),
        idle_watts=10,
        tdp_watts=65,
        host_cpus=os.cpu_count() or 1,
        startup_seconds=0,
        pace_spread=pace_spread(probes),
        others_share=others_share,
        coefficients=(),
        measured=tuple(at_usual_pace(probes)),
        provenance={"seconds": "measured by this bench"},
        made_on=datetime.now(UTC).date(),
    )
    return EnergyModel(profile)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="each takes eight to ten minutes")
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    configurations = [Configuration(work, _model(shape), batch_size=batch) for work, shape, batch in CASES]
    pace = Pace()
    results = [one_round(configurations, pace) for _ in range(rounds)]
    sides = ("ours", "ours_raw", "carbontracker", "carbontracker_raw")
    print(f"{'signed errors, one for each round':<58}" + "".join(f"{side.replace('_', ' '):>22}" for side in sides))
    absolute: dict[str, list[float]] = {side: [] for side in sides}
    for configuration in configurations:
        signed = {side: [getattr(errors[configuration], side) for errors in results] for side in sides}
        print(f"{configuration!s:<58}" + "".join(f"{' '.join(f'{error:+.1%}' for error in signed[side]):>22}" for side in sides))
        for side in sides:
            absolute[side] += map(abs, signed[side])
    print(f"{'mean of their amounts':<58}" + "".join(f"{statistics.mean(absolute[side]):>22.1%}" for side in sides))
    covered = [each.is_covered for errors in results for each in errors.values()]
    widths = statistics.mean(math.expm1(Z80 * each.sigma) for errors in results for each in errors.values())
    print(f"our 80 % intervals, {widths:.1%} to each side, hold {statistics.mean(covered):.0%} of {len(covered)} runs")
    print(f"load average at the end {os.getloadavg()[0]:.1f}")
    return 0 if statistics.mean(absolute["ours"]) <= GOAL else 1


def _model(shape: tuple[int, ...]) -> ModelSpec:
    return ModelSpec(dimensions=2 if len(shape) == 2 else 3, size="tiny", image_shape=shape)


if __name__ == "__main__":
    sys.exit(main())
