"""A whole daemon whose disk fills up, with its database and its run directories on it: clear answers, no half things, and on it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon.api.test_problems import check_problem
from tests.disks import fill, small_disk
from tests.processes import RunningDaemon, daemon_process, wait_for

pytestmark = pytest.mark.slow

CONFIG = """
database = "sqlite:///{disk}/lowtide.db"
[planner]
retries = 1
[ticker]
tick_seconds = 0.3
settle_minutes = 0.02
[[sites]]
name = "here"
zone = "DE"
meter = "simulated"
simulated_watts = 50
meter_interval_seconds = 0.2
run_root = "{disk}/runs"
"""
MODEL = {"dimensions": 2, "size": "tiny", "image_shape": [16, 16]}
PATIENCE_SECONDS = 120.0
MOST_SUBMISSIONS = 2000  # what is left of the pages that the database holds already is soon used up


def training(iterations: int) -> dict[str, Any]:
    data = {"phantom": {"patients": 2}}
    return {"workload": {"kind": "training", "model": MODEL, "data": data, "iterations": iterations, "autoencoder_iterations": 1}}


@dataclass
class House:
    """A daemon on a small disk, with a job that trains on it."""

    daemon: RunningDaemon
    disk: Path
    at_work: str

    def submit(self, iterations: int = 1) -> httpx.Response:
        return self.daemon.http.post("/v1/jobs", json=training(iterations))

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.daemon.http.get(f"/v1/jobs/{job_id}").json()
        return found

    def accepted(self) -> set[str]:
        items = self.daemon.http.get("/v1/jobs", params={"limit": 500}).json()["items"]
        return {item["id"] for item in items}

    def ended(self, job_id: str) -> dict[str, Any] | None:
        """The job once it has ended."""
        found = self.job(job_id)
        return found if found["ended_at"] is not None else None

    def energy_kwh(self, job_id: str) -> float:
        """Component energy of the job as settled."""
        path = f"/v1/jobs/{job_id}/ledger"
        entries = wait_for(lambda: self.daemon.http.get(path).json()["entries"] or None, PATIENCE_SECONDS)
        return float(entries[-1]["energy_kwh"])

    def is_ready(self) -> bool:
        return self.daemon.http.get("/readyz").status_code == 200


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with small_disk(tmp_path / "disk", "64m") as disk:
        (tmp_path / "lowtide.toml").write_text(CONFIG.format(disk=disk))
        with daemon_process(tmp_path) as daemon:
            at_work = daemon.http.post("/v1/jobs", json=training(1_000_000)).json()["job"]["id"]
            house = House(daemon, disk, at_work)
            wait_for(lambda: house.job(at_work)["progress"]["steps_done"] or None, PATIENCE_SECONDS)
            yield house
            if house.ended(at_work) is None:  # a failed test leaves it at work
                (disk / "ballast").unlink(missing_ok=True)
                daemon.http.post(f"/v1/jobs/{at_work}/cancel")
                wait_for(lambda: house.ended(at_work), PATIENCE_SECONDS)


def test_a_daemon_outlives_a_full_disk_and_loses_nothing_it_accepted(house: House) -> None:
    known = house.accepted()
    ballast = fill(house.disk)
    refused = None
    for _ in range(MOST_SUBMISSIONS):
        answer = house.submit()
        if answer.status_code != 201:
            refused = answer
            break
        known.add(answer.json()["job"]["id"])
    assert refused is not None
    problem = check_problem(refused, 507)
    assert "the disk" in problem["detail"]
    assert "nothing was kept" in problem["detail"]
    assert house.accepted() == known, "what was refused left nothing behind"
    wait_for(lambda: True if not house.is_ready() else None, PATIENCE_SECONDS)
    assert any("disk" in reason for reason in house.daemon.http.get("/readyz").json()["problems"])
    assert house.daemon.http.get("/healthz").text == "ok\n"

    ballast.unlink()
    wait_for(lambda: True if house.is_ready() else None, PATIENCE_SECONDS)
    assert house.daemon.process.poll() is None, "it is the same process all along"
    for job_id in known:
        house.daemon.http.post(f"/v1/jobs/{job_id}/cancel")
    stopped = wait_for(lambda: house.ended(house.at_work), PATIENCE_SECONDS)
    assert stopped["reason"]
    assert stopped["attempts"]
    assert all(attempt["reason"] for attempt in stopped["attempts"]), "whatever became of it has its reason"
    assert house.energy_kwh(house.at_work) > 0

    last = house.submit().json()["job"]["id"]
    assert wait_for(lambda: house.ended(last), PATIENCE_SECONDS)["state"] == "succeeded"
    assert house.energy_kwh(last) > 0
