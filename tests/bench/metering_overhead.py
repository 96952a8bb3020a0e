"""What metering costs: `python -m tests.bench.metering_overhead [--seconds 60]`.

Trains the tiny 2D UNet on one thread under a running meter at its default interval and reports the CPU time of the meter's
and carbontracker's threads and of all `mark` calls, as a share of the run's time and of its CPU time, which are the same on a
machine with nothing else to do. Comparing runs with and without a meter drowns 0.1 % in the noise between runs. What the run's
records hold is set beside the power model by hand: idle watts times seconds on the clock, and watts above idle of a CPU times
the process's CPU seconds as the kernel counts them.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
import timeit
from pathlib import Path

import numpy as np

from jobs.architecture import architecture_of
from jobs.energy.metering import RunMeter
from jobs.ldm.diffusion import DiffusionTraining, scaling_of
from jobs.ldm.networks import build_all
from jobs.ldm.runtime import prepare_runtime
from jobs.rundir import RunDirectory
from jobs.spec import DataSpec, MeteringSpec, ModelSpec, PhantomData, TrainingWorkload

METER_THREADS = {"lowtide-meter", "CarbonTrackerThread"}


def training() -> DiffusionTraining:
    model = ModelSpec(dimensions=2, size="tiny", image_shape=(64, 64))
    workload = TrainingWorkload(kind="training", model=model, data=DataSpec(phantom=PhantomData(patients=1)), iterations=1, batch_size=4)
    runtime = prepare_runtime(workload)
    unet, _, _ = build_all(architecture_of(model), workload.backend, seed=0)
    latents = np.random.default_rng(0).standard_normal((4, model.latent_channels, *model.latent_shape), dtype=np.float32)
    return DiffusionTraining(unet, latents, scaling_of(latents), workload, runtime)


def thread_cpu_seconds() -> float:
    """CPU time of the meter's threads so far."""
    ticks = 0
    for thread in threading.enumerate():
        if thread.name in METER_THREADS:
            fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def by_hand(metering: MeteringSpec, wall_seconds: float, cpu_seconds: float) -> float:
    """Joules of a run that has the host for itself."""
    above_idle = (metering.cpu_tdp_watts - metering.cpu_idle_watts) / (os.cpu_count() or 1)
    return metering.cpu_idle_watts * wall_seconds + above_idle * cpu_seconds


def kernels_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to train under the meter")
    seconds = parser.parse_args().seconds
    work, metering, steps = training(), MeteringSpec(meter="cpu-model"), 0
    with tempfile.TemporaryDirectory() as folder:
        started, cpu_started = time.monotonic(), kernels_cpu_seconds()
        with RunMeter(RunDirectory(folder), metering, "bench") as meter:
            meter.mark("work", 0)
            while time.monotonic() - started < seconds:
                work.train_step(steps)
                steps += 1
                meter.mark("work", steps)
            threads = thread_cpu_seconds()
        wall, cpu = time.monotonic() - started, kernels_cpu_seconds() - cpu_started
        records = RunDirectory(folder).energy()
        mark = min(timeit.repeat(lambda: meter.mark("work", steps), number=10_000, repeat=5)) / 10_000
    metered, expected = sum(record.total_joules for record in records), by_hand(metering, wall, cpu)
    print(f"{steps} steps in {wall:.1f} s ({cpu:.1f} s CPU), {len(records)} records")
    print(f"metered {metered:.1f} J, by hand {expected:.1f} J: {100 * (metered / expected - 1):+.2f} %")
    print(f"meter and carbontracker threads {threads:.3f} s CPU, marks {steps * mark:.4f} s ({mark * 1e9:.0f} ns each)")
    overhead = 100 * (threads + steps * mark)
    print(f"overhead {overhead / wall:.2f} % of run time, {overhead / cpu:.2f} % of CPU time (of which the work got {cpu / wall:.0%})")


if __name__ == "__main__":
    main()
