"""What the service answers to the edges: plain data with units in the names, the schema of the HTTP API."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

from daemon.domain.job import JobRequest
from daemon.domain.states import AttemptState, JobState
from daemon.service.explanation_view import ExplanationView

T = TypeVar("T")


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class BandView(View):
    """A value with its central 80 % interval."""

    low: float
    mid: float
    high: float


class PerSample(View):
    """Emissions of a synthesis in the unit of Power Hungry Processing, and of one sample; None for training and where unknown."""

    g_per_1000_samples: float | None = Field(default=None, description="gCO2e per 1,000 samples, facility")

    @computed_field(description="gCO2e per sample, facility")  # type: ignore[prop-decorator]  # mypy 1.x does not know it
    @property
    def g_per_sample(self) -> float | None:
        return None if self.g_per_1000_samples is None else self.g_per_1000_samples / 1000


class EstimateView(PerSample):
    """What a job is expected to cost before it runs. Component energy, without PUE; hours of the grid's clock.

    Emissions per sample are those of the previewed window.
    """

    energy_kwh: BandView
    duration_hours: BandView
    power_watts: float
    origin: str = Field(description="where the numbers come from, in words")
    hardware: str


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
    owner: str | None = Field(default=None, description="name of the token it was submitted with; null without tokens")
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    progress: ProgressView
    energy_kwh: float | None = Field(default=None, description="component energy metered so far")
    estimated_energy_kwh: float | None = Field(default=None, description="component energy of all of it, estimated at acceptance")
    plan: list[WindowView] = []


class JobDetail(JobView, PerSample):
    """Emissions per sample are those of the newest settlement."""

    request: JobRequest
    attempts: list[AttemptView]
    directories: list[str] = Field(description="run directories: samples, weights, logs")
    explanation: ExplanationView | None = Field(default=None, description="why the last plan treats it so; null if it says nothing of it")


class Submission(View):
    """The answer to `POST /v1/jobs`."""

    job: JobView
    estimate: EstimateView
    preview: PreviewView


class SiteEstimateView(View):
    """The whole job at one admissible site: begun as soon as it may, and in the best window there. Facility emissions."""

    site: str
    zone: str
    hardware: str
    energy_kwh: BandView
    duration_hours: BandView
    now_g: BandView | None
    best_g: BandView | None
    best_start: AwareDatetime | None
    best_end: AwareDatetime | None
    rung: str | None = Field(description="worst rung of the hours behind now_g")
    reason: str


class MonthView(View):
    """The whole job at home at a month's mean intensity; the interval is that of the energy alone."""

    month: str
    zone: str
    g_per_kwh: float
    g: BandView
    source: str


class LeverView(View):
    """What one change saves against the job as asked; negative is more. None is unknown, not zero."""

    change: str
    saved_g: BandView | None
    saved_kwh: float | None = Field(description="component energy")
    saved_hours: float | None = Field(description="until it is done; negative is later")
    caveat: str = Field(description="what it may cost in quality")


class AdviceView(View):
    """Facility emissions now and at the best window, at each site, by month; spending less beside spending later.

    `now_g`: at home, begun as soon as it may. `spend_less` counts at the intensity of the best window.
    """

    now_g: BandView | None
    best_g: BandView | None
    by_site: list[SiteEstimateView]
    by_month: list[MonthView]
    spend_later: LeverView | None
    spend_less: list[LeverView]
    comparison: str | None = Field(description="beside published tasks (Power Hungry Processing)")


class EstimateAnswer(View):
    """The answer to `POST /v1/estimates`: as a submission, without queueing anything."""

    estimate: EstimateView
    preview: PreviewView
    advice: AdviceView


class EventView(View):
    sequence: int
    at: AwareDatetime
    kind: str
    message: str
    detail: dict[str, object]


class LedgerEntryView(PerSample):
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
    unsettled_hours: int
    worst_rung: str
    is_claimed: bool
    unmetered_seconds: float | None = Field(
        description="real seconds with energy filled in (estimated), as no meter told of it; null where this was not counted yet"
    )


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
    """A site, and whether its executor can be asked. Of one that the settings no longer name only what attempts hold is known."""

    name: str
    status: Literal["up", "out-of-reach", "not-in-settings"] = "up"
    reason: str | None = Field(default=None, description="why it is not up, and what to do")
    zone: str | None
    gpus: int | None
    gpus_busy: int
    hardware: str | None
    pue: float | None
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


class LeadSkillView(View):
    """Errors of the last four weeks at some lead times, on settled hours. Null: there is nothing to compare or no interval."""

    lead_hours: str = Field(description="first and last hour ahead, e.g. 1-24")
    mae_g_per_kwh: float
    relative_mae: float | None = Field(description="mean absolute error; repeating yesterday is 1")
    bias_g_per_kwh: float = Field(description="forecast less measured")
    coverage: float | None = Field(description="share of hours inside the central 80 % interval")
    pairs: int


class ForecastSkillView(View):
    """How good one source's forecasts of a zone were lately, by the daemon's own archive."""

    rung: str
    source: str
    forecasts: int
    savings_kept: float | None = Field(
        description="share of promised savings that came true, plus two standard errors; null: too little record"
    )
    leads: list[LeadSkillView]


class ForecastView(IntensityView):
    skill: list[ForecastSkillView]


class EquivalentView(View):
    """A quantity that emits as much, with the factor and where it comes from."""

    name: str
    value: float
    unit: str
    factor: str
    source: str


class ReportLine(PerSample):
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
    settlement: str | None


class ReportTotals(PerSample):
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


class ReportView(View):
    start: AwareDatetime | None
    end: AwareDatetime | None
    lines: list[ReportLine]
    totals: ReportTotals
    equivalents: list[EquivalentView]
    comparison: str | None = Field(default=None, description="all samples beside published tasks (Power Hungry Processing)")
    notes: list[str] = Field(description="what the numbers are and are not: attributional, replayed, estimated")


class Page(View, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


class Readiness(View):
    ready: bool
    problems: list[str] = []
