"""Time the configurations of the energy benchmark: `python -m tests.bench.energy_timing FILE [--rounds N] [--size tiny]`.

CPU time on one thread. A machine that does other work besides is slower by caches and shared cores even in CPU time, so
every step is timed between two steps of a fixed reference and counted in those: a disturbance hits both. Each line of FILE
is one case of one round; run again to add rounds (what is there already is not repeated).
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import warnings
from itertools import pairwise
from pathlib import Path

from jobs.energy.configuration import Configuration
from jobs.energy.workbench import Workbench
from jobs.rundir import append_line
from jobs.spec import ModelSpec
from tests.bench.energy_configurations import configurations

REFERENCE = Configuration("denoise", ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64)), batch_size=8)
_LONG_STEP_SECONDS = 1.0
_STEPS, _LONG_STEPS = 5, 2


def cpu_seconds(bench: Workbench) -> float:
    start = time.process_time()
    bench.step()
    return time.process_time() - start


def timed(configuration: Configuration, reference: Workbench) -> dict[str, list[float]]:
    """Steps of the configuration and the mean of the reference's step before and after each."""
    bench = Workbench(configuration)
    bench.step()
    long = cpu_seconds(bench) > _LONG_STEP_SECONDS
    steps, references = [], [cpu_seconds(reference)]
    for _ in range(_LONG_STEPS if long else _STEPS):
        steps.append(cpu_seconds(bench))
        references.append(cpu_seconds(reference))
    return {"seconds": steps, "reference_seconds": [(before + after) / 2 for before, after in pairwise(references)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--size", action="append", help="only models of this size; may be repeated")
    arguments = parser.parse_args()
    lines = arguments.file.read_text().splitlines() if arguments.file.exists() else []
    done = {(entry["round"], entry["case"]) for entry in map(json.loads, lines)}
    warnings.simplefilter("ignore")
    reference = Workbench(REFERENCE)
    for round_number in range(arguments.rounds):
        for configuration in configurations():
            chosen = arguments.size is None or configuration.model.size in arguments.size
            if chosen and (round_number, str(configuration)) not in done:
                entry = {"round": round_number, "case": str(configuration)} | timed(configuration, reference)
                append_line(arguments.file, json.dumps(entry))
                gc.collect()


if __name__ == "__main__":
    main()
