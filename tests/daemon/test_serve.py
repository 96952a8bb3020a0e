"""`lowtide serve` as a process: light, quick to start, safe to stop, and clear about what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from jobs.host import usable_cores
from tests.daemon.api.test_problems import check_problem, job, synthesis, training
from tests.processes import RunningDaemon, daemon_process, stop, wait_for

CONFIG = """
[defaults]
home = "heidelberg"
[[sites]]
name = "heidelberg"
zone = "DE"
admits = ["patient-data", "derived-from-patient-data"]
data_root = "images"
[[sites]]
name = "umea"
zone = "SE"
gpus = 2
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDaemon]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "images").mkdir()
    (folder / "lowtide.toml").write_text(CONFIG)
    with daemon_process(folder) as running:
        yield running


def test_an_empty_folder_is_served_without_key_token_or_configuration(tmp_path: Path) -> None:
    with daemon_process(tmp_path) as daemon:
        assert daemon.http.get("/healthz").text == "ok\n"
        assert psutil.Process(daemon.process.pid).memory_info().rss < 150e6
        (site,) = daemon.http.get("/v1/sites").json()
        assert (site["name"], site["zone"], site["intensity"]["rung"]) == ("local", "WORLD", "yearly-mean")
        assert "world-zone" in daemon.log.read_text()
        answer = daemon.http.post("/v1/jobs", json=job(training()))
        assert answer.status_code == 201, answer.text


def test_sigterm_ends_it_soon_while_another_program_keeps_it_from_opening(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "daemon", "serve", "--port", str(port)]
    with closing(sqlite3.connect(tmp_path / "lowtide.db", isolation_level=None)) as other, (tmp_path / "log").open("wb") as log:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen(command, cwd=tmp_path, stderr=log, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        wait_for(lambda: healthy(port))
        assert stop(process, seconds=8) == 0  # SQLite alone waits for ten
        assert "opening-cut-short" in (tmp_path / "log").read_text()
    with daemon_process(tmp_path) as daemon:
        assert daemon.http.get("/v1/sites").status_code == 200


def healthy(port: int) -> bool | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").text == "ok\n" or None
    except httpx.TransportError:
        return None


def test_matrix_products_leave_the_other_cores_to_the_jobs() -> None:
    code = (
        "import os\nfrom daemon.cli.serve import calculate_on_one_core\ncalculate_on_one_core()\n"
        "import numpy\nnumpy.ones((900, 900)) @ numpy.ones((900, 900))\nprint(len(os.listdir('/proc/self/task')))"
    )
    told = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    assert [threads_of(code, told), threads_of(code, told | {"OPENBLAS_NUM_THREADS": "2"})] == [1, min(2, len(os.sched_getaffinity(0)))]


def threads_of(code: str, environment: dict[str, str]) -> int:
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_others_on_the_host_may_not_read_what_the_daemon_writes(daemon: RunningDaemon) -> None:
    files = list(daemon.folder.glob("lowtide.db*"))
    assert len(files) > 1
    assert [file.name for file in files if file.stat().st_mode & stat.S_IRWXO] == []


def test_sigterm_ends_it_well_and_a_restart_knows_every_accepted_job(tmp_path: Path) -> None:
    with daemon_process(tmp_path) as daemon:
        accepted = daemon.http.post("/v1/jobs", json=job(synthesis(weights={"path": "weights.pt"}))).json()["job"]["id"]
        assert stop(daemon.process) == 0
        assert "serve-stopped" in daemon.log.read_text()
    with daemon_process(tmp_path) as daemon:
        assert daemon.http.get(f"/v1/jobs/{accepted}").status_code == 200
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(10)
    with daemon_process(tmp_path) as daemon:
        assert daemon.http.get(f"/v1/jobs/{accepted}").status_code == 200


def test_while_its_database_is_busy_it_lives_and_may_be_stopped(tmp_path: Path) -> None:
    port = free_port()
    with closing(sqlite3.connect(tmp_path / "lowtide.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        command = [sys.executable, "-m", "daemon", "serve", "--port", str(port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOWTIDE_")}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])})
        try:
            assert wait_for(lambda: alive(port)) == "ok\n"
        finally:
            process.send_signal(signal.SIGTERM)
            other.execute("ROLLBACK")
            assert process.wait(60) == 0


def alive(port: int) -> str | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10).text
    except httpx.TransportError:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(folder: Path, *arguments: str, code: int) -> str:
    """The one sentence on standard error of a `lowtide serve` that must not start."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOWTIDE_")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "daemon", "serve", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("lowtide: ")]
    assert "Traceback" not in done.stderr
    return sentence


def test_a_second_daemon_on_the_same_database_is_refused(daemon: RunningDaemon) -> None:
    assert "another daemon" in refused(daemon.folder, "--port", "0", code=1)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in refused(tmp_path, "--port", port, code=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nport = \n", "line 2"),
        ("database = 'sqlite:////proc/none/lowtide.db'\n", "/proc/none"),
    ],
    ids=["malformed", "no database"],
)
def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "lowtide.toml").write_text(text)
    code = 2 if "line" in words else 1
    assert words in refused(tmp_path, "--port", "0", code=code)


def test_hardware_without_a_profile_is_estimated_by_a_similar_device_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "lowtide.toml").write_text("[[sites]]\nname = 'a'\nzone = 'DE'\nhardware = 'abacus-9000'\n")
    with daemon_process(tmp_path) as daemon:
        assert "hardware-unknown" in daemon.log.read_text()
        answer = daemon.http.post("/v1/estimates", json=job(training())).json()
        assert "similar" in answer["estimate"]["origin"], answer


def within(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


CORES = usable_cores()
BIG = {"dimensions": 3, "size": "large", "image_shape": [128, 128, 128]}
BAD_JOBS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown site": (job(training(), constraints={"sites": ["atlantis"]}), "constraints.sites"),
    "unknown home": (job(training(), constraints={"home": "atlantis"}), "constraints.home"),
    "deadline in the past": (job(training(), constraints={"deadline": "2020-01-01T00:00:00Z"}), "constraints.deadline"),
    "deadline shorter than the work": (
        job(training(model=BIG, iterations=1_000_000), constraints={"deadline": within(1)}),
        "constraints.deadline",
    ),
    "too many GPUs": (job(training(), constraints={"gpus": 64}), "constraints.gpus"),
    "more threads than cores": (job(training(threads=CORES + 1)), "workload.threads"),
    "unknown predecessor": (job(training(), constraints={"after": ["j-nobody"]}), "constraints.after"),
    "weights of an unknown job": (job(synthesis(weights={"job": "j-nobody"})), "workload.weights.job"),
    "patient data on a site that does not admit it": (
        job(training(data={"path": "ct"}), constraints={"sites": ["umea"]}),
        "constraints.sites",
    ),
    "data outside the site's folder": (job(training(data={"path": "/etc"})), "workload.data.path"),
    "weights outside the site's folder": (job(synthesis(weights={"path": "/etc/passwd"})), "workload.weights.path"),
}


@pytest.mark.parametrize(("body", "field"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_what_cannot_be_done_is_refused_naming_the_field(daemon: RunningDaemon, body: dict[str, Any], field: str) -> None:
    problem = check_problem(daemon.http.post("/v1/jobs", json=body), 422)
    assert [error["field"] for error in problem["errors"]] == [field], json.dumps(problem, indent=1)


def test_an_unknown_zone_is_not_found_and_the_known_ones_are_named(daemon: RunningDaemon) -> None:
    assert "DE, SE" in check_problem(daemon.http.get("/v1/zones/XX/intensity"), 404)["detail"]


def test_the_curl_of_the_readme_ends_in_the_ledger(daemon: RunningDaemon) -> None:
    """Submit, preview, list, why, cancel, ledger, metrics: each answers."""
    submitted = daemon.http.post("/v1/jobs", json=job(training()), headers={"Idempotency-Key": "readme"})
    job_id = submitted.json()["job"]["id"]
    assert submitted.json()["preview"]["reason"]
    assert job_id in [item["id"] for item in daemon.http.get("/v1/jobs").json()["items"]]
    assert daemon.http.get(f"/v1/jobs/{job_id}/events").json()["items"][0]["kind"] == "accepted"
    assert daemon.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    assert daemon.http.get(f"/v1/jobs/{job_id}/ledger").json()["job_id"] == job_id
    assert "lowtide_jobs{" in daemon.http.get("/metrics").text
