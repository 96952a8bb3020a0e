"""Why a job is planned as it is: what its window beats, what bound it, and what a little more freedom would save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daemon.domain.plan import Placement, SiteOption


class Binding(StrEnum):
    """What keeps a job from a cleaner placement."""

    DEADLINE = "deadline"  # a day more would save
    CAPACITY = "capacity"  # other jobs hold the GPUs it would have taken
    RESIDENCY = "residency"  # a site that may not hold its data would save
    SITES = "sites"  # a site that the job does not name would save
    CHECKPOINT = "checkpoint"  # a site would save, but the work begun lies elsewhere
    BUDGET = "budget"  # its project has no grams left
    ROOM = "room"  # no place at all: too few GPUs, or a queue longer than the plan


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the job would cost on a site where it may not run, and what stands in the way."""

    option: SiteOption
    barrier: Binding
    remedy: str  # the second half of "site X would save ... if"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer for one job of one plan. Grams at the facility, expected, of the work that was left then; None where unknown.

    `placement` is None where the plan has no place: `sentence` then says why. `alone_g`: with all capacity to itself, in the
    same window. `held_by`: the jobs that hold the GPUs it would take then, as far as whoever asks may hear of them.
    `day_more_g`: with a deadline a day later. `site_more_g`: with one more site, where that saves.
    """

    job_id: str
    made_at: datetime
    placement: Placement | None
    bound_by: tuple[Binding, ...]
    alone_g: float | None
    held_by: tuple[str, ...]
    day_more_g: float | None
    site_more_g: Mapping[str, float]
    sentence: str
    nearest_deadline: datetime | None = None
