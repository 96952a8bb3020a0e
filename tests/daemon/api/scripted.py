"""A service that answers from a script, so that tests of the edge need no database. Real views, real errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from daemon.domain.caller import Caller
from daemon.domain.errors import Conflict, Forbidden, LowtideError, NotFound, Rejected, TooMany
from daemon.domain.explanation import Binding
from daemon.domain.job import JobRequest
from daemon.domain.states import JobState
from daemon.service.arrival import Arrival, Outcome
from daemon.service.budget_view import BudgetView
from daemon.service.explanation_view import ExplanationView, OtherSiteView
from daemon.service.job_views import (
    AdviceView,
    EstimateAnswer,
    EstimateView,
    EventView,
    JobDetail,
    JobView,
    LeverView,
    MonthView,
    PartView,
    PreviewView,
    ProgressView,
    SiteEstimateView,
    Submission,
)
from daemon.service.ledger_views import LedgerView, ReportTotals, ReportView
from daemon.service.share_view import ShareView
from daemon.service.views import (
    AlmanacView,
    BandView,
    CalendarMonthView,
    ForecastSkillView,
    ForecastView,
    IntensityNow,
    IntensityPoint,
    IntensityView,
    Page,
    PlanView,
    Readiness,
    SiteView,
    WindowView,
)
from daemon.store import StoreUnavailable

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = WindowView(site="umea", start=NOW, end=NOW + timedelta(hours=3), gpus=1)
ESTIMATE = EstimateView(
    energy_kwh=BandView(low=0.9, mid=1.0, high=1.2),
    duration_hours=BandView(low=2.5, mid=3.0, high=3.5),
    parts=[
        PartView(name="startup", energy_kwh=0.05, hours=0.1),
        PartView(name="work", energy_kwh=0.7, hours=2.6),
        PartView(name="checkpoints", energy_kwh=0.25, hours=0.3),
    ],
    idle_kwh=0.2,
    power_watts=333.0,
    origin="from FLOPs and this hardware's coefficients",
    hardware="generic-cpu",
)
ADVICE = AdviceView(
    now_g=BandView(low=300.0, mid=402.0, high=500.0),
    best_g=BandView(low=20.0, mid=31.0, high=45.0),
    by_site=[
        SiteEstimateView(
            site="umea", zone="SE", hardware="generic-cpu", energy_kwh=BandView(low=0.9, mid=1.0, high=1.2),
            duration_hours=BandView(low=2.5, mid=3.0, high=3.5), now_g=None, best_g=BandView(low=20.0, mid=31.0, high=45.0),
            best_start=NOW, best_end=NOW + timedelta(hours=3), rung=None, reason="cleaner window tonight",
        )
    ],
    by_month=[MonthView(month="2026-02", zone="DE", g_per_kwh=400.0, g=BandView(low=558.0, mid=620.0, high=744.0), source="portal")],
    spend_later=LeverView(
        change="wait for the best window", saved_g=BandView(low=250.0, mid=371.0, high=480.0),
        saved_kwh=BandView(low=0.0, mid=0.0, high=0.0), saved_hours=BandView(low=-9.0, mid=-9.0, high=-9.0),
        caveat="Quality stays as it is.",
    ),
    spend_less=[
        LeverView(
            change="200 DDIM steps", saved_g=BandView(low=15.0, mid=24.8, high=36.0), saved_kwh=BandView(low=0.7, mid=0.8, high=0.95),
            saved_hours=BandView(low=2.0, mid=2.4, high=2.9), caveat="Look.",
        ),
        LeverView(change="bfloat16 instead of float32", saved_g=None, saved_kwh=None, saved_hours=None, caveat="Unknown here."),
    ],
    comparison="1,000 samples take 100 kWh: 34 times the mean of image generation",
)  # fmt: skip
PREVIEW = PreviewView(segments=[WINDOW], expected_g=31.0, run_now_g=402.0, reason="cleaner window tonight in SE: 31 g instead of 402 g")
EXPLANATION = ExplanationView(
    planned_at=NOW, sentence="12:00-15:00 UTC at umea: 31 g, 371 g (92 %) less than running at once at home",
    chosen_g=31.0, run_now_g=402.0, saved_g=371.0, saved_percent=92.3, bound_by=[Binding.CAPACITY, Binding.RESIDENCY],
    alone_g=20.0, held_by=["j7"], day_more_saves_g=0.0, other_sites=[OtherSiteView(site="lyon", saves_g=12.0)], nearest_deadline=None,
)  # fmt: skip
BUDGET = BudgetView(
    project="ct", month_start=datetime(2026, 11, 1, tzinfo=UTC), month_end=datetime(2026, 12, 1, tzinfo=UTC), budget_g=20_000.0,
    settled_g=17_500.0, estimated_g=500.0, left_g=2000.0, over_budget="ask", approved_jobs=[],
)  # fmt: skip
TOTALS = ReportTotals(
    jobs=1, energy_kwh=1.0, facility_energy_kwh=1.55, measured_kwh=0.5, estimated_kwh=0.25, simulated_kwh=0.25, waste_kwh=0.1,
    actual_g=31.0, baseline_g=402.0, saving_g=371.0, claimed_saving_g=0.0, hindsight_share=0.9, samples=10, g_per_1000_samples=3100.0,
)  # fmt: skip


class ScriptedService:
    """Remembers submissions and what it was asked; refuses the project 'forbidden', fails on 'broken', has no disk for 'unstored'.

    Jobs of the project 'others' may be changed by admins only, and the project 'crowded' has no room for more.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.accepted: dict[str, tuple[JobRequest, str | None, str]] = {}
        self.callers: list[Caller] = []
        self.ready = True

    def submit(self, request: JobRequest, idempotency_key: str | None, digest: str) -> tuple[Submission, bool]:
        if request.project == "forbidden":
            raise Rejected("constraints.deadline", "lies in the past: choose one after now")
        if request.project == "crowded":
            raise TooMany("'ada' has 5 jobs waiting or running, and 5 is the most: wait until some have ended")
        if request.project == "broken":
            raise RuntimeError("the secret plan is at /var/lib/private")
        if request.project == "unstored":
            raise StoreUnavailable("the database sqlite:////var/lib/private/lowtide.db is not available: disk is full")
        for job_id, (asked, key, known) in self.accepted.items():
            if key is not None and key == idempotency_key:
                if known != digest and asked != request:
                    raise Conflict("this Idempotency-Key was used for another job: choose a new one")
                return self._submission(job_id), False
        job_id = f"j{len(self.accepted)}"
        self.accepted[job_id] = (request, idempotency_key, digest)
        return self._submission(job_id), True

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for arrival in arrivals:
            self.callers.append(arrival.caller)
            try:
                outcomes.append(self.submit(arrival.request, arrival.idempotency_key, arrival.digest))
            except (LowtideError, RuntimeError) as error:
                outcomes.append(error)
        return outcomes

    def estimate(self, request: JobRequest, caller: Caller) -> EstimateAnswer:
        self.callers.append(caller)
        return EstimateAnswer(estimate=ESTIMATE, preview=PREVIEW, advice=ADVICE)

    def jobs(self, states: Sequence[JobState] | None, project: str | None, cursor: str | None, limit: int, caller: Caller) -> Page[JobView]:
        self.callers.append(caller)
        self.asked.append((states, project, cursor, limit))
        views = [self._view(job_id) for job_id in self.accepted]
        return Page[JobView](items=views[:limit], next_cursor=views[limit - 1].id if len(views) > limit else None)

    def job(self, job_id: str, caller: Caller) -> JobDetail:
        self.callers.append(caller)
        view = self._view(job_id)
        request = self.accepted[job_id][0]
        return JobDetail(**view.model_dump(), request=request, attempts=[], directories=["/runs/j0"], explanation=EXPLANATION)

    def cancel(self, job_id: str, caller: Caller) -> JobView:
        if job_id in self.accepted and self.accepted[job_id][0].project == "others" and not caller.is_admin:
            raise Forbidden(f"job {job_id} did not come with this token: ask an admin")
        return self._view(job_id).model_copy(update={"state": JobState.CANCELLED, "reason": "cancelled by request"})

    def approve(self, job_id: str, caller: Caller) -> JobView:
        self.callers.append(caller)
        if self.accepted.get(job_id, (None,))[0] is not None and self.accepted[job_id][0].project == "frugal":
            raise Conflict("project frugal stops at its budget: raise it")
        return self._view(job_id)

    def budgets(self, caller: Caller) -> list[BudgetView]:
        self.callers.append(caller)
        return [BUDGET]

    def shares(self, caller: Caller) -> list[ShareView]:
        self.callers.append(caller)
        return [ShareView(user="ada", weight=2.0, gpu_hours=30.0, standing=15.0)]

    def events(self, job_id: str, cursor: str | None, limit: int, caller: Caller) -> Page[EventView]:
        self.callers.append(caller)
        self._view(job_id)
        return Page[EventView](items=[EventView(sequence=1, at=NOW, kind="accepted", message="accepted", detail={})])

    def ledger(self, job_id: str, caller: Caller) -> LedgerView:
        self.callers.append(caller)
        self._view(job_id)
        return LedgerView(job_id=job_id, entries=[])

    def plan(self, caller: Caller) -> PlanView:
        self.callers.append(caller)
        return PlanView(made_at=None, placements=[], unplaced=[], cost_g=0.0, bound_g=0.0, gap=0.0, planner_seconds=0.0)

    def sites(self) -> list[SiteView]:
        now = IntensityNow(g_per_kwh=23.0, rung="observed", source="Electricity Maps", is_estimated=False, age_seconds=600.0)
        umea = SiteView(name="umea", zone="SE", gpus=8, gpus_busy=1, hardware="a100", pue=1.1, admits=[], intensity=now)
        nothing = IntensityNow(g_per_kwh=None, rung=None, source=None)
        left = SiteView(
            name="lulea", status="not-in-settings", reason="the settings no longer name this site: put it back",
            zone=None, gpus=None, gpus_busy=2, hardware=None, pue=None, admits=[], intensity=nothing,
        )  # fmt: skip
        return [umea, left]

    def intensity(self, zone: str, start: datetime | None, end: datetime | None) -> IntensityView:
        self.asked.append((zone, start, end))
        if zone != "SE":
            raise NotFound("zone", zone, ("SE",))
        point = IntensityPoint(start=NOW, end=NOW + timedelta(hours=1), g_per_kwh=23.0, rung="observed", source="Electricity Maps")
        return IntensityView(zone=zone, kind="lifecycle/average/flow-traced", points=[point])

    def forecast(self, zone: str) -> ForecastView:
        told = self.intensity(zone, None, None)
        decided = {"savings_kept": 0.9, "hindsight_kept": 0.71, "worse": 0.12, "regret_g_per_kwh": 9.5}
        skill = ForecastSkillView(rung="own-forecast", source="lowtide model", forecasts=600, **decided, leads=[])
        return ForecastView(zone=told.zone, kind=told.kind, points=told.points, skill=[skill])

    def seasons(self, zone: str) -> AlmanacView:
        told = self.intensity(zone, None, None)
        month = CalendarMonthView(
            month="2026-12", g_per_kwh=40.0, cleanest_year_g_per_kwh=35.0, dirtiest_year_g_per_kwh=45.0,
            years=[2024, 2025], cleanest_hour_utc=3,
        )  # fmt: skip
        return AlmanacView(
            zone=zone, kind=told.kind, basis="hourly values, portal", this_month=None, next_month=month, best_month=month, months=[month],
            sentence="December 2026 is the cleanest known month.", left_out=["3 months of another release left out"],
        )  # fmt: skip

    def report(self, start: datetime | None, end: datetime | None, project: str | None, caller: Caller) -> ReportView:
        self.callers.append(caller)
        self.asked.append((start, end, project))
        return ReportView(start=start, end=end, lines=[], totals=TOTALS, equivalents=[], notes=["attributional"])

    def readiness(self) -> Readiness:
        return Readiness(ready=self.ready, problems=[] if self.ready else ["the last tick failed"])

    def _submission(self, job_id: str) -> Submission:
        return Submission(job=self._view(job_id), estimate=ESTIMATE, preview=PREVIEW)

    def _view(self, job_id: str) -> JobView:
        if job_id not in self.accepted:
            raise NotFound("job", job_id)
        request = self.accepted[job_id][0]
        return JobView(
            id=job_id, name=request.name, project=request.project, kind=request.workload.kind,
            state=JobState.WAITING, reason=PREVIEW.reason,
            accepted_at=NOW, deadline=NOW + timedelta(days=3), home="heidelberg", data_class="public",
            estimated_energy_kwh=1.25,
            progress=ProgressView(steps_done=0, steps_total=request.workload.total_steps, unit="samples"), plan=[WINDOW],
        )  # fmt: skip
