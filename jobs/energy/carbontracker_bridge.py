"""carbontracker on our terms: its detection, its handlers, its epochs and its log, without its facade.

The facade looks up the location over the network in its constructor, multiplies by a PUE of its own and may end the
process; its thread and components do none of that. What stays here is what the Latent Pollution Model paper measured with:
mean power per epoch, in carbontracker's log format, readable by `carbontracker.parser`. It stands beside our own records,
as a second reading by a known tool; the ledger uses ours.

Imported on the node only, when the work has begun: it pulls in pandas.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
from carbontracker.components.component import Component, create_components
from carbontracker.components.cpu.generic import GenericCPU
from carbontracker.components.cpu.intel import IntelCPU
from carbontracker.components.gpu.nvidia import NvidiaGPU
from carbontracker.components.handler import Handler
from carbontracker.loggerutil import Logger
from carbontracker.tracker import CarbonTrackerThread

from jobs.energy.nvml import visible_handles
from jobs.energy.rapl import find_domains

log = logging.getLogger(__name__)

_READING_SECONDS = 1.0


class EpochLog:
    """One log of carbontracker for one attempt; an epoch is a stretch of work between checkpoints.

    GPU power is read by carbontracker's own NVML handler, CPU power by its RAPL handler where there is RAPL. Where there is
    none its fallback would be a TDP guessed from the CPU's name at constant half load; our meter's power takes its place.
    """

    def __init__(self, folder: Path, attempt_id: str, cpu_watts: Callable[[], float | None]) -> None:
        self._logger = Logger(log_dir=str(folder), verbose=0, logger_id=attempt_id)
        _silence(self._logger)
        components = [component for component in _components(self._logger, cpu_watts) if component.available()]
        self.component_names = [component.name for component in components]
        self._open = False
        # ignore_errors, as the alternative is that its thread ends our process; `delete` is then all it calls.
        self._thread = CarbonTrackerThread(components, self._logger, True, self._give_up, _READING_SECONDS) if components else None

    def begin_epoch(self) -> None:
        if self._thread is not None and not self._open:
            self._open = True
            self._thread.epoch_start()

    def end_epoch(self) -> None:
        if self._thread is not None and self._open:
            self._open = False
            self._thread.epoch_end()

    def close(self) -> None:
        """End the open epoch, stop carbontracker's thread and close its files; safe to repeat."""
        self.end_epoch()
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        for logger in (self._logger.logger, self._logger.logger_output, self._logger.logger_err):
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()

    def _give_up(self) -> None:
        """Called on carbontracker's thread when it failed; its error log says why."""
        log.warning("carbontracker stopped measuring; its log ends here, our own metering goes on")


def device_names() -> list[str]:
    """The devices carbontracker finds on this host, GPUs first: what a hardware profile is a profile of."""
    # it prints what it finds to standard output, where programs expect our document
    logging.getLogger("carbontracker.root.err").setLevel(logging.CRITICAL)
    names: list[str] = []
    gpus = _VisibleGpus(pids=[], devices_by_pid=False)
    if gpus.available():
        gpus.init()
        names += gpus.devices()
        gpus.shutdown()
    return [*names, GenericCPU(pids=[], devices_by_pid=False).cpu_brand or "unknown CPU"]


class _VisibleGpus(NvidiaGPU):  # type: ignore[misc]  # carbontracker has no types
    """carbontracker's NVML handler, limited to our GPUs, with their sum as the reading.

    By itself it understands CUDA_VISIBLE_DEVICES only as integers (else it takes all GPUs), and its log averages over
    devices where it should add them up.
    """

    def _get_handles(self) -> list[Any]:
        return visible_handles(pynvml, os.environ.get("CUDA_VISIBLE_DEVICES"))

    def power_usage(self) -> list[float]:
        return [sum(super().power_usage())]


class _MeteredCpu(Handler):  # type: ignore[misc]  # carbontracker has no types
    """Our meter's CPU power as a handler of carbontracker's."""

    def __init__(self, watts: Callable[[], float | None]) -> None:
        super().__init__(pids=[], devices_by_pid=False)
        self._watts = watts

    def devices(self) -> list[str]:
        return ["CPU share of this run"]

    def available(self) -> bool:
        return self._watts() is not None

    def power_usage(self) -> list[float]:
        watts = self._watts()
        return [] if watts is None else [watts]

    def init(self) -> None:
        """Nothing to prepare."""

    def shutdown(self) -> None:
        """Nothing is held."""


def _components(logger: Logger, cpu_watts: Callable[[], float | None]) -> list[Component]:
    """What carbontracker detects, with the two handlers above in place of those that go wrong."""
    gpu = _detect("gpu", logger)
    if isinstance(gpu._handler, NvidiaGPU):
        gpu._handler = _VisibleGpus(pids=[], devices_by_pid=False)
    if IntelCPU(pids=[], devices_by_pid=False).available() and find_domains():  # without permission it would record zeros
        return [gpu, _detect("cpu", logger)]
    # Asking for a simulated CPU first spares a second of looking for the CPU's name.
    cpu = _detect("cpu", logger, sim_cpu="metered", sim_cpu_tdp=0.0)
    cpu._handler = _MeteredCpu(cpu_watts)
    return [gpu, cpu]


def _detect(name: str, logger: Logger, **simulated: Any) -> Component:
    (component,) = create_components(name, pids=[], devices_by_pid=False, logger=logger, **simulated)
    return component


def _silence(logger: Logger) -> None:
    """Leave its files, take it off our standard output."""
    for each in (logger.logger_output, logger.logger_err):
        for handler in list(each.handlers):
            if not isinstance(handler, logging.FileHandler):
                each.removeHandler(handler)
