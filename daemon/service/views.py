"""What the service answers to the edges: plain data with units in the names, the schema of the HTTP API."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from daemon.domain.job import JobRequest
from daemon.domain.states import AttemptState, JobState

T = TypeVar("T")


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class BandView(View):
    """A value with its central 80 % interval."""

    low: float
    mid: float
    high: float


class EstimateView(View):
    """What a job is expected to cost before it runs. Component energy, without PUE; hours of the grid's clock."""

    energy_kwh: BandView
    duration_hours: BandView
    power_watts: float
    origin: str = Field(description="where the numbers come from, in words")
    hardware: str
    g_per_1000_samples: float | None = Field(default=None, description="gCO2e per 1,000 samples in the previewed window, facility")


class WindowView(View):
    site: str
    start: AwareDatetime
    end: AwareDatetime
    gpus: int


class PreviewView(View):
    """The window the job would get now. The real plan comes with the next tick."""

    segments: list[WindowView]
    expected_g: float | None
    run_now_g: float | None
    low_g: float | None = None
    high_g: float | None = None
    reason: str


class AttemptView(View):
    id: str
    number: int
    run_id: str
    site: str
    state: AttemptState
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    reason: str


class ProgressView(View):
    steps_done: int
    steps_total: int
    unit: str = Field(description="'steps' for training, 'samples' for synthesis")


class JobView(View):
    id: str
    name: str
    project: str
    kind: str
    state: JobState
    reason: str
    accepted_at: AwareDatetime
    deadline: AwareDatetime
    home: str
    data_class: str
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    progress: ProgressView
    energy_kwh: float | None = Field(default=None, description="component energy metered so far")
    plan: list[WindowView] = []


class JobDetail(JobView):
    request: JobRequest
    attempts: list[AttemptView]
    directories: list[str] = Field(description="run directories: samples, weights, logs")


class Submission(View):
    """The answer to `POST /v1/jobs`."""

    job: JobView
    estimate: EstimateView
    preview: PreviewView


class EstimateAnswer(View):
    """The answer to `POST /v1/estimates`: as a submission, without queueing anything."""

    estimate: EstimateView
    preview: PreviewView


class EventView(View):
    sequence: int
    at: AwareDatetime
    kind: str
    message: str
    detail: dict[str, object]


class LedgerEntryView(View):
    """One settlement; see LedgerEntry for the definitions."""

    sequence: int
    kind: str
    settled_at: AwareDatetime
    intensity_kind: str
    energy_kwh: float
    facility_energy_kwh: float
    useful_kwh: float
    waste_kwh: float
    overhead_kwh: float
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    actual_g: float | None
    overhead_g: float | None
    baseline_site: str
    baseline_start: AwareDatetime
    baseline_g: float | None
    baseline_is_estimated: bool
    hindsight_g: float | None
    hindsight_share: float | None
    saving_g: float | None
    saving_by_time_g: float | None
    saving_by_place_g: float | None
    samples: int
    g_per_1000_samples: float | None
    unsettled_hours: int
    worst_rung: str
    is_claimed: bool


class LedgerView(View):
    """A job's settlements, oldest first: the last one counts. `clock_note` says when time was replayed."""

    job_id: str
    entries: list[LedgerEntryView]
    clock_note: str | None = None


class PlacementView(View):
    job_id: str
    name: str
    segments: list[WindowView]
    expected_g: float
    run_now_g: float
    low_g: float
    high_g: float
    reason: str
    is_late: bool


class UnplacedView(View):
    job_id: str
    name: str
    reason: str
    nearest_deadline: AwareDatetime | None


class PlanView(View):
    made_at: AwareDatetime | None
    placements: list[PlacementView]
    unplaced: list[UnplacedView]
    cost_g: float
    bound_g: float
    gap: float
    planner_seconds: float


class IntensityNow(View):
    g_per_kwh: float | None
    rung: str | None
    source: str | None
    is_estimated: bool | None = None
    age_seconds: float | None = None


class SiteView(View):
    name: str
    zone: str
    gpus: int
    gpus_busy: int
    hardware: str
    pue: float
    admits: list[str]
    intensity: IntensityNow


class IntensityPoint(View):
    start: AwareDatetime
    end: AwareDatetime
    g_per_kwh: float
    rung: str
    source: str
    is_estimated: bool = False
    low: float | None = None
    high: float | None = None
    issued_at: AwareDatetime | None = None


class IntensityView(View):
    zone: str
    kind: str
    points: list[IntensityPoint]


class EquivalentView(View):
    """A quantity that emits as much, with the factor and where it comes from."""

    name: str
    value: float
    unit: str
    factor: str
    source: str


class ReportLine(View):
    job_id: str
    name: str
    project: str
    kind: str
    state: JobState
    energy_kwh: float | None
    actual_g: float | None
    baseline_g: float | None
    saving_g: float | None
    saving_by_time_g: float | None
    saving_by_place_g: float | None
    overhead_g: float | None
    hindsight_share: float | None
    samples: int
    g_per_1000_samples: float | None
    settlement: str | None


class ReportTotals(View):
    """Sums over the lines that have a settlement; `claimed_saving_g` over final entries only."""

    jobs: int
    energy_kwh: float
    facility_energy_kwh: float
    measured_kwh: float
    estimated_kwh: float
    simulated_kwh: float
    waste_kwh: float
    actual_g: float
    baseline_g: float
    saving_g: float
    claimed_saving_g: float
    hindsight_share: float | None
    samples: int
    g_per_1000_samples: float | None


class ReportView(View):
    start: AwareDatetime | None
    end: AwareDatetime | None
    lines: list[ReportLine]
    totals: ReportTotals
    equivalents: list[EquivalentView]
    notes: list[str] = Field(description="what the numbers are and are not: attributional, replayed, estimated")


class Page(View, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


class Readiness(View):
    ready: bool
    problems: list[str] = []
