"""Tells the metrics what tick and chores saw, so that a scrape never touches the database."""

from __future__ import annotations

from collections import Counter

from daemon.domain.budget import month_start
from daemon.metrics import Metrics
from daemon.service.report import totals_view
from daemon.service.tick import TickReport
from daemon.service.zones import Zones
from daemon.store import Store
from forecast.clock import Clock


class Teller:
    def __init__(self, metrics: Metrics, store: Store, zones: Zones, clock: Clock) -> None:
        self._metrics, self._store, self._zones, self._clock = metrics, store, zones, clock

    def tell_tick(self, report: TickReport) -> None:
        self._metrics.planned(report.plan)
        self._metrics.deadlines_missed(len(report.missed))
        self._metrics.show_budgets(report.snapshot.spending.budgets, spent_grams(report), over_budget_jobs(report))
        for attempt in report.ended:
            self._metrics.attempt_ended(attempt.site, attempt.state)
        with self._store.read() as reader:
            counts = reader.counts()
        self._metrics.show_jobs(counts)
        self._metrics.show_sites(self._zones.sites())

    def tell_ledger(self) -> None:
        with self._store.read() as reader:
            totals = reader.ledger_totals()
        self._metrics.show_ledger(totals_view(totals))


def spent_grams(report: TickReport) -> dict[str, float]:
    """What counts against each budget of the running month; begun jobs count where the plan lets them end."""
    snapshot = report.snapshot
    counted = snapshot.spending.counted_g(snapshot.now, {placement.job_id: placement.end for placement in report.plan.placements})
    return {project: counted[project, month_start(snapshot.now)] for project in snapshot.spending.budgets}


def over_budget_jobs(report: TickReport) -> Counter[str]:
    """How many jobs of each project the plan left out for its budget."""
    projects = {job.id: job.project for job in report.snapshot.jobs}
    return Counter(projects[answer.job_id] for answer in report.plan.unplaced if answer.is_over_budget)
