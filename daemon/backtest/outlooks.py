"""What a policy may believe about the coming hours: the truth, yesterday again, our own forecasts, the truth with noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np

from daemon.backtest.world import World
from daemon.planner.terrain import HOUR_SECONDS, Terrain
from forecast.intensity import FloatArray, Series
from forecast.regret import Z80

DAY = timedelta(days=1)


class Outlook(Protocol):
    """A belief about intensity that may change every hour."""

    @property
    def is_static(self) -> bool:
        """Whether nothing is ever learned."""
        ...

    def first(self) -> FloatArray:
        """The belief before anything is known, on the world's grid."""
        ...

    def renew(self, terrain: Terrain, now: float, reach: float) -> None:
        """Write into `terrain` what is believed at `now` about [now, reach); nothing from after `now` may be used."""
        ...


@dataclass(frozen=True, slots=True)
class StaticOutlook:
    """One belief for the whole replay: the truth for an oracle, or the truth with noise."""

    rate: FloatArray
    is_static: bool = True

    def first(self) -> FloatArray:
        return self.rate

    def renew(self, terrain: Terrain, now: float, reach: float) -> None:
        """Nothing is ever learned."""


def noisy(world: World, share: float, seed: int) -> StaticOutlook:
    """The truth plus independent normal noise per cell, its deviation `share` of each site's mean over the period."""
    random = np.random.default_rng(seed)
    return StaticOutlook(world.rate + random.normal(0.0, 1.0, world.rate.shape) * share * world.rate.mean(axis=1, keepdims=True))


@dataclass(slots=True)
class Persistence:
    """The same time of the last day that is fully known: every hour before the present one is."""

    world: World
    is_static: bool = False

    def first(self) -> FloatArray:
        return np.zeros_like(self.world.rate)

    def renew(self, terrain: Terrain, now: float, reach: float) -> None:
        first, last = _cells(self.world, now, reach)
        day = int(DAY / self.world.step)
        cells = np.arange(first, last)
        source = cells - day * ((cells - first) // day + 1)
        if source.min(initial=0) < 0:
            raise ValueError("persistence needs a day of record before the first job: give intensity that begins earlier")
        believe(terrain, first, self.world.rate[:, source], np.zeros((len(terrain.sites), len(cells))))


@dataclass(slots=True)
class OwnForecasts:
    """Our forecaster's vintages, issued hourly from what was known; `issued` is [site][origin, 3, lead] in hours from `first_origin`."""

    world: World
    issued: Mapping[int, FloatArray]
    first_origin: int
    is_static: bool = False

    def first(self) -> FloatArray:
        return np.zeros_like(self.world.rate)

    def renew(self, terrain: Terrain, now: float, reach: float) -> None:
        first, last = _cells(self.world, now, reach)
        per_hour = max(1, round(HOUR_SECONDS / self.world.step_seconds))
        hour = int(now // HOUR_SECONDS)
        leads = np.arange(last - first) // per_hour
        rate, spread = np.empty((len(terrain.sites), len(leads))), np.empty((len(terrain.sites), len(leads)))
        for site, issued in self.issued.items():
            low, middle, high = issued[min(max(hour - self.first_origin, 0), len(issued) - 1)]
            # Beyond the horizon its last day goes on: the shape of a day, without weather.
            index = np.where(leads < len(middle), leads, len(middle) - 24 + (leads - len(middle)) % 24)
            pue = self.world.sites[site].pue
            rate[site], spread[site] = pue * middle[index], pue * (high - low)[index] / (2 * Z80)
        believe(terrain, first, rate, spread)


def own_forecasts(world: World, records: Mapping[str, Series], first: float, last: float) -> OwnForecasts:
    """Our forecaster on every hour in which a job may arrive or wait. Raises ValueError without four weeks of record before."""
    from forecast.model.backtest import reissue
    from forecast.model.forecaster import epoch_hours
    from forecast.model.network import Network
    from forecast.model.record import aligned, nearest

    network = Network.bundled()
    issued: dict[int, FloatArray] = {}
    by_zone: dict[str, FloatArray] = {}
    first_hour, last_hour = int(first // HOUR_SECONDS), int(last // HOUR_SECONDS)
    for row, site in enumerate(world.sites):
        if site.zone not in by_zone:
            record = records[site.zone]
            offset = epoch_hours(world.start) - epoch_hours(record.start)
            origins = np.arange(first_hour, last_hour + 1) + offset
            origins = origins[origins < len(record.values)]
            around = [aligned(records[zone], record.start, len(record.values)) for zone in nearest(site.zone, records)]
            where = (site.zone, record.values, epoch_hours(record.start))
            by_zone[site.zone] = reissue(network, *where, origins, neighbours=around)
        issued[row] = by_zone[site.zone]
    return OwnForecasts(world, issued, first_hour)


def _cells(world: World, now: float, reach: float) -> tuple[int, int]:
    """The cells from the present hour's first on until `reach`."""
    first = int(now // HOUR_SECONDS * HOUR_SECONDS // world.step_seconds)
    return first, min(world.count, int(reach // world.step_seconds) + 2)


def believe(terrain: Terrain, first: int, rate: FloatArray, spread: FloatArray) -> None:
    """Replace what the terrain holds for the cells from `first` on; what is past keeps its old numbers."""
    last = first + rate.shape[1]
    hours = terrain.step / HOUR_SECONDS
    terrain.rate[:, first:last], terrain.spread[:, first:last] = rate, spread
    terrain.paid[:, first + 1 : last + 1] = terrain.paid[:, first : first + 1] + np.cumsum(rate * hours, axis=1)
    terrain.spread_paid[:, first + 1 : last + 1] = terrain.spread_paid[:, first : first + 1] + np.cumsum(spread * hours, axis=1)
