"""Jobs of a trace as submissions to the daemon, and the settings of a daemon that has the trace's sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from daemon.backtest.through_daemon.costs import steps_of
from daemon.backtest.trace import TraceJob
from daemon.backtest.world import World, WorldProblem
from daemon.domain.job import JobRequest
from daemon.settings.schema import Settings

WIDEST_JOB = 64  # GPUs, as submissions may ask for
MOST_PUE = 5.0
STEPS_MINUTES = (5, 10, 15, 20, 30, 60)
MOST_GPUS = 100_000
MICROSECOND = timedelta(microseconds=1)


def site_name(row: int) -> str:
    """The daemon's name of a site of the world: a trace's own may hold what a setting must not."""
    return f"site-{row}"


def zone_name(row: int) -> str:
    """The daemon's name of the zone of a site of the world."""
    return f"ZONE-{row}"


def check(jobs: Sequence[TraceJob], world: World) -> None:
    """Raises WorldProblem for what a daemon could not be given."""
    if world.step_seconds / 60 not in STEPS_MINUTES:
        raise WorldProblem(f"the daemon plans in slots of {', '.join(map(str, STEPS_MINUTES))} minutes: choose one of them as --step")
    for site in world.sites:
        if site.pue > MOST_PUE or site.power_factor == 0:
            raise WorldProblem(f"site {site.name}: a daemon's site has a PUE of at most {MOST_PUE:g} and a power factor above 0")
    for job in jobs:
        if job.gpus > WIDEST_JOB:
            raise WorldProblem(f"job {job.id} needs {job.gpus} GPUs, a submission may ask for {WIDEST_JOB}: use --policy planner")
        if job.transfer_gb > 0 and len(world.sites_of(job)) > 1:
            raise WorldProblem(
                f"job {job.id} brings {job.transfer_gb:g} GB along, which a replayed daemon cannot move: use --policy planner"
            )


def settings_of(world: World, folder: Path, jobs: int, wait_confidence: float | None) -> Settings:
    """A daemon in that folder with the world's sites; `wait_confidence` None is the default's. A trace's lengths need no margin."""
    planner: dict[str, object] = {"step_minutes": round(world.step_seconds / 60), "deadline_margin": 0.0}
    if wait_confidence is not None:
        planner["wait_confidence"] = wait_confidence
    sites = [
        {
            "name": site_name(row),
            "zone": zone_name(row),
            "gpus": min(world.capacity[row], MOST_GPUS),
            "hardware": site_name(row),
            "pue": site.pue,
            "run_root": str(folder / "runs"),
            "data_root": str(folder),
        }
        for row, site in enumerate(world.sites)
        if world.capacity[row] > 0
    ]
    return Settings.model_validate(
        {
            "database": f"sqlite:///{folder / 'replay.db'}",
            "planner": planner,
            "server": {"jobs_per_user": max(1, jobs)},
            "sites": sites,
        }
    )


def request_of(number: int, job: TraceJob, world: World) -> JobRequest:
    """The job as somebody would submit it: a training on phantoms, whose patients nobody minds to see travel.

    A deadline that cannot be kept any more, which a daemon refuses, is asked for as early as it can be kept.
    """
    steps = steps_of(job)
    return JobRequest.model_validate(
        {
            "workload": {
                "kind": "training",
                "model": {"dimensions": 2, "size": "tiny", "image_shape": [32, 32]},
                "data": {"phantom": {"patients": 1}},
                "iterations": steps - 1,
                "autoencoder_iterations": 1,
                "batch_size_per": "device",
                "seed": number,
            },
            "constraints": {
                "deadline": max(job.deadline, _earliest_end(job, world)),
                "sites": tuple(site_name(row) for row in world.sites_of(job)),
                "home": site_name(world.home_of(job)),
                "gpus": job.gpus,
                "interruptible": job.is_interruptible,
                "contiguous": not job.is_interruptible,
            },
        }
    )


def _earliest_end(job: TraceJob, world: World) -> datetime:
    """If it began on arrival where it is done soonest, rounded up to what clocks resolve."""
    seconds = min(job.duration.total_seconds() / world.sites[row].speed for row in world.sites_of(job))
    return job.arrival + math.ceil(seconds * 1e6 + 1) * MICROSECOND
