"""Bad input: each a 4xx problem document that names field and remedy."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MODEL = {"dimensions": 2, "size": "tiny", "image_shape": [64, 64]}


def synthesis(**changes: Any) -> dict[str, Any]:
    workload: dict[str, Any] = {"kind": "synthesis", "model": MODEL, "weights": {"path": "weights.pt"}, "samples": 8}
    return workload | changes


def training(**changes: Any) -> dict[str, Any]:
    return {"kind": "training", "model": MODEL, "data": {"phantom": {"patients": 4}}, "iterations": 10} | changes


def job(workload: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"name": "test", "workload": workload} | others


FOREVER = "9999-12-31T23:59:59-12:00"

BAD_JOBS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown field": (job(synthesis(sampels=3)), "workload.sampels", "did you mean 'samples'"),
    "unknown field at the top": (job(synthesis(), nmae="x"), "nmae", "did you mean 'name'"),
    "missing field": (job({"kind": "training", "model": MODEL, "iterations": 1}), "workload.data", "required"),
    "impossible shape": (job(synthesis(model=MODEL | {"image_shape": [30, 64]})), "workload.model", "nearest that works is 32"),
    "wrong number of sides": (job(synthesis(model=MODEL | {"image_shape": [64]})), "workload.model", "give 2 numbers"),
    "negative samples": (job(synthesis(samples=-3)), "workload.samples", "at least 1, got -3"),
    "traversal in data": (job(training(data={"path": "../../etc"})), "workload.data.path", "without '..'"),
    "traversal in weights": (job(synthesis(weights={"path": "a/../../b"})), "workload.weights.path", "without '..'"),
    "naive deadline": (job(synthesis(), constraints={"deadline": "2026-12-01T00:00:00"}), "constraints.deadline", "2026-11-27T18:00:00Z"),
    "deadline before start": (
        job(synthesis(), constraints={"deadline": "2026-12-01T00:00:00Z", "earliest_start": "2026-12-02T00:00:00Z"}),
        "constraints",
        "deadline must lie after earliest_start",
    ),
    "unknown kind": (job({"kind": "shell", "command": "rm"}), "workload", "'training', 'synthesis'"),
    "no kind": (job({"model": MODEL}), "workload", "kind"),
    "ddpm with few steps": (job(synthesis(sampler="ddpm", inference_steps=50)), "workload", "ddim"),
    "wrong choice": (job(synthesis(sampler="euler")), "workload.sampler", "'ddim'"),
    "wrong type": (job(synthesis(samples="many")), "workload.samples", "integer"),
    "control characters in the name": (job(synthesis(), name="a\nb"), "name", "one line"),
    "control characters in a path": (job(training(data={"path": "a\x1b]0;b"})), "workload.data.path", "control characters"),
    "a path longer than any": (job(training(data={"path": "a/" * 2049})), "workload.data.path", "4,096 bytes"),
    "half a surrogate in a path": (job(synthesis(weights={"path": "\ud800"})), "workload.weights.path", "control characters"),
    "a deadline at the end of time": (job(synthesis(), constraints={"deadline": FOREVER}), "constraints.deadline", "1970 to 2199"),
    "a start at the end of time": (job(synthesis(), constraints={"earliest_start": FOREVER}), "constraints.earliest_start", "1970 to 2199"),
    "a start before all time": (
        job(synthesis(), constraints={"earliest_start": "0001-01-01T00:00:00+14:00"}),
        "constraints.earliest_start",
        "1970 to 2199",
    ),
    "a price that overflows": (
        job(synthesis(), constraints={"price_of_waiting_g_per_hour": 1e308}),
        "constraints.price_of_waiting_g_per_hour",
        "at most 1000000",
    ),
    "many predecessors": (job(synthesis(), constraints={"after": ["j"] * 50_000}), "constraints.after", "at most 100"),
    "many sites": (job(synthesis(), constraints={"sites": ["local"] * 50_000}), "constraints.sites", "at most 100"),
    "a site twice": (job(synthesis(), constraints={"sites": ["local", "local"]}), "constraints", "name each once"),
    "a predecessor that can be no id": (job(synthesis(), constraints={"after": ["\ud800"]}), "constraints.after[0]", "valid string"),
    "a site with an escape": (job(synthesis(), constraints={"sites": ["\x1b[31m"]}), "constraints.sites[0]", "pattern"),
    "a home without end": (job(synthesis(), constraints={"home": "h" * 100_000}), "constraints.home", "at most 64"),
    "no sites": (job(synthesis(), constraints={"sites": []}), "constraints", "at least one site"),
}


@pytest.mark.parametrize(("body", "field", "remedy"), BAD_JOBS.values(), ids=BAD_JOBS)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimates"])
def test_a_bad_job_is_a_problem_that_names_field_and_remedy(
    api: httpx.Client, path: str, body: dict[str, Any], field: str, remedy: str
) -> None:
    problem = check_problem(api.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"}), 422)
    assert {error["field"]: error["message"] for error in problem["errors"]}.get(field, "").find(remedy) >= 0, problem


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["priority", "constraints.price_of_waiting_g_per_hour", "workload.samples"])
def test_a_number_that_is_none_is_refused_naming_the_field(api: httpx.Client, number: str, field: str) -> None:
    body: dict[str, Any] = job(synthesis(), constraints={})
    *parents, last = field.split(".")
    target = body
    for parent in parents:
        target = target[parent]
    target[last] = "NUMBER"
    text = json.dumps(body).replace('"NUMBER"', number)
    problem = check_problem(api.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"}), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert "finite" in problem["detail"]


def test_what_only_the_service_can_know_is_a_problem_with_its_field(api: httpx.Client) -> None:
    problem = check_problem(api.post("/v1/jobs", json=job(synthesis(), project="forbidden")), 422)
    assert problem["errors"] == [{"field": "constraints.deadline", "message": "lies in the past: choose one after now"}]


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"a": 1,}', b"[1]", b"null", b'"job"'])
def test_a_body_that_is_no_json_object_says_so(api: httpx.Client, content: bytes) -> None:
    response = api.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert "JSON" in check_problem(response, response.status_code)["detail"]
    assert response.status_code in (400, 422)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimates"])
@pytest.mark.parametrize("twice", ['"samples": 8, "samples": 800', '"sampler": "ddim", "samples": 8, "sampler": "ddim"'])
def test_a_body_that_says_one_thing_twice_is_refused_with_its_name(api: httpx.Client, path: str, twice: str) -> None:
    text = json.dumps(job(synthesis())).replace('"samples": 8', twice)
    problem = check_problem(api.post(path, content=text, headers={"Content-Type": "application/json"}), 422)
    assert f"'{twice.split(chr(34))[1]}' stands twice" in problem["detail"]


def test_a_body_without_a_json_content_type_says_which_header_to_send(api: httpx.Client) -> None:
    problem = check_problem(api.post("/v1/jobs", content=json.dumps(job(synthesis())), headers={"Content-Type": "text/plain"}), 422)
    assert "Content-Type: application/json" in problem["detail"]


def test_a_body_of_ten_megabytes_is_refused_without_being_read(api: httpx.Client) -> None:
    host, port = api.base_url.host, api.base_url.port
    with socket.create_connection((host, port or 80), timeout=5) as raw:
        head = ("POST /v1/jobs HTTP/1.1", f"Host: {host}:{port}", "Content-Length: 10000000", "Content-Type: application/json")
        raw.sendall("\r\n".join([*head, "", ""]).encode())
        answer = raw.makefile("rb").read()  # arrives although not one byte of the body was sent; the daemon hangs up
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer
    assert b"larger than 1000000 bytes" in answer


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(api: httpx.Client) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b" " * 65536

    try:
        response = api.post("/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
    except (httpx.WriteError, httpx.ReadError):
        pass  # the server hung up on us before we read its answer, which is as good
    else:
        check_problem(response, 413)
    assert sent < 1000 * 65536


@pytest.mark.parametrize("announced", ["-1", "1e9", "abc"])
def test_a_length_that_is_no_number_is_refused(api: httpx.Client, announced: str) -> None:
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=5) as raw:
        raw.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n".encode())
        assert raw.recv(65536).split(b" ")[1] in (b"400", b"413")


@pytest.mark.parametrize(
    ("path", "field", "remedy"),
    [
        ("/v1/jobs?limit=0", "limit", "at least 1"),
        ("/v1/jobs?limit=501", "limit", "at most 500"),
        ("/v1/jobs?state=sleeping", "state[0]", "'waiting'"),
        ("/v1/report?start=2026-01-01T00:00:00", "start", "time zone"),
        ("/v1/zones/SE/intensity?start=yesterday", "start", "datetime"),
    ],
)
def test_a_wrong_parameter_is_named(api: httpx.Client, path: str, field: str, remedy: str) -> None:
    error = check_problem(api.get(path), 422)["errors"][0]
    assert error["field"] == field
    assert remedy in error["message"]


def test_an_unknown_job_or_path_is_a_404_problem(api: httpx.Client) -> None:
    assert "j9" in check_problem(api.get("/v1/jobs/j9"), 404)["detail"]
    assert "known: SE" in check_problem(api.get("/v1/zones/XX/forecast"), 404)["detail"]
    assert "/docs" in check_problem(api.get("/v2/jobs"), 404)["detail"]


def test_a_wrong_method_names_those_that_work(api: httpx.Client) -> None:
    response = api.put("/v1/jobs", json={})
    assert "GET, POST" in check_problem(response, 405)["detail"]
    assert response.headers["Allow"] == "GET, POST"


def test_an_error_of_our_own_is_a_problem_that_tells_no_secrets(api: httpx.Client) -> None:
    problem = check_problem(api.post("/v1/jobs", json=job(synthesis(), project="broken")), 500)
    assert "private" not in json.dumps(problem)


def test_a_database_out_of_reach_is_a_503_that_says_to_come_back(api: httpx.Client) -> None:
    response = api.post("/v1/jobs", json=job(synthesis(), project="unstored"))
    problem = check_problem(response, 503)
    assert "try again" in problem["detail"]
    assert "private" not in json.dumps(problem)
    assert int(response.headers["Retry-After"]) > 0


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "workload", "model", "x"]), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_json_is_sent_as_a_workload_the_answer_is_a_problem(api: httpx.Client, value: object) -> None:
    check_problem(api.post("/v1/jobs", json={"workload": value}), 422)


def check_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The response as a problem document: media type, members and sense."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "errors"}
    assert problem["status"] == status
    assert problem["detail"]
    return problem
