"""Whether two snapshots show one world at two moments: what was planned for the first then still makes sense at the second."""

from __future__ import annotations

import numpy as np

from daemon.domain.plan import Snapshot
from daemon.planner.fairness import has_same_turns
from forecast.intensity import ZoneOutlook


def is_same_world(before: Snapshot, now: Snapshot) -> bool:
    """Whether sites, outlooks, budgets and turns are as they were, from now on and as far as both reach; free GPUs aside.

    Slots that have gone by do not matter, and new ones at the far end only to jobs that may run there.
    """
    if now.now < before.now or now.grid.step != before.grid.step:
        return False  # time that was given back is more than the plan's bound was proven for
    if now.grid.start < before.grid.start or (now.grid.start - before.grid.start) % before.grid.step:
        return False
    if now.spending != before.spending or now.shares_kept != before.shares_kept or not has_same_turns(before, now):
        return False
    if [(site.name, site.zone, site.pue) for site in before.sites] != [(site.name, site.zone, site.pue) for site in now.sites]:
        return False
    known, end = {job.id for job in before.jobs}, min(before.grid.end, now.grid.end)
    if now.grid.end != before.grid.end and any(job.deadline > end and job.id in known for job in now.jobs):
        return False
    is_same = (_is_same_outlook(before.outlooks[zone], now.outlooks.get(zone), before, now) for zone in before.outlooks)
    return before.outlooks.keys() == now.outlooks.keys() and all(is_same)


def _is_same_outlook(earlier: ZoneOutlook, later: ZoneOutlook | None, before: Snapshot, now: Snapshot) -> bool:
    shift, first = (now.grid.start - before.grid.start) // before.grid.step, (now.now - now.grid.start) // now.grid.step
    last = min(before.grid.count - shift, now.grid.count)
    if later is None or later.kind != earlier.kind or last <= first:
        return False
    pairs = ((earlier.g_per_kwh, later.g_per_kwh), (earlier.low, later.low), (earlier.high, later.high))
    return all(np.array_equal(a[shift + first : shift + last], b[first:last], equal_nan=True) for a, b in pairs)
