"""Whether a GPU's energy counter agrees with its own power readings, integrated over the same stretch of work.

Where it does not, joules of that GPU are in doubt, as on a card whose counter the driver estimates. Power readings are means
of up to a second (nvidia-smi's documentation of power.draw), so a check takes some twenty seconds of steady work, after two in
which the readings forget that the GPU was idle: they alone would seem to put a counter 2 % off.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from jobs.energy.hardware import CounterCheck
from jobs.energy.nvml import EnergyCounter, Nvml, PowerIntegral, initialised_nvml, visible_handles

log = logging.getLogger(__name__)

CHECK_SECONDS = 20.0
WARM_UP_SHARE = 0.1  # of the seconds checked, before them
TOLERANCE = 0.02


def check_counters(work: Callable[[], object], seconds: float = CHECK_SECONDS) -> tuple[CounterCheck, ...]:
    """Of this process's GPUs that have both, while `work` is repeated; none where there is no driver. It should take a tenth of a
    second at most, as power is read between."""
    nvml = initialised_nvml()
    if nvml is None:
        return ()
    try:
        return compare(nvml, os.environ.get("CUDA_VISIBLE_DEVICES"), work, seconds)
    except nvml.NVMLError as error:
        log.warning("NVML failed while its energy counter was checked, so it was not: %s", error)
        return ()
    finally:
        nvml.nvmlShutdown()


def compare(
    nvml: Nvml,
    cuda_visible_devices: str | None,
    work: Callable[[], object],
    seconds: float,
    monotonic_seconds: Callable[[], float] = time.monotonic,
) -> tuple[CounterCheck, ...]:
    """The same on an initialised NVML. Raises its NVMLError where a reading fails on the way."""
    _repeat(work, WARM_UP_SHARE * seconds, monotonic_seconds)
    meters = {}
    for index, handle in enumerate(visible_handles(nvml, cuda_visible_devices)):
        both = _both(nvml, handle, monotonic_seconds)
        if both is not None:
            meters[f"gpu{index}"] = both
    if not meters:
        return ()
    integrated = dict.fromkeys(meters, 0.0)

    def work_and_read() -> None:
        work()
        for name, (_, power) in meters.items():
            integrated[name] += power.joules_since_last()

    lasted_seconds = _repeat(work_and_read, seconds, monotonic_seconds)
    return tuple(
        CounterCheck(component=name, seconds=lasted_seconds, counted_joules=counter.joules_since_last(), integrated_joules=integrated[name])
        for name, (counter, _) in meters.items()
    )


def _repeat(work: Callable[[], object], seconds: float, monotonic_seconds: Callable[[], float]) -> float:
    """At least once, until that time is over; how long it lasted in the end."""
    start = monotonic_seconds()
    work()
    while monotonic_seconds() - start < seconds:
        work()
    return monotonic_seconds() - start


def in_words(check: CounterCheck) -> str:
    """A sentence for people."""
    told = f"{check.component}: its energy counter told {check.counted_joules:,.0f} J, its power readings integrate to"
    told = f"{told} {check.integrated_joules:,.0f} J over {check.seconds:.0f} s"
    if check.deviation is None:
        return f"{told}: nothing to compare with"
    verdict = "they agree" if abs(check.deviation) <= TOLERANCE else f"more than {TOLERANCE:.0%} apart, so its joules are in doubt"
    return f"{told} ({round(check.deviation, 3) + 0.0:+.1%}): {verdict}"


def _both(nvml: Nvml, handle: Any, monotonic_seconds: Callable[[], float]) -> tuple[EnergyCounter, PowerIntegral] | None:
    try:
        return EnergyCounter(nvml, handle), PowerIntegral(nvml, handle, monotonic_seconds)
    except nvml.NVMLError:
        return None  # without the one or the other there is nothing to compare
