"""What operators can watch: the one registry of Prometheus metrics. Base units in the names, closed label sets, never a job id.

Every label set is created at start-up, so that counters begin at 0 and `increase()` sees their first step. An unknown value
is NaN, never 0. Tick, chores and feed call the methods below; a scrape reads only what they left, never the database.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from daemon import __version__
from daemon.domain.budget import Budget
from daemon.domain.plan import Plan
from daemon.domain.states import AttemptState, JobState
from daemon.gauges import new_gauge, or_nan
from daemon.service.ledger_views import ReportTotals
from daemon.service.views import SiteView
from daemon.skill_metrics import SkillMetrics
from forecast.intensity import Rung
from forecast.skill import ForecastSkill

JOB_KINDS = ("training", "synthesis")
CHORES = ("tick", "latest", "forecast", "lesson", "score", "monthly", "settle", "retention")
ENDPOINTS = ("latest", "history", "forecast", "past-range")
JOULES_PER_KWH = 3.6e6
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter, which nobody reads
_RUNGS = {rung.label: int(rung) for rung in Rung}


class Metrics:
    """All metrics of one daemon: the closed sets of labels are `sites`, (site name, zone) pairs, and `projects` with a budget."""

    def __init__(self, sites: Iterable[tuple[str, str]] = (), projects: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        pairs = tuple(sites)
        self._zones = tuple(dict.fromkeys(zone for _, zone in pairs))
        ProcessCollector(registry=self.registry)
        self._build_info = self._gauge("build_info", "1, with the version of Lowtide.", "version")
        self._build_info.labels(__version__).set(1)
        self._define_jobs(tuple(name for name, _ in pairs))
        self._define_ledger()
        self._define_grid()
        self._define_work()
        self._define_budgets(projects)

    # What is watched

    def _define_jobs(self, sites: tuple[str, ...]) -> None:
        self._jobs = self._gauge("jobs", "Jobs by state and kind of workload.", "state", "kind")
        for state in JobState:
            for kind in JOB_KINDS:
                self._jobs.labels(state, kind)
        self._attempts = self._counter("attempts_ended", "Attempts that ended, by site and final state.", "site", "state")
        for site in sites:
            for attempt_state in AttemptState:
                if attempt_state.is_final:
                    self._attempts.labels(site, attempt_state)
        self._executor_up = self._gauge("executor_up", "1 while a site's executor can be asked about its attempts, else 0.", "site")
        for site in sites:
            self._executor_up.labels(site).set(math.nan)
        self._left_alone = self._gauge("sites_not_in_settings", "Sites with live attempts that the settings no longer name.")
        self._gpus = self._gauge("site_gpus", "GPUs (or CPU slots) of a site.", "site", "zone")
        self._gpus_busy = self._gauge("site_gpus_busy", "GPUs (or CPU slots) of a site that attempts hold.", "site", "zone")

    def _define_ledger(self) -> None:
        self._energy = self._gauge("energy_joules", "Metered component energy in the ledger, by provenance.", "provenance")
        self._facility_energy = self._gauge("facility_energy_joules", "Facility energy (component energy x PUE) in the ledger.")
        self._waste = self._gauge("waste_joules", "Component energy of work that did not count: steps done twice, failed work.")
        self._emissions = self._gauge("emissions_grams", "gCO2e of all settled jobs.")
        self._baseline = self._gauge("baseline_grams", "gCO2e of the same useful work started at once at home.")
        self._avoided = self._gauge("avoided_grams", "Baseline less actual gCO2e, provisional entries included; may be negative.")
        self._claimed = self._gauge("claimed_avoided_grams", "Baseline less actual gCO2e over final entries only.")
        self._samples = self._gauge("samples", "Finished synthetic samples of settled jobs.")
        self._sample_grams = self._gauge("sample_grams", "gCO2e per finished sample over settled syntheses; NaN before the first.")
        self._sample_grams.set(math.nan)

    def _define_grid(self) -> None:
        self._intensity = self._gauge("intensity_grams_per_kwh", "Carbon intensity now, gCO2e/kWh.", "zone")
        self._rung = self._gauge("intensity_rung", "Rung of the ladder the current value stands on: 0 observed .. 5 yearly mean.", "zone")
        self._intensity_age = self._gauge("intensity_age_seconds", "Age of the newest observed value.", "zone")
        self._forecast_age = self._gauge("forecast_age_seconds", "Age of the forecast that plans use.", "zone")
        self._fetches = self._counter("intensity_fetches", "Requests to the intensity provider.", "zone", "endpoint", "result")
        self._falls = self._counter("ladder_falls", "Times a zone fell to a worse rung of the ladder of sources.", "zone")
        self._skills = SkillMetrics(self.registry, self._zones)
        for zone in self._zones:
            self._falls.labels(zone)
            for gauge in (self._intensity, self._rung, self._intensity_age, self._forecast_age):
                gauge.labels(zone).set(math.nan)
            for endpoint in ENDPOINTS:
                self._fetches.labels(zone, endpoint, "ok")

    def _define_work(self) -> None:
        self._chores = self._counter("chore_runs", "Runs of the tick and the chores beside it.", "chore", "result")
        self._last_chore = self._gauge("last_success_timestamp_seconds", "Real time of the last successful run.", "chore")
        for chore in CHORES:
            self._chores.labels(chore, "ok")
            self._chores.labels(chore, "failed")
            self._last_chore.labels(chore).set(math.nan)
        buckets = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self._chore_seconds = self._histogram("chore_seconds", "Real time of one run.", buckets, "chore")
        self._planner_seconds = self._histogram("planner_seconds", "Real time one plan took.", buckets)
        self._plan_cost = self._gauge("plan_expected_grams", "Expected gCO2e of the work in the last plan.")
        self._plan_bound = self._gauge("plan_bound_grams", "Proven lower bound of any plan for that work.")
        self._plan_gap = self._gauge("plan_gap_ratio", "(expected - bound) / expected of the last plan.")
        self._late = self._gauge("plan_late_jobs", "Jobs of the last plan that will end after their deadline.")
        self._missed = self._counter("deadlines_missed", "Jobs whose deadline is not kept, each counted once, when that is first known.")
        self._unplaced = self._gauge("plan_unplaced_jobs", "Jobs of the last plan that got no place.")
        self._clock_rate = self._gauge("clock_rate", "Grid seconds per real second: 1 live, more in a replay.")
        self._requests = self._counter("http_requests", "HTTP requests.", "method", "route", "status")
        self._request_seconds = self._histogram("http_request_seconds", "Time to answer an HTTP request.", buckets, "route")

    def _define_budgets(self, projects: Iterable[str]) -> None:
        self._budget = self._gauge("project_budget_grams", "gCO2e a project may emit in a calendar month, as configured.", "project")
        self._spent = self._gauge("project_budget_spent_grams", "gCO2e of the running month, work under way estimated.", "project")
        self._over_budget = self._gauge("project_over_budget_jobs", "Jobs of the last plan that wait for their budget.", "project")
        for project in projects:
            for gauge in (self._budget, self._spent, self._over_budget):
                gauge.labels(project).set(math.nan)

    # Who tells

    def show_jobs(self, counts: Mapping[tuple[JobState, str], int]) -> None:
        for state in JobState:
            for kind in JOB_KINDS:
                self._jobs.labels(state, kind).set(counts.get((state, kind), 0))

    def attempt_ended(self, site: str, state: AttemptState) -> None:
        self._attempts.labels(site, state).inc()

    def show_ledger(self, totals: ReportTotals) -> None:
        """The totals of all settled jobs; gauges, because a final entry replaces a provisional one and savings may be negative."""
        for provenance in ("measured", "estimated", "simulated"):
            self._energy.labels(provenance).set(getattr(totals, f"{provenance}_kwh") * JOULES_PER_KWH)
        self._facility_energy.set(totals.facility_energy_kwh * JOULES_PER_KWH)
        self._waste.set(totals.waste_kwh * JOULES_PER_KWH)
        self._emissions.set(totals.actual_g)
        self._baseline.set(totals.baseline_g)
        self._avoided.set(totals.saving_g)
        self._claimed.set(totals.claimed_saving_g)
        self._samples.set(totals.samples)
        self._sample_grams.set(or_nan(totals.g_per_sample))

    def show_sites(self, sites: Sequence[SiteView]) -> None:
        self._left_alone.set(sum(site.status == "not-in-settings" for site in sites))
        for site in sites:
            if site.zone is None:
                continue  # the labels are those of the settings, a closed set
            self._executor_up.labels(site.name).set(site.status == "up")
            self._gpus.labels(site.name, site.zone).set(or_nan(site.gpus))
            self._gpus_busy.labels(site.name, site.zone).set(site.gpus_busy)
            now = site.intensity
            self._intensity.labels(site.zone).set(or_nan(now.g_per_kwh))
            self._intensity_age.labels(site.zone).set(or_nan(now.age_seconds))
            self._rung.labels(site.zone).set(or_nan(None if now.rung is None else _RUNGS.get(now.rung)))

    def show_forecast_age(self, zone: str, seconds: float | None) -> None:
        self._forecast_age.labels(zone).set(or_nan(seconds))

    def show_skill(self, zone: str, skills: Mapping[Rung, ForecastSkill]) -> None:
        """How good each source's forecasts of the zone were lately."""
        self._skills.show(zone, skills)

    def fetched(self, zone: str, endpoint: str, result: str) -> None:
        """One request to the provider; `result` is 'ok' or the class of the error."""
        self._fetches.labels(zone, endpoint, result).inc()

    def fell(self, zone: str) -> None:
        self._falls.labels(zone).inc()

    def chore_ran(self, chore: str, seconds: float, *, ok: bool, at_seconds: float) -> None:
        """`seconds` of real time; `at_seconds` is the real end as a Unix timestamp."""
        self._chores.labels(chore, "ok" if ok else "failed").inc()
        self._chore_seconds.labels(chore).observe(seconds)
        if ok:
            self._last_chore.labels(chore).set(at_seconds)

    def planned(self, plan: Plan) -> None:
        self._planner_seconds.observe(plan.planner_seconds)
        self._plan_cost.set(plan.cost_g)
        self._plan_bound.set(plan.bound_g)
        self._plan_gap.set(plan.gap)
        self._late.set(sum(placement.is_late for placement in plan.placements))
        self._unplaced.set(len(plan.unplaced))

    def show_budgets(self, budgets: Mapping[str, Budget], spent_g: Mapping[str, float], waiting: Mapping[str, int]) -> None:
        """How the budgets stood when the plan was made; `waiting`: jobs that wait for their project's budget."""
        for project, budget in budgets.items():
            self._budget.labels(project).set(budget.rule.monthly_g)
            self._spent.labels(project).set(spent_g[project])
            self._over_budget.labels(project).set(waiting.get(project, 0))

    def deadlines_missed(self, jobs: int) -> None:
        self._missed.inc(jobs)

    def show_clock(self, rate: float) -> None:
        self._clock_rate.set(rate)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the path's template ('/v1/jobs/{job_id}'), or 'unmatched'."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The body and content type of `/metrics`, in the format that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # How metrics are made

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return new_gauge(self.registry, name, text, *labels)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"lowtide_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"lowtide_{name}", text, labels, buckets=buckets, registry=self.registry)
