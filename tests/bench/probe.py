"""How well a probe foretells a run twenty times as long: `python -m tests.bench.probe [--rounds N]`.

Ours: `jobs.energy.measuring.measure`, two warm-up and ten timed steps, the median times the steps of the run. Beside it, on
the same run, carbontracker's own predictor (`carbontracker.predictor`, the mean of the monitored epochs times the epochs) fed
with the run's first epoch of ten steps, which is what it monitors by default. Both count CPU seconds on one thread, which is
what the CPU power model turns into joules; where a counter measures, the same holds for its joules.

Every run is a fresh set of networks and includes its own first steps. Rounds are repeated in turn; the error of each
configuration is the median over rounds of |predicted - run| / run.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
import warnings

from carbontracker.predictor import predict_energy

from jobs.energy.configuration import Configuration
from jobs.energy.flops import Operation
from jobs.energy.measuring import TIMED_STEPS, measure
from jobs.energy.workbench import Workbench
from jobs.spec import ModelSpec

LONGER = 20
GOAL = 0.04

# (operation, image shape, batch size): a few minutes together on one core
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


def run_epochs(configuration: Configuration) -> list[float]:
    """CPU seconds of each epoch of a run: LONGER epochs of as many steps as the probe times."""
    bench = Workbench(configuration)
    epochs = []
    for _ in range(LONGER):
        start = time.process_time()
        for _ in range(TIMED_STEPS):
            bench.step()
        epochs.append(time.process_time() - start)
    return epochs


def errors_of(configuration: Configuration) -> tuple[float, float]:
    """(ours, carbontracker's) signed relative errors on one run."""
    ours = measure(configuration).seconds * TIMED_STEPS * LONGER
    gc.collect()
    epochs = run_epochs(configuration)
    theirs = float(predict_energy(LONGER, epochs[:1]))
    return ours / sum(epochs) - 1, theirs / sum(epochs) - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    configurations = [Configuration(work, _model(shape), batch_size=batch) for work, shape, batch in CASES]
    errors: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for configuration in configurations:
            errors.setdefault(str(configuration), []).append(errors_of(configuration))
            gc.collect()
    print(f"{'configuration':<60}{'ours':>8}{'carbontracker':>15}   (median over {rounds} rounds of |error|)")
    medians = {name: tuple(statistics.median(map(abs, side)) for side in zip(*pairs, strict=True)) for name, pairs in errors.items()}
    for name, (ours, theirs) in medians.items():
        print(f"{name:<60}{ours:>8.1%}{theirs:>15.1%}")
    mean_ours, mean_theirs = (statistics.mean(side) for side in zip(*medians.values(), strict=True))
    print(f"{'mean':<60}{mean_ours:>8.1%}{mean_theirs:>15.1%}")
    print(f"load average at the end {os.getloadavg()[0]:.1f}")
    return 0 if mean_ours <= GOAL else 1


def _model(shape: tuple[int, ...]) -> ModelSpec:
    return ModelSpec(dimensions=2 if len(shape) == 2 else 3, size="tiny", image_shape=shape)


if __name__ == "__main__":
    sys.exit(main())
