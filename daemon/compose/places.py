"""The sites: what runs attempts there, and what their hardware is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.compose.rules import make_clock
from daemon.domain.execution import Executor
from daemon.domain.site import Site
from daemon.executors.local import LocalExecutor
from daemon.service.costs import ModelOf
from daemon.service.grid import GridView
from daemon.service.policy import Workplace
from daemon.settings.schema import Settings
from daemon.settings.sites import SiteSettings
from forecast.clock import Clock
from jobs.energy.hardware import HardwareProfile, profile_for
from jobs.energy.model import EnergyModel, RunObservation
from jobs.spec import MeteringSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a daemon finds around it: the clock, and what runs attempts at each site, by the site's name.

    A replay brings its grid and what its jobs cost along, too; None is the feed, and the models of the sites' hardware.
    """

    clock: Clock
    executors: Mapping[str, Executor]
    grid: GridView | None = None
    model_of: ModelOf | None = None


def surroundings_of(settings: Settings) -> Surroundings:
    """The real ones: this computer's clock (mapped in a replay), and processes of this computer."""
    return Surroundings(make_clock(settings), {site.name: _executor(profile_of(site), site.gpus) for site in settings.sites})


def workplace(settings: SiteSettings, executor: Executor) -> Workplace:
    """A site as the rest of the daemon knows it, with what runs attempts there."""
    profile = profile_of(settings)
    site = Site(
        settings.name,
        settings.zone,
        settings.gpus,
        settings.hardware,
        settings.pue,
        settings.admits,
        settings.transfer_kwh_per_gb,
        executor.cores,
    )
    metering = MeteringSpec(
        meter=settings.meter,
        interval_seconds=settings.meter_interval_seconds,
        cpu_tdp_watts=profile.tdp_watts,
        cpu_idle_watts=profile.idle_watts,
        simulated_watts=settings.simulated_watts,
    )
    return Workplace(site, executor, settings.run_root_path, metering, settings.data_root_path)


def profile_of(site: SiteSettings) -> HardwareProfile:
    """Of the site's hardware, with the power figures that the site sets. Raises UnreadableProfile."""
    return profile_for(site.hardware).with_power(site.tdp_watts, site.idle_watts)


def _executor(profile: HardwareProfile, gpus: int) -> Executor:
    devices = [str(index) for index in range(gpus)] if profile.kind == "gpu" else None
    return LocalExecutor(devices=devices)


def profiles_of(settings: Settings) -> dict[str, HardwareProfile]:
    """One profile per hardware key, with the power figures of the first site that has it."""
    profiles: dict[str, HardwareProfile] = {}
    for site in settings.sites:
        if site.hardware not in profiles:
            profiles[site.hardware] = profile_of(site)
            if profiles[site.hardware].key != site.hardware:
                log.warning("hardware-unknown", extra={"hardware": site.hardware, "instead": profiles[site.hardware].key})
    return profiles


def energy_model(profiles: dict[str, HardwareProfile], hardware: str, observations: tuple[RunObservation, ...]) -> EnergyModel:
    """Of one hardware key; `profiles` knows every key that a site has."""
    return EnergyModel(profiles[hardware], observations, hardware)
