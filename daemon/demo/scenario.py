"""What the demo plays: three sites, a stretch of real intensity, and four jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

GRID_START = datetime(2023, 9, 5, 3, tzinfo=UTC)  # early on a sunny day in Germany: 380 g/kWh now, 220 at noon
RATE = 600.0  # an hour of the grid lasts six seconds
HOME = "heidelberg"
REPLAY_KEY = "any-key-the-replay-takes"

MODEL_2D = {"dimensions": 2, "size": "tiny", "image_shape": [64, 64]}
MODEL_3D = {"dimensions": 3, "size": "tiny", "image_shape": [32, 32, 32]}


@dataclass(frozen=True, slots=True)
class DemoSite:
    name: str
    zone: str
    pue: float
    admits: tuple[str, ...] = ()


SITES = (
    DemoSite(HOME, "DE", 1.55, ("patient-data", "derived-from-patient-data")),
    DemoSite("nottingham", "GB", 1.4),
    DemoSite("umea", "SE", 1.2),
)


@dataclass(frozen=True, slots=True)
class DemoJob:
    """A job to submit; `weights_of` names the job of the scenario whose weights it uses."""

    name: str
    workload: Mapping[str, Any]
    sites: tuple[str, ...] | None
    hours: float  # until its deadline, grid time
    weights_of: str | None = None

    def body(self, ids: Mapping[str, str]) -> dict[str, Any]:
        """The request, with the ids of the jobs submitted before it."""
        workload = dict(self.workload)
        if self.weights_of is not None:
            workload["weights"] = {"job": ids[self.weights_of]}
        constraints: dict[str, Any] = {"deadline": (GRID_START + timedelta(hours=self.hours)).isoformat()}
        if self.sites is not None:
            constraints["sites"] = list(self.sites)
        return {"name": self.name, "workload": workload, "constraints": constraints, "project": "demo"}


JOBS = (
    DemoJob(
        "train-2d",
        {
            "kind": "training",
            "model": MODEL_2D,
            "data": {"phantom": {"patients": 24}},
            "iterations": 100,
            "autoencoder_iterations": 50,
            "batch_size": 2,
        },
        (HOME,),
        12,
    ),
    DemoJob(
        "train-3d",
        {
            "kind": "training",
            "model": MODEL_3D,
            "data": {"phantom": {"patients": 8}},
            "iterations": 40,
            "autoencoder_iterations": 20,
            "batch_size": 1,
        },
        None,
        12,
    ),
    DemoJob(
        "synthesis-2d",
        {"kind": "synthesis", "model": MODEL_2D, "samples": 48, "inference_steps": 20, "sampler": "ddim", "batch_size": 4, "seed": 7},
        (HOME, "nottingham"),
        20,
        "train-2d",
    ),
    DemoJob(
        "synthesis-3d",
        {"kind": "synthesis", "model": MODEL_3D, "samples": 24, "inference_steps": 20, "sampler": "ddim", "batch_size": 2, "seed": 7},
        None,
        20,
        "train-3d",
    ),
)


def intensity_files() -> Path:
    """The bundled extract of recorded intensity; its NOTICE names source and licence."""
    return Path(str(files("forecast") / "data" / "demo"))


def settings_toml(folder: Path, base_url: str, real_start: datetime) -> str:
    """The daemon's configuration: chores as often in grid time as a live daemon's, so very often in real time."""
    lines = [
        _pair("database", f"sqlite:///{folder / 'lowtide.db'}"),
        "[electricity_maps]",
        _pair("token", REPLAY_KEY),
        _pair("base_url", base_url),
        "requests_per_hour = 60",
        "[defaults]",
        _pair("home", HOME),
        "[ledger]",
        "final_after_hours = 4  # the replay never revises an hour later than that",
        "[ticker]",
        "tick_seconds = 0.5",
        f"latest_minutes = {30 / RATE}",
        f"forecast_minutes = {60 / RATE}",
        f"settle_minutes = {60 / RATE}",
        "[replay]",
        f"grid_start = {GRID_START.isoformat()}",
        f"real_start = {real_start.isoformat()}",
        f"rate = {RATE}",
    ]
    for site in SITES:
        lines += [
            "[[sites]]",
            _pair("name", site.name),
            _pair("zone", site.zone),
            f"pue = {site.pue}",
            f"admits = {json.dumps(list(site.admits))}",
            _pair("run_root", str(folder / "runs" / site.name)),
            _pair("data_root", str(folder / "data")),
        ]
    return "\n".join(lines) + "\n"


def _pair(key: str, value: str) -> str:
    return f"{key} = {json.dumps(value)}"  # a JSON string is a TOML basic string
