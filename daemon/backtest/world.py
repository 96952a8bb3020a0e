"""The grid a replay runs on: measured intensity of every site in equal steps, from the first record on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from daemon.backtest.trace import TraceJob, TraceSite
from daemon.domain.plan import IntArray, PlanSite
from daemon.planner.terrain import HOUR_SECONDS, Terrain
from forecast.grid import Grid, regrid
from forecast.intensity import FloatArray, Rung, Series

LONGEST_GAP_HOURS = 48  # a longer hole in the record is refused, a shorter one is bridged by a line and counted


class WorldProblem(ValueError):
    """The intensity files do not cover the jobs; the message says which zone and what to do."""


@dataclass(frozen=True, slots=True)
class World:
    """Truth in equal cells from `start` on: grams per kWh of component energy, PUE included, [site, cell]."""

    start: datetime
    step: timedelta
    sites: tuple[TraceSite, ...]
    rate: FloatArray
    paid: FloatArray  # prefix integral, grams per kW
    capacity: tuple[int, ...]
    bridged_hours: int

    @property
    def step_seconds(self) -> float:
        return self.step.total_seconds()

    @property
    def count(self) -> int:
        return int(self.rate.shape[1])

    def home_of(self, job: TraceJob) -> int:
        """Index of the job's home site."""
        return 0 if job.home is None else next(row for row, site in enumerate(self.sites) if site.name == job.home)

    def sites_of(self, job: TraceJob) -> list[int]:
        """Indices of the sites that may run the job and are large enough, home first."""
        home = self.home_of(job)
        allowed = [
            row for row, site in enumerate(self.sites) if (not job.sites or site.name in job.sites) and self.capacity[row] >= job.gpus
        ]
        return sorted(allowed, key=lambda row: row != home)

    def seconds(self, instant: datetime) -> float:
        return (instant - self.start).total_seconds()

    def grams_per_kw(self, site: int, start: float, end: float) -> float:
        """What 1 kW of component power at the site really emitted over [start, end), seconds since the world's start."""
        return self._integral(site, end) - self._integral(site, start)

    def rate_at(self, site: int, x: float) -> float:
        """Grams per kWh of component energy at the site in the cell of that moment."""
        return float(self.rate[site, min(int(x // self.step_seconds), self.count - 1)])

    def _integral(self, site: int, x: float) -> float:
        cell = min(int(x // self.step_seconds), self.count - 1)
        return float(self.paid[site, cell] + self.rate[site, cell] * (x - cell * self.step_seconds) / HOUR_SECONDS)


def build_world(jobs: Sequence[TraceJob], sites: Sequence[TraceSite], records: Mapping[str, Series], step: timedelta) -> World:
    """All sites on one grid that covers every job's window. Raises WorldProblem where a record does not."""
    _check_places(jobs, sites)
    needed = [(site, _record(records, site.zone)) for site in sites]
    first, last = min(job.arrival for job in jobs), max(max(job.deadline, job.arrival + job.duration) for job in jobs)
    start = max(record.start for _, record in needed)
    end = min(record.end for _, record in needed)
    for site, record in needed:
        if record.start > first or record.end < last:
            have = f"{record.start:%Y-%m-%d %H:%M} to {record.end:%Y-%m-%d %H:%M}"
            raise WorldProblem(
                f"zone {site.zone}: the record reaches from {have}, the jobs need {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
            )
    count = int((end - start) // step)
    rows, bridged = [], 0
    for site, record in needed:
        values, holes = _without_holes(site.zone, regrid(record.values, record.start, record.step, Grid(start, step, count)), step)
        rows.append(values * site.pue)
        bridged += holes
    rate = np.stack(rows)
    paid = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rate * (step / timedelta(hours=1)), axis=1)], axis=1)
    everything = sum(job.gpus for job in jobs)
    capacity = tuple(everything if site.gpus is None else site.gpus for site in sites)
    return World(start, step, tuple(sites), rate, paid, capacity, round(bridged * (step / timedelta(hours=1))))


def _check_places(jobs: Sequence[TraceJob], sites: Sequence[TraceSite]) -> None:
    """Every site that a job names is there, and its home is one that may run it."""
    names = [site.name for site in sites]
    for job in jobs:
        for name in (*job.sites, *([] if job.home is None else [job.home])):
            if name not in names:
                raise WorldProblem(f"job {job.id} names the site {name!r}, which is not given: given are {', '.join(names)}")
        home = names[0] if job.home is None else job.home
        if job.sites and home not in job.sites:
            raise WorldProblem(f"job {job.id}: its home {home} is not among its sites {' '.join(job.sites)}: add it, or name another home")


def _record(records: Mapping[str, Series], zone: str) -> Series:
    if zone not in records:
        raise WorldProblem(f"no intensity file is of zone {zone}: given are {', '.join(sorted(records)) or 'none'}")
    return records[zone]


def _without_holes(zone: str, values: FloatArray, step: timedelta) -> tuple[FloatArray, int]:
    """Short holes bridged by straight lines, and how many cells they were."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 0:
        raise WorldProblem(f"zone {zone}: the record holds no value in the time the jobs need")
    longest = int(np.diff(known, prepend=-1, append=len(values)).max()) - 1
    if longest * step > timedelta(hours=LONGEST_GAP_HOURS):
        raise WorldProblem(f"zone {zone}: the record has a hole of {longest * step}, at most {LONGEST_GAP_HOURS} h can be bridged")
    return np.interp(np.arange(len(values)), known, values[known]), len(values) - len(known)


def terrain_on(world: World, rate: FloatArray) -> Terrain:
    """The world as the planner sees it when it believes `rate`; arrays are the caller's to change."""
    count, step = world.count, world.step_seconds
    free: IntArray = np.repeat(np.array(world.capacity, dtype=np.int64)[:, None], count, axis=1)
    hours = step / HOUR_SECONDS
    return Terrain(
        now=world.start,
        first_edge=step,
        step=step,
        count=count,
        sites=tuple(PlanSite(site.name, site.zone, site.pue, free[row]) for row, site in enumerate(world.sites)),
        index={site.name: row for row, site in enumerate(world.sites)},
        edges=step * np.arange(count + 1, dtype=np.float64),
        rate=rate,
        spread=np.zeros_like(rate),
        paid=np.concatenate([np.zeros((len(rate), 1)), np.cumsum(rate * hours, axis=1)], axis=1),
        spread_paid=np.zeros((len(rate), count + 1)),
        rung=np.full(rate.shape, int(Rung.OWN_FORECAST), dtype=np.int8),
        free=free,
        most_free=world.capacity,
        extended=0,
        unknown=frozenset(),
    )
