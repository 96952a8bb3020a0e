"""Measure this machine: seconds and joules of the product's own steps over a grid of configurations, as a hardware profile.

Each configuration gets two warm-up steps and ten timed ones, more where they are over within two seconds, fewer where a step
lasts long. On a CPU they are counted in steps of a reference, so that all configurations are told at the machine's usual pace.
What is measured is kept at once, so an interrupted profiling goes on where it stopped. Imports torch: node only.
"""

from __future__ import annotations

import gc
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from pydantic import ValidationError

from jobs.energy.carbontracker_bridge import device_names
from jobs.energy.configuration import Configuration
from jobs.energy.counter_check import check_counters
from jobs.energy.fitting import fit_coefficients
from jobs.energy.hardware import CounterCheck, HardwareProfile, MeasuredStep, Overhead
from jobs.energy.measuring import TIMED_STEPS, measure, read_counters, sources_in_words
from jobs.energy.nvml import driver_version
from jobs.energy.overhead_measuring import measure_checkpoint, measure_preparation
from jobs.energy.pace import Pace
from jobs.energy.process_tree import ProcessTree, host_busy_cpu_seconds
from jobs.energy.source import PowerSource
from jobs.energy.sources import open_sources
from jobs.ldm.runtime import library_versions
from jobs.rundir import append_line, write_aside
from jobs.spec import MeteringSpec

_MATRIX_SIDE, _PRODUCTS = 4096, 4  # half a teraflop
OUT_OF_TIME = "skipped: out of time, called again with the same output it goes on from there"
_BUSY_SHARE = 0.1  # of the host's CPUs used by others while we measure


@dataclass(frozen=True, slots=True)
class Progress:
    """One configuration done: measured, taken over from an interrupted profiling, or skipped with the reason in `note`."""

    done: int
    of: int
    configuration: Configuration
    step: MeasuredStep | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _BesideSteps:
    """What a run spends on anything but its steps."""

    startup_seconds: float
    startup_joules: float | None
    checkpoint: Overhead
    preparation: Overhead
    counter_checks: tuple[CounterCheck, ...]


def profile_machine(
    key: str,
    configurations: Sequence[Configuration],
    output: Path,
    metering: MeteringSpec,
    report: Callable[[Progress], None],
    today: date,
    longest_seconds: float = math.inf,
    monotonic_seconds: Callable[[], float] = time.monotonic,
) -> HardwareProfile:
    """Measure what is not measured yet, fit, and write the profile to `output`.

    `metering` gives the host's idle and TDP watts for what no counter covers. After `longest_seconds` no further
    configuration is begun; the next call with this output measures what was left out, too. Raises ValueError if nothing at all
    could be measured, OSError if the profile cannot be written.
    """
    started = monotonic_seconds()
    partial = output.with_suffix(".partial.jsonl")
    asked = set(configurations)  # only steps on as many threads were timed beside one and the same reference
    measured = {step.configuration: step for step in _read_partial(partial) if step.configuration in asked}
    others, out_of_time = BusyWatch(), False
    pace = None if on_gpu() else Pace(configurations[0].threads)
    with _metered(metering) as sources:
        for number, configuration in enumerate(configurations, start=1):
            step, note = measured.get(configuration), "measured before"
            if step is None and monotonic_seconds() - started > longest_seconds:
                note, out_of_time = OUT_OF_TIME, True
            elif step is None:
                step, note = _try(configuration, sources, pace)
            if step is not None and configuration not in measured:
                measured[configuration] = step
                append_line(partial, step.model_dump_json())
            report(Progress(number, len(configurations), configuration, step, note or others.warning()))
        beside = _measure_beside_steps(output.parent, sources)
        profile = _profile(key, list(measured.values()), metering, sources, beside, others, today)
    write_aside(output, profile.model_dump_json(indent=1))
    if not out_of_time:
        partial.unlink(missing_ok=True)
    return profile


def on_gpu() -> bool:
    """Whether this machine's profile is that of a GPU."""
    return torch.cuda.is_available()


def has_bfloat16() -> bool:
    """Whether this device has instructions for bfloat16; without, it imitates them many times slower than float32."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu() else torch.cpu._is_avx512_bf16_supported()


def has_tf32() -> bool:
    """Whether this device is a GPU with TF32 arithmetic."""
    return on_gpu() and torch.cuda.is_tf32_supported()


def at_usual_pace(measured: Sequence[MeasuredStep]) -> list[MeasuredStep]:
    """All steps as at the mean pace of the whole profiling, which is the best guess for runs to come."""
    references = [step.reference_seconds for step in measured if step.reference_seconds is not None]
    usual = statistics.mean(references) if references else math.nan
    return [step.at_pace(usual) for step in measured]


def pace_spread(measured: Sequence[MeasuredStep]) -> float | None:
    """The standard deviation of log(pace) between configurations; None where fewer than two were timed beside a reference.

    Each saw the machine for some seconds, all together for minutes: a run to come will see such a stretch of its own.
    """
    logs = [math.log(step.reference_seconds) for step in measured if step.reference_seconds is not None]
    return statistics.stdev(logs) if len(logs) > 1 else None


def _try(configuration: Configuration, sources: Sequence[PowerSource], pace: Pace | None) -> tuple[MeasuredStep | None, str]:
    """The measurement, or None and the reason why there is none."""
    try:
        return measure(configuration, sources, pace), ""
    except (MemoryError, torch.OutOfMemoryError):
        return None, "skipped: out of memory"
    except RuntimeError as error:
        if "memory" in str(error):  # torch's CPU allocator raises a plain RuntimeError
            return None, "skipped: out of memory"
        raise
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _measure_beside_steps(folder: Path, sources: Sequence[PowerSource]) -> _BesideSteps:
    """`folder` is on the disk that is written to."""
    checks = check_counters(_matrix_products()) if on_gpu() else ()
    return _BesideSteps(*_startup(sources), measure_checkpoint(folder, sources), measure_preparation(folder, sources), checks)


def _matrix_products() -> Callable[[], None]:
    """Steady work for the GPU, some hundredths of a second at a time."""
    factor = torch.ones((_MATRIX_SIDE, _MATRIX_SIDE), device="cuda")

    def work() -> None:
        for _ in range(_PRODUCTS):
            torch.mm(factor, factor)
        torch.cuda.synchronize()

    return work


def _startup(sources: Sequence[PowerSource]) -> tuple[float, float | None]:
    """Seconds and joules until a fresh process has imported what a run needs."""
    read_counters(sources)
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import jobs.ldm.training, jobs.ldm.synthesis"], check=True, capture_output=True)
    return time.monotonic() - started, read_counters(sources)


def _profile(
    key: str,
    measured: list[MeasuredStep],
    metering: MeteringSpec,
    sources: Sequence[PowerSource],
    beside: _BesideSteps,
    others: BusyWatch,
    today: date,
) -> HardwareProfile:
    if not measured:
        raise ValueError("nothing could be measured: every configuration was skipped, choose smaller ones")
    told, warning = at_usual_pace(measured), others.warning()
    how = "wall time" if on_gpu() else "counted in steps of a reference beside them, at the machine's mean pace in this profiling"
    return HardwareProfile(
        key=key,
        kind="gpu" if on_gpu() else "cpu",
        devices=tuple(device_names()),
        idle_watts=metering.cpu_idle_watts,
        tdp_watts=metering.cpu_tdp_watts,
        host_cpus=os.cpu_count() or 1,
        startup_seconds=beside.startup_seconds,
        startup_joules=beside.startup_joules,
        checkpoint=beside.checkpoint,
        preparation=beside.preparation,
        counter_checks=beside.counter_checks,
        pace_spread=pace_spread(measured),
        others_share=others.share(),
        coefficients=fit_coefficients(told, "gpu" if on_gpu() else "cpu"),
        measured=tuple(told),
        provenance={
            "seconds": f"measured: median of {TIMED_STEPS} or more warm steps, {how}" + (f"; {warning}" if warning else ""),
            "joules": _how_joules_came_about(measured, sources),
            "idle_watts, tdp_watts": "assumed: as configured for the meter",
            "startup": "measured: a fresh process that imports what a run needs",
            "checkpoint": "measured: files of 4 KiB and 128 MiB, written, flushed and checked where this profile lies",
            "preparation": "measured: compressed NIfTI volumes of 16 and 128 voxels a side, read, fitted and cached there",
        },
        libraries=library_versions() | _device_software(),
        made_on=today,
    )


def _device_software() -> dict[str, str]:
    """Versions of what drives the GPU; none on a CPU, even where torch is built for CUDA."""
    if not on_gpu():
        return {}
    versions = {"nvidia-driver": driver_version(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}  # type: ignore[no-untyped-call]
    return {name: str(number) for name, number in versions.items() if number is not None}


def _how_joules_came_about(measured: Sequence[MeasuredStep], sources: Sequence[PowerSource]) -> str:
    """In words for the profile; steps without a counter's joules are told apart from those with."""
    estimated = "estimated: seconds times idle + (TDP - idle) x busy CPUs"
    uncounted = sum(step.joules is None for step in measured)
    if uncounted == len(measured):
        return estimated
    return sources_in_words(sources) + (f"; {uncounted} of {len(measured)} operations {estimated}" if uncounted else "")


def _read_partial(path: Path) -> Iterator[MeasuredStep]:
    """What an interrupted profiling has left; a torn last line is measured again."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield MeasuredStep.model_validate_json(line)
        except ValidationError:
            continue


@contextmanager
def _metered(metering: MeteringSpec) -> Iterator[list[PowerSource]]:
    sources = open_sources(metering)
    try:
        yield sources
    finally:
        for source in sources:
            source.close()


class BusyWatch:
    """How much of the host's CPUs others have used since this watch began."""

    def __init__(
        self,
        own_cpu_seconds: Callable[[], float] | None = None,
        host_cpu_seconds: Callable[[], float] = host_busy_cpu_seconds,
        monotonic_seconds: Callable[[], float] = time.monotonic,
        cpus: int | None = None,
    ) -> None:
        self._own = own_cpu_seconds or ProcessTree().cpu_seconds
        self._host, self._clock = host_cpu_seconds, monotonic_seconds
        self._cpus = cpus or os.cpu_count() or 1
        self._start = (self._own(), self._host(), self._clock())

    def share(self) -> float:
        """Of the host's CPUs, what others have used; between 0 and 1."""
        own, host, seconds = (now - then for now, then in zip((self._own(), self._host(), self._clock()), self._start, strict=True))
        return min(1.0, max(0.0, (host - own) / (seconds * self._cpus))) if seconds > 0 else 0.0

    def warning(self) -> str:
        """A sentence if others have used a tenth of the host or more, else nothing."""
        share = self.share()
        return f"the machine was busy: others used {share:.0%} of its CPUs" if share >= _BUSY_SHARE else ""
