"""RAPL: energy counters of CPU packages and memory, read from the kernel's powercap folder.

Intel and AMD processors register under the same `intel-rapl` names; other drivers are recognised by the files of the
kernel's powercap interface (Documentation/power/powercap/powercap.rst), not by their names. Reading usually needs root or
a permission set by the administrator (CVE-2020-8694).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.energy.process_tree import ProcessTree, host_busy_cpu_seconds
from jobs.rundir import Provenance
from jobs.spec import MeteringSpec

log = logging.getLogger(__name__)

POWERCAP = Path("/sys/class/powercap")
_MICRO = 1e-6


class RaplDomain:
    """One counter (`energy_uj`), for example a package or its memory. It wraps around at `max_energy_range_uj`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = (folder / "name").read_text().strip()
        self._range_microjoules = int((folder / "max_energy_range_uj").read_text())
        self._last_microjoules = self._read()

    @property
    def component(self) -> str | None:
        """`cpu` or `dram`; None for domains inside or around a package (core, uncore, psys), which would count twice."""
        if self.name.startswith("package"):
            return "cpu"
        return "dram" if self.name == "dram" else None

    def joules_since_last(self) -> float:
        """Raises OSError or ValueError if the counter cannot be read; the next call then covers this span too."""
        now = self._read()
        difference = now - self._last_microjoules
        self._last_microjoules = now
        if difference < 0:
            difference += self._range_microjoules + 1
        return difference * _MICRO

    def _read(self) -> int:
        return int((self.folder / "energy_uj").read_text())


def find_domains(powercap: Path = POWERCAP) -> list[RaplDomain]:
    """The readable package and memory domains; empty where there are none or we may not read them (which is logged)."""
    domains = []
    for counter in sorted(powercap.glob("*/energy_uj")):
        if "mmio" in counter.parent.name:
            continue  # a second view of the same package
        try:
            domain = RaplDomain(counter.parent)
        except (OSError, ValueError) as error:
            log.warning("RAPL counter %s cannot be read, going on without it: %s", counter, error)
            continue
        if domain.component is not None:
            domains.append(domain)
    return domains


class RaplSource:
    """This run's share of the host's counters.

    Package energy above idle is shared by CPU time (ours over that of the whole host in the same span), idle energy and
    memory by `host_share`: memory draws nearly the same at any load. All runs and the unassigned rest add up to the host.
    """

    provenance: Provenance = "measured"

    def __init__(
        self,
        domains: list[RaplDomain],
        metering: MeteringSpec,
        own_cpu_seconds: Callable[[], float] | None = None,
        host_cpu_seconds: Callable[[], float] = host_busy_cpu_seconds,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metering = metering
        self._own = own_cpu_seconds or ProcessTree().cpu_seconds
        self._host = host_cpu_seconds
        self._clock = monotonic_seconds
        start = self._look()
        names = sorted({domain.component for domain in domains if domain.component is not None})
        self._components = [_HostComponent(name, [d for d in domains if d.component == name], start) for name in names]

    def joules_since_last(self) -> Mapping[str, float]:
        now = self._look()
        joules = {}
        for component in self._components:
            span = component.read(now)
            if span is not None:
                joules[component.name] = self._share(component.name, span)
        return joules

    def close(self) -> None:
        """Nothing is held: the counters are opened for each reading."""

    def _look(self) -> _Look:
        return _Look(self._clock(), self._own(), self._host())

    def _share(self, component: str, span: _Span) -> float:
        if component == "dram":
            return span.host_joules * self._metering.host_share
        # Both figures tick in hundredths of a second, so the quotient of a short span can pass 1.
        load_share = min(1.0, span.own_cpu_seconds / span.host_cpu_seconds) if span.host_cpu_seconds > 0 else 0.0
        idle_joules = min(span.host_joules, self._metering.cpu_idle_watts * span.seconds)
        return idle_joules * self._metering.host_share + (span.host_joules - idle_joules) * load_share


@dataclass(frozen=True, slots=True)
class _Look:
    """The running totals that shares are made of, at one moment."""

    seconds: float
    own_cpu_seconds: float
    host_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class _Span:
    """What the host used between two looks."""

    host_joules: float
    seconds: float
    own_cpu_seconds: float
    host_cpu_seconds: float


class _HostComponent:
    """All counters of one component. Half a host is not a host: while one counter fails, the joules of the others wait."""

    def __init__(self, name: str, domains: list[RaplDomain], start: _Look) -> None:
        self.name = name
        self._domains = domains
        self._last = start
        self._waiting_joules = 0.0
        self._failing = False

    def read(self, now: _Look) -> _Span | None:
        """What the host used since the last complete reading; None if a counter cannot be read now."""
        try:
            for domain in self._domains:
                self._waiting_joules += domain.joules_since_last()
        except (OSError, ValueError) as error:
            if not self._failing:
                log.warning("RAPL counter %s cannot be read, its energy is unknown until it can: %s", domain.folder, error)
            self._failing = True
            return None
        last, joules = self._last, self._waiting_joules
        self._last, self._waiting_joules, self._failing = now, 0.0, False
        return _Span(
            host_joules=joules,
            seconds=now.seconds - last.seconds,
            own_cpu_seconds=now.own_cpu_seconds - last.own_cpu_seconds,
            host_cpu_seconds=now.host_cpu_seconds - last.host_cpu_seconds,
        )
