"""Starts what the demo needs, as a user would: a replay of the provider, and `lowtide serve` as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from daemon.demo.scenario import GRID_START, JOBS, RATE, intensity_files, settings_toml
from daemon.domain.errors import LowtideError
from forecast.clock import Clock, real_now
from forecast.replay import Recording, ReplayServer

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class DemoFailed(LowtideError):
    """Something the demo needs did not work; the message says what, and where to look."""


@dataclass(frozen=True, slots=True)
class Session:
    """A running daemon and the folder everything lies in."""

    http: httpx.Client
    folder: Path
    clock: Clock

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def submit_all(self) -> dict[str, dict[str, Any]]:
        """Submit the scenario's jobs in order; the answers by name."""
        answers: dict[str, dict[str, Any]] = {}
        for job in JOBS:
            ids = {name: answer["job"]["id"] for name, answer in answers.items()}
            answer = self.http.post("/v1/jobs", json=job.body(ids))
            if answer.is_error:
                raise DemoFailed(f"the daemon refused {job.name}: {answer.json().get('detail', answer.text)}")
            answers[job.name] = answer.json()
        return answers


@contextmanager
def demo_session(folder: Path) -> Iterator[Session]:
    """Replay and daemon up and ready; both are gone afterwards, the folder stays. Raises DemoFailed."""
    start = real_now()
    clock = Clock(start, GRID_START, RATE)
    with ReplayServer(Recording.load([intensity_files()]), clock.now) as replay:
        config = folder / "lowtide.toml"
        config.write_text(settings_toml(folder, replay.base_url, start), encoding="utf-8")
        with (folder / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen([sys.executable, "-m", "daemon", "serve", "--config", str(config), "--port", "0"], stderr=log)
            try:
                url = _wait_until_ready(daemon, folder)
                with httpx.Client(base_url=url, timeout=30.0) as http:
                    yield Session(http, folder, clock)
            finally:
                _stop(daemon)


def _wait_until_ready(daemon: subprocess.Popen[bytes], folder: Path) -> str:
    url = ""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise DemoFailed(f"the daemon ended with exit code {daemon.returncode}: see {folder / 'daemon.log'}")
        url = url or _announced_url(folder / "daemon.log")
        if url and _is_ready(url):
            return url
        time.sleep(0.1)
    raise DemoFailed(f"the daemon was not ready within {START_SECONDS:g} s: see {folder / 'daemon.log'}")


def _announced_url(log: Path) -> str:
    """The address in the daemon's own `serve-started` event."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if " serve-started " in line:
            return next((word.removeprefix("url=") for word in line.split() if word.startswith("url=")), "")
    return ""


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
