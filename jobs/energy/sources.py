"""Which sources a run is metered by: counters where they exist, else the model, never silence."""

from __future__ import annotations

import logging

from jobs.energy.cpu_model import CpuModelSource
from jobs.energy.nvml import open_nvml
from jobs.energy.rapl import RaplSource, find_domains
from jobs.energy.simulated import SimulatedSource
from jobs.energy.source import PowerSource
from jobs.spec import MeteringSpec

log = logging.getLogger(__name__)


def open_sources(metering: MeteringSpec) -> list[PowerSource]:
    """The sources that `metering.meter` asks for, in the order GPU, CPU; their joules add up to the run's.

    With `counters`, what no counter covers stays unknown, which is logged; on a host without any the list is empty.
    """
    if metering.meter == "simulated":
        return [SimulatedSource(metering.simulated_watts)]
    if metering.meter == "cpu-model":
        return [CpuModelSource(metering)]
    gpu = open_nvml()
    sources: list[PowerSource] = [] if gpu is None else [gpu]
    domains = find_domains()
    if any(domain.component == "cpu" for domain in domains):
        sources.append(RaplSource(domains, metering))
    elif metering.meter == "auto":
        sources.append(CpuModelSource(metering))
    else:
        log.error("meter 'counters': no RAPL counter can be read, so the CPU's energy is unknown; meter 'auto' would estimate it")
    return sources
