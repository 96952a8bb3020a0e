"""Measure one step on this machine: how long it takes and, where a counter can tell, how many joules. Imports torch: node only."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.energy.configuration import Configuration
from jobs.energy.hardware import MeasuredStep
from jobs.energy.source import PowerSource
from jobs.energy.workbench import Workbench

WARM_UP_STEPS, TIMED_STEPS = 2, 10
_LEAST_BLOCK_SECONDS = 0.5  # on a GPU: its energy counter ticks in tenths of a second
_LONGEST_SECONDS = 20.0  # per configuration; slow steps are timed at least twice all the same
_MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal distribution


@dataclass(frozen=True, slots=True)
class _Block:
    """A few steps timed together. `joules` None: no counter, or nothing read."""

    steps: int
    seconds: float
    joules: float | None


def measure(configuration: Configuration, sources: Sequence[PowerSource] = ()) -> MeasuredStep:
    """Warm up, then time the configuration's step. Raises MemoryError or torch.OutOfMemoryError where it does not fit."""
    bench = Workbench(configuration)
    clock = _clock(configuration, bench)
    started = time.monotonic()
    for _ in range(WARM_UP_STEPS):
        first = _timed(bench, 1, clock, ())
        if first.seconds > _LONGEST_SECONDS / 4:
            break
    per_block = 1 if bench.device.type == "cpu" else max(1, math.ceil(_LEAST_BLOCK_SECONDS / max(1e-6, first.seconds)))
    read_counters(sources)  # what building and warming up drew belongs to nobody
    blocks: list[_Block] = []
    while len(blocks) < 2 or (len(blocks) < TIMED_STEPS and time.monotonic() - started < _LONGEST_SECONDS):
        blocks.append(_timed(bench, per_block, clock, sources))
    return _summary(configuration, blocks)


def _clock(configuration: Configuration, bench: Workbench) -> Callable[[], float]:
    """CPU time on one thread, so that other work on the machine does not count; wall time otherwise."""
    alone = bench.device.type == "cpu" and configuration.threads == 1
    return time.process_time if alone else time.perf_counter


def _timed(bench: Workbench, steps: int, clock: Callable[[], float], sources: Sequence[PowerSource]) -> _Block:
    bench.finish()
    start = clock()
    for _ in range(steps):
        bench.step()
    bench.finish()
    return _Block(steps, clock() - start, read_counters(sources))


def read_counters(sources: Sequence[PowerSource]) -> float | None:
    """Joules since the last look; None if no counter is among the sources: a model's joules follow from the seconds anyway."""
    readings = [(source.provenance, sum(source.joules_since_last().values())) for source in sources]
    counted = any(provenance == "measured" for provenance, _ in readings)
    return sum(joules for _, joules in readings) if counted else None


def _summary(configuration: Configuration, blocks: Sequence[_Block]) -> MeasuredStep:
    """The median step, so that one disturbed block does not count; joules over all blocks, as counters tick slowly."""
    seconds = [block.seconds / block.steps for block in blocks]
    usual = statistics.median(seconds)
    joules = [block.joules for block in blocks if block.joules is not None]
    steps = sum(block.steps for block in blocks)
    return MeasuredStep(
        configuration=configuration,
        seconds=usual,
        joules=sum(joules) / steps if len(joules) == len(blocks) and sum(joules) > 0 else None,
        spread=_MAD_TO_SIGMA * statistics.median([abs(each - usual) for each in seconds]) / usual,
        steps=steps,
    )
