"""What the service answers to the edges, plain data with units in the names: what all answers share, the plan, sites and grid.

Jobs are in `job_views`, accounts in `ledger_views`.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

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


class WindowView(View):
    site: str
    start: AwareDatetime
    end: AwareDatetime
    gpus: int


class CalendarMonthView(View):
    """One month of the year at its next coming; null spread: one year is recorded. `g`: a whole job at home at that mean."""

    month: str
    g_per_kwh: float = Field(description="mean over the recorded years")
    cleanest_year_g_per_kwh: float | None
    dirtiest_year_g_per_kwh: float | None
    years: list[int]
    cleanest_hour_utc: int | None = Field(description="hour of day with the lowest mean; null where only monthly values are known")
    g: BandView | None = None


class AlmanacView(View):
    """This month, next month and the best month of a zone. All from one `basis`: releases and kinds are never mixed."""

    zone: str
    kind: str
    basis: str | None
    this_month: CalendarMonthView | None
    next_month: CalendarMonthView | None
    best_month: CalendarMonthView | None
    months: list[CalendarMonthView]
    sentence: str
    left_out: list[str] = Field(description="what was recorded and not used, and why")


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
    mape: float | None = Field(description="mean of each hour's absolute error as a share of its measured value, hours at zero left out")
    bias_g_per_kwh: float = Field(description="forecast less measured")
    coverage: float | None = Field(description="share of hours inside the central 80 % interval")
    pinball_g_per_kwh: float | None = Field(description="pinball loss of the bounds of the central 80 % interval")
    pairs: int


class ForecastSkillView(View):
    """How good one source's forecasts of a zone were lately, by the daemon's own archive."""

    rung: str
    source: str
    forecasts: int
    savings_kept: float | None = Field(
        description="share of promised savings that came true, plus two standard errors; null: too little record"
    )
    hindsight_kept: float | None = Field(
        description="saving of 8 h jobs with 24 h slack planned once by these forecasts, as a share of the hindsight saving"
    )
    worse: float | None = Field(description="share of those jobs that ended above run-now")
    regret_g_per_kwh: float | None = Field(description="how far they ended above the best start in hindsight on average")
    leads: list[LeadSkillView]


class ForecastView(IntensityView):
    skill: list[ForecastSkillView]


class Page(View, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


class Readiness(View):
    ready: bool
    problems: list[str] = []
