"""What the service answers about jobs: estimates, what they are doing, and what spending less would save."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from daemon.domain.job import JobRequest
from daemon.domain.states import AttemptState, JobState
from daemon.service.explanation_view import ExplanationView
from daemon.service.views import AlmanacView, BandView, PerSample, View, WindowView
from jobs.energy.estimate import PartName


class PartView(View):
    """One of the things a job spends component energy and time on; devices that wait do so beside other parts and take no time."""

    name: PartName
    energy_kwh: float
    hours: float


class EstimateView(PerSample):
    """What a job is expected to cost before it runs. Component energy, without PUE; hours of the grid's clock, one run at a time.

    Emissions per sample are those of the previewed window.
    """

    energy_kwh: BandView
    duration_hours: BandView
    parts: list[PartView] = Field(default_factory=list, description="what adds up to the middles of energy and duration")
    idle_kwh: float | None = Field(default=None, description="of the energy: what the devices would have drawn without any work")
    power_watts: float
    origin: str = Field(description="where the numbers come from, in words")
    hardware: str


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
    plan: list[WindowView] = Field(default_factory=list)


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
    """What one change saves against the job as asked, with 80 % intervals; negative is more. None is unknown, not zero."""

    change: str
    saved_g: BandView | None
    saved_kwh: BandView | None = Field(description="component energy")
    saved_hours: BandView | None = Field(description="until it is done; negative is later")
    caveat: str = Field(description="what it may cost in quality")


class AdviceView(View):
    """Facility emissions now and at the best window, at each site, by month; spending less beside spending later.

    `now_g`: at home, begun as soon as it may. `spend_less` counts at the intensity of the best window.
    """

    now_g: BandView | None
    best_g: BandView | None
    by_site: list[SiteEstimateView]
    by_month: list[MonthView]
    almanac: AlmanacView | None = Field(default=None, description="at home: for work that may wait weeks")
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
