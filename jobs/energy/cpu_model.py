"""CPU power where no counter can be read: a straight line between idle and TDP over utilisation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from jobs.energy.process_tree import ProcessTree
from jobs.rundir import Provenance
from jobs.spec import MeteringSpec


class CpuModelSource:
    """This run's share of its host's CPU power, estimated:

        P = host_share * idle + (TDP - idle) * CPU seconds of the run / (wall seconds * CPUs of the host)

    Idle power is split by reserved devices, power above idle by use, so that all runs and the unassigned rest add up to
    the host. TDP and idle watts come from the site's configuration: guessing a TDP from a CPU's name goes wrong on every
    virtual machine. The linear form is that of Fan, Weber and Barroso (ISCA 2007).
    """

    provenance: Provenance = "estimated"

    def __init__(
        self,
        metering: MeteringSpec,
        host_cpus: int | None = None,
        cpu_seconds: Callable[[], float] | None = None,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        cpus = host_cpus or os.cpu_count() or 1
        self._idle_watts = metering.cpu_idle_watts * metering.host_share
        self._joules_per_cpu_second = max(0.0, metering.cpu_tdp_watts - metering.cpu_idle_watts) / cpus
        self._cpu_seconds = cpu_seconds or ProcessTree().cpu_seconds
        self._clock = monotonic_seconds
        self._last_cpu_seconds = self._cpu_seconds()
        self._last_seconds = self._clock()

    def joules_since_last(self) -> Mapping[str, float]:
        now, used = self._clock(), self._cpu_seconds()
        joules = self._idle_watts * (now - self._last_seconds) + self._joules_per_cpu_second * (used - self._last_cpu_seconds)
        self._last_seconds, self._last_cpu_seconds = now, used
        return {"cpu": joules}

    def close(self) -> None:
        """Nothing is held."""
