"""Measure one step on this machine: how long it takes and, where a counter can tell, how many joules. Imports torch: node only."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from jobs.energy.configuration import Configuration
from jobs.energy.hardware import MeasuredStep
from jobs.energy.pace import Clock, Pace, cpu_clock, paced
from jobs.energy.source import PowerSource
from jobs.energy.workbench import Workbench
from jobs.rundir import Provenance

WARM_UP_STEPS, TIMED_STEPS = 2, 10
_LEAST_SECONDS = 2.0  # on a CPU: ten quick steps are over before the machine has shown its usual pace
_LEAST_BLOCK_SECONDS = {"cpu": 0.03, "cuda": 0.5}  # beside a reference step; a GPU's energy counter ticks in tenths of a second
_LONGEST_SECONDS = 20.0  # per configuration; slow steps are timed at least twice all the same
_HOW: dict[Provenance, str] = {
    "measured": "measured: {} by its own meter",
    "estimated": "estimated: {} by the power model",
    "simulated": "simulated: {}",
}
_MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for a normal distribution


@dataclass(frozen=True, slots=True)
class _Block:
    """A few steps timed together. `joules` None: no counter, or nothing read."""

    steps: int
    seconds: float
    joules: float | None

    @property
    def step_seconds(self) -> float:
        return self.seconds / self.steps


def measure(configuration: Configuration, sources: Sequence[PowerSource] = (), pace: Pace | None = None) -> MeasuredStep:
    """Warm up, then time the configuration's step, beside the pace if one is given.

    Raises MemoryError or torch.OutOfMemoryError where it does not fit.
    """
    bench = Workbench(configuration)
    clock = cpu_clock(configuration.threads) if bench.device.type == "cpu" else time.perf_counter
    if "compile" in configuration.options:
        bench.step()  # compiles
    started = time.monotonic()
    for _ in range(WARM_UP_STEPS):
        first = _timed(bench, 1, clock, ())
        if first.seconds > _LONGEST_SECONDS / 4:
            break
    per_block = max(1, math.ceil(_LEAST_BLOCK_SECONDS[bench.device.type] / max(1e-6, first.seconds)))
    blocks: list[_Block] = []
    references = [] if pace is None else [pace.seconds()]
    while len(blocks) < 2 or (not _enough(blocks, bench.device.type) and time.monotonic() - started < _LONGEST_SECONDS):
        blocks.append(_timed(bench, per_block, clock, sources))
        references += [] if pace is None else [pace.seconds()]
    return _summary(configuration, blocks, [(before + after) / 2 for before, after in pairwise(references)])


def _enough(blocks: Sequence[_Block], device: str) -> bool:
    return len(blocks) >= TIMED_STEPS and (device != "cpu" or sum(block.seconds for block in blocks) >= _LEAST_SECONDS)


def _timed(bench: Workbench, steps: int, clock: Clock, sources: Sequence[PowerSource]) -> _Block:
    """Some steps. What was drawn before them, building, warming up and keeping the pace, belongs to nobody."""
    read_counters(sources)
    bench.finish()
    start = clock()
    for _ in range(steps):
        bench.step()
    bench.finish()
    return _Block(steps, clock() - start, read_counters(sources))


def read_counters(sources: Sequence[PowerSource]) -> float | None:
    """Joules since the last look; None if no counter is among the sources, as a model's joules follow from the seconds anyway,
    or if a source tells nothing: a part is not the whole."""
    readings = [(source.provenance, source.joules_since_last()) for source in sources]
    counted = any(provenance == "measured" for provenance, _ in readings) and all(reading for _, reading in readings)
    return sum(sum(reading.values()) for _, reading in readings) if counted else None


def sources_in_words(sources: Sequence[PowerSource]) -> str:
    """Which component's joules come from where, for example "measured: gpu by its own meter; estimated: cpu by the power model"."""
    told = [(_HOW[source.provenance], sorted({name.rstrip("0123456789") for name in source.joules_since_last()})) for source in sources]
    words = [how.format(" and ".join(names)) for how, names in told if names]
    if all("cpu" not in names for _, names in told):
        words.append("the cpu's are unknown and left out")
    return "; ".join(words)


def _spread(values: Sequence[float]) -> float:
    """Their relative standard deviation, of which a few wild ones are no part."""
    usual = statistics.median(values)
    return _MAD_TO_SIGMA * statistics.median([abs(value - usual) for value in values]) / usual if usual > 0 else 0.0


def _summary(configuration: Configuration, blocks: Sequence[_Block], references: list[float]) -> MeasuredStep:
    """The median step, so that one disturbed block does not count; joules over all blocks, as counters tick slowly.

    The seconds' spread is what remains with each block counted in steps of the reference around it: the pace has its own.
    """
    seconds = [block.step_seconds for block in blocks]
    paces = references or [1.0] * len(seconds)
    joules = [block.joules for block in blocks if block.joules is not None]
    steps = sum(block.steps for block in blocks)
    counted = len(joules) == len(blocks) and sum(joules) > 0
    return MeasuredStep(
        configuration=configuration,
        seconds=paced(seconds, references) if references else statistics.median(seconds),
        joules=sum(joules) / steps if counted else None,
        spread=_spread([each / pace for each, pace in zip(seconds, paces, strict=True)]),
        joules_spread=_spread([drawn / block.steps for drawn, block in zip(joules, blocks, strict=True)]) if counted else None,
        steps=steps,
        reference_seconds=statistics.mean(references) if references else None,
    )
