"""The endpoints under /v1: each checks its scope, calls one method of the service and answers with its view."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from daemon.api.auth import Guard
from daemon.api.bodies import StrictRoute
from daemon.api.intake import Intake
from daemon.api.problems import MEDIA_TYPE, Problem
from daemon.api.service import ServiceApi
from daemon.domain.instants import NamedInstant
from daemon.domain.job import JobRequest
from daemon.domain.states import JobState
from daemon.service.arrival import Arrival, digest_of
from daemon.service.budget_view import BudgetView
from daemon.service.job_views import EstimateAnswer, EventView, JobDetail, JobView, Submission
from daemon.service.ledger_views import LedgerView, ReportView
from daemon.service.share_view import ShareView
from daemon.service.views import AlmanacView, ForecastView, IntensityView, Page, PlanView, SiteView

Limit = Annotated[int, Query(ge=1, le=500, description="how many at most")]
Cursor = Annotated[str | None, Query(max_length=64, pattern="^[0-9A-Za-z-]+$", description="`next_cursor` of the page before")]
Project = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$", description="only this project")]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="the same key and body give the same job, once")
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says about errors."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": "Problem document", "model": Problem, "content": {MEDIA_TYPE: schema}} for status in statuses}


def v1_router(service: ServiceApi, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=problems(401, 403, 422, 429))
    _add_submitting(router, service, guard)
    _add_jobs(router, service, guard)
    _add_grid(router, service, guard)
    _add_budgets(router, service, guard)
    return router


def _add_submitting(router: APIRouter, service: ServiceApi, guard: Guard) -> None:
    may_submit = [Depends(guard.needs("submit"))]
    intake = Intake(service.submit_all)

    @router.post("/jobs", status_code=201, dependencies=may_submit, response_model=Submission, responses=problems(400, 409, 413, 503, 507))
    async def submit(request: JobRequest, http: Request, idempotency_key: IdempotencyKey = None) -> Response:
        """Queue a job. Answers with its estimate and a preview of the window it would get now."""
        digest = digest_of(await http.json())  # parsed already: it is kept with the request
        submission, created = await intake.submit(Arrival(request, idempotency_key, digest, guard.caller(http)))
        headers = {"Location": f"/v1/jobs/{submission.job.id}"} | ({} if created else {"Idempotent-Replayed": "true"})
        # Written here, the framework need not validate the view once more.
        return Response(submission.model_dump_json(), 201, headers, media_type="application/json")

    @router.post("/jobs/{job_id}/cancel", dependencies=may_submit, response_model=JobView, responses=problems(404, 409, 503, 507))
    def cancel(job_id: str, http: Request) -> JobView:
        """Cancel a job that came with this token or is of one of its projects, as an admin any; running work is asked to stop.

        Cancelling a cancelled job changes nothing.
        """
        return service.cancel(job_id, guard.caller(http))

    @router.post("/estimates", dependencies=[Depends(guard.needs("read"))], response_model=EstimateAnswer, responses=problems(400, 413))
    def estimate(request: JobRequest, http: Request) -> EstimateAnswer:
        """What a job would cost and where and when it would run, without queueing it."""
        return service.estimate(request, guard.caller(http))


def _add_jobs(router: APIRouter, service: ServiceApi, guard: Guard) -> None:
    may_read = [Depends(guard.needs("read"))]

    @router.get("/jobs", dependencies=may_read, response_model=Page[JobView])
    def jobs(
        http: Request,
        state: Annotated[list[JobState] | None, Query(description="only these states; may be repeated")] = None,
        project: Project = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[JobView]:
        """Jobs, newest first."""
        return service.jobs(state, project, cursor, limit, guard.caller(http))

    @router.get("/jobs/{job_id}", dependencies=may_read, response_model=JobDetail, responses=problems(404))
    def job(job_id: str, http: Request) -> JobDetail:
        """One job with its attempts, and why it is where it is."""
        return service.job(job_id, guard.caller(http))

    @router.get("/jobs/{job_id}/events", dependencies=may_read, response_model=Page[EventView], responses=problems(404))
    def events(job_id: str, http: Request, cursor: Cursor = None, limit: Limit = 100) -> Page[EventView]:
        """What happened to a job, oldest first."""
        return service.events(job_id, cursor, limit, guard.caller(http))

    @router.get("/jobs/{job_id}/ledger", dependencies=may_read, response_model=LedgerView, responses=problems(404))
    def ledger(job_id: str, http: Request) -> LedgerView:
        """What a job emitted, beside what it would have emitted if run at once at home."""
        return service.ledger(job_id, guard.caller(http))


def _add_grid(router: APIRouter, service: ServiceApi, guard: Guard) -> None:
    may_read = [Depends(guard.needs("read"))]

    @router.get("/plan", dependencies=may_read, response_model=PlanView)
    def plan(http: Request) -> PlanView:
        """The plan of the last tick: every placement with its reason, cost, proven bound and gap."""
        return service.plan(guard.caller(http))

    @router.get("/sites", dependencies=may_read, response_model=list[SiteView])
    def sites() -> list[SiteView]:
        """Where jobs can run, how full it is and how clean its grid is now."""
        return service.sites()

    @router.get("/zones/{zone}/intensity", dependencies=may_read, response_model=IntensityView, responses=problems(404))
    def intensity(zone: str, start: NamedInstant | None = None, end: NamedInstant | None = None) -> IntensityView:
        """Recorded carbon intensity of a zone; the last day by default."""
        return service.intensity(zone, start, end)

    @router.get("/zones/{zone}/forecast", dependencies=may_read, response_model=ForecastView, responses=problems(404))
    def forecast(zone: str) -> ForecastView:
        """The outlook that plans use: each value with its rung, source and central 80 % interval; and how good forecasts were lately."""
        return service.forecast(zone)

    @router.get("/zones/{zone}/seasons", dependencies=may_read, response_model=AlmanacView, responses=problems(404))
    def seasons(zone: str) -> AlmanacView:
        """What a zone's months usually are: this month, next month and the best one, with the spread across recorded years."""
        return service.seasons(zone)

    @router.get("/report", dependencies=may_read, response_model=ReportView)
    def report(http: Request, start: NamedInstant | None = None, end: NamedInstant | None = None, project: Project = None) -> ReportView:
        """Energy, emissions and savings of the jobs that ended in [start, end)."""
        return service.report(start, end, project, guard.caller(http))


def _add_budgets(router: APIRouter, service: ServiceApi, guard: Guard) -> None:
    @router.get("/budgets", dependencies=[Depends(guard.needs("read"))], response_model=list[BudgetView])
    def budgets(http: Request) -> list[BudgetView]:
        """The carbon budget of each project that has one: spent and left in this month."""
        return service.budgets(guard.caller(http))

    @router.get("/shares", dependencies=[Depends(guard.needs("read"))], response_model=list[ShareView])
    def shares(http: Request) -> list[ShareView]:
        """Where users stand in fair shares, whose turn comes first; empty where shares are not looked at.

        A token that is bound to projects hears its own name and its projects', of others only that they are there.
        """
        return service.shares(guard.caller(http))

    @router.post(
        "/jobs/{job_id}/approve",
        dependencies=[Depends(guard.needs("admin"))],
        response_model=JobView,
        responses=problems(404, 409, 503, 507),
    )
    def approve(job_id: str, http: Request) -> JobView:
        """Let a job run over the budget of its project, where that asks. Approving twice changes nothing."""
        return service.approve(job_id, guard.caller(http))
