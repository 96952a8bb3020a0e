"""A carbon budget from one end to the other: `lowtide serve`, its API on a socket, real jobs, tokens of two users and an admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.daemon.api.test_problems import check_problem, job, training
from tests.processes import RunningDaemon, daemon_process, wait_for

TOKENS = {name: f"token-of-{name}-0123456789" for name in ("ct-lab", "mr-lab", "boss")}
SECONDS_FOR_A_JOB = 180.0  # PyTorch alone takes several to start on a busy machine

# The month is in its middle by the replayed clock, whenever this runs. One real job at these watts emits far more than 50 g.
CONFIG = f"""
[replay]
grid_start = 2024-05-14T09:00:00Z
[ticker]
tick_seconds = 0.2
[projects.ct]
budget_kg_per_month = 0.05
over_budget = "ask"
[[sites]]
name = "heidelberg"
zone = "DE"
meter = "simulated"
simulated_watts = 500000
[[server.tokens]]
name = "ct-lab"
token = "{TOKENS["ct-lab"]}"
scopes = ["submit"]
projects = ["ct"]
[[server.tokens]]
name = "mr-lab"
token = "{TOKENS["mr-lab"]}"
scopes = ["submit"]
projects = ["mr"]
[[server.tokens]]
name = "boss"
token = "{TOKENS["boss"]}"
scopes = ["admin"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    folder = tmp_path_factory.mktemp("budget")
    (folder / "lowtide.toml").write_text(CONFIG)
    with daemon_process(folder) as running:
        yield running


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def ask(daemon: RunningDaemon, name: str, path: str) -> Any:
    return daemon.http.get(path, headers=bearer(name)).raise_for_status().json()


def send(daemon: RunningDaemon, name: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    return daemon.http.post(path, json=body, headers=bearer(name))


def submit(daemon: RunningDaemon, name: str) -> str:
    answer = send(daemon, name, "/v1/jobs", job(training(iterations=2, autoencoder_iterations=1)))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job"]["id"])


def budget(daemon: RunningDaemon) -> dict[str, Any]:
    (found,) = ask(daemon, "ct-lab", "/v1/budgets")
    return dict(found)


def until_succeeded(daemon: RunningDaemon, job_id: str) -> None:
    def ended() -> str | None:
        state = ask(daemon, "boss", f"/v1/jobs/{job_id}")["state"]
        return state if state in ("succeeded", "failed", "cancelled", "expired") else None

    assert wait_for(ended, SECONDS_FOR_A_JOB) == "succeeded", ask(daemon, "boss", f"/v1/jobs/{job_id}/events")


def metric(daemon: RunningDaemon, name: str) -> float | None:
    text = daemon.http.get("/metrics", headers=bearer("boss")).text
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f'{name}{{project="ct"}} ')]
    return float(found[0]) if found else None


@pytest.mark.slow
def test_a_spent_budget_keeps_the_next_job_waiting_until_an_admin_lets_it_run(daemon: RunningDaemon) -> None:
    first = submit(daemon, "ct-lab")
    assert ask(daemon, "ct-lab", f"/v1/jobs/{first}")["project"] == "ct"
    until_succeeded(daemon, first)
    wait_for(lambda: budget(daemon)["settled_g"] or None)
    assert budget(daemon)["left_g"] < 0

    second = submit(daemon, "ct-lab")
    wait_for(lambda: f"`lowtide approve {second}`" in ask(daemon, "ct-lab", f"/v1/jobs/{second}")["reason"] or None)
    assert ask(daemon, "ct-lab", f"/v1/jobs/{second}")["state"] == "waiting"
    assert wait_for(lambda: metric(daemon, "lowtide_project_over_budget_jobs") or None) == 1

    evasion = send(daemon, "ct-lab", "/v1/jobs", job(training(), project="mr"))
    assert check_problem(evasion, 403)["detail"] == "project: this token may not use 'mr': name 'ct'"
    for name in ("ct-lab", "mr-lab"):
        assert check_problem(send(daemon, name, f"/v1/jobs/{second}/approve"), 403)["detail"]
    assert "there is no job" in check_problem(send(daemon, "mr-lab", f"/v1/jobs/{second}/cancel"), 404)["detail"]
    assert ask(daemon, "mr-lab", "/v1/jobs")["items"] == ask(daemon, "mr-lab", "/v1/budgets") == []
    assert ask(daemon, "ct-lab", f"/v1/jobs/{second}")["attempts"] == []

    assert send(daemon, "boss", f"/v1/jobs/{second}/approve").status_code == 200
    until_succeeded(daemon, second)
    told = [event["message"] for event in ask(daemon, "boss", f"/v1/jobs/{second}/events")["items"]]
    assert "may run over the budget of project ct, says boss" in told
