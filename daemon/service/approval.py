"""Budgets as people see them, and the approval that lets one job run over its project's budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.domain.budget import APPROVED, Budget, month_start, next_month
from daemon.domain.caller import Caller
from daemon.domain.errors import Conflict
from daemon.domain.job import Event, Job
from daemon.service.budget_view import BudgetView
from daemon.service.budgets import Budgets
from daemon.service.work import live_works
from daemon.store import Store
from forecast.clock import Clock


class Approvals:
    """Answers how budgets stand, and records approvals as events of their jobs: the next plan heeds them."""

    def __init__(self, store: Store, budgets: Budgets, clock: Clock) -> None:
        self._store, self._budgets, self._clock = store, budgets, clock

    def approve(self, job_id: str, caller: Caller) -> None:
        """Let the job run over its project's budget; repeating it changes nothing. Raises NotFound, Forbidden, Conflict."""
        caller.check_is_admin()
        with self._store.write() as writer:
            job = writer.job(job_id)
            self._check(job)
            if not writer.jobs_with_event([job_id], APPROVED):
                by = f", says {caller.name}" if caller.name is not None else ""
                words = f"may run over the budget of project {job.request.project}{by}"
                writer.add_event(Event(job_id, self._clock.now(), APPROVED, words))

    def _check(self, job: Job) -> None:
        project, rule = job.request.project, self._budgets.rules.get(job.request.project)
        if job.state.is_final:
            raise Conflict(f"job {job.id} has already {job.state}: there is nothing left to approve")
        if rule is None:
            raise Conflict(f"project {project} has no carbon budget: its jobs need no approval")
        if not rule.asks:
            raise Conflict(f"project {project} stops at its budget: raise it, or set projects.{project}.over_budget to 'ask'")

    def budgets(self, caller: Caller) -> list[BudgetView]:
        """Every project with a budget that the caller sees, by name."""
        if not self._budgets.rules:
            return []
        now = self._clock.now()
        with self._store.read() as reader:
            works = live_works(reader)
            spending = self._budgets.spending(reader, works, now)
        ends = {job_id: max(segment.end for segment in work.job.planned) for job_id, work in works.items() if work.job.planned}
        counted, month = spending.counted_g(now, ends), month_start(now)
        approved = [works[job_id].job for job_id in sorted(spending.approved)]
        return [
            _view(spending.budgets[each], each, counted[each, month], approved, now)
            for each in sorted(self._budgets.rules)
            if caller.sees_project(each)
        ]


def _view(budget: Budget, project: str, spent_g: float, approved: Sequence[Job], now: datetime) -> BudgetView:
    return BudgetView(
        project=project,
        month_start=month_start(now),
        month_end=next_month(now),
        budget_g=budget.rule.monthly_g,
        settled_g=budget.settled_g,
        estimated_g=spent_g - budget.settled_g,
        left_g=budget.rule.monthly_g - spent_g,
        over_budget="ask" if budget.rule.asks else "stop",
        approved_jobs=[job.id for job in approved if job.request.project == project],
    )
