"""Runs the demo from the first submission to the settled report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live

from daemon.demo.live import Watch, render
from daemon.demo.picture import draw
from daemon.demo.scenario import GRID_START, SITES
from daemon.demo.session import DemoFailed, Session, demo_session
from forecast.clock import real_now

NEEDED = ("torch", "monai", "generative", "nibabel", "PIL", "matplotlib")
LONGEST_SECONDS = 240.0
SETTLING_SECONDS = 12.0  # after the last job: until its last hours are final
LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DemoResult:
    report: dict[str, Any]
    folder: Path
    picture: Path
    seconds: float
    succeeded: bool


def missing_packages() -> list[str]:
    return [name for name in NEEDED if find_spec(name) is None]


def run_demo(output: Path, *, quiet: bool) -> DemoResult:
    """Play the scenario in a new folder below `output`. Raises DemoFailed."""
    began = time.monotonic()
    folder = (output / real_now().strftime("%Y-%m-%dT%H-%M-%S")).resolve()
    folder.mkdir(parents=True)
    with demo_session(folder) as session:
        try:
            session.submit_all()
            with _view(quiet) as live:
                succeeded = _watch(session, live, began + LONGEST_SECONDS)
            report = session.get("/v1/report")
            picture = _picture(session, folder / "intensity-and-placements.png")
        except httpx.HTTPError as error:
            raise DemoFailed(f"the daemon stopped answering ({error}): see {folder / 'daemon.log'}") from error
    (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return DemoResult(report, folder, picture, time.monotonic() - began, succeeded)


@contextmanager
def _view(quiet: bool) -> Iterator[Live | None]:
    if quiet:
        yield None
        return
    with Live(console=Console(), auto_refresh=False) as live:
        yield live


def _watch(session: Session, live: Live | None, deadline: float) -> bool:
    """Look until every job has ended and is settled; whether all of them succeeded in time."""
    watch = Watch()
    over_since: float | None = None
    while time.monotonic() < deadline:
        _look(session, watch)
        if live is not None:
            live.update(render(watch, session.clock.now()), refresh=True)
        if watch.is_over:
            over_since = over_since or time.monotonic()
            if time.monotonic() - over_since > SETTLING_SECONDS:
                return all(job["state"] == "succeeded" for job in watch.jobs)
        time.sleep(LOOK_EVERY_SECONDS)
    return False


def _look(session: Session, watch: Watch) -> None:
    watch.sites = session.get("/v1/sites")
    watch.jobs = sorted(session.get("/v1/jobs")["items"], key=lambda job: str(job["accepted_at"]))
    watch.forecasts = {site["zone"]: session.get(f"/v1/zones/{site['zone']}/forecast")["points"] for site in watch.sites}


def _picture(session: Session, path: Path) -> Path:
    end = session.clock.now()
    zone_of = {site.name: site.zone for site in SITES}
    zones = {
        zone: session.get(f"/v1/zones/{zone}/intensity", start=GRID_START.isoformat(), end=end.isoformat())["points"]
        for zone in zone_of.values()
    }
    jobs = [session.get(f"/v1/jobs/{job['id']}") for job in session.get("/v1/jobs")["items"]]
    draw(path, zones, zone_of, sorted(jobs, key=lambda job: str(job["accepted_at"])))
    return path
