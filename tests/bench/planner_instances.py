"""Seeded queues on which the planner is measured: hard on purpose, because every job wants the same clean zone.

Six zones with means from 40 to 600 g/kWh, a daily shape and autoregressive noise; jobs of 1, 2, 4 or 8 GPUs that may not
be interrupted, lognormal durations of 1 to 36 hours, 2 to 72 hours of slack; 40 % of the jobs are admitted by half of the
zones only. All zones have the same capacity, such that the jobs fill the given share of it, and never less than 16 GPUs. A
site without limit at 1,500 g/kWh makes every instance feasible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from daemon.domain.plan import Mode, PlanJob, PlanSite, SiteOption, SlotGrid, Snapshot
from forecast.intensity import LIFECYCLE_AVERAGE, FloatArray, Rung, ZoneOutlook

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONE_MEANS = (40.0, 120.0, 220.0, 340.0, 460.0, 600.0)
OVERFLOW_G_PER_KWH = 1500.0
OVERFLOW_GPUS = 1_000_000
LEAST_GPUS = 16
GPU_SIZES, GPU_SHARES = (1, 2, 4, 8), (0.40, 0.20, 0.25, 0.15)
KILOWATTS_PER_GPU = 0.4


@dataclass(frozen=True, slots=True)
class Instance:
    """How many jobs, over how many hourly slots, filling which share of the capacity. `load` is between 0 and 1."""

    jobs: int
    slots: int
    load: float
    seed: int = 1
    one_gpu: bool = False

    def snapshot(self) -> Snapshot:
        """The instance as the planner sees it. Equal fields give equal snapshots."""
        random = np.random.default_rng((self.seed, self.jobs, self.slots, round(self.load * 1000)))
        jobs, gpu_hours = self._jobs(random)
        gpus = max(LEAST_GPUS, round(gpu_hours / (self.load * len(ZONE_MEANS) * self.slots)))
        zones = [_zone(random, mean, self.slots) for mean in ZONE_MEANS] + [np.full(self.slots, OVERFLOW_G_PER_KWH)]
        capacity = [gpus] * len(ZONE_MEANS) + [OVERFLOW_GPUS]
        sites = tuple(PlanSite(f"site-{i}", f"Z{i}", 1.0, np.full(self.slots, c, dtype=np.int64)) for i, c in enumerate(capacity))
        return Snapshot(
            MONDAY, SlotGrid(MONDAY, HOUR, self.slots), sites, jobs, {f"Z{i}": _outlook(f"Z{i}", z) for i, z in enumerate(zones)}
        )

    def _jobs(self, random: np.random.Generator) -> tuple[tuple[PlanJob, ...], float]:
        sizes = np.ones(self.jobs, dtype=np.int64) if self.one_gpu else random.choice(GPU_SIZES, self.jobs, p=GPU_SHARES)
        hours = np.clip(np.round(random.lognormal(np.log(5.0), 0.8, self.jobs)), 1, 36).astype(np.int64)
        slack = np.round(2 + 70 * random.beta(1.2, 1.8, self.jobs)).astype(np.int64)
        latest = np.maximum(self.slots - hours - slack, 0)
        release = np.floor(random.uniform(0, 1, self.jobs) * (latest + 1)).astype(np.int64)
        limited = random.uniform(0, 1, self.jobs) < 0.4
        jobs = []
        for n in range(self.jobs):
            zones = sorted(random.choice(6, 3, replace=False).tolist()) if limited[n] else list(range(6))
            due = min(int(release[n] + hours[n] + slack[n]), self.slots)
            jobs.append(_job(n, int(sizes[n]), int(hours[n]), int(release[n]), due, [*zones, 6]))
        return tuple(jobs), float((sizes * hours).sum())


def _job(number: int, gpus: int, hours: int, release: int, due: int, sites: list[int]) -> PlanJob:
    options = tuple(SiteOption(f"site-{site}", hours * 3600.0, gpus * KILOWATTS_PER_GPU) for site in sites)
    earliest = MONDAY + release * HOUR
    return PlanJob(f"job-{number:05d}", Mode.CONTIGUOUS, gpus, earliest, earliest, MONDAY + due * HOUR, options, home=options[0].site)


def _zone(random: np.random.Generator, mean: float, slots: int) -> FloatArray:
    """A daily wave with its own phase, plus noise that remembers nine tenths of the hour before."""
    hour = np.arange(slots)
    wave = 0.25 * np.sin(2 * np.pi * (hour + random.uniform(0, 24)) / 24) + 0.08 * np.sin(4 * np.pi * (hour + random.uniform(0, 24)) / 24)
    noise = np.zeros(slots)
    shocks = random.normal(0, 0.05, slots)
    for slot in range(1, slots):
        noise[slot] = 0.9 * noise[slot - 1] + shocks[slot]
    return np.maximum(mean * (1 + wave + noise), 0.1 * mean)


def _outlook(zone: str, mean: FloatArray) -> ZoneOutlook:
    rung = np.full(len(mean), int(Rung.OWN_FORECAST), dtype=np.int8)
    return ZoneOutlook(zone, LIFECYCLE_AVERAGE, MONDAY, MONDAY, HOUR, mean, mean.copy(), mean.copy(), rung)
