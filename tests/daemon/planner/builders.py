"""Small snapshots for the planner's tests, and an independent account of what a plan holds and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from daemon.domain.plan import Mode, Placement, Plan, PlanJob, PlanSite, SiteOption, SlotGrid, Snapshot
from daemon.planner import PlannerOptions
from forecast.intensity import LIFECYCLE_AVERAGE, Rung, ZoneOutlook

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)

# No regret rule, no threshold, no margin: what the plan would be for its emissions alone.
BARE = PlannerOptions(wait_confidence=0.0, keep_threshold=0.0, deadline_margin=0.0)


def outlook(
    zone: str, values: Sequence[float], step: timedelta = HOUR, half_width: float = 0.0, rung: Rung = Rung.OWN_FORECAST
) -> ZoneOutlook:
    mean = np.asarray(values, dtype=np.float64)
    return ZoneOutlook(
        zone,
        LIFECYCLE_AVERAGE,
        MONDAY,
        MONDAY,
        step,
        mean,
        mean - half_width,
        mean + half_width,
        np.full(len(mean), int(rung), dtype=np.int8),
    )


def snapshot(
    jobs: Sequence[PlanJob],
    zones: Mapping[str, Sequence[float]],
    gpus: int | Mapping[str, int] = 4,
    now: datetime = MONDAY,
    step: timedelta = HOUR,
    half_width: float = 0.0,
    pue: float = 1.0,
) -> Snapshot:
    """One site per zone, named after it in lower case."""
    count = len(next(iter(zones.values())))
    sites = tuple(
        PlanSite(zone.lower(), zone, pue, np.full(count, gpus if isinstance(gpus, int) else gpus[zone.lower()], dtype=np.int64))
        for zone in zones
    )
    outlooks = {zone: outlook(zone, values, step, half_width) for zone, values in zones.items()}
    return Snapshot(now, SlotGrid(MONDAY, step, count), sites, tuple(jobs), outlooks)


def job(
    name: str = "job",
    hours: float = 2.0,
    deadline_hours: float = 24.0,
    sites: Sequence[str] = ("de",),
    mode: Mode = Mode.CONTIGUOUS,
    gpus: int = 1,
    earliest: datetime = MONDAY,
    power_kw: float = 1.0,
    startup_seconds: float = 0.0,
    startup_kwh: float = 0.0,
    transfer_kwh: Mapping[str, float] | None = None,
    **more: object,
) -> PlanJob:
    options = tuple(
        SiteOption(site, hours * 3600, power_kw, startup_seconds, startup_kwh, (transfer_kwh or {}).get(site, 0.0)) for site in sites
    )
    return PlanJob(name, mode, gpus, MONDAY, earliest, MONDAY + timedelta(hours=deadline_hours), options, home=sites[0], **more)  # type: ignore[arg-type]  # whatever fields a test names


def placed(plan: Plan, name: str = "job") -> Placement:
    return next(placement for placement in plan.placements if placement.job_id == name)


def start_hour(placement: Placement) -> float:
    return (placement.segments[0].start - MONDAY) / HOUR


def end_hour(placement: Placement) -> float:
    return (max(segment.end for segment in placement.segments) - MONDAY) / HOUR


def peak_use(plan: Plan, site: str, start: datetime, end: datetime) -> int:
    """The most GPUs the plan holds at one instant of [start, end), by sweeping over the segments' ends."""
    segments = [s for p in plan.placements for s in p.segments if s.site == site and s.start < end and s.end > start]
    instants = sorted({max(s.start, start) for s in segments})
    return max((sum(s.gpus for s in segments if s.start <= at < s.end) for at in instants), default=0)


def check_no_fuller(after: Plan, before: Plan, snap: Snapshot) -> None:
    """In no slot does `after` hold more GPUs than are free, unless `before` did, too."""
    for site in snap.sites:
        for slot in range(snap.grid.count):
            begin, end = snap.grid.edge(slot), snap.grid.edge(slot + 1)
            assert peak_use(after, site.name, begin, end) <= max(int(site.free_gpus[slot]), peak_use(before, site.name, begin, end))


def useful_seconds(placement: Placement, startup_seconds: float = 0.0) -> float:
    return sum((s.end - s.start).total_seconds() - startup_seconds for s in placement.segments)
