"""Short runs on this machine, extrapolated as the paper does: mean power and its deviation over blocks of steps, times N.

The paper's blocks are 50 epochs of 120 iterations, and 50 samples of 1,000 denoise steps. Here a block is as many steps as fit
into the time given, up to just those. torch is imported by the first run.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from daemon.study import paper
from daemon.study.cases import JOULES_PER_KWH, Case
from jobs.energy.configuration import Configuration
from jobs.energy.flops import Operation, sample_flops
from jobs.energy.hardware import HardwareProfile
from jobs.energy.source import PowerSource
from jobs.spec import MeteringSpec, Size

LEAST_BLOCK_SECONDS = 0.25  # energy counters of GPUs tick in tenths of a second
_FEWEST_BLOCKS = 3
_DECODES = 3


@dataclass(frozen=True, slots=True)
class ShortRun:
    """One configuration measured, and the whole run it stands for. Energies are of the machine's components, without PUE.

    `machine_sd_kwh` follows the deviation of the power between blocks, as the paper's does.
    """

    phase: paper.Phase
    image: str
    size: Size
    blocks: int
    steps_per_block: int
    watts: float
    watts_sd: float
    seconds_per_step: float
    machine_kwh: float
    machine_sd_kwh: float
    hours: float
    provenance: str

    @property
    def kg(self) -> float:
        return self.machine_kwh * paper.PUE * paper.EU27 / 1000

    @property
    def sd_kg(self) -> float:
        return self.machine_sd_kwh * paper.PUE * paper.EU27 / 1000


@dataclass(frozen=True, slots=True)
class Skipped:
    """A configuration that was not run, with the reason."""

    phase: paper.Phase
    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of steps of one kind."""

    steps: int
    seconds: float
    joules: float

    @property
    def watts(self) -> float:
        return self.joules / self.seconds


def paper_cases(size: Size) -> list[Case]:
    """The paper's image sizes in both phases, from small to large within each."""
    phases: tuple[paper.Phase, ...] = ("training", "synthesis")
    return [Case(phase, shape, size) for phase in phases for shapes in (paper.SHAPES_2D, paper.SHAPES_3D) for shape in shapes]


def metering_of(profile: HardwareProfile) -> MeteringSpec:
    """Counters where there are any; for a CPU without, the model with the profile's watts (the default's with a GPU's profile)."""
    if profile.kind == "gpu":
        return MeteringSpec()
    return MeteringSpec(cpu_tdp_watts=profile.tdp_watts, cpu_idle_watts=profile.idle_watts)


def short_runs(
    cases: Sequence[Case], sources: Sequence[PowerSource], seconds: float, report: Callable[[ShortRun | Skipped], None]
) -> list[ShortRun | Skipped]:
    """Run each case for about `seconds`. Sizes that would not fit into the time, judged by their FLOPs from the last one, are skipped."""
    done: list[ShortRun | Skipped] = []
    seconds_per_flop: dict[tuple[paper.Phase, int], float] = {}
    for case in cases:
        kind = (case.phase, case.model.dimensions)
        flops = sample_flops(case.model, _operation(case)) * case.batch_size
        expected = seconds_per_flop.get(kind, 0.0) * flops
        if expected * _FEWEST_BLOCKS > seconds:
            reason = f"a step would take about {expected:.1f} s: give it more than {expected * _FEWEST_BLOCKS:.0f} s"
            done.append(Skipped(case.phase, case.image, reason))
        else:
            done.append(_tried(case, sources, seconds))
        if isinstance(done[-1], ShortRun):
            seconds_per_flop[kind] = done[-1].seconds_per_step / flops
        report(done[-1])
    return done


def _tried(case: Case, sources: Sequence[PowerSource], seconds: float) -> ShortRun | Skipped:
    """The run, or that it does not fit into memory."""
    try:
        return _short_run(case, sources, seconds)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):  # torch says it with a RuntimeError or a child of it
            raise
        return Skipped(case.phase, case.image, "does not fit into memory: choose a smaller size")


def _short_run(case: Case, sources: Sequence[PowerSource], seconds: float) -> ShortRun:
    most_blocks, most_steps = (
        (paper.MEASURED_EPOCHS, paper.ITERATIONS_PER_EPOCH) if case.phase == "training" else (paper.MEASURED_SAMPLES, case.inference_steps)
    )
    blocks = list(_blocks(_step_of(case, _operation(case)), sources, seconds, most_blocks, most_steps))
    decoding = list(_blocks(_step_of(case, "decode"), sources, seconds, _DECODES, 1)) if case.phase == "synthesis" else []
    return extrapolate(case, blocks, decoding, " + ".join(sorted({source.provenance for source in sources})))


def extrapolate(case: Case, blocks: Sequence[Block], decoding: Sequence[Block], provenance: str) -> ShortRun:
    """Equation 1: mean power x mean time x number, and the same with the power's deviation. `decoding`: of single images.

    A step on a batch serves `batch_size` samples. Needs two blocks or more.
    """
    powers = [block.watts for block in blocks]
    watts, watts_sd = statistics.mean(powers), statistics.stdev(powers)
    per_step = statistics.mean([block.seconds / block.steps for block in blocks])
    passes = case.count if case.phase == "training" else case.count / case.batch_size * case.inference_steps
    decoded = case.count / case.batch_size / sum(block.steps for block in decoding) if decoding else 0.0
    seconds = per_step * passes + decoded * sum(block.seconds for block in decoding)
    joules = watts * per_step * passes + decoded * sum(block.joules for block in decoding)
    return ShortRun(
        phase=case.phase,
        image=case.image,
        size=case.size,
        blocks=len(blocks),
        steps_per_block=blocks[0].steps,
        watts=watts,
        watts_sd=watts_sd,
        seconds_per_step=per_step,
        machine_kwh=joules / JOULES_PER_KWH,
        machine_sd_kwh=joules / JOULES_PER_KWH * watts_sd / watts,
        hours=seconds / 3600,
        provenance=provenance,
    )


def _operation(case: Case) -> Operation:
    return "train" if case.phase == "training" else "denoise"


def _step_of(case: Case, operation: Operation) -> Callable[[], None]:
    """One step of the product's own, done when the call returns."""
    from jobs.energy.workbench import Workbench

    bench = Workbench(Configuration(operation, case.model, case.batch_size, case.precision))

    def step() -> None:
        bench.step()
        bench.finish()

    return step


def _blocks(step: Callable[[], None], sources: Sequence[PowerSource], seconds: float, most_blocks: int, most_steps: int) -> Iterator[Block]:
    """Two steps of warm-up, then blocks of equal length until `most_blocks` are done or the time is up."""
    for _ in range(2):
        began = time.monotonic()
        step()
        warm = time.monotonic() - began
    block_seconds = max(LEAST_BLOCK_SECONDS, seconds / most_blocks)
    steps = max(1, min(most_steps, math.floor(block_seconds / warm)))
    _read(sources)  # what building and warming up drew belongs to nobody
    end = time.monotonic() + seconds
    for number in range(most_blocks):
        if number >= min(_FEWEST_BLOCKS, most_blocks) and time.monotonic() >= end:
            return
        began = time.monotonic()
        for _ in range(steps):
            step()
        yield Block(steps, time.monotonic() - began, _read(sources))


def _read(sources: Sequence[PowerSource]) -> float:
    """Joules of all components since the last look."""
    return sum(sum(source.joules_since_last().values()) for source in sources)
