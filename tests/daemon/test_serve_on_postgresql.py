"""`lowtide serve` on a PostgreSQL server, as processes: nothing accepted is lost, one daemon at a time, lost sessions are made anew."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from tests.daemon.api.test_problems import job, synthesis
from tests.postgresql import emptied, pooler, postgresql_server
from tests.processes import RunningDaemon, daemon_process, wait_for

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]
END_EVERY_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, server: str) -> Path:
    (tmp_path / "lowtide.toml").write_text(f"database = '{emptied(server)}'\n[ticker]\ntick_seconds = 0.2\n")
    return tmp_path


def submitted(daemon: RunningDaemon) -> str:
    answer = daemon.http.post("/v1/jobs", json=job(synthesis(weights={"path": "weights.pt"})))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job"]["id"])


def test_a_daemon_that_was_killed_knows_every_accepted_job_when_it_is_back(folder: Path) -> None:
    with daemon_process(folder) as daemon:
        assert psutil.Process(daemon.process.pid).memory_info().rss < 150e6
        accepted = submitted(daemon)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait(10)
    with daemon_process(folder) as daemon:
        assert daemon.http.get(f"/v1/jobs/{accepted}").status_code == 200


def test_a_second_daemon_is_refused_in_one_sentence(folder: Path) -> None:
    with daemon_process(folder):
        command = [sys.executable, "-m", "daemon", "serve", "--port", "0", "--config", str(folder / "lowtide.toml")]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another daemon works on" in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr


def test_a_server_behind_a_pooler_is_refused_in_one_sentence(tmp_path: Path, server: str) -> None:
    with pooler(server, "transaction") as pooled:
        (tmp_path / "lowtide.toml").write_text(f"database = '{pooled}'\n")
        command = [sys.executable, "-m", "daemon", "serve", "--port", "0", "--config", str(tmp_path / "lowtide.toml")]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "is reached through a pooler (such as pgbouncer)" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


def test_a_server_that_ends_every_session_does_not_end_the_daemon(folder: Path, server: str) -> None:
    with daemon_process(folder) as daemon:
        accepted = submitted(daemon)
        engine = create_engine(server)
        with engine.connect() as connection:
            assert connection.execute(text(END_EVERY_SESSION)).all()
        engine.dispose()
        wait_for(lambda: "sole-lock-renewed" in daemon.log.read_text() or None)
        wait_for(lambda: daemon.http.get("/readyz").status_code == 200 or None)
        assert daemon.http.get(f"/v1/jobs/{accepted}").status_code == 200
        assert submitted(daemon) != accepted
