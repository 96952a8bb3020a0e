"""Random snapshots: small enough that every case is quick, odd enough to hurt."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import strategies as st

from daemon.domain.plan import Mode, PlanJob, SiteOption, Snapshot
from tests.daemon.planner.builders import MONDAY, snapshot

SITES = ("de", "se", "pl")
SLOTS = 30


@st.composite
def plan_jobs(draw: st.DrawFn, number: int, modes: tuple[Mode, ...] = tuple(Mode), earlier: int = 0) -> PlanJob:
    """One job; it may wait for one of the `earlier` jobs before it."""
    work = draw(st.sampled_from([600.0, 1800.0, 3600.0, 5400.0, 7200.0, 14400.0, 21600.0]))
    startup = draw(st.sampled_from([0.0, 120.0, 900.0]))
    power = draw(st.floats(0.1, 3.0))
    sites = draw(st.lists(st.sampled_from(SITES), min_size=1, max_size=3, unique=True))
    release = timedelta(minutes=draw(st.integers(0, 600)))
    slack = timedelta(minutes=draw(st.integers(0, 900)))
    accepted = MONDAY - timedelta(minutes=draw(st.integers(0, 600)))
    drawn = power * startup / 3600 * draw(st.sampled_from([1.0, 1.0, 0.0, 4.0]))  # as work does, nothing, or more
    speeds = [draw(st.sampled_from([1.0, 1.5])) for _ in sites]
    options = tuple(
        SiteOption(site, work * speed, power / speed, startup, drawn, draw(st.sampled_from([0.0, 0.5])))
        for site, speed in zip(sites, speeds, strict=True)
    )
    deadline = MONDAY + release + slack + timedelta(seconds=work * max(speeds) + startup)
    after = (f"job-{draw(st.integers(0, earlier - 1))}",) if earlier and draw(st.integers(0, 4)) == 0 else ()
    mode = draw(st.sampled_from(modes))
    return PlanJob(
        f"job-{number}",
        mode,
        draw(st.sampled_from([1, 1, 2, 4])),
        accepted,
        MONDAY + release,
        deadline,
        options,
        home=sites[0],
        after=after,
        max_width=draw(st.integers(1, 3)),
        price_of_waiting_g_per_hour=draw(st.sampled_from([0.0, 0.0, 5.0])),
    )


@st.composite
def snapshots(draw: st.DrawFn, most_jobs: int = 7, modes: tuple[Mode, ...] = tuple(Mode), links: bool = True) -> Snapshot:
    """Up to `most_jobs` jobs on three sites of 1 to 6 GPUs, with hours in which some GPUs are gone; now lies inside the first hour."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, most_jobs))
    jobs = [draw(plan_jobs(n, modes, n if links else 0)) for n in range(count)]
    zones = {site.upper(): (random.uniform(20, 800) * random.uniform(0.5, 1.5, SLOTS)).tolist() for site in SITES}
    snap = snapshot(
        jobs, zones, {site: draw(st.integers(1, 6)) for site in SITES}, MONDAY + timedelta(minutes=draw(st.sampled_from([0, 7, 59])))
    )
    for site in snap.sites:
        gone = draw(st.integers(0, SLOTS - 4))
        site.free_gpus[gone : gone + 4] = np.maximum(site.free_gpus[gone : gone + 4] - draw(st.integers(0, 3)), 0)
    return snap
