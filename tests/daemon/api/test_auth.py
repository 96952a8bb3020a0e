"""Tokens and scopes; without tokens only this machine is served."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from daemon.api.app import create_app
from daemon.api.loopback import is_loopback
from daemon.metrics import Metrics
from daemon.settings import Settings
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.serving import serving
from tests.daemon.api.test_problems import check_problem, job, synthesis

READER, SUBMITTER, ADMIN = "reader-token-0123456", "submitter-token-012345", "admin-token-0123456789"
TOKENS = [
    {"name": "reader", "token": READER, "scopes": ["read"]},
    {"name": "submitter", "token": SUBMITTER, "scopes": ["submit"]},
    {"name": "admin", "sha256": hashlib.sha256(ADMIN.encode()).hexdigest(), "scopes": ["admin"]},
]


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    settings = Settings.model_validate({"server": {"tokens": TOKENS}})
    with serving(create_app(ScriptedService(), settings, Metrics())) as url:
        yield url


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, bearer("wrong-token-0123456789")])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/plan", "/metrics"])
def test_without_a_known_token_the_answer_is_401_with_a_challenge(guarded: str, header: dict[str, str], path: str) -> None:
    response = httpx.get(guarded + path, headers=header)
    assert "token" in check_problem(response, 401)["detail"]
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="lowtide"'


def test_a_token_does_what_its_scopes_say_and_no_more(guarded: str) -> None:
    def statuses(token: str) -> tuple[int, int]:
        read = httpx.get(f"{guarded}/v1/jobs", headers=bearer(token))
        submit = httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()), headers=bearer(token))
        return read.status_code, submit.status_code

    assert statuses(READER) == (200, 403)
    assert statuses(SUBMITTER) == (200, 201)
    assert statuses(ADMIN) == (200, 201)


def test_a_missing_scope_is_named(guarded: str) -> None:
    problem = check_problem(httpx.post(f"{guarded}/v1/jobs", json=job(synthesis()), headers=bearer(READER)), 403)
    assert "'submit'" in problem["detail"]


def test_health_needs_no_token(guarded: str) -> None:
    assert httpx.get(f"{guarded}/healthz").text == "ok\n"
    assert httpx.get(f"{guarded}/readyz").status_code == 200


def test_an_open_daemon_refuses_foreign_host_names(api: httpx.Client) -> None:
    problem = check_problem(api.get("/v1/jobs", headers={"Host": "rebound.example"}), 403)
    assert "server.tokens" in problem["detail"]
    assert api.get("/v1/jobs", headers={"Host": f"localhost:{api.base_url.port}"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "https://127.0.0.1", "null", ""])
def test_an_open_daemon_refuses_what_pages_of_other_sites_send(api: httpx.Client, origin: str) -> None:
    problem = check_problem(api.post("/v1/jobs/j1/cancel", headers={"Origin": origin}), 403)
    assert "server.tokens" in problem["detail"]


def test_an_open_daemon_answers_to_its_own_page(api: httpx.Client) -> None:
    own = f"http://{api.base_url.host}:{api.base_url.port}"
    assert api.post("/v1/estimates", json=job(synthesis()), headers={"Origin": own}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_job_must_say_that_it_is_json(api: httpx.Client, kind: str | None) -> None:
    """The kinds that a page may send without asking first are not taken for JSON, with or without an origin."""
    headers = {} if kind is None else {"Content-Type": kind}
    problem = check_problem(api.post("/v1/jobs", content=json.dumps(job(synthesis())).encode(), headers=headers), 422)
    assert "application/json" in problem["detail"]


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "10.0.0.1", "localhost.example", "::", ""]))
