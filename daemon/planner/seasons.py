"""Seasonal placement: jobs with months of slack may wait for a cleaner season, which only climatology can tell of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from daemon.domain.plan import Placement, Plan, PlanJob, Snapshot, Unplaced
from daemon.planner.options import PlannerOptions
from daemon.planner.reasons import grams_text, window_text
from daemon.planner.residual import Residual, preview
from forecast.regret import Z80

HOUR_SECONDS = 3600.0


def held_for_a_season(jobs: Sequence[PlanJob], seasonal: Snapshot, near: Snapshot, options: PlannerOptions) -> dict[str, Placement]:
    """The jobs whose best window lies beyond the grid of `near` and beats everything within it by more than both errors.

    `seasonal` holds the same sites on a coarse grid of months. Windows are those of each job alone: capacity months ahead is not
    reserved, and each is looked at again as its season comes near.
    """
    bold = replace(options, wait_confidence=0.0)
    far_view, near_view = (Residual.of(snapshot, Plan(snapshot.now, ()), bold) for snapshot in (seasonal, near))
    held: dict[str, Placement] = {}
    for job in jobs:
        far = preview(job, far_view)
        soon = preview(replace(job, deadline=min(job.deadline, near.grid.end)), near_view)
        if isinstance(far, Unplaced) or far.is_late or far.segments[0].start < near.grid.end:
            continue
        if isinstance(soon, Placement) and not soon.is_late and _is_worth_months(job, far, soon, options):
            held[job.id] = replace(far, run_now_g=soon.run_now_g, reason=_reason(far, soon, seasonal, near.grid.end))
    return held


def _is_worth_months(job: PlanJob, far: Placement, soon: Placement, options: PlannerOptions) -> bool:
    """Whether the season's gain, less the price of waiting for it, exceeds the errors of both and the threshold of a move."""
    waited_hours = (far.segments[0].start - soon.segments[0].start).total_seconds() / HOUR_SECONDS
    gain = soon.expected_g - far.expected_g - job.price_of_waiting_g_per_hour * waited_hours
    error = math.hypot(far.high_g - far.low_g, soon.high_g - soon.low_g) / (2 * Z80)
    return gain > max(options.wait_confidence * error, options.keep_threshold * soon.expected_g)


def _reason(far: Placement, soon: Placement, seasonal: Snapshot, horizon: datetime) -> str:
    zone_of = {site.name: site.zone for site in seasonal.sites}
    zones = ", ".join(dict.fromkeys(zone_of[segment.site] for segment in far.segments))
    return (
        f"waits for a cleaner season, {window_text(far.segments, seasonal.now)} in {zones}: {grams_text(far.expected_g)} "
        f"({grams_text(far.low_g)} to {grams_text(far.high_g)}) instead of {grams_text(soon.expected_g)} until {horizon:%d %b}; "
        "looked at again as it comes near"
    )
