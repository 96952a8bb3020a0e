"""GPU energy through NVML (NVIDIA Management Library), the driver's own interface.

Preferred: `nvmlDeviceGetTotalEnergyConsumption`, a counter in mJ since the driver was loaded (Volta and newer). Where it is
not supported, `nvmlDeviceGetPowerUsage` samples in mW are integrated by the trapezoid rule. A whole GPU belongs to one run,
so nothing is shared out.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jobs.rundir import Provenance

log = logging.getLogger(__name__)

_MILLI = 1e-3


class Nvml(Protocol):
    """The part of `pynvml` we use; tests put a fake driver here. Handles are opaque."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...


def visible_handles(nvml: Nvml, cuda_visible_devices: str | None) -> list[Any]:
    """Handles of the GPUs this process may use, in CUDA's order; NVML must be initialised.

    `cuda_visible_devices` is the environment variable: unset means all, indices or (prefixes of) `GPU-` UUIDs in a list
    otherwise, and the list ends at the first entry that names no device, as CUDA does it. A MIG slice has no energy
    reading of its own, so `MIG-` entries end the list too: its energy is unknown rather than that of the whole card.
    """
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if cuda_visible_devices is None:
        return handles
    uuids = [nvml.nvmlDeviceGetUUID(handle) for handle in handles]
    chosen: list[Any] = []
    for entry in (word.strip() for word in cuda_visible_devices.split(",")):
        if entry.isdigit() and int(entry) < len(handles):
            chosen.append(handles[int(entry)])
        elif entry.startswith("GPU-") and sum(uuid.startswith(entry) for uuid in uuids) == 1:
            chosen.append(next(handle for handle, uuid in zip(handles, uuids, strict=True) if uuid.startswith(entry)))
        else:
            break
    return chosen


class EnergyCounter:
    """Energy of one GPU from its total-energy counter."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._last_millijoules = self._read()

    def joules_since_last(self) -> float:
        now = self._read()
        # The counter restarts at zero when the driver is reloaded: what it shows then is what was used since.
        used = now - self._last_millijoules if now >= self._last_millijoules else now
        self._last_millijoules = now
        return used * _MILLI

    def _read(self) -> int:
        return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)


class PowerIntegral:
    """Energy of one GPU from power samples; a sample that fails is bridged by the next one."""

    def __init__(self, nvml: Nvml, handle: Any, monotonic_seconds: Callable[[], float]) -> None:
        self._nvml, self._handle, self._clock = nvml, handle, monotonic_seconds
        self._last_watts, self._last_seconds = self._read(), self._clock()

    def joules_since_last(self) -> float:
        watts, now = self._read(), self._clock()
        joules = (watts + self._last_watts) / 2 * (now - self._last_seconds)
        self._last_watts, self._last_seconds = watts, now
        return joules

    def _read(self) -> float:
        return self._nvml.nvmlDeviceGetPowerUsage(self._handle) * _MILLI


class NvmlSource:
    """Energy of this run's GPUs as `gpu0`, `gpu1`, ... in CUDA's order."""

    provenance: Provenance = "measured"

    def __init__(
        self,
        nvml: Nvml,
        cuda_visible_devices: str | None,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes over an initialised NVML and shuts it down in `close`."""
        self._nvml = nvml
        self._meters: dict[str, EnergyCounter | PowerIntegral] = {}
        self._failing: set[str] = set()
        for index, handle in enumerate(visible_handles(nvml, cuda_visible_devices)):
            meter = self._meter(handle, monotonic_seconds)
            if meter is not None:
                self._meters[f"gpu{index}"] = meter

    @property
    def components(self) -> list[str]:
        return list(self._meters)

    def joules_since_last(self) -> Mapping[str, float]:
        joules = {}
        for component, meter in self._meters.items():
            try:
                joules[component] = meter.joules_since_last()
                self._failing.discard(component)
            except self._nvml.NVMLError as error:
                if component not in self._failing:
                    log.warning("NVML cannot read %s, its energy is unknown until it can: %s", component, error)
                self._failing.add(component)
        return joules

    def close(self) -> None:
        if self._meters:
            self._meters = {}
            self._nvml.nvmlShutdown()

    def _meter(self, handle: Any, monotonic_seconds: Callable[[], float]) -> EnergyCounter | PowerIntegral | None:
        try:
            return EnergyCounter(self._nvml, handle)
        except self._nvml.NVMLError:
            pass  # older than Volta, or virtualised: fall back to power
        try:
            return PowerIntegral(self._nvml, handle, monotonic_seconds)
        except self._nvml.NVMLError as error:
            log.warning("NVML gives neither energy nor power of a GPU, its energy is unknown: %s", error)
            return None


def driver_version() -> str | None:
    """Of NVIDIA's driver, such as "550.54.15"; None where there is none or it does not tell."""
    nvml = initialised_nvml()
    if nvml is None:
        return None
    try:
        return nvml.nvmlSystemGetDriverVersion()
    except nvml.NVMLError as error:
        log.warning("NVML is there but does not tell the driver's version: %s", error)
        return None
    finally:
        nvml.nvmlShutdown()


def open_nvml() -> NvmlSource | None:
    """A source over this host's GPUs, or None where there is no driver or no GPU is visible to this process."""
    nvml = initialised_nvml()
    if nvml is None:
        return None
    try:
        source = NvmlSource(nvml, os.environ.get("CUDA_VISIBLE_DEVICES"))
    except nvml.NVMLError as error:
        log.warning("NVML is there but cannot list the GPUs, their energy is unknown: %s", error)
        nvml.nvmlShutdown()
        return None
    if source.components:
        return source
    nvml.nvmlShutdown()
    return None


def initialised_nvml() -> Nvml | None:
    """NVML, to be shut down as often as it was asked for; None where there is no driver."""
    try:
        import pynvml  # imported late: the daemon and CPU-only nodes do without it

        nvml: Nvml = pynvml
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml
