"""What the edges ask of the service: the only road from HTTP into the house."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from daemon.domain.caller import Caller
from daemon.domain.job import JobRequest
from daemon.domain.states import JobState
from daemon.service.arrival import Arrival, Outcome
from daemon.service.budget_view import BudgetView
from daemon.service.job_views import EstimateAnswer, EventView, JobDetail, JobView
from daemon.service.ledger_views import LedgerView, ReportView
from daemon.service.share_view import ShareView
from daemon.service.views import AlmanacView, ForecastView, IntensityView, Page, PlanView, Readiness, SiteView


class ServiceApi(Protocol):
    """Every method may be called from several threads and raises only LowtideErrors for what the caller did wrong."""

    def submit_all(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Accept jobs that arrived together, each once per key; the outcomes in their order.

        An outcome is (answer, whether it is new), or the error: Rejected, Forbidden, TooMany, Conflict for a key with another digest.
        """
        ...

    def estimate(self, request: JobRequest, caller: Caller) -> EstimateAnswer: ...

    def jobs(
        self, states: Sequence[JobState] | None, project: str | None, cursor: str | None, limit: int, caller: Caller
    ) -> Page[JobView]: ...

    def job(self, job_id: str, caller: Caller) -> JobDetail: ...

    def cancel(self, job_id: str, caller: Caller) -> JobView: ...

    def approve(self, job_id: str, caller: Caller) -> JobView: ...

    def budgets(self, caller: Caller) -> list[BudgetView]: ...

    def shares(self, caller: Caller) -> list[ShareView]: ...

    def events(self, job_id: str, cursor: str | None, limit: int, caller: Caller) -> Page[EventView]: ...

    def ledger(self, job_id: str, caller: Caller) -> LedgerView: ...

    def plan(self, caller: Caller) -> PlanView: ...

    def sites(self) -> list[SiteView]: ...

    def intensity(self, zone: str, start: datetime | None, end: datetime | None) -> IntensityView: ...

    def forecast(self, zone: str) -> ForecastView: ...

    def seasons(self, zone: str) -> AlmanacView: ...

    def report(self, start: datetime | None, end: datetime | None, project: str | None, caller: Caller) -> ReportView: ...

    def readiness(self) -> Readiness: ...
