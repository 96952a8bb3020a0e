"""RAPL: energy counters of CPU packages and memory, read from the kernel's powercap folder.

Intel and AMD processors register under the same `intel-rapl` names; other drivers are recognised by the files of the
kernel's powercap interface (Documentation/power/powercap/powercap.rst), not by their names. Reading usually needs root or
a permission set by the administrator (CVE-2020-8694).
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
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
        self._domains = domains
        self._metering = metering
        self._own = own_cpu_seconds or ProcessTree().cpu_seconds
        self._host = host_cpu_seconds
        self._clock = monotonic_seconds
        self._last = (self._clock(), self._own(), self._host())
        self._failing: set[str] = set()

    def joules_since_last(self) -> Mapping[str, float]:
        now = (self._clock(), self._own(), self._host())
        elapsed, own, host = (after - before for after, before in zip(now, self._last, strict=True))
        self._last = now
        load_share = min(1.0, own / host) if host > 0 else min(1.0, max(0.0, own))
        totals = self._read_domains()
        joules = {}
        if "cpu" in totals:
            idle = min(totals["cpu"], self._metering.cpu_idle_watts * elapsed)
            joules["cpu"] = idle * self._metering.host_share + (totals["cpu"] - idle) * load_share
        if "dram" in totals:
            joules["dram"] = totals["dram"] * self._metering.host_share
        return joules

    def close(self) -> None:
        """Nothing is held: the counters are opened for each reading."""

    def _read_domains(self) -> dict[str, float]:
        """Component -> joules of the host; a component is left out when any of its domains fails, half a host is not a host."""
        totals: dict[str, float] = defaultdict(float)
        unknown = set()
        for domain in self._domains:
            component = domain.component or ""
            try:
                totals[component] += domain.joules_since_last()
                self._failing.discard(str(domain.folder))
            except (OSError, ValueError) as error:
                unknown.add(component)
                self._complain_once(domain, error)
        return {component: joules for component, joules in totals.items() if component not in unknown}

    def _complain_once(self, domain: RaplDomain, error: Exception) -> None:
        if str(domain.folder) not in self._failing:
            log.warning("RAPL counter %s cannot be read, its energy is unknown until it can: %s", domain.folder, error)
            self._failing.add(str(domain.folder))
