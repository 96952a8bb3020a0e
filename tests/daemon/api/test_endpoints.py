"""What the API answers when all is well: submission once per key, paging, documentation, metrics."""

from __future__ import annotations

import re

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon.service.arrival import digest_of
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.test_problems import check_problem, job, synthesis


def test_a_submission_answers_with_estimate_preview_and_location(api: httpx.Client) -> None:
    response = api.post("/v1/jobs", json=job(synthesis()))
    assert response.status_code == 201
    answer = response.json()
    assert response.headers["Location"] == f"/v1/jobs/{answer['job']['id']}"
    assert answer["estimate"]["energy_kwh"] == {"low": 0.9, "mid": 1.0, "high": 1.2}
    assert "31 g instead of 402 g" in answer["preview"]["reason"]
    assert api.get(response.headers["Location"]).json()["request"]["workload"]["samples"] == 8


def test_the_same_key_and_body_give_the_same_answer_once(api: httpx.Client, service: ScriptedService) -> None:
    first = api.post("/v1/jobs", json=job(synthesis()), headers={"Idempotency-Key": "k1"})
    again = api.post("/v1/jobs", json=job(synthesis(batch_size=1)), headers={"Idempotency-Key": "k1"})  # 1 is the default
    assert again.status_code == first.status_code == 201
    assert again.json() == first.json()
    assert (first.headers.get("Idempotent-Replayed"), again.headers.get("Idempotent-Replayed")) == (None, "true")
    assert len(service.accepted) == 1


def test_the_digest_is_of_the_body_and_does_not_change_with_what_a_version_fills_in(api: httpx.Client, service: ScriptedService) -> None:
    sent = job(synthesis())
    for body in (sent, dict(reversed(sent.items())), sent | {"priority": 0}):
        api.post("/v1/jobs", json=body)
    first, reordered, spelled_out = (digest for _, _, digest in service.accepted.values())
    assert first == reordered == digest_of(sent) != spelled_out


def test_the_same_key_for_another_job_is_a_conflict(api: httpx.Client) -> None:
    api.post("/v1/jobs", json=job(synthesis()), headers={"Idempotency-Key": "k1"})
    check_problem(api.post("/v1/jobs", json=job(synthesis(samples=9)), headers={"Idempotency-Key": "k1"}), 409)


def test_a_key_that_is_empty_or_too_long_is_refused(api: httpx.Client) -> None:
    for key in ("", "x" * 201, "with space"):
        check_problem(api.post("/v1/jobs", json=job(synthesis()), headers={"Idempotency-Key": key}), 422)


def test_lists_are_paged_and_filters_reach_the_service(api: httpx.Client, service: ScriptedService) -> None:
    for _ in range(3):
        api.post("/v1/jobs", json=job(synthesis()))
    page = api.get("/v1/jobs", params={"limit": 2, "state": ["waiting", "running"], "project": "p", "cursor": "j9"}).json()
    assert [item["id"] for item in page["items"]] == ["j0", "j1"]
    assert page["next_cursor"] == "j1"
    assert service.asked == [(["waiting", "running"], "p", "j9", 2)]


def test_every_documented_path_answers(api: httpx.Client) -> None:
    api.post("/v1/jobs", json=job(synthesis()))
    document = api.get("/openapi.json").json()
    for template, methods in document["paths"].items():
        path = template.replace("{job_id}", "j0").replace("{zone}", "SE")
        if "get" in methods:
            assert api.get(path).status_code == 200, path
    assert api.post("/v1/jobs/j0/cancel").json()["state"] == "cancelled"
    assert set(document["paths"]) == {
        "/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/cancel", "/v1/jobs/{job_id}/events", "/v1/jobs/{job_id}/ledger",
        "/v1/estimates", "/v1/plan", "/v1/sites", "/v1/zones/{zone}/intensity", "/v1/zones/{zone}/forecast", "/v1/report",
        "/v1/zones/{zone}/seasons", "/v1/budgets", "/v1/shares", "/v1/jobs/{job_id}/approve", "/metrics", "/healthz", "/readyz",
    }  # fmt: skip


def test_the_documentation_fetches_nothing_from_outside(api: httpx.Client) -> None:
    page = api.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        assert source.startswith("/")
        assert api.get(source).status_code == 200


def test_readyz_tells_the_problems(api: httpx.Client, service: ScriptedService) -> None:
    service.ready = False
    response = api.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "problems": ["the last tick failed"]}


def test_metrics_come_as_text_or_openmetrics_as_the_scraper_asks(api: httpx.Client) -> None:
    plain = api.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain")
    modern = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")
    families = openmetrics_parser.text_string_to_metric_families(modern.text)  # type: ignore[no-untyped-call]  # prometheus_client leaves its parser untyped
    assert {family.name for family in parse_text(plain.text)} == {family.name for family in families}


def test_requests_are_counted_by_route_and_never_by_job(api: httpx.Client) -> None:
    job_id = api.post("/v1/jobs", json=job(synthesis())).json()["job"]["id"]
    api.get(f"/v1/jobs/{job_id}")
    api.get("/v1/jobs/nobody-knows-me")
    api.get("/wp-login.php")
    text = api.get("/metrics").text
    assert 'lowtide_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}' in text
    assert 'lowtide_http_requests_total{method="GET",route="unmatched",status="404"}' in text
    assert "wp-login" not in text
    assert "nobody-knows-me" not in text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/{job_id}/cancel", "/v1/jobs/{job_id}/approve"])
def test_whatever_writes_says_that_the_database_or_its_disk_may_be_at_an_end(api: httpx.Client, path: str) -> None:
    responses = api.get("/openapi.json").json()["paths"][path]["post"]["responses"]
    assert {"503", "507"} <= set(responses)
