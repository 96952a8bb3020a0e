"""Budgets and owners over HTTP: who may see budgets, who may let a job run over one, whose a job is."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from daemon.api.app import create_app
from daemon.domain.caller import OPERATOR, Caller
from daemon.metrics import Metrics
from daemon.settings import Settings
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.serving import serving
from tests.daemon.api.test_problems import check_problem, job, synthesis

TOKENS = {scope: f"{scope}-token-0123456789" for scope in ("read", "submit", "admin")}


BOUND = "bound-token-0123456789"
SERVICE = ScriptedService()


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    tokens: list[dict[str, object]] = [{"name": scope, "token": token, "scopes": [scope]} for scope, token in TOKENS.items()]
    tokens.append({"name": "bound", "token": BOUND, "scopes": ["submit"], "projects": ["ct", "mr"], "highest_priority": 5})
    with serving(create_app(SERVICE, Settings.model_validate({"server": {"tokens": tokens}}), Metrics())) as url:
        yield url


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[scope]}"}


def test_only_an_admin_lets_a_job_run_over_its_budget(guarded: str) -> None:
    job_id = httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()), headers=bearer("submit")).json()["job"]["id"]
    statuses = [httpx.post(f"{guarded}/v1/jobs/{job_id}/approve", headers=bearer(scope)).status_code for scope in TOKENS]
    assert statuses == [403, 403, 200]


def test_a_refused_approval_is_a_problem_document(guarded: str) -> None:
    body = job(synthesis()) | {"project": "frugal"}
    job_id = httpx.post(f"{guarded}/v1/jobs", json=body, headers=bearer("submit")).json()["job"]["id"]
    refused = httpx.post(f"{guarded}/v1/jobs/{job_id}/approve", headers=bearer("admin"))
    assert "stops at its budget" in check_problem(refused, 409)["detail"]


def test_whoever_may_read_sees_the_budgets(guarded: str) -> None:
    (budget,) = httpx.get(f"{guarded}/v1/budgets", headers=bearer("read")).json()
    assert (budget["project"], budget["left_g"], budget["over_budget"]) == ("ct", 2000.0, "ask")


def test_a_job_belongs_to_the_name_of_the_token_it_came_with(guarded: str) -> None:
    SERVICE.reset()
    for scope in ("submit", "admin"):
        httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()), headers=bearer(scope))
    assert [caller.name for caller in SERVICE.callers] == ["submit", "admin"]


def test_without_tokens_a_job_belongs_to_nobody(api: httpx.Client, service: ScriptedService) -> None:
    api.post("/v1/jobs", json=job(synthesis()), headers={"Authorization": "Bearer whatever"})
    assert service.callers == [OPERATOR]


READS = ["jobs", "jobs/j0", "jobs/j0/events", "jobs/j0/ledger", "plan", "report", "budgets", "shares"]


def test_every_road_to_jobs_knows_what_the_token_may(guarded: str) -> None:
    SERVICE.reset()
    headers = {"Authorization": f"Bearer {BOUND}"}
    httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()), headers=headers)
    httpx.post(f"{guarded}/v1/estimates", json=job(synthesis()), headers=headers)
    for path in READS:
        assert httpx.get(f"{guarded}/v1/{path}", headers=headers).status_code == 200
    httpx.post(f"{guarded}/v1/jobs/j0/approve", headers=bearer("admin"))
    bound = Caller("bound", projects=frozenset({"ct", "mr"}), highest_priority=5)
    assert SERVICE.callers == [bound] * (2 + len(READS)) + [Caller("admin", is_admin=True)]


def test_a_job_that_came_with_another_token_is_not_cancelled(guarded: str) -> None:
    body = job(synthesis()) | {"project": "others"}
    job_id = httpx.post(f"{guarded}/v1/jobs", json=body, headers=bearer("admin")).json()["job"]["id"]
    refused = httpx.post(f"{guarded}/v1/jobs/{job_id}/cancel", headers=bearer("submit"))
    assert "did not come with this token" in check_problem(refused, 403)["detail"]
    assert httpx.post(f"{guarded}/v1/jobs/{job_id}/cancel", headers=bearer("admin")).status_code == 200


def test_a_user_with_too_many_jobs_is_told_to_wait(guarded: str) -> None:
    refused = httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()) | {"project": "crowded"}, headers=bearer("submit"))
    assert "5 is the most" in check_problem(refused, 429)["detail"]
    assert int(refused.headers["Retry-After"]) > 0


def test_metrics_tell_of_all_projects_and_so_nothing_to_a_token_that_is_bound_to_some(guarded: str) -> None:
    refused = httpx.get(f"{guarded}/metrics", headers={"Authorization": f"Bearer {BOUND}"})
    assert "bound to projects" in check_problem(refused, 403)["detail"]
    assert httpx.get(f"{guarded}/metrics", headers=bearer("read")).status_code == 200
