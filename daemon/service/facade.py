"""Service: the one object the edges speak to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import Conflict
from daemon.domain.job import Event, JobRequest
from daemon.domain.states import JobState
from daemon.service.accept import Acceptance
from daemon.service.approval import Approvals
from daemon.service.arrival import Arrival, Outcome
from daemon.service.budget_view import BudgetView
from daemon.service.job_views import EstimateAnswer, EventView, JobDetail, JobView, Submission
from daemon.service.ledger_views import LedgerView, ReportView
from daemon.service.query import Queries
from daemon.service.seeing import seen_job
from daemon.service.share_view import ShareView, Standings
from daemon.service.views import AlmanacView, ForecastView, IntensityView, Page, PlanView, Readiness, SiteView
from daemon.service.zones import Zones
from daemon.store import StaleWrite, Store
from forecast.clock import Clock


class Service:
    """Accept, cancel and answer; the tick and the chores run beside it on the same store. Safe from several threads."""

    def __init__(
        self,
        store: Store,
        acceptance: Acceptance,
        queries: Queries,
        zones: Zones,
        approvals: Approvals,
        standings: Standings,
        clock: Clock,
        problems: Callable[[], list[str]],
    ) -> None:
        self._store, self._acceptance, self._queries, self._zones = store, acceptance, queries, zones
        self._approvals, self._standings, self._clock, self._problems = approvals, standings, clock, problems

    def submit(self, request: JobRequest, idempotency_key: str | None, digest: str) -> tuple[Submission, bool]:
        return self._acceptance.submit(request, idempotency_key, digest)

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        return self._acceptance.submit_all(arrivals)

    def estimate(self, request: JobRequest, caller: Caller = OPERATOR) -> EstimateAnswer:
        return self._acceptance.estimate(request, caller)

    def cancel(self, job_id: str, caller: Caller = OPERATOR) -> JobView:
        """Ask for a job's end: at once if nothing runs, else at its next checkpoint. Raises NotFound, Forbidden, Conflict."""
        for _ in range(10):
            try:
                self._cancel(job_id, caller)
            except StaleWrite:
                continue  # the tick changed it in between: look again
            return self._queries.job(job_id)
        raise Conflict(f"job {job_id} keeps changing: try again in a moment")

    def _cancel(self, job_id: str, caller: Caller) -> None:
        now = self._clock.now()
        with self._store.write() as writer:
            job = seen_job(writer, job_id, caller)
            caller.check_may_change(job)
            if job.state is JobState.CANCELLED or job.cancel_requested:
                return
            if job.state.is_final:
                raise Conflict(f"job {job_id} has already {job.state}: there is nothing left to cancel")
            event = Event(job_id, now, "cancel-requested", f"{caller.name or 'the user'} asked to cancel")
            if any(not attempt.state.is_final for attempt in writer.attempts(job_id)):
                writer.change_job(replace(job, cancel_requested=True), event)
                return
            for run in writer.runs(job_id):
                if run.closed_at is None:
                    writer.change_run(replace(run, closed_at=now))
            ended = replace(job, state=JobState.CANCELLED, cancel_requested=True, reason="cancelled on request", ended_at=now, planned=())
            writer.change_job(ended, event)

    def approve(self, job_id: str, caller: Caller = OPERATOR) -> JobView:
        """Let a job run over its project's budget. Raises NotFound, Forbidden, Conflict."""
        self._approvals.approve(job_id, caller)
        return self._queries.job(job_id)

    def budgets(self, caller: Caller = OPERATOR) -> list[BudgetView]:
        return self._approvals.budgets(caller)

    def shares(self, caller: Caller = OPERATOR) -> list[ShareView]:
        return self._standings.shares(caller)

    def jobs(
        self, states: Sequence[JobState] | None, project: str | None, cursor: str | None, limit: int, caller: Caller = OPERATOR
    ) -> Page[JobView]:
        return self._queries.jobs(states, project, cursor, limit, caller)

    def job(self, job_id: str, caller: Caller = OPERATOR) -> JobDetail:
        return self._queries.job(job_id, caller)

    def events(self, job_id: str, cursor: str | None, limit: int, caller: Caller = OPERATOR) -> Page[EventView]:
        return self._queries.events(job_id, cursor, limit, caller)

    def ledger(self, job_id: str, caller: Caller = OPERATOR) -> LedgerView:
        return self._queries.ledger(job_id, caller)

    def plan(self, caller: Caller = OPERATOR) -> PlanView:
        return self._queries.plan(caller)

    def sites(self) -> list[SiteView]:
        return self._zones.sites()

    def intensity(self, zone: str, start: datetime | None, end: datetime | None) -> IntensityView:
        return self._zones.intensity(zone, start, end)

    def forecast(self, zone: str) -> ForecastView:
        return self._zones.forecast(zone)

    def seasons(self, zone: str) -> AlmanacView:
        return self._zones.seasons(zone)

    def report(self, start: datetime | None, end: datetime | None, project: str | None, caller: Caller = OPERATOR) -> ReportView:
        return self._queries.report(start, end, project, caller)

    def readiness(self) -> Readiness:
        problems = self._problems()
        return Readiness(ready=not problems, problems=problems)
