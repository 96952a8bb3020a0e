"""What the planner sees and what it answers: one frozen Snapshot in, one Plan out. No clock, no I/O.

Emissions are grams CO2e at the facility: component energy x PUE x intensity. Times are grid time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from daemon.domain.budget import Spending
from daemon.domain.job import PlannedSegment
from forecast.intensity import ZoneOutlook

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SlotGrid:
    """Equal slots from `start` on. The first slot contains `now`; a job may begin inside it (at `now`)."""

    start: datetime
    step: timedelta
    count: int

    @property
    def end(self) -> datetime:
        return self.start + self.step * self.count

    @property
    def step_seconds(self) -> float:
        return self.step.total_seconds()

    def edge(self, index: int) -> datetime:
        return self.start + self.step * index


@dataclass(frozen=True, slots=True)
class PlanSite:
    """A site as the planner sees it: `free_gpus` per slot is what jobs of this snapshot may share.

    GPUs held by attempts that the planner cannot move (contiguous jobs already running) are already subtracted.
    """

    name: str
    zone: str
    pue: float
    free_gpus: IntArray


class Mode(StrEnum):
    CONTIGUOUS = "contiguous"  # one piece on one site
    INTERRUPTIBLE = "interruptible"  # pieces in time on one site (work with state relocates once)
    DIVISIBLE = "divisible"  # pieces in time and place, `max_width` of them side by side


@dataclass(frozen=True, slots=True)
class SiteOption:
    """What the job's remaining work costs on one admissible site.

    `work_seconds`: grid seconds of remaining work on `gpus` GPUs at width 1, without start-up.
    `power_kw`: component power while working. `startup_seconds`, `startup_kwh`: paid at every (re)start.
    `transfer_kwh`: facility energy, paid once, if any work is done here (data or weights to move in).
    """

    site: str
    work_seconds: float
    power_kw: float
    startup_seconds: float = 0.0
    startup_kwh: float = 0.0
    transfer_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanJob:
    """A job as the planner sees it: only what is left to do."""

    id: str
    mode: Mode
    gpus: int
    accepted_at: datetime
    earliest: datetime
    deadline: datetime
    options: tuple[SiteOption, ...]
    home: str
    after: tuple[str, ...] = ()  # jobs of this snapshot that must end before this one starts
    priority: int = 0
    price_of_waiting_g_per_hour: float = 0.0
    max_width: int = 1
    running_at: str | None = None  # it holds GPUs there now; stopping it costs a restart later
    beside: tuple[str, ...] = ()  # where further runs of it hold GPUs now, a site for each
    state_at: str | None = None  # its checkpoint lies there; None: nothing done yet, any site is as good
    previous: tuple[PlannedSegment, ...] = ()  # the last plan's answer, to be kept unless a new one is clearly better
    project: str = "default"
    user: str = "default"  # whose share it takes from


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a plan depends on. Same snapshot, same plan."""

    now: datetime
    grid: SlotGrid
    sites: tuple[PlanSite, ...]
    jobs: tuple[PlanJob, ...]
    outlooks: Mapping[str, ZoneOutlook]  # by zone, on the same grid
    spending: Spending = field(default_factory=Spending)
    standings: Mapping[str, float] = field(default_factory=dict)  # decayed GPU-hours over weight, by user; empty: shares are not looked at
    shares_kept: Mapping[str, float] = field(default_factory=dict)  # by zone: of savings its forecasts promised, what came true


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and when a job shall run, and why, in words and numbers.

    `expected_g` is of the remaining work in these segments; `run_now_g` of the same work started at once at home.
    `low_g`..`high_g` is the central 80 % of the expectation.
    """

    job_id: str
    segments: tuple[PlannedSegment, ...]
    expected_g: float
    run_now_g: float
    low_g: float
    high_g: float
    reason: str
    is_late: bool = False

    @property
    def end(self) -> datetime:
        """When the last piece ends; pieces may lie side by side."""
        return max(segment.end for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A job that gets no place, with a reason a person understands; `nearest_deadline` is the first that would do."""

    job_id: str
    reason: str
    nearest_deadline: datetime | None = None
    is_over_budget: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """All placements of one tick, with their cost, a proven lower bound and the gap between them."""

    made_at: datetime
    placements: tuple[Placement, ...]
    unplaced: tuple[Unplaced, ...] = ()
    cost_g: float = 0.0
    bound_g: float = 0.0
    planner_seconds: float = field(default=0.0, compare=False)
    prices_g: Mapping[str, tuple[float, ...]] = field(default_factory=dict, compare=False)  # of a GPU, by site and slot from `made_at` on

    @property
    def gap(self) -> float:
        """(cost - bound) / cost; 0 for an empty plan."""
        return (self.cost_g - self.bound_g) / self.cost_g if self.cost_g > 0 else 0.0
